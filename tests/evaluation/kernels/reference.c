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

static const double SIN[8] = {
    -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800,
    -1.0 / 1307674368000, 1.0 / 355687428096000};
static const double COS[8] = {
    1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200,
    1.0 / 20922789888000, -1.0 / 6402373705728000};
static const double ATAN[14] = {
    -1.0 / 3, 1.0 / 5, -1.0 / 7, 1.0 / 9, -1.0 / 11, 1.0 / 13, -1.0 / 15,
    1.0 / 17, -1.0 / 19, 1.0 / 21, -1.0 / 23, 1.0 / 25, -1.0 / 27, 1.0 / 29};
static const double LN2 = 0x1.62e42fefa39efp-1, TWO_OVER_PI = 0x1.45f306dc9c883p-1;
static const double HALF_PI_HIGH = 0x1.921fb54442d18p+0, HALF_PI_LOW = 0x1.1a62633145c07p-54;
static const double HALF_PI_1 = 0x1.921fb544p+0, HALF_PI_2 = 0x1.0b4611a6p-34;
static const double HALF_PI_3 = 0x1.3198a2ep-69, HALF_PI_4 = 0x1.b839a252049c1p-104;
/* 2/pi, 64 bits each, after 64 zeros */
static const uint64_t BITS[20] = {
    0,
    0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484,
    0xE99C7026B45F7E41, 0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB};

static int expansion_bit(int number) { return (int)(BITS[number / 64] >> (63 - number % 64) & 1); }

static double angle(double x, double *r_low, int64_t *q)
{
    if (fabs(x) < 0x1p19) {
        double t = fma(x, TWO_OVER_PI, SHIFT), n = t - SHIFT, a = fma(-n, HALF_PI_1, x);
        double p = n * HALF_PI_2, b = a - p, v = b - a, b_low = (a - (b - v)) - (p + v);
        p = n * HALF_PI_3;
        double c = b - p;
        v = c - b;
        double c_low = (b - (c - v)) - (p + v), l = (b_low + c_low) - n * HALF_PI_4, r = c + l;
        *q = bits(t) & 3;
        *r_low = (c - r) + l;
        return r;
    }
    /* the product in 192 bits, one bit of m after the other: acc = 2 acc + bit * w */
    int64_t p = bits(fabs(x));
    int first = (int)(p >> 52) - 1013;
    uint64_t m = ((uint64_t)p & 0xFFFFFFFFFFFFF) | 0x10000000000000, w[6] = {0}, acc[6] = {0};
    for (int i = 0; i < 192; i++)
        w[i / 32] |= (uint64_t)expansion_bit(first + i) << (31 - i % 32);
    for (int i = 52; i >= 0; i--) {
        uint64_t carry = 0;
        for (int limb = 5; limb >= 0; limb--) {
            uint64_t sum = 2 * acc[limb] + (m >> i & 1) * w[limb] + carry;
            acc[limb] = sum & 0xFFFFFFFF;
            carry = sum >> 32;
        }
    }
    int64_t turns = (int64_t)(acc[0] >> 30);
    uint64_t f[4];
    for (int i = 0; i < 4; i++)
        f[i] = (acc[i] << 2 | acc[i + 1] >> 30) & 0xFFFFFFFF;
    int replaced = (int)(f[0] >> 31);
    if (replaced) {
        uint64_t carry = 1;
        turns++;
        for (int i = 3; i >= 0; i--) {
            uint64_t sum = (~f[i] & 0xFFFFFFFF) + carry;
            f[i] = sum & 0xFFFFFFFF;
            carry = sum >> 32;
        }
    }
    double f_1 = (double)f[0] * 0x1p-32, f_2 = (double)f[1] * 0x1p-64;
    double h = (double)f[2] * 0x1p-96 + (double)f[3] * 0x1p-128, s = f_1 + f_2;
    double l = ((f_1 - s) + f_2) + h, u = s + l, u_low = (s - u) + l, r = u * HALF_PI_HIGH;
    *r_low = fma(u, HALF_PI_HIGH, -r) + (u * HALF_PI_LOW + u_low * HALF_PI_HIGH);
    *q = (x < 0 ? -turns : turns) & 3;
    if (replaced != (x < 0)) {
        *r_low = -*r_low;
        r = -r;
    }
    return r;
}

static double turned(double x, int64_t more)
{
    if (!(fabs(x) < INFINITY))
        return NAN;
    int64_t q;
    double r_low, r = angle(x, &r_low, &q), z = r * r, half = 0.5 * z, w = 1.0 - half;
    double sine = r + ((r * z) * poly(SIN, 8, z) + r_low * (1.0 - 0.5 * z));
    double cosine = w + (((1.0 - w) - half) + ((z * z) * poly(COS, 8, z) - r * r_low));
    q = (q + more) & 3;
    double result = q & 1 ? cosine : sine;
    return q & 2 ? -result : result;
}

static double exact_sin(double x) { return x == 0 ? x : turned(x, 0); }
static double exact_cos(double x) { return turned(x, 1); }
static double exact_tan(double x) { return exact_sin(x) / exact_cos(x); }

static double exact_atan(double x)
{
    if (isnan(x))
        return x;
    double a = fabs(x), u = -1.0, v = a, high = HALF_PI_HIGH, low = HALF_PI_LOW;
    if (a < 0.1875) {
        u = a, v = 1.0, high = 0, low = 0;
    } else if (a < 5) {
        int place = a < 0.6875 ? 0 : a < 1.5 ? 1 : 2;
        double c = (const double[]){0.40625, 1, 2.5}[place];
        u = a - c;
        v = fma(c, a, 1.0);
        high = (const double[]){0x1.8b24d394a1b25p-2, 0x1.921fb54442d18p-1, 0x1.30b6d796a4da8p+0}[place];
        low = (const double[]){0x1.b6d0ba3748fa8p-56, 0x1.1a62633145c07p-55, 0x1.6254cb03bb199p-54}[place];
    }
    double t = u / v, z = t * t;
    return copysign(high + (t + ((t * z) * poly(ATAN, 14, z) + low)), x);
}

static double exact_asin(double x) { return exact_atan(x / sqrt((1.0 - x) * (1.0 + x))); }
static double exact_acos(double x) { return 2.0 * exact_atan(sqrt((1.0 - x) / (1.0 + x))); }

static double exact_sinh(double x)
{
    double a = fabs(x), g = exact_expm1(a), e = exact_exp(0.5 * a);
    return copysign(a < 22.0 ? 0.5 * (g + g / (g + 1.0)) : (0.5 * e) * e, x);
}

static double exact_cosh(double x)
{
    double a = fabs(x), e = exact_exp(a), h = exact_exp(0.5 * a);
    return a < 22.0 ? 0.5 * e + 0.5 / e : (0.5 * h) * h;
}

static double exact_asinh(double x)
{
    double a = fabs(x), s = a * a;
    double near = exact_log1p(a + s / (1.0 + sqrt(s + 1.0))), far = exact_log(a) + LN2;
    return copysign(a < 0x1p28 ? near : far, x);
}

static double exact_acosh(double x)
{
    double u = x - 1.0;
    return x < 0x1p28 ? exact_log1p(u + sqrt(u * (u + 2.0))) : exact_log(x) + LN2;
}

static double exact_atanh(double x)
{
    double a = fabs(x);
    return copysign(0.5 * exact_log1p((a + a) / (1.0 - a)), x);
}

typedef double function(double);
static function *const FUNCTIONS[] = {
    exact_exp,  exact_expm1, exact_log,  exact_log1p, exact_tanh,  exact_sigmoid, exact_softplus,
    exact_erf,  exact_sin,   exact_cos,  exact_tan,   exact_asin,  exact_acos,    exact_atan,
    exact_sinh, exact_cosh,  exact_asinh, exact_acosh, exact_atanh};

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
