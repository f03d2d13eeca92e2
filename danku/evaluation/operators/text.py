"""StringNormalizer: ASCII letters to upper or lower case, and stop words."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase

from danku.evaluation import profile
from danku.evaluation.graph import Node
from danku.evaluation.inference import refuse, require_value
from danku.evaluation.initializers import strings
from danku.evaluation.refusal import ModelRejected
from danku.evaluation.registry import Attribute, Operator
from danku.evaluation.tensor import Array, TensorType, constant

_CASES = {
    "NONE": bytes(range(256)),
    "UPPER": bytes.maketrans(ascii_lowercase.encode(), ascii_uppercase.encode()),
    "LOWER": bytes.maketrans(ascii_uppercase.encode(), ascii_lowercase.encode()),
}
"""What becomes of each byte; those beyond ASCII stay."""


def _infer(node: Node, inputs: Sequence[TensorType]) -> list[TensorType]:
    [texts] = inputs
    if texts.dtype != profile.STRING:
        raise ModelRejected("type", f"{node.operator}: unsupported type {texts.dtype_name}")
    if texts.rank not in (1, 2) or (texts.rank == 2 and texts.shape[0] != 1):
        raise refuse(node, f"expected a list of strings, found {texts}")
    if node["case_change_action"] not in _CASES:
        raise refuse(node, f"case_change_action is not one of {', '.join(_CASES)}")
    if node["stopwords"]:
        # NOTE: how many texts are left depends on the texts.
        return [constant(_normalized(node, require_value(node, texts)))]
    return [texts.with_shape(*texts.shape)]


def _run(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return [_normalized(node, arrays[0])]


def _normalized(node: Node, texts: Array) -> Array:
    letters = _CASES[node["case_change_action"]]
    alike = _CASES["NONE" if node["is_case_sensitive"] else "LOWER"]
    stopped = node.derived(
        "stopped", lambda: {_cased(word, alike) for word in node["stopwords"] or ()}
    )
    listed = texts.reshape(-1).tolist()
    # NOTE: a text that occurs often is changed once, and kept once.
    new = {
        text: _cased(text, letters)
        for text in dict.fromkeys(listed)
        if not stopped or _cased(text, alike) not in stopped
    }
    changed = [new[text] for text in listed if text in new]
    if stopped:
        return strings(changed or [""]).reshape(*texts.shape[:-1], -1)
    return strings(changed).reshape(texts.shape)


def _cased(text: str, letters: bytes) -> str:
    return text.encode().translate(letters).decode()


OPERATORS = [
    Operator(
        "StringNormalizer",
        _infer,
        _run,
        inputs=(1, 1),
        opsets=(10, 1_000),
        attributes={
            "case_change_action": Attribute("string", "NONE"),
            "is_case_sensitive": Attribute("int", 0),
            # NOTE: no locale changes how ASCII letters are written.
            "locale": Attribute("string", ""),
            "stopwords": Attribute("strings"),
        },
    ),
]
