/* Section 10.10: Conv and ConvTranspose. */

#include <string.h>

#include "opinion.h"

static void convolve(struct node *node)
{
    const struct tensor *x = node->input[0], *weights = node->input[1], *bias = input_of(node, 2);
    struct window w = window_of(node, x, weights->shape + 2);
    long groups = number_of(node, "group", 1), shape[MAXIMUM_RANK] = {x->shape[0], weights->shape[0]};
    long per_group = weights->shape[1], out_per_group = weights->shape[0] / groups;
    long outputs = product_of(w.axes, w.output), inputs = product_of(w.axes, w.input), kernel = window_count(&w);
    struct tensor *y;
    memcpy(shape + 2, w.output, (size_t)w.axes * sizeof *shape);
    y = make(x->type, x->rank, shape);
    for (long i = 0; i < y->count; i++) {
        long o = i % outputs, m = i / outputs % shape[1], n = i / outputs / shape[1];
        struct chain chain = begin(x->type);
        for (long c = 0; c < per_group; c++)
            for (long k = 0; k < kernel; k++) {
                long at, channel = n * x->shape[1] + m / out_per_group * per_group + c;
                int padded, inside = window_place(&w, o, k, &at, &padded);
                feed(&chain, weights->real[(m * per_group + c) * kernel + k],
                     inside ? x->real[channel * inputs + at] : 0.0);
            }
        y->real[i] = ended(&chain);
        if (bias)
            y->real[i] = step(y->real[i] + bias->real[m], x->type);
    }
    put(node, y);
}

/* For each axis: strides, dilations, padding before, and the output's length. */
static struct window transposed_window(const struct node *node, const struct tensor *x, const long *kernel)
{
    const struct attribute *extra = find(node, "output_padding"), *wanted = find(node, "output_shape");
    const char *automatic = word_of(node, "auto_pad", "NOTSET");
    struct window w;
    struct node plain = *node;
    plain.operator = "Conv";
    w = window_of(&plain, x, kernel);
    for (int i = 0; i < w.axes; i++) {
        long natural = (w.input[i] - 1) * w.stride[i] + (kernel[i] - 1) * w.dilation[i] + 1;
        long total;
        natural += extra ? number_at(extra, i) : 0;
        if (wanted)
            w.output[i] = number_at(wanted, wanted->count - w.axes + i);
        else if (strncmp(automatic, "SAME", 4) == 0)
            w.output[i] = w.input[i] * w.stride[i];
        else {
            w.output[i] = natural - w.before[i] - w.after[i];
            continue;
        }
        total = natural - w.output[i];
        total = total > 0 ? total : 0;
        w.before[i] = strcmp(automatic, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
    }
    return w;
}

/* The input's place that output o meets through place k of the kernel: -1 for none, -2 beyond the input. */
static long met(const struct window *w, long o, long k)
{
    long at = 0, stride = 1;
    int outside = 0;
    for (int i = w->axes - 1; i >= 0; i--) {
        long reach = o % w->output[i] + w->before[i] - k % w->kernel[i] * w->dilation[i];
        o /= w->output[i];
        k /= w->kernel[i];
        if (reach % w->stride[i])
            return -1;
        outside |= reach < 0 || reach / w->stride[i] >= w->input[i];
        at += reach / w->stride[i] * stride;
        stride *= w->input[i];
    }
    return outside ? -2 : at;
}

static void transpose(struct node *node)
{
    const struct tensor *x = node->input[0], *weights = node->input[1], *bias = input_of(node, 2);
    struct window w = transposed_window(node, x, weights->shape + 2);
    long groups = number_of(node, "group", 1), out_per_group = weights->shape[1];
    long shape[MAXIMUM_RANK] = {x->shape[0], out_per_group * groups}, per_group = x->shape[1] / groups;
    long outputs = product_of(w.axes, w.output), inputs = product_of(w.axes, w.input), kernel = window_count(&w);
    struct tensor *y;
    memcpy(shape + 2, w.output, (size_t)w.axes * sizeof *shape);
    y = make(x->type, x->rank, shape);
    for (long i = 0; i < y->count; i++) {
        long o = i % outputs, m = i / outputs % shape[1], n = i / outputs / shape[1];
        struct chain chain = begin(x->type);
        for (long c = 0; c < per_group; c++)
            for (long k = 0; k < kernel; k++) {
                long at = met(&w, o, k), channel = m / out_per_group * per_group + c;
                if (at != -1)
                    feed(&chain, weights->real[(channel * out_per_group + m % out_per_group) * kernel + k],
                         at == -2 ? 0.0 : x->real[(n * x->shape[1] + channel) * inputs + at]);
            }
        y->real[i] = ended(&chain);
        if (bias)
            y->real[i] = step(y->real[i] + bias->real[m], x->type);
    }
    put(node, y);
}

int convolutions(struct node *node)
{
    if (strcmp(node->operator, "Conv") == 0)
        convolve(node);
    else if (strcmp(node->operator, "ConvTranspose") == 0)
        transpose(node);
    else
        return 0;
    return 1;
}
