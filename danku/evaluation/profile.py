"""The frozen bounds of the profile `exact/1`: opsets, element types, and a cap for every size.

Challenge limits (`danku.protocol.manifest.Limits`) come on top. Changing anything here changes
which models are admitted, so it makes another profile.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

OPSETS = {"": (8, 28), "ai.onnx.ml": (1, 5), "com.microsoft": (1, 1)}
"""First and last admitted opset version of each admitted domain; "" is ai.onnx.

The last ones are those that onnx 1.23 released."""

NEW_IN_9 = frozenset(
    {
        *("Acosh", "Asinh", "Atanh", "BatchNormalization", "Cast", "Compress", "Constant"),
        *("ConstantOfShape", "Cosh", "Erf", "EyeLike", "Flatten", "Gemm", "Greater", "IsNaN"),
        *("Less", "MatMul", "MaxUnpool", "MeanVarianceNormalization", "NonZero", "OneHot"),
        *("PRelu", "Scan", "Scatter", "Shrink", "Sign", "Sinh", "TfIdfVectorizer", "Upsample"),
        "Where",
    }
)
"""Operators of ai.onnx that opset 9 changed or brought; in opset 8 the profile has all others."""

IR_VERSIONS = (3, 14)

MESSAGE_DEPTH = 12
"""Nesting of protobuf messages, the model itself included."""

MESSAGE_FIELDS = 1_000_000
"""Protobuf fields in one model; a run of unpacked numbers counts once."""

NAME_BYTES = 1_024
STRING_BYTES = 4_096
"""One element of a string tensor or of a list of strings."""

NODE_ATTRIBUTES = 64
NODE_NAMES = 4_096
"""Inputs, and outputs, of one node."""

RANK = 8
DIMENSION = 2**31 - 1
ELEMENTS = 2**40
"""In one tensor, dimensions of zero counted as one."""

NODE_OVERHEAD = 4_096
"""Elements that an executed node is charged for each input, beyond those it reads and writes."""

STRING_COST = 64
"""Bytes that a string element is charged, and how many elements of a number it counts as."""

ELEMENT_COST = 4
"""Bytes that any other element is charged at least: what is narrower is computed with in more."""

STRING = np.dtype(object)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    8: STRING,
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
    16: BFLOAT16,
    17: np.dtype(ml_dtypes.float8_e4m3fn),
    18: np.dtype(ml_dtypes.float8_e4m3fnuz),
    19: np.dtype(ml_dtypes.float8_e5m2),
    20: np.dtype(ml_dtypes.float8_e5m2fnuz),
    21: np.dtype(ml_dtypes.uint4),
    22: np.dtype(ml_dtypes.int4),
    23: np.dtype(ml_dtypes.float4_e2m1fn),
    24: np.dtype(ml_dtypes.float8_e8m0fnu),
    25: np.dtype(ml_dtypes.uint2),
    26: np.dtype(ml_dtypes.int2),
}
"""ONNX element type numbers that are admitted, and what holds them; strings are `str` objects."""

STORED_ONLY = frozenset(ELEMENT_TYPES[number] for number in range(17, 27))
"""Types that are moved, cast and dequantized, and never computed with."""

PACKED_BITS = {ELEMENT_TYPES[number]: 4 for number in (21, 22, 23)} | {
    ELEMENT_TYPES[number]: 2 for number in (25, 26)
}
"""Bits of an element of the types of which a byte of a stored tensor holds several."""

REFUSED_ELEMENT_TYPES = {
    14: "complex64",
    15: "complex128",
    27: "float6e2m3",
    28: "float6e3m2",
}
"""Names of the others, for the reason of a refusal."""
