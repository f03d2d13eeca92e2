/* Normalization: the rows of section 10.3 that stand on the moments of section 5. */

#include <math.h>
#include <string.h>

#include "opinion.h"

struct moments { double mean, variance; };

static struct moments moments_of(const struct tensor *x, const long *offsets, long start, long count)
{
    struct moments m = {0.0, 0.0};
    for (long j = 0; j < count; j++)
        m.mean = m.mean + x->real[start + offsets[j]];
    m.mean = m.mean / (double)count;
    for (long j = 0; j < count; j++) {
        double apart = x->real[start + offsets[j]] - m.mean;
        m.variance = m.variance + apart * apart;
    }
    m.variance = m.variance / (double)count;
    return m;
}

static void batch(struct node *node)
{
    const struct tensor *x = node->input[0], *scale = node->input[1], *bias = node->input[2];
    const struct tensor *mean = node->input[3], *variance = node->input[4];
    double epsilon = real_of(node, "epsilon", 1e-5);
    struct tensor *y = like(x, x->type);
    enum type t = x->type;
    long places = x->count / (x->shape[0] * x->shape[1]);
    for (long i = 0; i < x->count; i++) {
        long c = i / places % x->shape[1];
        double factor = step(scale->real[c] / step(sqrt(step(variance->real[c] + epsilon, t)), t), t);
        y->real[i] = step(step(step(x->real[i] - mean->real[c], t) * factor, t) + bias->real[c], t);
    }
    put(node, y);
}

static void layer(struct node *node)
{
    const struct tensor *x = node->input[0], *scale = node->input[1], *bias = input_of(node, 2);
    int axis = axis_of(number_of(node, "axis", -1), x->rank);
    double epsilon = real_of(node, "epsilon", 1e-5);
    struct groups g = trailing(x, axis);
    enum type stash = number_of(node, "stash_type", 1) == 11 ? FLOAT64 : FLOAT32;
    struct tensor *y = like(x, x->type), *mean, *inverse;
    long shape[MAXIMUM_RANK];
    for (int i = 0; i < x->rank; i++)
        shape[i] = i < axis ? x->shape[i] : 1;
    mean = make(stash, x->rank, shape);
    inverse = make(stash, x->rank, shape);
    for (long i = 0; i < g.kept_count; i++) {
        struct moments m = moments_of(x, g.reduced, g.kept[i], g.reduced_count);
        double factor = 1.0 / sqrt(m.variance + epsilon);
        mean->real[i] = step(m.mean, stash);
        inverse->real[i] = step(factor, stash);
        for (long j = 0; j < g.reduced_count; j++) {
            long at = g.kept[i] + g.reduced[j];
            double v = ((x->real[at] - m.mean) * factor) * scale->real[place(scale, x->rank, x->shape, at)];
            if (bias)
                v = v + bias->real[place(bias, x->rank, x->shape, at)];
            y->real[at] = step(v, x->type);
        }
    }
    put(node, y);
    put(node, mean);
    put(node, inverse);
}

static void of_channels(struct node *node, long number_of_groups)
{
    const struct tensor *x = node->input[0], *scale = node->input[1], *bias = node->input[2];
    double epsilon = real_of(node, "epsilon", 1e-5);
    long channels = x->shape[1], places = x->count / (x->shape[0] * channels);
    long per_group = channels / number_of_groups, count = per_group * places;
    long *offsets = claim(count, sizeof *offsets);
    struct tensor *y = like(x, x->type);
    for (long j = 0; j < count; j++)
        offsets[j] = j;
    for (long start = 0; start < x->count; start += count) {
        struct moments m = moments_of(x, offsets, start, count);
        double factor = 1.0 / sqrt(m.variance + epsilon);
        for (long j = 0; j < count; j++) {
            long c = (start + j) / places % channels;
            long own = scale->count == channels ? c : c / per_group;
            y->real[start + j] = step(((x->real[start + j] - m.mean) * factor) * scale->real[own] + bias->real[own],
                                      x->type);
        }
    }
    put(node, y);
}

static void root_mean_square(struct node *node)
{
    const struct tensor *x = node->input[0], *scale = node->input[1];
    struct groups g = trailing(x, axis_of(number_of(node, "axis", -1), x->rank));
    double epsilon = real_of(node, "epsilon", 1e-5);
    struct tensor *y = like(x, scale->type);
    for (long i = 0; i < g.kept_count; i++) {
        double total = 0.0;
        for (long j = 0; j < g.reduced_count; j++) {
            double v = x->real[g.kept[i] + g.reduced[j]];
            total = total + v * v;
        }
        total = sqrt(total / (double)g.reduced_count + epsilon);
        for (long j = 0; j < g.reduced_count; j++) {
            long at = g.kept[i] + g.reduced[j];
            y->real[at] = step((x->real[at] / total) * scale->real[place(scale, x->rank, x->shape, at)], scale->type);
        }
    }
    put(node, y);
}

int norms(struct node *node)
{
    if (strcmp(node->operator, "BatchNormalization") == 0)
        batch(node);
    else if (strcmp(node->operator, "LayerNormalization") == 0)
        layer(node);
    else if (strcmp(node->operator, "InstanceNormalization") == 0)
        of_channels(node, node->input[0]->shape[1]);
    else if (strcmp(node->operator, "GroupNormalization") == 0)
        of_channels(node, number_of(node, "num_groups", 1));
    else if (strcmp(node->operator, "RMSNormalization") == 0)
        root_mean_square(node);
    else
        return 0;
    return 1;
}
