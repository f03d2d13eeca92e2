/* Section 7: casts, and nothing but casts. */

#include <math.h>
#include <string.h>

#include "opinion.h"

int64_t saturated(double x, enum type type)
{
    double low = (double)lowest(type), above = type == UINT64 ? 0x1p64 : (double)highest(type) + 1;
    if (type == INT64)
        above = 0x1p63;
    if (isnan(x))
        return 0;
    if (x < low)
        return lowest(type);
    if (x >= above)
        return highest(type);
    return type == UINT64 ? (int64_t)(uint64_t)x : (int64_t)x;
}

static double to_float_type(const struct tensor *x, long i, enum type to)
{
    double value;
    if (x->real)
        return narrow(x->real[i], to);
    if (to == FLOAT64)
        return carrier_value(x, i);
    /* NOTE: by way of float64 an integer would be rounded twice. */
    value = x->type == UINT64 ? (float)(uint64_t)x->whole[i] : (float)x->whole[i];
    return narrow(value, to);
}

static int64_t to_whole_type(const struct tensor *x, long i, enum type to)
{
    if (to == BOOL)
        return x->real ? x->real[i] != 0 : x->whole[i] != 0;
    return x->real ? saturated(x->real[i], to) : wrap(x->whole[i], to);
}

int casts(struct node *node)
{
    static const int ONNX[TYPES] = {10, 16, 1, 11, 3, 5, 6, 7, 2, 4, 12, 13, 9};
    const struct tensor *x = node->input[0];
    struct tensor *y;
    int to = 0;
    if (strcmp(node->operator, "Cast") != 0)
        return 0;
    while (to < TYPES && ONNX[to] != number_of(node, "to", 0))
        to++;
    if (to == TYPES)
        give_up("no such type", "Cast");
    y = like(x, (enum type)to);
    for (long i = 0; i < x->count; i++)
        if (y->real)
            y->real[i] = to_float_type(x, i, (enum type)to);
        else
            y->whole[i] = to_whole_type(x, i, (enum type)to);
    put(node, y);
    return 1;
}
