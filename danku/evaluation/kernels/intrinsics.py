"""The operations of kernels that Python cannot spell: fused multiply-add and bit casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types


def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``: floats rounded once, unsigned integers modulo their range.

    NOTE: where the processor has no fused multiply-add, LLVM calls the C library's correct one.
    """
    if not a == b == c or a not in (types.float32, types.float64, types.uint64):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if a == types.uint64:
            return builder.add(builder.mul(arguments[0], arguments[1]), arguments[2])
        return builder.fma(*arguments)

    return a(a, a, a), generate


def _bits(context: Any, x: Any) -> Any:
    """The 64 bits of a float64 as int64."""
    if x != types.float64:
        return None
    return types.int64(x), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], ir.IntType(64)
    )


def _from_bits(context: Any, x: Any) -> Any:
    """The float64 that has these 64 bits."""
    if x != types.int64:
        return None
    return types.float64(x), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], ir.DoubleType()
    )


def _extreme(name: str) -> Callable[..., Any]:
    """IEEE 754-2019's maximum or minimum: NaN if either operand is, +0 above -0."""

    def typed(context: Any, a: Any, b: Any) -> Any:
        if a != b or a not in (types.float32, types.float64):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            scalar = arguments[0].type
            kind = ir.FunctionType(scalar, [scalar, scalar])
            function = builder.module.declare_intrinsic(name, [scalar], kind)
            return builder.call(function, arguments)

        return a(a, a), generate

    return typed


def _polynomial(context: Any, x: Any, coefficients: Any) -> Any:
    """``c[0] + x c[1] + x^2 c[2] + ...`` in float64: Horner's rule, each step one fma."""
    if x != types.float64 or not isinstance(coefficients, types.UniTuple):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, pack = arguments
        total = builder.extract_value(pack, coefficients.count - 1)
        for i in reversed(range(coefficients.count - 1)):
            total = builder.fma(total, value, builder.extract_value(pack, i))
        return total

    return types.float64(x, coefficients), generate


intrinsic: Any = extending.intrinsic

fma: Callable[[float, float, float], float] = intrinsic(_fma)
bits: Callable[[float], int] = intrinsic(_bits)
from_bits: Callable[[int], float] = intrinsic(_from_bits)
polynomial: Callable[[float, tuple[float, ...]], float] = intrinsic(_polynomial)
maximum: Callable[[float, float], float] = intrinsic(_extreme("llvm.maximum"))
minimum: Callable[[float, float], float] = intrinsic(_extreme("llvm.minimum"))
