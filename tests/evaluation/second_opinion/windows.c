/* Section 10.10: windows over up to three spatial axes, and pooling. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static long list_item(const struct node *node, const char *name, int i, long otherwise)
{
    const struct attribute *list = find(node, name);
    return list ? number_at(list, i) : otherwise;
}

/* The window of a convolution or a pooling; `kernel` are its places on each axis. */
struct window window_of(const struct node *node, const struct tensor *x, const long *kernel)
{
    struct window w;
    const char *automatic = word_of(node, "auto_pad", "NOTSET");
    long up = number_of(node, "ceil_mode", 0);
    w.axes = x->rank - 2;
    for (int i = 0; i < w.axes; i++) {
        long covered, room;
        w.input[i] = x->shape[i + 2];
        w.kernel[i] = kernel[i];
        w.stride[i] = list_item(node, "strides", i, 1);
        w.dilation[i] = list_item(node, "dilations", i, 1);
        covered = (kernel[i] - 1) * w.dilation[i] + 1;
        w.before[i] = w.after[i] = 0;
        if (strcmp(automatic, "NOTSET") == 0) {
            w.before[i] = list_item(node, "pads", i, 0);
            w.after[i] = list_item(node, "pads", i + w.axes, 0);
        } else if (strcmp(automatic, "VALID") != 0) {
            long outputs = (w.input[i] + w.stride[i] - 1) / w.stride[i];
            long pad = (outputs - 1) * w.stride[i] + covered - w.input[i];
            pad = pad > 0 ? pad : 0;
            w.before[i] = strcmp(automatic, "SAME_UPPER") == 0 ? pad / 2 : pad - pad / 2;
            w.after[i] = pad - w.before[i];
        }
        room = w.input[i] + w.before[i] + w.after[i] - covered;
        w.output[i] = room / w.stride[i] + 1;
        if (up && strcmp(automatic, "VALID") != 0 && room % w.stride[i] &&
            w.output[i] * w.stride[i] < w.input[i] + w.before[i])
            w.output[i]++;
    }
    return w;
}

long window_count(const struct window *w) { return product_of(w->axes, w->kernel); }

/* Whether place `in_kernel` of output `out` lies in the input, and where; or else whether in the padding. */
int window_place(const struct window *w, long out, long in_kernel, long *place_in_input, int *in_padding)
{
    long at = 0, stride = 1;
    int inside = 1;
    *in_padding = 1;
    for (int i = w->axes - 1; i >= 0; i--) {
        long o = out % w->output[i], j = in_kernel % w->kernel[i];
        long coordinate = o * w->stride[i] - w->before[i] + j * w->dilation[i];
        out /= w->output[i];
        in_kernel /= w->kernel[i];
        inside &= coordinate >= 0 && coordinate < w->input[i];
        *in_padding &= coordinate >= -w->before[i] && coordinate < w->input[i] + w->after[i];
        at += coordinate * stride;
        stride *= w->input[i];
    }
    *place_in_input = at;
    return inside;
}

static double pooled_norm(double total, double p)
{
    return p == 1 ? total : p == 2 ? sqrt(total) : power_1(total, 1 / p);
}

static double norm_part(double x, double p) { return p == 1 ? fabs(x) : p == 2 ? x * x : power_1(fabs(x), p); }

static long in_columns(const struct window *w, long flat)
{
    long result = 0, stride = 1, coordinates[3];
    for (int i = w->axes - 1; i >= 0; i--) {
        coordinates[i] = flat % w->input[i];
        flat /= w->input[i];
    }
    for (int i = 0; i < w->axes; i++) {
        result += coordinates[i] * stride;
        stride *= w->input[i];
    }
    return result;
}

/* One window: the elements that it covers as offsets; the result is how many places count for an average. */
static long covered_by(const struct window *w, long o, int with_padding, long *found, long *count)
{
    long divisor = 0;
    *count = 0;
    for (long k = 0; k < window_count(w); k++) {
        long at;
        int padded, inside = window_place(w, o, k, &at, &padded);
        if (inside)
            found[(*count)++] = at;
        divisor += with_padding ? padded : inside;
    }
    return divisor;
}

static void pool(struct node *node)
{
    const struct tensor *x = node->input[0];
    const struct attribute *kernel_shape = find(node, "kernel_shape");
    int is_max = strcmp(node->operator, "MaxPool") == 0, is_average = strcmp(node->operator, "AveragePool") == 0;
    long kernel[3], shape[MAXIMUM_RANK] = {x->shape[0], x->shape[1]}, outputs, inputs, *found;
    double p = (double)number_of(node, "p", 2);
    struct window w;
    struct tensor *y, *indices;
    for (int i = 0; i < x->rank - 2; i++)
        kernel[i] = number_at(kernel_shape, i);
    w = window_of(node, x, kernel);
    memcpy(shape + 2, w.output, (size_t)w.axes * sizeof *shape);
    y = make(x->type, x->rank, shape);
    indices = make(INT64, x->rank, shape);
    outputs = product_of(w.axes, w.output);
    inputs = product_of(w.axes, w.input);
    found = claim(window_count(&w), sizeof *found);
    for (long i = 0; i < y->count; i++) {
        long channel = i / outputs, start = channel * inputs, count;
        long divisor = covered_by(&w, i % outputs, (int)number_of(node, "count_include_pad", 0), found, &count);
        double total = 0.0;
        if (is_max) {
            long best = count ? found[best_of(x, found, start, count, 0)] : -1;
            indices->whole[i] = best < 0 ? -1
                : start + (number_of(node, "storage_order", 0) ? in_columns(&w, best) : best);
            if (x->real) {
                y->real[i] = -INFINITY;
                for (long j = 0; j < count; j++)
                    y->real[i] = larger(y->real[i], x->real[start + found[j]]);
            } else
                y->whole[i] = best < 0 ? lowest(x->type) : x->whole[start + best];
            continue;
        }
        for (long j = 0; j < count; j++)
            total = total + (is_average ? x->real[start + found[j]] : norm_part(x->real[start + found[j]], p));
        y->real[i] = step(is_average ? total / (double)divisor : pooled_norm(total, p), x->type);
    }
    put(node, y);
    if (is_max)
        put(node, indices);
}

static void pool_all(struct node *node)
{
    const struct tensor *x = node->input[0];
    const char *kind = node->operator + strlen("Global");
    double p = (double)number_of(node, "p", 2);
    struct groups g = trailing(x, 2);
    long shape[MAXIMUM_RANK] = {x->shape[0], x->shape[1], 1, 1, 1, 1, 1, 1};
    struct tensor *y = make(x->type, x->rank, shape);
    for (long i = 0; i < y->count; i++) {
        double total = 0.0, best = -INFINITY;
        for (long j = 0; j < g.reduced_count; j++) {
            double v = x->real[g.kept[i] + g.reduced[j]];
            best = larger(best, v);
            total = total + (kind[0] == 'L' ? norm_part(v, p) : v);
        }
        y->real[i] = step(kind[0] == 'M' ? best : kind[0] == 'L' ? pooled_norm(total, p)
                                                               : total / (double)g.reduced_count, x->type);
    }
    put(node, y);
}

int windows(struct node *node)
{
    const char *name = node->operator;
    if (strcmp(name, "MaxPool") == 0 || strcmp(name, "AveragePool") == 0 || strcmp(name, "LpPool") == 0)
        pool(node);
    else if (strncmp(name, "Global", 6) == 0)
        pool_all(node);
    else
        return 0;
    return 1;
}
