"""Einstein sums of exact/1: operands from left to right, two at a time, as matrix products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from danku.evaluation.kernels import gemm, reductions
from danku.evaluation.kernels.arrays import Array

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """What two operands make: which labels they share, keep and sum over."""

    shared: Labels
    """Of both, and needed later."""
    summed: Labels
    """Of both, and not needed any more."""
    left: Labels
    right: Labels

    @property
    def result(self) -> Labels:
        return self.shared + self.left + self.right

    def cost(self, sizes: Mapping[str, int]) -> int:
        """Multiply-accumulates."""
        return prod(sizes[label] for label in self.result + self.summed)


def needed(labels: Labels, others: Sequence[Labels]) -> Labels:
    """Those that occur in one of the others."""
    return tuple(label for label in labels if any(label in other for other in others))


def pair(left: Labels, right: Labels, later: Sequence[Labels]) -> Product:
    """How two operands are multiplied that hold no label that nothing else needs."""
    both = tuple(label for label in left if label in right)
    shared = needed(both, later)
    return Product(
        shared,
        tuple(label for label in both if label not in shared),
        tuple(label for label in left if label not in both),
        tuple(label for label in right if label not in both),
    )


def steps(operands: Sequence[Labels], output: Labels) -> list[Product]:
    """The products, in order; labels that only one operand has are summed over before."""
    found = []
    current = needed(operands[0], [*operands[1:], output])
    for place, labels in enumerate(operands[1:], start=1):
        later = [*operands[place + 1 :], output]
        right = needed(labels, [current, *later])
        product = pair(needed(current, [right, *later]), right, later)
        found.append(product)
        current = product.result
    return found


def _summed(data: Array, labels: Labels, kept: Labels) -> Array:
    axes = [axis for axis, label in enumerate(labels) if label not in kept]
    return reductions.total(data, axes, keepdims=False) if axes else data


def _arranged(data: Array, labels: Labels, groups: Sequence[Labels]) -> Array:
    """Axes in the order of the groups, each group as one axis."""
    sizes = dict(zip(labels, data.shape, strict=True))
    order = [labels.index(label) for group in groups for label in group]
    shape = [prod(sizes[label] for label in group) for group in groups]
    return data.transpose(order).reshape(shape)


def _multiplied(left: Array, right: Array, a: Labels, b: Labels, product: Product) -> Array:
    sizes = dict(zip((*a, *b), (*left.shape, *right.shape), strict=True))
    rows = _arranged(left, a, (product.shared, product.left, product.summed))
    columns = _arranged(right, b, (product.shared, product.summed, product.right))
    return gemm.matmul(rows, columns).reshape([sizes[label] for label in product.result])


def contract(arrays: Sequence[Array], operands: Sequence[Labels], output: Labels) -> Array:
    """The sum over all labels that are not in the output.

    Args:
        arrays: operands without repeated labels; a label has one size.
    """
    current, labels = arrays[0], operands[0]
    for place, product in enumerate(steps(operands, output), start=1):
        kept = product.shared + product.summed + product.left
        current, labels = _summed(current, labels, kept), tuple(x for x in labels if x in kept)
        following, names = arrays[place], operands[place]
        kept = product.shared + product.summed + product.right
        following, names = _summed(following, names, kept), tuple(x for x in names if x in kept)
        current = _multiplied(current, following, labels, names, product)
        labels = product.result
    current = _summed(current, labels, output)
    labels = tuple(label for label in labels if label in output)
    return current.transpose([labels.index(label) for label in output])
