"""Sine, cosine and arctangent of exact/1 on one float64; docs/exact-1.md states every operation.

An angle is reduced to at most a quarter of pi in two float64. Up to `FAR` multiples of pi/2, cut
into four pieces, are subtracted; beyond, its 53 bits are multiplied with those bits of 2/pi that
matter, in integers, so that no angle is too large.
"""

from __future__ import annotations

from math import factorial, nan
from typing import Any

import numpy as np

from danku.evaluation.kernels.compiler import device
from danku.evaluation.kernels.intrinsics import bits, fma, from_bits, polynomial
from danku.evaluation.kernels.scalars import SHIFT, SIGN_BITS

Word = Any
"""np.uint64; operations with other integers would make it a float."""

FAR = 2.0**19

TWO_OVER_PI = float.fromhex("0x1.45f306dc9c883p-1")
HALF_PI_HIGH = float.fromhex("0x1.921fb54442d18p+0")
HALF_PI_LOW = float.fromhex("0x1.1a62633145c07p-54")
# The first three have 33 bits each, so that a multiple below 2^20 is exact.
HALF_PI_1 = float.fromhex("0x1.921fb544p+0")
HALF_PI_2 = float.fromhex("0x1.0b4611a6p-34")
HALF_PI_3 = float.fromhex("0x1.3198a2ep-69")
HALF_PI_4 = float.fromhex("0x1.b839a252049c1p-104")

# Sixty-four zeros and the first 1,216 bits of 2/pi after the point.
TWO_OVER_PI_BITS = np.array(
    [0]
    + [
        int(digits, 16)
        for digits in """
        A2F9836E4E441529 FC2757D1F534DDC0 DB6295993C439041 FE5163ABDEBBC561 B7246E3A424DD2E0
        06492EEA09D1921C FE1DEB1CB129A73E E88235F52EBB4484 E99C7026B45F7E41 3991D639835339F4
        9C845F8BBDF9283B 1FF897FFDE05980F EF2F118B5A0A6D1F 6D367ECF27CB09B7 4F463F669E5FEA2D
        7527BAC7EBE5F17B 3D0739F78A5292EA 6BFB5FB11F8D5D08 56033046FC7B6BAB
        """.split()
    ],
    np.uint64,
)

# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 in powers of r^2
SIN = tuple((-1) ** (i + 1) / factorial(2 * i + 3) for i in range(8))
COS = tuple((-1) ** i / factorial(2 * i + 4) for i in range(8))
# (atan(t) - t) / t^3 in powers of t^2
ATAN = tuple((-1) ** (i + 1) / (2 * i + 3) for i in range(14))

_ZERO, _ONE, _TWO, _HALF_WORD = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(32)
_LAST, _WORD_BITS = np.uint64(63), np.uint64(6)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_MANTISSA, _HIDDEN = np.uint64(2**52 - 1), np.uint64(2**52)
_MANTISSA_BITS, _MAGNITUDE = np.uint64(52), np.uint64(2**63 - 1)
# Below the exponent by this is the first bit of the table whose product is no multiple of 4.
_FIRST_BIT = np.uint64(1075 + 2 - 64)
_TOP_TWO = np.uint64(62)
_PLACES = (2.0**-32, 2.0**-64, 2.0**-96, 2.0**-128)


@device
def _product_high(a: Word, b: Word) -> Word:
    """The upper 64 of the 128 bits of a product."""
    a_low, a_high = a & _LOW_HALF, a >> _HALF_WORD
    b_low, b_high = b & _LOW_HALF, b >> _HALF_WORD
    middle = a_high * b_low + ((a_low * b_low) >> _HALF_WORD)
    other = a_low * b_high + (middle & _LOW_HALF)
    return a_high * b_high + (middle >> _HALF_WORD) + (other >> _HALF_WORD)


@device
def _window(start: Word) -> Word:
    """64 bits of the table from this bit on."""
    word, shift = start >> _WORD_BITS, start & _LAST
    high, low = TWO_OVER_PI_BITS[word], TWO_OVER_PI_BITS[word + _ONE]
    return (high << shift) | ((low >> _ONE) >> (_LAST - shift))


@device
def _reduce_far(x: float) -> tuple[float, float, Any]:
    """The remainder of a finite angle of at least FAR by pi/2, in two parts, and the quotient."""
    pattern = np.uint64(bits(x)) & _MAGNITUDE
    mantissa = (pattern & _MANTISSA) | _HIDDEN
    start = (pattern >> _MANTISSA_BITS) - _FIRST_BIT
    word = np.uint64(64)
    first, second, third = _window(start), _window(start + word), _window(start + word + word)
    low = mantissa * second + _product_high(mantissa, third)
    carry = _ONE if low < mantissa * second else _ZERO
    high = mantissa * first + _product_high(mantissa, second) + carry
    last = mantissa * third

    # The quotient's last two bits, then the fraction of a quarter turn, as a signed number.
    quotient = high >> _TOP_TWO
    upper = (high << _TWO) | (low >> _TOP_TWO)
    lower = (low << _TWO) | (last >> _TOP_TWO)
    negative = (upper >> _LAST) == _ONE
    quotient = quotient + _ONE if negative else quotient
    upper = ~upper + (_ONE if lower == _ZERO else _ZERO) if negative else upper
    lower = ~lower + _ONE if negative else lower

    part_1 = np.float64(upper >> _HALF_WORD) * _PLACES[0]
    part_2 = np.float64(upper & _LOW_HALF) * _PLACES[1]
    part_3 = np.float64(lower >> _HALF_WORD) * _PLACES[2]
    part_4 = np.float64(lower & _LOW_HALF) * _PLACES[3]
    rest = part_3 + part_4
    total = part_1 + part_2
    total_low = ((part_1 - total) + part_2) + rest
    turn = total + total_low
    turn_low = (total - turn) + total_low
    r = turn * HALF_PI_HIGH
    r_low = fma(turn, HALF_PI_HIGH, -r) + (turn * HALF_PI_LOW + turn_low * HALF_PI_HIGH)
    backwards = negative != (x < 0.0)
    quadrant = np.int64(quotient)
    quadrant = -quadrant if x < 0.0 else quadrant
    return (-r if backwards else r), (-r_low if backwards else r_low), quadrant


@device
def _reduce_near(x: float) -> tuple[float, float, int]:
    """The same for an angle below FAR."""
    shifted = fma(x, TWO_OVER_PI, SHIFT)
    n = shifted - SHIFT
    first = fma(-n, HALF_PI_1, x)
    product = n * HALF_PI_2
    second = first - product
    virtual = second - first
    second_low = (first - (second - virtual)) - (product + virtual)
    product = n * HALF_PI_3
    third = second - product
    virtual = third - second
    third_low = (second - (third - virtual)) - (product + virtual)
    low = (second_low + third_low) - n * HALF_PI_4
    r = third + low
    return r, (third - r) + low, bits(shifted)


@device
def _sine(r: float, r_low: float) -> float:
    square = r * r
    return r + (r * square * polynomial(square, SIN) + r_low * (1.0 - 0.5 * square))


@device
def _cosine(r: float, r_low: float) -> float:
    square = r * r
    half = 0.5 * square
    leading = 1.0 - half
    rest = square * square * polynomial(square, COS) - r * r_low
    return leading + (((1.0 - leading) - half) + rest)


@device
def _turned(r: float, r_low: float, quadrant: int) -> float:
    """The sine of r plus so many quarter turns."""
    result = _cosine(r, r_low) if quadrant & 1 else _sine(r, r_low)
    return -result if quadrant & 2 else result


@device
def sin_near(x: float) -> float:
    """For angles below FAR."""
    r, r_low, quadrant = _reduce_near(x)
    result = _turned(r, r_low, quadrant)
    return result if x != 0.0 else x


@device
def sin_far(x: float) -> float:
    """For all others."""
    r, r_low, quadrant = _reduce_far(x)
    return _turned(r, r_low, quadrant) if x - x == 0.0 else nan


@device
def cos_near(x: float) -> float:
    """For angles below FAR."""
    r, r_low, quadrant = _reduce_near(x)
    return _turned(r, r_low, quadrant + 1)


@device
def cos_far(x: float) -> float:
    """For all others."""
    r, r_low, quadrant = _reduce_far(x)
    return _turned(r, r_low, quadrant + 1) if x - x == 0.0 else nan


# Arctangents of these are added to that of what is left, which is below 0.22.
TURNING = (0.1875, 0.6875, 1.5, 5.0)
PIVOT = (13 / 32, 1.0, 2.5)
ATAN_HIGH = tuple(
    map(
        float.fromhex,
        ("0x1.8b24d394a1b25p-2", "0x1.921fb54442d18p-1", "0x1.30b6d796a4da8p+0"),
    )
)
ATAN_LOW = tuple(
    map(
        float.fromhex,
        ("0x1.b6d0ba3748fa8p-56", "0x1.1a62633145c07p-55", "0x1.6254cb03bb199p-54"),
    )
)


@device
def atan(x: float) -> float:
    size = abs(x)
    pivot = PIVOT[0] if size < TURNING[1] else (PIVOT[1] if size < TURNING[2] else PIVOT[2])
    high = (
        ATAN_HIGH[0] if size < TURNING[1] else (ATAN_HIGH[1] if size < TURNING[2] else ATAN_HIGH[2])
    )
    low = ATAN_LOW[0] if size < TURNING[1] else (ATAN_LOW[1] if size < TURNING[2] else ATAN_LOW[2])
    above, below = size - pivot, fma(pivot, size, 1.0)
    small, large = size < TURNING[0], size >= TURNING[3]
    above = size if small else (-1.0 if large else above)
    below = 1.0 if small else (size if large else below)
    high = 0.0 if small else (HALF_PI_HIGH if large else high)
    low = 0.0 if small else (HALF_PI_LOW if large else low)
    t = above / below
    square = t * t
    result = high + (t + (t * square * polynomial(square, ATAN) + low))
    result = from_bits(bits(result) | (bits(x) & SIGN_BITS))
    return result if x == x else nan
