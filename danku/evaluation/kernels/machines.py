"""Support vector machines and neighbours: squared distances, decisions of pairs, coupling.

Everything is float64; the operators round once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import scalars
from danku.evaluation.kernels.arrays import Array, contiguous
from danku.evaluation.kernels.compiler import (
    FLOAT32,
    FLOAT64,
    INDEX,
    device,
    kernel,
    source,
    target,
)

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ROUNDS = 100
"""At most so many rounds of `couple`."""
TOLERANCE = 0.005
"""Divided by the number of classes: where `couple` stops."""
LEAST_PROBABILITY = float(np.float32(1e-7))


@kernel(source(FLOAT64, 2), source(FLOAT64, 2), target(FLOAT64, 2))
def _squared_distances(rows: Floats, points: Floats, results: Floats) -> None:
    """results[i, j] = (rows[i, 0] - points[0, j])^2 + ... from +0."""
    for i in range(rows.shape[0]):
        sums = results[i]
        for j in range(sums.size):
            sums[j] = 0.0
        for k in range(rows.shape[1]):
            x, places = rows[i, k], points[k]
            for j in range(sums.size):
                difference = x - places[j]
                sums[j] += difference * difference


def squared_distances(rows: Array, points: Array) -> Floats:
    """The float64 sum of squared differences of [n, features] and [m, features]: [n, m]."""
    results = np.empty((len(rows), len(points)))
    wide = contiguous(rows.astype(np.float64)), contiguous(points.astype(np.float64).T)
    _squared_distances(*wide, results)
    return results


@kernel(
    source(FLOAT64, 2),
    source(FLOAT64, 2),
    source(INDEX, 1),
    source(FLOAT64, 1),
    target(FLOAT32, 2),
    target(INDEX, 2),
)
def decide(
    similarities: Floats,
    coefficients: Floats,
    starts: Indices,
    rho: Floats,
    decisions: Array,
    votes: Indices,
) -> None:
    """decisions[n, p] for each pair p of classes, and votes[n, c] of the pairs for each class.

    A pair votes for its first class if its decision is above 0, else for its second.

    Args:
        similarities: [rows, vectors], the kernel of each row with each support vector.
        coefficients: [classes - 1, vectors].
        starts: [classes + 1], where each class's vectors begin and the last one's end.
        rho: one for each pair.
        decisions: one float64 accumulator each, rounded once.
        votes: filled with zeros.
    """
    classes = starts.size - 1
    for n in range(similarities.shape[0]):
        p = 0
        for i in range(classes - 1):
            for j in range(i + 1, classes):
                total = 0.0
                for v in range(starts[i], starts[i + 1]):
                    total += coefficients[j - 1, v] * similarities[n, v]
                for v in range(starts[j], starts[j + 1]):
                    total += coefficients[i, v] * similarities[n, v]
                decisions[n, p] = np.float32(total + rho[p])
                winner = i if decisions[n, p] > 0.0 else j
                votes[n, winner] += 1
                p += 1


@kernel(
    source(FLOAT32, 2),
    source(FLOAT64, 1),
    source(FLOAT64, 1),
    *(target(FLOAT64, 2),) * 3,
    target(FLOAT64, 1),
)
def couple(
    decisions: Array,
    slopes: Floats,
    offsets: Floats,
    pairs: Floats,
    products: Floats,
    probabilities: Floats,
    gradient: Floats,
) -> None:
    """Probabilities [rows, classes] from the decisions of all pairs.

    A pair's probability is Platt's sigmoid; Wu, Lin and Weng's second method (2004) couples them,
    as libsvm does. ``pairs``, ``products`` [classes, classes] and ``gradient`` are scratch.
    """
    classes = probabilities.shape[1]
    for n in range(decisions.shape[0]):
        p = 0
        for i in range(classes):
            for j in range(i + 1, classes):
                first = 1.0 - scalars.sigmoid(np.float64(decisions[n, p]) * slopes[p] + offsets[p])
                first = first if first > LEAST_PROBABILITY else LEAST_PROBABILITY
                most = 1.0 - LEAST_PROBABILITY
                pairs[i, j] = first if first < most else most
                pairs[j, i] = 1.0 - pairs[i, j]
                p += 1
        _solve(pairs, products, probabilities[n], gradient)


@device
def _solve(pairs: Floats, products: Floats, shares: Floats, gradient: Floats) -> None:
    classes = shares.size
    for i in range(classes):
        shares[i] = 1.0 / classes
        products[i, i] = 0.0
        # NOTE: two ranges instead of a condition, which would be compiled to masked loads.
        for j in range(i):
            products[i, i] += pairs[j, i] * pairs[j, i]
            products[i, j] = -pairs[j, i] * pairs[i, j]
        for j in range(i + 1, classes):
            products[i, i] += pairs[j, i] * pairs[j, i]
            products[i, j] = -pairs[j, i] * pairs[i, j]
    for _ in range(ROUNDS):
        whole = 0.0
        for i in range(classes):
            gradient[i] = 0.0
            for j in range(classes):
                gradient[i] += products[i, j] * shares[j]
            whole += shares[i] * gradient[i]
        worst = 0.0
        for i in range(classes):
            error = abs(gradient[i] - whole)
            worst = error if error > worst else worst
        if worst < TOLERANCE / classes:
            break
        for i in range(classes):
            change = (whole - gradient[i]) / products[i, i]
            scale = 1.0 + change
            shares[i] += change
            whole = (whole + change * (change * products[i, i] + 2.0 * gradient[i])) / scale / scale
            for j in range(classes):
                gradient[j] = (gradient[j] + change * products[i, j]) / scale
                shares[j] = shares[j] / scale
