"""Measures every mathematical function at float32 against mpmath; writes docs/accuracy.md.

Arguments are spread over all exponents, dense where a function bends, random, and chosen so that
the exact result lies as near as can be found to the middle between two float32 numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from danku.evaluation.kernels import functions, nonlinear, trigonometry

Array = NDArray[Any]
PAGE = Path(__file__).parents[3] / "docs" / "accuracy.md"
PRECISION = 400
"""Bits; the nearest float32 to a multiple of pi/2 needs fewer than 300."""
ONE, SIX = mpmath.mpf(1), mpmath.mpf(6)


@dataclass(frozen=True)
class Function:
    """One function of float32, and its definition in mpmath."""

    compute: Callable[[Array], Array]
    exact: Callable[[Any], Any]
    lowest: float = -inf
    highest: float = inf
    note: str = ""


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x)) if x < 0 else x + mpmath.log1p(mpmath.exp(-x))


def _sigmoid(x: Any) -> Any:
    return ONE / (ONE + mpmath.exp(-x))


def _power(exponent: float) -> Function:
    return Function(
        lambda x: functions.power(x, np.asarray(exponent, np.float32)),
        lambda x: mpmath.power(x, mpmath.mpf(float(np.float32(exponent)))),
        lowest=0.0,
        note=f"x to the power {exponent}",
    )


def _plain(module: Any, name: str, exact: Any = None, **more: Any) -> Function:
    return Function(getattr(module, name), exact or getattr(mpmath, name), **more)


_ALPHA, _GAMMA = (float(np.float32(value)) for value in (1.6732632423543772, 1.0507009873554805))
_GELU_FROM = -5.0
FUNCTIONS: dict[str, Function] = {
    **{name: _plain(functions, name) for name in ("exp", "expm1", "tanh", "erf")},
    "log": _plain(functions, "log", lowest=0.0),
    "log1p": _plain(functions, "log1p", lowest=-1.0),
    "sqrt": _plain(functions, "sqrt", lowest=0.0),
    "sigmoid": _plain(functions, "sigmoid", _sigmoid),
    "softplus": _plain(functions, "softplus", _softplus),
    "power 0.1": _power(0.1),
    "power -2.5": _power(-2.5),
    "power 17": _power(17.0),
    **{
        name: _plain(trigonometry, name)
        for name in ("sin", "cos", "tan", "atan", "sinh", "cosh", "asinh")
    },
    "asin": _plain(trigonometry, "asin", lowest=-1.0, highest=1.0),
    "acos": _plain(trigonometry, "acos", lowest=-1.0, highest=1.0),
    "atanh": _plain(trigonometry, "atanh", lowest=-1.0, highest=1.0),
    "acosh": _plain(trigonometry, "acosh", lowest=1.0),
    "elu": Function(lambda x: nonlinear.elu(x, 1.0), lambda x: x if x >= 0 else mpmath.expm1(x)),
    "selu": Function(
        lambda x: nonlinear.selu(x, _ALPHA, _GAMMA),
        lambda x: mpmath.mpf(_GAMMA) * (x if x > 0 else mpmath.mpf(_ALPHA) * mpmath.expm1(x)),
    ),
    "celu": Function(
        lambda x: nonlinear.celu(x, 2.0), lambda x: x if x >= 0 else 2 * mpmath.expm1(x / 2)
    ),
    "mish": Function(nonlinear.mish, lambda x: x * mpmath.tanh(_softplus(x))),
    "softsign": Function(nonlinear.softsign, lambda x: x / (ONE + abs(x))),
    "swish": Function(lambda x: nonlinear.swish(x, 1.0), lambda x: x * _sigmoid(x)),
    "hard_swish": Function(
        nonlinear.hard_swish, lambda x: x * min(ONE, max(mpmath.mpf(0), x / SIX + ONE / 2))
    ),
    "gelu": Function(
        nonlinear.gelu,
        lambda x: x * (ONE + mpmath.erf(x / mpmath.sqrt(2))) / 2,
        lowest=_GELU_FROM,
        note="from -5 on; below, the error is at most 2^-51 times x, which is less and less exact",
    ),
}


def _spread(random: Any) -> Array:
    patterns = np.arange(0, 2**32, 2**22 + 12345, dtype=np.uint64).astype(np.uint32)
    spread = patterns.view(np.float32)
    return np.concatenate(
        [
            spread[np.isfinite(spread)],
            random.uniform(-10, 10, 600),
            random.uniform(-104, 89, 400),
            1 + random.uniform(-0.01, 0.01, 200),
            random.choice([-1, 1], 400) * np.exp(random.uniform(-30, 5, 400)),
        ]
    ).astype(np.float32)


def _within(function: Function, x: Array) -> Array:
    x = x[np.isfinite(x)]
    return x[(x > function.lowest) & (x < function.highest)]


def halfway(function: Function, count: int) -> Array:
    """Arguments whose results are nearest to the middle between two float32 numbers."""
    random = np.random.default_rng(31)
    every = np.concatenate([random.uniform(-12, 12, 2**17), random.uniform(-2, 2, 2**17)])
    x = _within(function, every.astype(np.float32))
    with np.errstate(all="ignore"):
        fine = function.compute(x.astype(np.float64))
        unit = np.spacing(np.maximum(np.abs(fine), 2.0**-126).astype(np.float32))
        off = np.abs(np.abs((fine / unit.astype(np.float64)) % 1.0) - 0.5)
    chosen: Array = x[np.argsort(np.where(np.isfinite(off), off, 1.0), kind="stable")[:count]]
    return chosen


def arguments(function: Function) -> Array:
    random = np.random.default_rng(30)
    return np.unique(np.concatenate([_within(function, _spread(random)), halfway(function, 400)]))


def worst(function: Function) -> tuple[float, float]:
    """The largest error in units of the last place of the exact value, and where it is."""
    x = arguments(function)
    found = (0.0, 0.0)
    largest = float(np.finfo(np.float32).max)
    with mpmath.workprec(PRECISION):
        for argument, result in zip(x.tolist(), function.compute(x).tolist(), strict=True):
            exact = function.exact(mpmath.mpf(argument))
            if not isinstance(exact, mpmath.mpf) or abs(exact) > largest:
                continue
            unit = float(np.spacing(np.float32(max(abs(float(exact)), 2.0**-126))))
            found = max(found, (float(abs(mpmath.mpf(result) - exact) / unit), argument))
    return found


def page() -> str:
    lines = [
        "# Accuracy of the mathematical functions",
        "",
        "Largest error at float32 in units of the last place of the exact value, against mpmath:",
        "arguments over all exponents, dense and random ones, and 400 whose exact results are",
        "nearest to the middle between two float32 numbers. 0.5 is correct rounding.",
        "",
        "`make accuracy` measures again. `make soak` looks at all 2^32 numbers: exp and tanh",
        "against an 80-bit library, sin, cos and atan against a 64-bit one.",
        "",
        "| function | largest error | at | arguments | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, function in FUNCTIONS.items():
        error, place = worst(function)
        count = arguments(function).size
        lines.append(f"| {name} | {error:.6f} | {place!r} | {count:,} | {function.note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
