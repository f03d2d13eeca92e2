/* Memory of one case, given back all at once. */

#include <stdio.h>
#include <stdlib.h>

#include "opinion.h"

static void **blocks;
static long used, room;

void give_up(const char *why, const char *about)
{
    fprintf(stderr, "%s: %s\n", why, about);
    exit(2);
}

void *claim(long count, long size)
{
    void *block = calloc(count > 0 ? (size_t)count : 1, (size_t)size);
    if (used == room) {
        room = 2 * room + 64;
        blocks = realloc(blocks, (size_t)room * sizeof *blocks);
    }
    if (block == NULL || blocks == NULL)
        give_up("out of memory", "claim");
    blocks[used++] = block;
    return block;
}

void forget_everything(void)
{
    while (used > 0)
        free(blocks[--used]);
}
