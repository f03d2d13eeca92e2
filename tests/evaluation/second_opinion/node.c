/* What a node says of itself. */

#include <stdlib.h>
#include <string.h>

#include "opinion.h"

const struct attribute *find(const struct node *node, const char *name)
{
    for (long i = 0; i < node->attributes; i++)
        if (strcmp(node->attribute[i].name, name) == 0)
            return &node->attribute[i];
    return NULL;
}

double real_at(const struct attribute *list, long i) { return strtod(list->words[i], NULL); }

long number_at(const struct attribute *list, long i) { return strtol(list->words[i], NULL, 10); }

long number_of(const struct node *node, const char *name, long otherwise)
{
    const struct attribute *found = find(node, name);
    return found ? number_at(found, 0) : otherwise;
}

/* Attributes are float32, and so are their defaults. */
double real_of(const struct node *node, const char *name, double otherwise)
{
    const struct attribute *found = find(node, name);
    return (float)(found ? real_at(found, 0) : otherwise);
}

const char *word_of(const struct node *node, const char *name, const char *otherwise)
{
    const struct attribute *found = find(node, name);
    return found ? found->words[0] : otherwise;
}

struct tensor *input_of(const struct node *node, int i)
{
    return i < node->inputs ? node->input[i] : NULL;
}

void put(struct node *node, struct tensor *x) { node->output[node->outputs++] = x; }
