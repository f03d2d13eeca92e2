"""The innermost loop of products: a tile of sums that stays in registers, written as LLVM IR.

A tile is a few rows of the left operand times a few vectors of columns of the right one. Each of
its sums is one chain ``sum = fma(a[i, k], b[k, j], sum)`` over a block of k, from +0. Tiles differ
by machine and bits do not: lanes are columns, and nothing is ever added across them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.np import arrayobj
from numba.np.numpy_support import carray

from danku.evaluation.kernels.arrays import Array
from danku.evaluation.kernels.compiler import device
from danku.evaluation.kernels.intrinsics import intrinsic

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
SQUARE = 8
"""Columns that `transpose` takes at once, and the most rows."""

Pointer = Any
_pointer_to: Any = types.CPointer
_array: Any = arrayobj.make_array


@dataclass(frozen=True)
class Shape:
    """What fits a machine's vector registers and leaves room for the operands."""

    rows: int
    vectors: int
    vector_bytes: int


def shape_for(triple: str, features: str) -> Shape:
    """The full tile of a processor, from LLVM's names of it."""
    listed = features.split(",")
    if "+avx512f" in listed:
        return Shape(8, 2, 64)
    if "+avx" in listed:
        return Shape(6, 2, 32)
    registers = 32 if triple.startswith(("aarch64", "arm64")) else 16
    return Shape(6, registers // 8, 16)


def _machine() -> Shape:
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    return shape_for(triple, features)


SHAPE = _machine()
ROWS = SHAPE.rows
VECTORS = SHAPE.vectors
VECTOR_BYTES = SHAPE.vector_bytes


class _Emitter:
    """Vectors of ``lanes`` scalars at element offsets of pointers."""

    def __init__(self, builder: Any, scalar: Any, lanes: int) -> None:
        self.builder = builder
        self.scalar = ir.FloatType() if scalar == types.float32 else ir.DoubleType()
        self.align = scalar.bitwidth // 8
        self.lanes = lanes
        self.vector = ir.VectorType(self.scalar, lanes)
        self.zero = ir.Constant(self.vector, [0.0] * lanes)

    def _at(self, pointer: Any, offset: Any, vector: Any) -> Any:
        if isinstance(offset, int):
            offset = ir.Constant(_INDEX, offset)
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), vector.as_pointer())

    def load(self, pointer: Any, offset: Any) -> Any:
        return self.builder.load(self._at(pointer, offset, self.vector), align=self.align)

    def store(self, vector: Any, pointer: Any, offset: Any) -> None:
        self.builder.store(vector, self._at(pointer, offset, vector.type), align=self.align)

    def prefetch(self, pointer: Any) -> None:
        """Ask for what will be read soon; any address will do."""
        byte = ir.IntType(8).as_pointer()
        function = self.builder.module.globals.get("llvm.prefetch.p0")
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [byte, _LANE, _LANE, _LANE])
            function = ir.Function(self.builder.module, kind, "llvm.prefetch.p0")
        read, near, data = (ir.Constant(_LANE, value) for value in (0, 3, 1))
        self.builder.call(function, [self.builder.bitcast(pointer, byte), read, near, data])

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    def spread(self, value: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(_LANE, 0))
        return self.shuffle(first, undefined, [0] * self.lanes)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        # NOTE: llvmlite's own fma knows scalars only.
        name = f"llvm.fma.v{self.lanes}f{self.align * 8}"
        function = self.builder.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(self.vector, [self.vector] * 3)
            function = ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])

    @contextmanager
    def loop(self, count: Any, carried: list[Any]) -> Iterator[tuple[Any, list[Any], list[Any]]]:
        """``count`` times, at least once: yields the counter, the carried values, and a list that
        takes their next ones, which is what the loop leaves in it."""
        builder = self.builder
        before = builder.block
        body, done = (builder.function.append_basic_block(name) for name in ("body", "done"))
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(_INDEX)
        k.add_incoming(ir.Constant(_INDEX, 0), before)
        values = [builder.phi(value.type) for value in carried]
        following: list[Any] = []
        yield k, values, following
        end = builder.block
        advanced = builder.add(k, ir.Constant(_INDEX, 1))
        k.add_incoming(advanced, end)
        for phi, first, later in zip(values, carried, following, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, end)
        builder.cbranch(builder.icmp_signed("<", advanced, count), body, done)
        builder.position_at_end(done)


def _pointer(context: Any, array: Any, offset: Any) -> Any:
    """The address of element ``offset`` of an array's memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(signature.args[0])(context, builder, arguments[0]).data
        return builder.gep(data, [arguments[1]])

    return _pointer_to(array.dtype)(array, types.intp), generate


def _get(context: Any, array: Any, offset: Any) -> Any:
    """Element ``offset`` of an array's memory, which is not negative."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.intp), generate


def _put(context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Set element ``offset`` of an array's memory, which is not negative."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


def _multiply(
    context: Any,
    height: Any,
    panels: Any,
    vectors: Any,
    depth: Any,
    a: Any,
    b: Any,
    apart: Any,
    offsets: Any,
    sums: Any,
    stride: Any,
    fresh: Any,
) -> Any:
    """sums[i, j] = (+0 if fresh else sums[i, j]) + the chain over k < depth.

    ``height`` rows of ``a`` lie interleaved, [depth, height]. Columns are ``vectors`` full vectors
    in each of ``panels``; row k of panel p of ``b`` starts at its element p * apart + offsets[k],
    and row i of ``sums`` at element i * stride. ``depth`` is at least 1.
    """
    scalar = a.dtype
    rows, groups = height.literal_value, panels.literal_value
    across = groups * vectors.literal_value
    lanes = VECTOR_BYTES * 8 // scalar.bitwidth

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, depth, a, b, apart, offsets, sums, stride, fresh = arguments
        emit = _Emitter(builder, scalar, lanes)
        with emit.loop(depth, [emit.zero] * (rows * across)) as (k, chains, following):
            start = builder.load(builder.gep(offsets, [k]))
            right = []
            for p in range(groups):
                place = builder.add(start, builder.mul(apart, ir.Constant(_INDEX, p)))
                line = builder.gep(b, [place])
                right += [emit.load(line, n * lanes) for n in range(across // groups)]
            column = builder.gep(a, [builder.mul(k, ir.Constant(_INDEX, rows))])
            emit.prefetch(builder.gep(column, [builder.mul(depth, ir.Constant(_INDEX, rows))]))
            for m in range(rows):
                left = builder.load(builder.gep(column, [ir.Constant(_INDEX, m)]))
                left = emit.spread(left)
                for n in range(across):
                    following.append(emit.fma(left, right[n], chains[m * across + n]))
        lines = [
            builder.gep(sums, [builder.mul(stride, ir.Constant(_INDEX, m))]) for m in range(rows)
        ]
        places = [(line, n * lanes) for line in lines for n in range(across)]
        with builder.if_else(fresh) as (first, later):
            with first:
                for chain, place in zip(following, places, strict=True):
                    emit.store(builder.fadd(chain, emit.zero), *place)
            with later:
                for chain, place in zip(following, places, strict=True):
                    emit.store(builder.fadd(emit.load(*place), chain), *place)
        return context.get_dummy_value()

    lengths = (height, panels, vectors, types.intp)
    return types.void(*lengths, a, b, types.intp, offsets, sums, types.intp, fresh), generate


def _transpose(context: Any, height: Any, source: Any, stride: Any, target: Any) -> Any:
    """Interleave ``height`` rows of 8 elements: target[k, i] = source[i * stride + k]."""
    rows = height.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, source, stride, target = arguments
        emit = _Emitter(builder, signature.args[1].dtype, SQUARE)
        lines = [
            emit.load(source, builder.mul(stride, ir.Constant(_INDEX, m))) for m in range(rows)
        ]
        lines += [ir.Constant(emit.vector, ir.Undefined)] * (SQUARE - rows)
        for k, column in enumerate(_transposed(emit, lines)):
            emit.store(emit.shuffle(column, column, list(range(rows))), target, k * rows)
        return context.get_dummy_value()

    return types.void(height, source, types.intp, target), generate


def _copy_panel(context: Any, source: Any, target: Any) -> Any:
    """target[n] = source[n] for the columns of a panel."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scalar = signature.args[0].dtype
        emit = _Emitter(builder, scalar, VECTOR_BYTES * 8 // scalar.bitwidth)
        for n in range(VECTORS):
            emit.store(emit.load(arguments[0], n * emit.lanes), arguments[1], n * emit.lanes)
        return context.get_dummy_value()

    return types.void(source, target), generate


def _every_second(context: Any, source: Any, target: Any) -> Any:
    """target[i] = source[2 * i] for 8 elements; reads 16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Emitter(builder, signature.args[0].dtype, SQUARE)
        low, high = emit.load(arguments[0], 0), emit.load(arguments[0], SQUARE)
        emit.store(emit.shuffle(low, high, list(range(0, 2 * SQUARE, 2))), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(source, target), generate


def _transposed(emit: _Emitter, lines: list[Any]) -> list[Any]:
    """The columns of an 8 x 8 square: blocks of 4, 2 and 1 change places across the diagonal."""
    for width in (1, 2, 4):
        low = [lane + (SQUARE - width) * bool(lane & width) for lane in range(SQUARE)]
        high = [lane + width for lane in low]
        swapped = list(lines)
        for i in range(SQUARE):
            if not i & width:
                swapped[i] = emit.shuffle(lines[i], lines[i + width], low)
                swapped[i + width] = emit.shuffle(lines[i], lines[i + width], high)
        lines = swapped
    return lines


pointer: Callable[[Any, int], Pointer] = intrinsic(_pointer)


@device
def window(array: Array, first: int, count: int) -> Array:
    """``count`` elements of an array's memory from number ``first`` on.

    NOTE: unlike a slice it counts no reference, which costs as much as a hundred elements.
    """
    elements: Array = carray(pointer(array, first), (count,))
    return elements


_literal: Any = intrinsic(prefer_literal=True)

# NOTE: unlike an index they are not checked for counting from the end, in loops a check each time.
get: Callable[[Array, int], Any] = intrinsic(_get)
put: Callable[[Array, int, Any], None] = intrinsic(_put)
multiply: Callable[..., None] = _literal(_multiply)
copy_panel: Callable[[Pointer, Pointer], None] = intrinsic(_copy_panel)
every_second: Callable[[Pointer, Pointer], None] = intrinsic(_every_second)
transpose: Callable[[int, Pointer, int, Pointer], None] = _literal(_transpose)


@device
def copy_every(x: Array, step: int, out: Array) -> None:
    """out[i] = x[i * step]"""
    if step == 1:
        for i in range(out.size):
            out[i] = x[i]
    elif step == 2:
        eights = min(out.size, x.size // 2) // 8 * 8
        for i in range(0, eights, 8):
            every_second(pointer(x, 2 * i), pointer(out, i))
        for i in range(eights, out.size):
            out[i] = x[2 * i]
    else:
        for i in range(out.size):
            out[i] = x[step * i]
