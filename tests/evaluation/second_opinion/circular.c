/* Section 4: the circular functions, their inverses, and the hyperbolic ones. */

#include <math.h>
#include <string.h>

#include "opinion.h"

static const double SHIFT = 6755399441055744.0;
static const double TWO_OVER_PI = 0x1.45f306dc9c883p-1;
static const double HALF_PI_HIGH = 0x1.921fb54442d18p+0;
static const double HALF_PI_LOW = 0x1.1a62633145c07p-54;
static const double HALF_PI_1 = 0x1.921fb544p+0;
static const double HALF_PI_2 = 0x1.0b4611a6p-34;
static const double HALF_PI_3 = 0x1.3198a2ep-69;
static const double HALF_PI_4 = 0x1.b839a252049c1p-104;
static const double LN2 = 0x1.62e42fefa39efp-1;

/* 2/pi, its first 1216 bits behind the point */
static const uint32_t TWO_OVER_PI_BITS[38] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab};

struct angle { double r, low; int64_t q; };

static double series(int which, double z)
{
    double coefficients[8], factorial = which ? 24.0 : 6.0, sign = which ? 1.0 : -1.0;
    for (int i = 0; i < 8; i++) {
        int next = which ? 2 * i + 5 : 2 * i + 4;
        coefficients[i] = sign / factorial;
        factorial *= (double)next * (next + 1);
        sign = -sign;
    }
    return poly(coefficients, 7, z);
}

static struct angle near_angle(double x)
{
    struct angle out;
    double t = fma(x, TWO_OVER_PI, SHIFT), n = t - SHIFT, a, b, c, p, v, b_low, c_low, l;
    a = fma(-n, HALF_PI_1, x);
    p = n * HALF_PI_2;
    b = a - p;
    v = b - a;
    b_low = (a - (b - v)) - (p + v);
    p = n * HALF_PI_3;
    c = b - p;
    v = c - b;
    c_low = (b - (c - v)) - (p + v);
    l = (b_low + c_low) - n * HALF_PI_4;
    out.r = c + l;
    out.low = (c - out.r) + l;
    out.q = (int64_t)n;
    return out;
}

static uint32_t bit_of(long number)
{
    number -= 64;
    return number < 0 ? 0 : TWO_OVER_PI_BITS[number / 32] >> (31 - number % 32) & 1;
}

/* m times w modulo 2^192; words from the highest */
static void times(const uint32_t w[6], uint64_t m, uint32_t out[6])
{
    uint64_t halves[2] = {m & 0xffffffff, m >> 32};
    memset(out, 0, 6 * sizeof *out);
    for (int j = 0; j < 2; j++) {
        uint64_t carry = 0;
        for (int i = 5; i - j >= 0; i--) {
            carry += (uint64_t)out[i - j] + halves[j] * w[i];
            out[i - j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
}

static struct angle far_angle(double x)
{
    struct angle out;
    uint64_t pattern = to_bits(fabs(x), FLOAT64);
    long exponent = (long)(pattern >> 52);
    uint64_t m = (pattern & UINT64_C(0xfffffffffffff)) | UINT64_C(1) << 52;
    uint32_t w[6] = {0}, product[6], f[4];
    double part[4], h, s, l, u, u_low;
    int turned;
    for (int i = 0; i < 192; i++)
        w[i / 32] |= bit_of(exponent - 1013 + i) << (31 - i % 32);
    times(w, m, product);
    out.q = product[0] >> 30;
    for (int i = 0; i < 4; i++)
        f[i] = product[i] << 2 | product[i + 1] >> 30;
    turned = f[0] >> 31 == 1;
    if (turned) {
        uint64_t carry = 1;
        out.q++;
        for (int i = 3; i >= 0; i--) {
            carry += (uint32_t)~f[i];
            f[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    for (int i = 0; i < 4; i++)
        part[i] = (double)f[i];
    h = part[2] * 0x1p-96 + part[3] * 0x1p-128;
    s = part[0] * 0x1p-32 + part[1] * 0x1p-64;
    l = ((part[0] * 0x1p-32 - s) + part[1] * 0x1p-64) + h;
    u = s + l;
    u_low = (s - u) + l;
    out.r = u * HALF_PI_HIGH;
    out.low = fma(u, HALF_PI_HIGH, -out.r) + (u * HALF_PI_LOW + u_low * HALF_PI_HIGH);
    if (turned != (x < 0)) {
        out.r = -out.r;
        out.low = -out.low;
    }
    if (x < 0)
        out.q = -out.q;
    return out;
}

static double wave(double x, int ahead)
{
    struct angle angle;
    double r, z, half, w, sine, cosine;
    if (isnan(x) || isinf(x))
        return NAN;
    angle = fabs(x) < 0x1p19 ? near_angle(x) : far_angle(x);
    r = angle.r;
    z = r * r;
    half = 0.5 * z;
    w = 1.0 - half;
    sine = r + ((r * z) * series(0, z) + angle.low * (1.0 - 0.5 * z));
    cosine = w + (((1.0 - w) - half) + ((z * z) * series(1, z) - r * angle.low));
    switch ((uint64_t)(angle.q + ahead) & 3) {
    case 0: return sine;
    case 1: return cosine;
    case 2: return -sine;
    default: return -cosine;
    }
}

double sin_1(double x) { return x == 0 ? x : wave(x, 0); }
double cos_1(double x) { return wave(x, 1); }
double tan_1(double x) { return sin_1(x) / cos_1(x); }

double atan_1(double x)
{
    static const double CENTRE[3] = {0.40625, 1.0, 2.5}, LIMIT[3] = {0.6875, 1.5, 5.0};
    static const double HIGH[3] = {0x1.8b24d394a1b25p-2, 0x1.921fb54442d18p-1, 0x1.30b6d796a4da8p+0};
    static const double LOW[3] = {0x1.b6d0ba3748fa8p-56, 0x1.1a62633145c07p-55, 0x1.6254cb03bb199p-54};
    double a = fabs(x), u = -1.0, v = a, high = HALF_PI_HIGH, low = HALF_PI_LOW, t, z, odd[14];
    if (isnan(x))
        return x;
    for (int i = 2; i >= 0; i--)
        if (a < LIMIT[i]) {
            u = a - CENTRE[i];
            v = fma(CENTRE[i], a, 1.0);
            high = HIGH[i];
            low = LOW[i];
        }
    if (a < 0.1875) {
        u = a;
        v = 1.0;
        high = low = 0.0;
    }
    for (int i = 0; i < 14; i++)
        odd[i] = (i % 2 ? 1.0 : -1.0) / (2 * i + 3);
    t = u / v;
    z = t * t;
    return copy_sign(high + (t + ((t * z) * poly(odd, 13, z) + low)), x);
}

double asin_1(double x) { return atan_1(x / sqrt((1.0 - x) * (1.0 + x))); }
double acos_1(double x) { return 2.0 * atan_1(sqrt((1.0 - x) / (1.0 + x))); }

double sinh_1(double x)
{
    double a = fabs(x), g = expm1_1(a), e = exp_1(0.5 * a);
    return copy_sign(a < 22.0 ? 0.5 * (g + g / (g + 1.0)) : (0.5 * e) * e, x);
}

double cosh_1(double x)
{
    double a = fabs(x), e = exp_1(a), h = exp_1(0.5 * a);
    return a < 22.0 ? 0.5 * e + 0.5 / e : (0.5 * h) * h;
}

double asinh_1(double x)
{
    double a = fabs(x), s = a * a;
    return copy_sign(a < 0x1p28 ? log1p_1(a + s / (1.0 + sqrt(s + 1.0))) : log_1(a) + LN2, x);
}

double acosh_1(double x)
{
    double u = x - 1.0;
    return x < 0x1p28 ? log1p_1(u + sqrt(u * (u + 2.0))) : log_1(x) + LN2;
}

double atanh_1(double x)
{
    double a = fabs(x);
    return copy_sign(0.5 * log1p_1((a + a) / (1.0 - a)), x);
}
