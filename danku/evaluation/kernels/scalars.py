"""The mathematical functions of exact/1 on one float64: basic operations, fma and bit casts.

No step branches, so that loops over these vectorise. docs/exact-1.md states each function
operation by operation, with its accuracy; change neither without the other.
"""

from __future__ import annotations

from math import factorial, inf, nan

from danku.evaluation.kernels.compiler import device
from danku.evaluation.kernels.intrinsics import bits, fma, from_bits, polynomial

LOG2_E = float.fromhex("0x1.71547652b82fep+0")
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")

# Adding 1.5 * 2^52 rounds to an integer, half to even, and leaves it in the low bits.
SHIFT = 6755399441055744.0
SHIFT_BITS = 0x4338000000000000
INTEGRAL = 2.0**52

ONE_BITS = 0x3FF0000000000000
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
SIGN_BITS = -(2**63)
MANTISSA_WIDTH = 52
SMALLEST_NORMAL = 2.0**-1022
SUBNORMAL_SCALE = 2.0**54

# e^r = sum of r^i / i!; (e^r - 1 - r) / r^2 = sum of r^i / (i + 2)!
EXP = tuple(1 / factorial(i) for i in range(14))
EXPM1 = tuple(1 / factorial(i + 2) for i in range(13))
# log((1 + s) / (1 - s)) / s - 2 = sum of 2 s^(2 i) / (2 i + 1), i from 1
LOG = tuple(2 / (2 * i + 1) for i in range(1, 11))
# -log(1 - erf(x)) / x in powers of x - 3, for x from 0 to 6: interpolated at 31 Chebyshev nodes
ERF = tuple(
    float.fromhex(digits)
    for digits in """
    0x1.c966f3b9c2633p+1
    0x1.d1f89933316c7p-1
    0x1.024a6acb65c97p-6
    -0x1.6cf1d6e05aa00p-9
    0x1.f42b67487942cp-12
    -0x1.4363e5e2eed81p-14
    0x1.7c832373992cap-17
    -0x1.7a04ae6c7ab03p-20
    0x1.e519d34b66382p-24
    0x1.0a0fbf989674bp-27
    -0x1.b7e421fb4a46bp-28
    0x1.083c302f493cap-29
    -0x1.e0e03899160dcp-32
    0x1.6bcc2e597213ep-34
    -0x1.c69a6035e9e1bp-37
    0x1.a234e7150442dp-40
    -0x1.0a087ecf7c3f8p-45
    -0x1.dc9fc6ebfd1ecp-45
    0x1.429c512bd5af5p-46
    -0x1.b28d2c1b7e277p-49
    0x1.fb4a8b4c56079p-51
    -0x1.e1138061820acp-52
    0x1.5b3379a14f3a5p-55
    0x1.00d3d5b9ccf9fp-55
    -0x1.82e53386a8556p-59
    -0x1.3de3ebb0bfddfp-59
    0x1.8d8a6976441afp-63
    0x1.368798edf0544p-63
    -0x1.35cc529b45d8ep-66
    -0x1.97aeb96605092p-69
    0x1.048a2a1fe9c09p-71
    """.split()
)


@device
def _power_of_two(exponent: int) -> float:
    return from_bits((exponent << MANTISSA_WIDTH) + ONE_BITS)


@device
def _to_float(integer: int) -> float:
    """Exact for less than 2^51 in magnitude."""
    return from_bits(integer + SHIFT_BITS) - SHIFT


@device
def _with_sign_of(magnitude: float, x: float) -> float:
    return from_bits(bits(magnitude) | (bits(x) & SIGN_BITS))


@device
def _exp_of_sum(high: float, low: float) -> float:
    """e to the power of high + low, where low is tiny beside high."""
    x = high if high > -746.0 else -746.0
    x = x if x < 710.0 else 710.0
    shifted = fma(x, LOG2_E, SHIFT)
    n = shifted - SHIFT
    exponent = bits(shifted) - SHIFT_BITS
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x)) + low
    half = exponent >> 1
    result = polynomial(r, EXP) * _power_of_two(half) * _power_of_two(exponent - half)
    return result if high == high else nan


@device
def exp(x: float) -> float:
    return _exp_of_sum(x, 0.0)


@device
def expm1(x: float) -> float:
    clamped = x if x > -50.0 else -50.0
    clamped = clamped if clamped < 710.0 else 710.0
    shifted = fma(clamped, LOG2_E, SHIFT)
    n = shifted - SHIFT
    exponent = bits(shifted) - SHIFT_BITS
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, clamped))
    near = fma(r * r, polynomial(r, EXPM1), r)
    half = _power_of_two(exponent - 1)
    result = near if exponent == 0 else 2.0 * fma(half, near, half - 0.5)
    result = result if x != 0.0 else x
    return result if x == x else nan


@device
def _log_reduced(f: float, exponent: int, correction: float) -> float:
    """log(2^exponent (1 + f)) + correction, for 1 + f between the roots of 1/2 and 2."""
    n = _to_float(exponent)
    s = f / (2.0 + f)
    square = s * s
    rest = square * polynomial(square, LOG)
    half = 0.5 * f * f
    return n * LN2_HIGH - ((half - (s * (half + rest) + (n * LN2_LOW + correction))) - f)


@device
def _log_limits(result: float, x: float) -> float:
    """The logarithm of x where it is 0, negative, infinite or not a number; else the result."""
    result = result if x != 0.0 else -inf
    result = result if x >= 0.0 else nan
    return result if x != inf else inf


@device
def log(x: float) -> float:
    tiny = x < SMALLEST_NORMAL
    pattern = bits(x * SUBNORMAL_SCALE if tiny else x)
    exponent = (pattern - SQRT_HALF_BITS) >> MANTISSA_WIDTH
    f = from_bits(pattern - (exponent << MANTISSA_WIDTH)) - 1.0
    return _log_limits(_log_reduced(f, exponent - (54 if tiny else 0), 0.0), x)


@device
def log1p(x: float) -> float:
    u = 1.0 + x
    pattern = bits(u)
    exponent = (pattern - SQRT_HALF_BITS) >> MANTISSA_WIDTH
    lost = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    reduced = from_bits(pattern - (exponent << MANTISSA_WIDTH)) - 1.0
    f = x if exponent == 0 else reduced
    result = _log_limits(_log_reduced(f, exponent, 0.0 if exponent == 0 else lost / u), u)
    return result if x != 0.0 else x


@device
def tanh(x: float) -> float:
    size = abs(x)
    grown = expm1(2.0 * (size if size < 22.0 else 22.0))
    result = _with_sign_of(grown / (grown + 2.0), x)
    return result if x == x else nan


@device
def sigmoid(x: float) -> float:
    small = exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)


@device
def softplus(x: float) -> float:
    return (x if x > 0.0 else 0.0) + log1p(exp(-abs(x)))


@device
def erf(x: float) -> float:
    size = abs(x)
    size = size if size < 6.0 else 6.0
    result = _with_sign_of(-expm1(-size * polynomial(size - 3.0, ERF)), x)
    return result if x == x else nan


@device
def _is_integral(size: float) -> bool:
    return size >= INTEGRAL or (size + INTEGRAL) - INTEGRAL == size


@device
def power(x: float, y: float) -> float:
    """x^y, special values as in IEEE 754 and C; the logarithm is a sum of two float64."""
    size = abs(x)
    tiny = size < SMALLEST_NORMAL
    pattern = bits(size * SUBNORMAL_SCALE if tiny else size)
    exponent = (pattern - SQRT_HALF_BITS) >> MANTISSA_WIDTH
    f = from_bits(pattern - (exponent << MANTISSA_WIDTH)) - 1.0
    n = _to_float(exponent - (54 if tiny else 0))

    below = 2.0 + f
    below_low = f - (below - 2.0)
    s = f / below
    s_low = fma(-s, below_low, fma(-s, below, f)) / below
    square = s * s
    log_low = fma(s, square * polynomial(square, LOG), 2.0 * s_low)
    whole = n * LN2_HIGH
    total = whole + 2.0 * s
    total_low = (2.0 * s - (total - whole)) + (log_low + n * LN2_LOW)
    logarithm = total + total_low
    logarithm_low = total_low - (logarithm - total)

    product = y * logarithm
    product_low = fma(y, logarithm_low, fma(y, logarithm, -product))
    result = _exp_of_sum(product, product_low if abs(product) < 746.0 else 0.0)

    grows = (size > 1.0) == (y > 0.0)
    result = result if 0.0 < size < inf and abs(y) < inf else (inf if grows else 0.0)
    result = result if size != 1.0 else 1.0
    odd = _is_integral(abs(y)) and not _is_integral(0.5 * abs(y))
    result = _with_sign_of(result, x) if odd else result
    result = result if x > 0.0 or size == 0.0 or size == inf or _is_integral(abs(y)) else nan
    result = result if x == x and y == y else nan
    result = x * x if y == 2.0 else result
    result = x if y == 1.0 else result
    return 1.0 if x == 1.0 or y == 0.0 else result
