"""The operations of kernels that Python cannot spell: fused multiply-add and bit casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.np import arrayobj


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


def _square_root(context: Any, x: Any) -> Any:
    """IEEE 754's.

    NOTE: numba makes of np.sqrt a call that may go to the C library.
    """
    if x != types.float64:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.sqrt", [arguments[0].type])
        return builder.call(function, arguments)

    return x(x), generate


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


_array: Any = arrayobj.make_array


def _load_shared(context: Any, array: Any, place: Any) -> Any:
    """An element that another thread may change meanwhile, and what was written before it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(array)(context, builder, arguments[0]).data
        width = array.dtype.bitwidth // 8
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "acquire", width)

    return array.dtype(array, types.intp), generate


def _store_shared(context: Any, array: Any, place: Any, value: Any) -> Any:
    """Set an element for other threads to see, after all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(array)(context, builder, arguments[0]).data
        width = array.dtype.bitwidth // 8
        place = builder.gep(data, [arguments[1]])
        builder.store_atomic(arguments[2], place, "release", width)
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


def _pause(context: Any) -> Any:
    """A moment, of which the processor knows that a thread only waits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [])
        if "x86" in context.codegen().magic_tuple()[0]:
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), [])
        return context.get_dummy_value()

    return types.void(), generate


intrinsic: Any = extending.intrinsic

fma: Callable[[float, float, float], float] = intrinsic(_fma)
bits: Callable[[float], int] = intrinsic(_bits)
from_bits: Callable[[int], float] = intrinsic(_from_bits)
polynomial: Callable[[float, tuple[float, ...]], float] = intrinsic(_polynomial)
square_root: Callable[[float], float] = intrinsic(_square_root)
load_shared: Callable[[Any, int], int] = intrinsic(_load_shared)
store_shared: Callable[[Any, int, int], None] = intrinsic(_store_shared)
pause: Callable[[], None] = intrinsic(_pause)
maximum: Callable[[float, float], float] = intrinsic(_extreme("llvm.maximum"))
minimum: Callable[[float, float], float] = intrinsic(_extreme("llvm.minimum"))
