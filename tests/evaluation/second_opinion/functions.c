/* Sections 3 and 4: functions of one or two float64 numbers. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static const double LOG2_E = 0x1.71547652b82fep+0;
static const double LN2_HIGH = 0x1.62e42feep-1;
static const double LN2_LOW = 0x1.a39ef35793c76p-33;
static const double SHIFT = 6755399441055744.0;
static const int64_t SHIFT_BITS = INT64_C(0x4338000000000000);
static const int64_t ROOT = INT64_C(0x3FE6A09E667F3BCD);
static const int64_t ONE_BITS = INT64_C(0x3FF0000000000000);

static const double ERF[31] = {
    0x1.c966f3b9c2633p+1, 0x1.d1f89933316c7p-1, 0x1.024a6acb65c97p-6, -0x1.6cf1d6e05aa00p-9,
    0x1.f42b67487942cp-12, -0x1.4363e5e2eed81p-14, 0x1.7c832373992cap-17, -0x1.7a04ae6c7ab03p-20,
    0x1.e519d34b66382p-24, 0x1.0a0fbf989674bp-27, -0x1.b7e421fb4a46bp-28, 0x1.083c302f493cap-29,
    -0x1.e0e03899160dcp-32, 0x1.6bcc2e597213ep-34, -0x1.c69a6035e9e1bp-37, 0x1.a234e7150442dp-40,
    -0x1.0a087ecf7c3f8p-45, -0x1.dc9fc6ebfd1ecp-45, 0x1.429c512bd5af5p-46, -0x1.b28d2c1b7e277p-49,
    0x1.fb4a8b4c56079p-51, -0x1.e1138061820acp-52, 0x1.5b3379a14f3a5p-55, 0x1.00d3d5b9ccf9fp-55,
    -0x1.82e53386a8556p-59, -0x1.3de3ebb0bfddfp-59, 0x1.8d8a6976441afp-63, 0x1.368798edf0544p-63,
    -0x1.35cc529b45d8ep-66, -0x1.97aeb96605092p-69, 0x1.048a2a1fe9c09p-71};

static int64_t bits(double x)
{
    int64_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    return pattern;
}

static double from_bits(int64_t pattern)
{
    double x;
    memcpy(&x, &pattern, sizeof x);
    return x;
}

static int64_t shifted(int64_t x) { return (int64_t)((uint64_t)x << 52); }
static double pow2(int64_t e) { return from_bits((int64_t)((uint64_t)shifted(e) + (uint64_t)ONE_BITS)); }
static double to_float(int64_t n) { return from_bits(n + SHIFT_BITS) - SHIFT; }

double copy_sign(double magnitude, double x) { return copysign(magnitude, x); }

double poly(const double *coefficients, int degree, double x)
{
    double p = coefficients[degree];
    for (int i = degree - 1; i >= 0; i--)
        p = fma(p, x, coefficients[i]);
    return p;
}

/* sum of x^i / (i + skip)!; the quotients are those of the table, since 1/15! needs no more than a float64 */
static double exponential_series(int skip, int degree, double x)
{
    double coefficients[14], factorial = skip == 2 ? 2.0 : 1.0;
    for (int i = 0; i <= degree; i++) {
        coefficients[i] = 1.0 / factorial;
        factorial *= i + skip + 1;
    }
    return poly(coefficients, degree, x);
}

static double log_series(double z)
{
    double coefficients[10];
    for (int i = 1; i <= 10; i++)
        coefficients[i - 1] = 2.0 / (2 * i + 1);
    return poly(coefficients, 9, z);
}

struct reduced { double n, r; int64_t e; };

static struct reduced reduce(double x)
{
    struct reduced out;
    double t = fma(x, LOG2_E, SHIFT);
    out.n = t - SHIFT;
    out.e = bits(t) - SHIFT_BITS;
    out.r = fma(out.n, -LN2_LOW, fma(out.n, -LN2_HIGH, x));
    return out;
}

static int64_t split(int64_t p, double *f)
{
    int64_t e = (int64_t)((uint64_t)p - (uint64_t)ROOT) >> 52;
    *f = from_bits((int64_t)((uint64_t)p - (uint64_t)shifted(e))) - 1.0;
    return e;
}

static double join(double f, int64_t e, double c)
{
    double n = to_float(e), s = f / (2.0 + f), z = s * s;
    double rest = z * log_series(z), half = (0.5 * f) * f;
    return n * LN2_HIGH - ((half - (s * (half + rest) + (n * LN2_LOW + c))) - f);
}

static double exp_of_sum(double high, double low)
{
    double x = high > -746.0 ? high : -746.0;
    struct reduced out;
    int64_t h;
    x = x < 710.0 ? x : 710.0;
    out = reduce(x);
    h = out.e >> 1;
    if (isnan(high))
        return NAN;
    return (exponential_series(0, 13, out.r + low) * pow2(h)) * pow2(out.e - h);
}

double exp_1(double x) { return exp_of_sum(x, 0.0); }

double expm1_1(double x)
{
    double y = x > -50.0 ? x : -50.0, near, h;
    struct reduced out;
    y = y < 710.0 ? y : 710.0;
    out = reduce(y);
    near = fma(out.r * out.r, exponential_series(2, 12, out.r), out.r);
    h = pow2(out.e - 1);
    if (isnan(x) || x == 0)
        return x;
    return out.e == 0 ? near : 2.0 * fma(h, near, h - 0.5);
}

double log_1(double x)
{
    int tiny = x < 0x1p-1022;
    double f;
    int64_t e = split(bits(tiny ? x * 0x1p54 : x), &f);
    if (x == 0)
        return -INFINITY;
    if (x < 0 || isnan(x))
        return NAN;
    return isinf(x) ? x : join(f, tiny ? e - 54 : e, 0.0);
}

double log1p_1(double x)
{
    double u = 1.0 + x, f, lost;
    int64_t e = split(bits(u), &f);
    lost = x > 1.0 ? 1.0 - (u - x) : x - (u - 1.0);
    if (x == 0)
        return x;
    if (u < 0 || isnan(u))
        return NAN;
    if (u == 0)
        return -INFINITY;
    if (isinf(u))
        return u;
    return e == 0 ? join(x, e, 0.0) : join(f, e, lost / u);
}

double tanh_1(double x)
{
    double a = fabs(x), g = expm1_1(2.0 * (a < 22.0 ? a : 22.0));
    return isnan(x) ? x : copy_sign(g / (g + 2.0), x);
}

double sigmoid_1(double x)
{
    double s = exp_1(-fabs(x));
    return (x >= 0 ? 1.0 : s) / (1.0 + s);
}

double softplus_1(double x) { return (x > 0 ? x : 0.0) + log1p_1(exp_1(-fabs(x))); }

double erf_1(double x)
{
    double a = fabs(x) < 6.0 ? fabs(x) : 6.0;
    return isnan(x) ? x : copy_sign(-expm1_1((-a) * poly(ERF, 30, a - 3.0)), x);
}

static int is_integer(double a)
{
    a = fabs(a);
    return a >= 0x1p52 || (a + 0x1p52) - 0x1p52 == a;
}

static double magnitude(double a, double y)
{
    int tiny = a < 0x1p-1022;
    double f, n, d, d_low, s, s_low, z, t_low, w, l, l_low, log, log_low, p, p_low;
    int64_t e = split(bits(tiny ? a * 0x1p54 : a), &f);
    n = to_float(tiny ? e - 54 : e);
    d = 2.0 + f;
    d_low = f - (d - 2.0);
    s = f / d;
    s_low = fma(-s, d_low, fma(-s, d, f)) / d;
    z = s * s;
    t_low = fma(s, z * log_series(z), 2.0 * s_low);
    w = n * LN2_HIGH;
    l = w + 2.0 * s;
    l_low = (2.0 * s - (l - w)) + (t_low + n * LN2_LOW);
    log = l + l_low;
    log_low = l_low - (log - l);
    p = y * log;
    p_low = fma(y, log_low, fma(y, log, -p));
    return exp_of_sum(p, fabs(p) < 746.0 ? p_low : 0.0);
}

double power_1(double x, double y)
{
    double a = fabs(x), result;
    if (y == 0 || x == 1.0)
        return 1.0;
    if (y == 2.0)
        return x * x;
    if (y == 1.0)
        return x;
    if (isnan(x) || isnan(y))
        return NAN;
    if (x < 0 && !isinf(x) && !is_integer(y))
        return NAN;
    if (a == 1.0)
        result = 1.0;
    else if (a == 0 || isinf(a) || isinf(y))
        result = (a > 1.0) == (y > 0) ? INFINITY : 0.0;
    else
        result = magnitude(a, y);
    return is_integer(y) && !is_integer(0.5 * y) ? copy_sign(result, x) : result;
}
