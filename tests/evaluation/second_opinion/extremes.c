/* Section 6: maximum, argmax and order. */

#include <math.h>
#include <string.h>

#include "opinion.h"

double larger(double a, double b)
{
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

double smaller(double a, double b) { return -larger(-a, -b); }

static int64_t whole_extreme(int64_t a, int64_t b, int highest_wins, enum type type)
{
    return below(a, b, type) == highest_wins ? b : a;
}

/* Whether element a comes before element b in sorted order, ties left open. */
int precedes(const struct tensor *x, long a, long b, int largest)
{
    if (!is_float(x->type))
        return largest ? below(x->whole[b], x->whole[a], x->type) : below(x->whole[a], x->whole[b], x->type);
    if (isnan(x->real[a]) || isnan(x->real[b]))
        return isnan(x->real[largest ? a : b]) && !isnan(x->real[largest ? b : a]);
    return largest ? x->real[a] > x->real[b] : x->real[a] < x->real[b];
}

/* The argmax among `count` offsets from `start` on: which of them it is. */
long best_of(const struct tensor *x, const long *offsets, long start, long count, int last)
{
    long best = 0;
    for (long i = 1; i < count; i++) {
        long a = start + offsets[i], b = start + offsets[best];
        if (precedes(x, a, b, 1) || (last && !precedes(x, b, a, 1)))
            best = i;
    }
    return best;
}

static void extreme_of_all(struct node *node, int wants_largest)
{
    const struct tensor *first = node->input[0];
    long shape[MAXIMUM_RANK];
    int rank = 0;
    struct tensor *y;
    for (int i = 0; i < node->inputs; i++)
        rank = broadcast(rank, shape, node->input[i]);
    y = make(first->type, rank, shape);
    for (long flat = 0; flat < y->count; flat++)
        for (int i = 0; i < node->inputs; i++) {
            const struct tensor *x = node->input[i];
            long at = place(x, rank, shape, flat);
            if (!y->real)
                y->whole[flat] = i == 0 ? x->whole[at]
                    : whole_extreme(y->whole[flat], x->whole[at], wants_largest, y->type);
            else if (i == 0)
                y->real[flat] = x->real[at];
            else
                y->real[flat] = wants_largest ? larger(y->real[flat], x->real[at])
                                              : smaller(y->real[flat], x->real[at]);
        }
    put(node, y);
}

static void argument(struct node *node, int wants_largest)
{
    struct tensor *x = node->input[0], *y, *other = x;
    int axis = axis_of(number_of(node, "axis", 0), x->rank);
    long shape[MAXIMUM_RANK];
    int rank = 0;
    struct groups g = along(x, axis);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || number_of(node, "keepdims", 1))
            shape[rank++] = i == axis ? 1 : x->shape[i];
    if (!wants_largest) {
        other = like(x, x->type);
        for (long i = 0; i < x->count; i++)
            if (x->real)
                other->real[i] = -x->real[i];
            else
                other->whole[i] = wrap(~x->whole[i], x->type);
    }
    y = make(INT64, rank, shape);
    for (long i = 0; i < g.kept_count; i++)
        y->whole[i] = best_of(other, g.reduced, g.kept[i], g.reduced_count,
                              (int)number_of(node, "select_last_index", 0));
    put(node, y);
}

static void top(struct node *node)
{
    const struct tensor *x = node->input[0];
    int axis = axis_of(number_of(node, "axis", -1), x->rank), largest = (int)number_of(node, "largest", 1);
    long k = (long)node->input[1]->whole[0], shape[MAXIMUM_RANK];
    struct groups g = along(x, axis), out;
    struct tensor *values, *indices;
    long *order = claim(g.reduced_count, sizeof *order);
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = k;
    values = make(x->type, x->rank, shape);
    indices = make(INT64, x->rank, shape);
    out = along(values, axis);
    for (long i = 0; i < g.kept_count; i++) {
        for (long j = 0; j < g.reduced_count; j++) {
            long at = j;
            for (; at > 0 && precedes(x, g.kept[i] + g.reduced[j], g.kept[i] + g.reduced[order[at - 1]], largest); at--)
                order[at] = order[at - 1];
            order[at] = j;
        }
        for (long j = 0; j < k; j++) {
            long to = out.kept[i] + out.reduced[j], from = g.kept[i] + g.reduced[order[j]];
            indices->whole[to] = order[j];
            if (x->real)
                values->real[to] = x->real[from];
            else
                values->whole[to] = x->whole[from];
        }
    }
    put(node, values);
    put(node, indices);
}

int extremes(struct node *node)
{
    if (strcmp(node->operator, "Max") == 0 || strcmp(node->operator, "Min") == 0)
        extreme_of_all(node, node->operator[1] == 'a');
    else if (strcmp(node->operator, "ArgMax") == 0 || strcmp(node->operator, "ArgMin") == 0)
        argument(node, node->operator[4] == 'a');
    else if (strcmp(node->operator, "TopK") == 0)
        top(node);
    else
        return 0;
    return 1;
}
