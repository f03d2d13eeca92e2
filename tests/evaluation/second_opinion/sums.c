/* Section 5: sums, and what is made of them. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static double sum_of(const struct tensor *x, struct groups g, long i, double (*of)(double))
{
    double total = 0.0;
    for (long j = 0; j < g.reduced_count; j++) {
        double v = x->real[g.kept[i] + g.reduced[j]];
        total = total + (of ? of(v) : v);
    }
    return total;
}

static double squared(double v) { return v * v; }

static double extreme_of(const struct tensor *x, struct groups g, long i, double start, double (*of)(double, double))
{
    double best = start;
    for (long j = 0; j < g.reduced_count; j++)
        best = of(best, x->real[g.kept[i] + g.reduced[j]]);
    return best;
}

static double log_total_exp(const struct tensor *x, struct groups g, long i)
{
    double m = extreme_of(x, g, i, -INFINITY, larger), total = 0.0;
    if (isinf(m))
        return m;
    for (long j = 0; j < g.reduced_count; j++)
        total = total + exp_1(x->real[g.kept[i] + g.reduced[j]] - m);
    return m + log_1(total);
}

static double real_reduction(const char *name, const struct tensor *x, struct groups g, long i)
{
    double product = 1.0;
    if (strcmp(name, "Sum") == 0)
        return sum_of(x, g, i, NULL);
    if (strcmp(name, "Mean") == 0)
        return sum_of(x, g, i, NULL) / (double)g.reduced_count;
    if (strcmp(name, "L1") == 0)
        return sum_of(x, g, i, fabs);
    if (strcmp(name, "L2") == 0)
        return sqrt(sum_of(x, g, i, squared));
    if (strcmp(name, "SumSquare") == 0)
        return sum_of(x, g, i, squared);
    if (strcmp(name, "LogSum") == 0)
        return log_1(sum_of(x, g, i, NULL));
    if (strcmp(name, "LogSumExp") == 0)
        return log_total_exp(x, g, i);
    if (strcmp(name, "Max") == 0)
        return extreme_of(x, g, i, -INFINITY, larger);
    if (strcmp(name, "Min") == 0)
        return extreme_of(x, g, i, INFINITY, smaller);
    for (long j = 0; j < g.reduced_count; j++)
        product = product * x->real[g.kept[i] + g.reduced[j]];
    return product;
}

static int64_t whole_reduction(const char *name, const struct tensor *x, struct groups g, long i)
{
    uint64_t total = strcmp(name, "Prod") == 0;
    int64_t best = strcmp(name, "Max") == 0 ? lowest(x->type) : highest(x->type);
    for (long j = 0; j < g.reduced_count; j++) {
        int64_t v = x->whole[g.kept[i] + g.reduced[j]];
        if (strcmp(name, "Prod") == 0)
            total *= (uint64_t)v;
        else if (strcmp(name, "SumSquare") == 0)
            total += (uint64_t)v * (uint64_t)v;
        else if (strcmp(name, "L1") == 0)
            total += is_signed(x->type) && v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        else
            total += (uint64_t)v;
        if (strcmp(name, "Max") == 0 ? below(best, v, x->type) : below(v, best, x->type))
            best = v;
    }
    if (strcmp(name, "Max") == 0 || strcmp(name, "Min") == 0)
        return best;
    if (strcmp(name, "Mean") == 0)
        total = is_signed(x->type) ? (uint64_t)((int64_t)total / (int64_t)g.reduced_count)
                                   : total / (uint64_t)g.reduced_count;
    return wrap((int64_t)total, x->type);
}

static void reduce(struct node *node)
{
    const char *name = node->operator + strlen("Reduce");
    const struct tensor *x = node->input[0], *input = input_of(node, 1);
    const struct attribute *axes = find(node, "axes");
    long count = input ? input->count : axes ? axes->count : 0, shape[MAXIMUM_RANK];
    int chosen[MAXIMUM_RANK] = {0}, rank = 0, every = count == 0 && !number_of(node, "noop_with_empty_axes", 0);
    struct groups g;
    struct tensor *y;
    for (long i = 0; i < count; i++)
        chosen[axis_of(input ? (long)input->whole[i] : number_at(axes, i), x->rank)] = 1;
    for (int i = 0; i < x->rank; i++) {
        chosen[i] |= every;
        if (!chosen[i] || number_of(node, "keepdims", 1))
            shape[rank++] = chosen[i] ? 1 : x->shape[i];
    }
    g = grouped(x, chosen);
    y = make(x->type, rank, shape);
    for (long i = 0; i < y->count; i++)
        if (x->real)
            y->real[i] = step(real_reduction(name, x, g, i), x->type);
        else
            y->whole[i] = whole_reduction(name, x, g, i);
    put(node, y);
}

/* In place of x, a line of float64 numbers: what softmax or its logarithm makes of it, not yet rounded. */
void softmax_line(const double *x, double *result, long count, int logarithm)
{
    double m = -INFINITY, s = 0.0;
    for (long j = 0; j < count; j++)
        m = x[j] > m ? x[j] : m;
    for (long j = 0; j < count; j++) {
        double q = exp_1(x[j] - m);
        s = s + q;
        result[j] = logarithm ? x[j] - m : q;
    }
    for (long j = 0; j < count; j++)
        result[j] = logarithm ? result[j] - log_1(s) : result[j] / s;
}

static void softmax(struct node *node, int logarithm)
{
    const struct tensor *x = node->input[0];
    int axis = axis_of(number_of(node, "axis", node->opset < 13 ? 1 : -1), x->rank);
    struct groups g = node->opset < 13 ? trailing(x, axis) : along(x, axis);
    struct tensor *y = like(x, x->type);
    double *line = claim(g.reduced_count, sizeof *line), *result = claim(g.reduced_count, sizeof *line);
    for (long i = 0; i < g.kept_count; i++) {
        for (long j = 0; j < g.reduced_count; j++)
            line[j] = x->real[g.kept[i] + g.reduced[j]];
        softmax_line(line, result, g.reduced_count, logarithm);
        for (long j = 0; j < g.reduced_count; j++)
            y->real[g.kept[i] + g.reduced[j]] = step(result[j], x->type);
    }
    put(node, y);
}

static void cumulate(struct node *node)
{
    const struct tensor *x = node->input[0];
    int product = strcmp(node->operator, "CumProd") == 0;
    struct groups g = along(x, axis_of((long)node->input[1]->whole[0], x->rank));
    struct tensor *y = like(x, x->type);
    for (long i = 0; i < g.kept_count; i++) {
        double total = product;
        uint64_t whole = (uint64_t)product;
        for (long step_number = 0; step_number < g.reduced_count; step_number++) {
            long j = number_of(node, "reverse", 0) ? g.reduced_count - 1 - step_number : step_number;
            long at = g.kept[i] + g.reduced[j];
            double before = total;
            uint64_t whole_before = whole;
            if (x->real)
                total = product ? total * x->real[at] : total + x->real[at];
            else
                whole = product ? whole * (uint64_t)x->whole[at] : whole + (uint64_t)x->whole[at];
            if (x->real)
                y->real[at] = step(number_of(node, "exclusive", 0) ? before : total, x->type);
            else
                y->whole[at] = wrap((int64_t)(number_of(node, "exclusive", 0) ? whole_before : whole), x->type);
        }
    }
    put(node, y);
}

int sums(struct node *node)
{
    if (strncmp(node->operator, "Reduce", 6) == 0)
        reduce(node);
    else if (strcmp(node->operator, "Softmax") == 0 || strcmp(node->operator, "LogSoftmax") == 0)
        softmax(node, node->operator[0] == 'L');
    else if (strcmp(node->operator, "CumSum") == 0 || strcmp(node->operator, "CumProd") == 0)
        cumulate(node);
    else
        return 0;
    return 1;
}
