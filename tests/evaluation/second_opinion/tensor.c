/* Arrays, their element types, and the order of their elements. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static const int WIDTHS[TYPES] = {2, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};

int width_of(enum type type) { return WIDTHS[type]; }
int is_float(enum type type) { return type <= FLOAT64; }
int is_signed(enum type type) { return type >= INT8 && type <= INT64; }

long product_of(int rank, const long *shape)
{
    long count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    return count;
}

int axis_of(long axis, int rank) { return (int)(axis < 0 ? axis + rank : axis); }

struct tensor *make(enum type type, int rank, const long *shape)
{
    struct tensor *x = claim(1, sizeof *x);
    if (rank > MAXIMUM_RANK)
        give_up("a rank above 8", "make");
    x->type = type;
    x->rank = rank;
    for (int i = 0; i < rank; i++)
        x->shape[i] = shape[i];
    x->count = product_of(rank, shape);
    if (is_float(type))
        x->real = claim(x->count, sizeof *x->real);
    else
        x->whole = claim(x->count, sizeof *x->whole);
    return x;
}

struct tensor *like(const struct tensor *x, enum type type) { return make(type, x->rank, x->shape); }

struct tensor *widened(const struct tensor *x)
{
    struct tensor *y = claim(1, sizeof *y);
    *y = *x;
    if (x->type == FLOAT16 || x->type == BFLOAT16)
        y->type = FLOAT32;
    return y;
}

/* Rounded to `digits` binary digits, with the exponents from `least` to `greatest`. */
static double rounded(double x, int digits, int least, int greatest)
{
    int exponent;
    double unit, y;
    if (x == 0 || isnan(x) || isinf(x))
        return x;
    frexp(x, &exponent);
    exponent = exponent - 1 < least ? least : exponent - 1;
    unit = ldexp(1.0, exponent - digits + 1);
    y = copysign(rint(fabs(x) / unit) * unit, x);
    return fabs(y) >= ldexp(1.0, greatest + 1) ? copysign(INFINITY, x) : y;
}

double narrow(double x, enum type type)
{
    switch (type) {
    case FLOAT16: return rounded(x, 11, -14, 15);
    case BFLOAT16: return rounded((float)x, 8, -126, 127);
    case FLOAT32: return (float)x;
    default: return x;
    }
}

double step(double x, enum type type) { return type == FLOAT64 ? x : (double)(float)x; }

double carrier_value(const struct tensor *x, long i)
{
    if (is_float(x->type))
        return x->real[i];
    return x->type == UINT64 ? (double)(uint64_t)x->whole[i] : (double)x->whole[i];
}

int64_t wrap(int64_t x, enum type type)
{
    switch (type) {
    case INT8: return (int8_t)x;
    case INT16: return (int16_t)x;
    case INT32: return (int32_t)x;
    case UINT8: return (uint8_t)x;
    case UINT16: return (uint16_t)x;
    case UINT32: return (uint32_t)x;
    default: return x;
    }
}

int64_t lowest(enum type type)
{
    return is_signed(type) ? -(int64_t)(UINT64_C(1) << (8 * width_of(type) - 2)) * 2 : 0;
}

int64_t highest(enum type type)
{
    if (type == BOOL)
        return 1;
    return is_signed(type) ? ~lowest(type) : wrap(-1, type);
}

int below(int64_t a, int64_t b, enum type type)
{
    return type == UINT64 ? (uint64_t)a < (uint64_t)b : a < b;
}

/* Widens `shape` so that x fits in; the result is the new rank. */
int broadcast(int rank, long *shape, const struct tensor *x)
{
    int wider = rank > x->rank ? rank : x->rank;
    for (int i = rank - 1; i >= 0 && wider > rank; i--)
        shape[i + wider - rank] = shape[i];
    for (int i = 0; i < wider - rank; i++)
        shape[i] = 1;
    for (int i = 0; i < x->rank; i++)
        if (x->shape[i] != 1)
            shape[i + wider - x->rank] = x->shape[i];
    return wider;
}

/* Which element of x, broadcast to `shape`, stands at the place `flat` of it. */
long place(const struct tensor *x, int rank, const long *shape, long flat)
{
    long offset = 0, stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int own = i - (rank - x->rank);
        long coordinate = flat % shape[i];
        flat /= shape[i];
        if (own < 0)
            continue;
        if (x->shape[own] != 1)
            offset += coordinate * stride;
        stride *= x->shape[own];
    }
    return offset;
}

static long *offsets_over(const struct tensor *x, const int *chosen, int want, long *count)
{
    long *offsets, total = 1;
    for (int i = 0; i < x->rank; i++)
        if (chosen[i] == want)
            total *= x->shape[i];
    offsets = claim(total, sizeof *offsets);
    for (long flat = 0; flat < total; flat++) {
        long rest = flat, stride = 1;
        for (int i = x->rank - 1; i >= 0; i--) {
            if (chosen[i] == want) {
                offsets[flat] += rest % x->shape[i] * stride;
                rest /= x->shape[i];
            }
            stride *= x->shape[i];
        }
    }
    *count = total;
    return offsets;
}

struct groups grouped(const struct tensor *x, const int *is_reduced)
{
    struct groups g;
    g.kept = offsets_over(x, is_reduced, 0, &g.kept_count);
    g.reduced = offsets_over(x, is_reduced, 1, &g.reduced_count);
    return g;
}

struct groups trailing(const struct tensor *x, int axis)
{
    int chosen[MAXIMUM_RANK];
    for (int i = 0; i < x->rank; i++)
        chosen[i] = i >= axis;
    return grouped(x, chosen);
}

struct groups along(const struct tensor *x, int axis)
{
    int chosen[MAXIMUM_RANK];
    for (int i = 0; i < x->rank; i++)
        chosen[i] = i == axis;
    return grouped(x, chosen);
}

uint64_t to_bits(double x, enum type type)
{
    uint64_t bits;
    uint32_t word;
    float single = (float)x;
    int exponent;
    double fraction;
    if (type == FLOAT64) {
        memcpy(&bits, &x, sizeof bits);
        return bits;
    }
    memcpy(&word, &single, sizeof word);
    if (type == FLOAT32)
        return word;
    if (type == BFLOAT16)
        return word >> 16;
    if (isnan(x))
        return 0x7e00;
    bits = signbit(x) ? 0x8000 : 0;
    if (isinf(x))
        return bits | 0x7c00;
    if (fabs(x) < ldexp(1.0, -14))
        return bits | (uint64_t)ldexp(fabs(x), 24);
    fraction = frexp(fabs(x), &exponent);
    return bits | (uint64_t)(exponent + 14) << 10 | ((uint64_t)ldexp(fraction, 11) & 0x3ff);
}

double from_pattern(uint64_t bits, enum type type)
{
    double x;
    float single;
    uint32_t word = (uint32_t)(type == BFLOAT16 ? bits << 16 : bits);
    uint64_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (type == FLOAT64) {
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    if (type != FLOAT16) {
        memcpy(&single, &word, sizeof single);
        return single;
    }
    if (exponent == 31)
        x = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        x = ldexp((double)fraction, -24);
    else
        x = ldexp((double)(fraction + 1024), (int)exponent - 25);
    return bits >> 15 ? -x : x;
}
