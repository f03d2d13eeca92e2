/* exact/1 written a second time, from docs/exact-1.md alone: slow, plain, one element at a time.
   Needs no contraction of a * b + c (-ffp-contract=off) and FLT_EVAL_METHOD 0. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "intermediate results must have the precision of their type"
#endif

static const double LOG2_E = 0x1.71547652b82fep+0, LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;
static const double SHIFT = 6755399441055744.0;
static const int64_t SHIFT_BITS = 0x4338000000000000, ROOT = 0x3FE6A09E667F3BCD;
static const double EXP[14] = {
    1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
    1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
static const double EXPM1[13] = {
    1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
    1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800, 1.0 / 87178291200};
static const double LOG[10] = {
    2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
static const double ERF[31] = {
    0x1.c966f3b9c2633p+1, 0x1.d1f89933316c7p-1, 0x1.024a6acb65c97p-6, -0x1.6cf1d6e05aa00p-9,
    0x1.f42b67487942cp-12, -0x1.4363e5e2eed81p-14, 0x1.7c832373992cap-17, -0x1.7a04ae6c7ab03p-20,
    0x1.e519d34b66382p-24, 0x1.0a0fbf989674bp-27, -0x1.b7e421fb4a46bp-28, 0x1.083c302f493cap-29,
    -0x1.e0e03899160dcp-32, 0x1.6bcc2e597213ep-34, -0x1.c69a6035e9e1bp-37, 0x1.a234e7150442dp-40,
    -0x1.0a087ecf7c3f8p-45, -0x1.dc9fc6ebfd1ecp-45, 0x1.429c512bd5af5p-46, -0x1.b28d2c1b7e277p-49,
    0x1.fb4a8b4c56079p-51, -0x1.e1138061820acp-52, 0x1.5b3379a14f3a5p-55, 0x1.00d3d5b9ccf9fp-55,
    -0x1.82e53386a8556p-59, -0x1.3de3ebb0bfddfp-59, 0x1.8d8a6976441afp-63, 0x1.368798edf0544p-63,
    -0x1.35cc529b45d8ep-66, -0x1.97aeb96605092p-69, 0x1.048a2a1fe9c09p-71};

static int64_t bits(double x) { int64_t p; memcpy(&p, &x, 8); return p; }
static double from_bits(int64_t p) { double x; memcpy(&x, &p, 8); return x; }
static int64_t left(int64_t n) { return (int64_t)((uint64_t)n << 52); }
static double pow2(int64_t e) { return from_bits(left(e) + 0x3FF0000000000000); }
static double to_float(int64_t n) { return from_bits(n + SHIFT_BITS) - SHIFT; }

static double poly(const double *c, int count, double x)
{
    double p = c[count - 1];
    for (int i = count - 2; i >= 0; i--)
        p = fma(p, x, c[i]);
    return p;
}

static double reduce(double x, int64_t *e)
{
    double t = fma(x, LOG2_E, SHIFT), n = t - SHIFT;
    *e = bits(t) - SHIFT_BITS;
    return fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
}

static double split(int64_t p, int64_t *e)
{
    /* C leaves >> of a negative number open */
    int64_t d = p - ROOT;
    *e = d >= 0 ? d >> 52 : ~(~d >> 52);
    return from_bits(p - left(*e)) - 1.0;
}

static double join(double f, int64_t e, double c)
{
    double n = to_float(e), s = f / (2.0 + f), z = s * s, rest = z * poly(LOG, 10, z), half = (0.5 * f) * f;
    return n * LN2_HIGH - ((half - (s * (half + rest) + (n * LN2_LOW + c))) - f);
}

static double exp_of_sum(double high, double low)
{
    if (isnan(high))
        return NAN;
    double x = high > -746.0 ? high : -746.0;
    x = x < 710.0 ? x : 710.0;
    int64_t e;
    double r = reduce(x, &e) + low;
    int64_t h = (e - (e & 1)) / 2;
    return (poly(EXP, 14, r) * pow2(h)) * pow2(e - h);
}

static double exact_exp(double x) { return exp_of_sum(x, 0.0); }

static double exact_expm1(double x)
{
    if (isnan(x) || x == 0)
        return x;
    double y = x > -50.0 ? x : -50.0;
    y = y < 710.0 ? y : 710.0;
    int64_t e;
    double r = reduce(y, &e), near = fma(r * r, poly(EXPM1, 13, r), r), h = pow2(e - 1);
    return e == 0 ? near : 2.0 * fma(h, near, h - 0.5);
}

static double exact_log(double x)
{
    if (x == 0)
        return -INFINITY;
    if (!(x > 0))
        return NAN;
    if (x == INFINITY)
        return x;
    int tiny = x < 0x1p-1022;
    int64_t e;
    double f = split(bits(tiny ? x * 0x1p54 : x), &e);
    return join(f, tiny ? e - 54 : e, 0.0);
}

static double exact_log1p(double x)
{
    double u = 1.0 + x;
    if (x == 0)
        return x;
    if (u == 0)
        return -INFINITY;
    if (!(u > 0))
        return NAN;
    if (u == INFINITY)
        return u;
    int64_t e;
    double f = split(bits(u), &e), lost = x > 1.0 ? 1.0 - (u - x) : x - (u - 1.0);
    return e == 0 ? join(x, e, 0.0) : join(f, e, lost / u);
}

static double exact_tanh(double x)
{
    if (isnan(x))
        return x;
    double g = exact_expm1(2.0 * (fabs(x) < 22.0 ? fabs(x) : 22.0));
    return copysign(g / (g + 2.0), x);
}

static double exact_sigmoid(double x)
{
    double s = exact_exp(-fabs(x));
    return (x >= 0 ? 1.0 : s) / (1.0 + s);
}

static double exact_softplus(double x) { return (x > 0 ? x : 0.0) + exact_log1p(exact_exp(-fabs(x))); }

static double exact_erf(double x)
{
    if (isnan(x))
        return x;
    double a = fabs(x) < 6.0 ? fabs(x) : 6.0;
    return copysign(-exact_expm1((-a) * poly(ERF, 31, a - 3.0)), x);
}

static int is_integer(double y) { y = fabs(y); return y >= 0x1p52 || (y + 0x1p52) - 0x1p52 == y; }

static double exact_power(double x, double y)
{
    double a = fabs(x);
    int odd = is_integer(y) && !is_integer(0.5 * y);
    if (y == 0 || x == 1)
        return 1.0;
    if (y == 1)
        return x;
    if (y == 2)
        return x * x;
    if (isnan(x) || isnan(y) || (x < 0 && a < INFINITY && !is_integer(y)))
        return NAN;
    double result;
    if (a == 1)
        result = 1.0;
    else if (a == 0 || a == INFINITY || fabs(y) == INFINITY)
        result = (a > 1) == (y > 0) ? INFINITY : 0.0;
    else {
        int tiny = a < 0x1p-1022;
        int64_t e;
        double f = split(bits(tiny ? a * 0x1p54 : a), &e), n = to_float(tiny ? e - 54 : e);
        double d = 2.0 + f, d_low = f - (d - 2.0);
        double s = f / d, s_low = fma(-s, d_low, fma(-s, d, f)) / d;
        double z = s * s, t_low = fma(s, z * poly(LOG, 10, z), 2.0 * s_low);
        double w = n * LN2_HIGH, l = w + 2.0 * s, l_low = (2.0 * s - (l - w)) + (t_low + n * LN2_LOW);
        double log = l + l_low, log_low = l_low - (log - l);
        double p = y * log, p_low = fma(y, log_low, fma(y, log, -p));
        result = exp_of_sum(p, fabs(p) < 746.0 ? p_low : 0.0);
    }
    return odd ? copysign(result, x) : result;
}

typedef double function(double);
static function *const FUNCTIONS[] = {exact_exp,  exact_expm1,   exact_log,      exact_log1p,
                                      exact_tanh, exact_sigmoid, exact_softplus, exact_erf};

void reference_function(int which, size_t count, const double *x, double *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = FUNCTIONS[which](x[i]);
}

void reference_power(size_t count, const double *x, const double *y, double *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = exact_power(x[i], y[i]);
}

void reference_softmax(int logarithm, size_t rows, size_t columns, const double *x, double *out)
{
    for (size_t i = 0; i < rows; i++, x += columns, out += columns) {
        double m = -INFINITY, s = 0.0;
        for (size_t j = 0; j < columns; j++)
            m = x[j] > m ? x[j] : m;
        for (size_t j = 0; j < columns; j++)
            s = s + exact_exp(x[j] - m);
        for (size_t j = 0; j < columns; j++)
            out[j] = logarithm ? (x[j] - m) - exact_log(s) : exact_exp(x[j] - m) / s;
    }
}

#define MATMUL(name, type, fma)                                                                            \
    void name(size_t rows, size_t depth, size_t columns, const type *a, const type *b, type *out)          \
    {                                                                                                      \
        for (size_t i = 0; i < rows; i++)                                                                  \
            for (size_t j = 0; j < columns; j++) {                                                         \
                type total = 0;                                                                            \
                for (size_t start = 0; start < depth; start += 256) {                                      \
                    type sum = 0;                                                                          \
                    for (size_t k = start; k < start + 256 && k < depth; k++)                              \
                        sum = fma(a[i * depth + k], b[k * columns + j], sum);                              \
                    total = total + sum;                                                                   \
                }                                                                                          \
                out[i * columns + j] = total;                                                              \
            }                                                                                              \
    }

MATMUL(reference_matmul_float32, float, fmaf)
MATMUL(reference_matmul_float64, double, fma)
