/* Quantizing, and section 10.12: integers times a scale. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static int64_t settled(double quotient, int64_t zero, enum type type)
{
    return saturated(rint(quotient) + (double)zero, type);
}

/* Which element of a scale or zero point belongs to element i of x. */
static long own_scale(const struct node *node, const struct tensor *x, const struct tensor *scale, long i)
{
    long block = number_of(node, "block_size", 0), shape[MAXIMUM_RANK];
    int axis;
    if (scale->count == 1 && scale->rank <= 1)
        return 0;
    axis = axis_of(number_of(node, "axis", 1), x->rank);
    if (scale->rank == 1) {
        for (int j = x->rank - 1; j > axis; j--)
            i /= x->shape[j];
        return i % x->shape[axis];
    }
    long offset = 0, stride = 1;
    memcpy(shape, x->shape, sizeof shape);
    for (int j = x->rank - 1; j >= 0; j--) {
        long coordinate = i % shape[j];
        i /= shape[j];
        offset += (j == axis ? coordinate / block : coordinate) * stride;
        stride *= scale->shape[j];
    }
    return offset;
}

static void quantize(struct node *node)
{
    const struct tensor *x = node->input[0], *scale = node->input[1], *zero = input_of(node, 2);
    struct tensor *y = like(x, zero ? zero->type : UINT8);
    for (long i = 0; i < x->count; i++) {
        long own = own_scale(node, x, scale, i);
        float quotient = (x->real ? (float)x->real[i] : (float)x->whole[i]) / (float)scale->real[own];
        y->whole[i] = settled(quotient, zero ? zero->whole[own] : 0, y->type);
    }
    put(node, y);
}

static void dequantize(struct node *node)
{
    const struct tensor *x = node->input[0], *scale = node->input[1], *zero = input_of(node, 2);
    struct tensor *y = like(x, scale->type);
    for (long i = 0; i < x->count; i++) {
        long own = own_scale(node, x, scale, i);
        float apart = (float)(x->whole[i] - (zero ? zero->whole[own] : 0));
        y->real[i] = apart * (float)scale->real[own];
    }
    put(node, y);
}

static void dynamic(struct node *node)
{
    const struct tensor *x = node->input[0];
    double low = 0.0, high = 0.0;
    float scale, zero;
    struct tensor *y = like(x, UINT8), *s = make(FLOAT32, 0, NULL), *z = make(UINT8, 0, NULL);
    for (long i = 0; i < x->count; i++) {
        low = smaller(low, x->real[i]);
        high = larger(high, x->real[i]);
    }
    scale = high == low ? 1.0f : ((float)high - (float)low) / 255.0f;
    zero = 0.0f - (float)low / scale;
    zero = isnan(zero) ? 0.0f : zero < 0 ? 0.0f : zero > 255 ? 255.0f : zero;
    s->real[0] = scale;
    z->whole[0] = (int64_t)rint(zero);
    for (long i = 0; i < x->count; i++)
        y->whole[i] = settled((float)x->real[i] / scale, z->whole[0], UINT8);
    put(node, y);
    put(node, s);
    put(node, z);
}

static struct tensor *centred(const struct tensor *x, const struct tensor *zero, int axis)
{
    struct tensor *y = like(x, INT32);
    long after = product_of(x->rank - axis - 1, x->shape + axis + 1);
    for (long i = 0; i < x->count; i++)
        y->whole[i] = x->whole[i] - (!zero ? 0 : zero->count == 1 ? zero->whole[0]
                                                                 : zero->whole[i / after % x->shape[axis]]);
    return y;
}

/* A zero point of many numbers is one for each row of a, or for each column of b. */
static struct tensor *integer_product(const struct tensor *a, const struct tensor *a_zero, const struct tensor *b,
                                      const struct tensor *b_zero)
{
    struct node product = {"MatMul", 13, 2, {NULL}, 0, NULL, 0, {NULL}};
    product.input[0] = centred(a, a_zero, a->rank < 2 ? 0 : a->rank - 2);
    product.input[1] = centred(b, b_zero, b->rank - 1);
    products(&product);
    return product.output[0];
}

static struct tensor *integer_convolution(const struct node *node, const struct tensor *x, const struct tensor *x_zero,
                                          const struct tensor *weights, const struct tensor *w_zero)
{
    const struct tensor *a = centred(x, x_zero, 0), *b = centred(weights, w_zero, 0);
    struct window w = window_of(node, x, weights->shape + 2);
    long groups = number_of(node, "group", 1), shape[MAXIMUM_RANK] = {x->shape[0], weights->shape[0]};
    long per_group = weights->shape[1], out_per_group = weights->shape[0] / groups;
    long outputs = product_of(w.axes, w.output), inputs = product_of(w.axes, w.input), kernel = window_count(&w);
    struct tensor *y;
    memcpy(shape + 2, w.output, (size_t)w.axes * sizeof *shape);
    y = make(INT32, x->rank, shape);
    for (long i = 0; i < y->count; i++) {
        long m = i / outputs % shape[1], n = i / outputs / shape[1];
        int64_t total = 0;
        for (long c = 0; c < per_group; c++)
            for (long k = 0; k < kernel; k++) {
                long at, channel = n * x->shape[1] + m / out_per_group * per_group + c;
                int padded;
                if (window_place(&w, i % outputs, k, &at, &padded))
                    total += b->whole[(m * per_group + c) * kernel + k] * a->whole[channel * inputs + at];
            }
        y->whole[i] = wrap(total, INT32);
    }
    return y;
}

static float scale_at(const struct tensor *scale, long i) { return (float)scale->real[scale->count == 1 ? 0 : i]; }

static int64_t requantized(int64_t sum, float multiplier, const struct tensor *zero)
{
    float product = (float)sum * multiplier;
    return settled(product, zero->whole[0], zero->type);
}

static void linear_matmul(struct node *node)
{
    struct tensor **in = node->input, *sum = integer_product(in[0], in[2], in[3], in[5]), *y = like(sum, in[7]->type);
    long columns = in[3]->rank > 1 ? sum->shape[sum->rank - 1] : 1;
    long rows = in[0]->rank > 1 ? in[0]->shape[in[0]->rank - 2] : 1;
    for (long i = 0; i < sum->count; i++) {
        float multiplier = scale_at(in[1], i / columns % rows) * scale_at(in[4], i % columns);
        multiplier = multiplier / (float)in[6]->real[0];
        y->whole[i] = requantized(sum->whole[i], multiplier, in[7]);
    }
    put(node, y);
}

static void linear_convolution(struct node *node)
{
    struct tensor **in = node->input, *bias = input_of(node, 8);
    struct tensor *sum = integer_convolution(node, in[0], in[2], in[3], in[5]), *y = like(sum, in[7]->type);
    long places = product_of(sum->rank - 2, sum->shape + 2);
    for (long i = 0; i < sum->count; i++) {
        long m = i / places % sum->shape[1];
        float multiplier = (float)in[1]->real[0] * scale_at(in[4], m);
        multiplier = multiplier / (float)in[6]->real[0];
        y->whole[i] = requantized(wrap(sum->whole[i] + (bias ? bias->whole[m] : 0), INT32), multiplier, in[7]);
    }
    put(node, y);
}

int quantized(struct node *node)
{
    struct tensor **in = node->input;
    if (strcmp(node->operator, "QuantizeLinear") == 0)
        quantize(node);
    else if (strcmp(node->operator, "DequantizeLinear") == 0)
        dequantize(node);
    else if (strcmp(node->operator, "DynamicQuantizeLinear") == 0)
        dynamic(node);
    else if (strcmp(node->operator, "MatMulInteger") == 0)
        put(node, integer_product(in[0], input_of(node, 2), in[1], input_of(node, 3)));
    else if (strcmp(node->operator, "ConvInteger") == 0)
        put(node, integer_convolution(node, in[0], input_of(node, 2), in[1], input_of(node, 3)));
    else if (strcmp(node->operator, "QLinearMatMul") == 0)
        linear_matmul(node);
    else if (strcmp(node->operator, "QLinearConv") == 0)
        linear_convolution(node);
    else
        return 0;
    return 1;
}
