"""Circular and hyperbolic functions, their inverses, and Erf."""

from __future__ import annotations

from danku.evaluation.inference import FLOATS
from danku.evaluation.kernels import functions, trigonometry
from danku.evaluation.operators.arithmetic import infer_alike, run_unary
from danku.evaluation.registry import Operator

_FUNCTIONS = {
    "Sin": trigonometry.sin,
    "Cos": trigonometry.cos,
    "Tan": trigonometry.tan,
    "Asin": trigonometry.asin,
    "Acos": trigonometry.acos,
    "Atan": trigonometry.atan,
    "Sinh": trigonometry.sinh,
    "Cosh": trigonometry.cosh,
    "Asinh": trigonometry.asinh,
    "Acosh": trigonometry.acosh,
    "Atanh": trigonometry.atanh,
    "Erf": functions.erf,
}

OPERATORS = [
    Operator(name, infer_alike(FLOATS), run_unary(function), inputs=(1, 1))
    for name, function in _FUNCTIONS.items()
]
