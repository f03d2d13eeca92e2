"""What every word, rule, reason and exit code means: for `danku explain`."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from danku.errors import UsageError
from danku.ledger.embedded.errors import CHECKS, ENVELOPE_RULES
from danku.protocol.errors import RULES


class UnknownWord(UsageError):
    """danku has no such word."""


@dataclass(frozen=True)
class Entry:
    """One word; several kinds may share a name."""

    name: str
    kind: str
    meaning: str
    more: str = ""
    """The command or remedy that goes with it."""

    def plain(self) -> dict[str, Any]:
        """The entry as JSON would have it."""
        return asdict(self)


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """All of them, kind by kind."""
    text = resources.files("danku.roles").joinpath("words.toml").read_text("utf-8")
    found = [
        Entry(name, kind, *fields)
        for kind, named in tomllib.loads(text).items()
        for name, fields in named.items()
    ]
    rule = "danku status shows what can be done now"
    found += [Entry(name, "rule", _sentence(text), rule) for name, text in RULES.items()]
    found += [Entry(name, "ledger rule", _sentence(text)) for name, text in ENVELOPE_RULES.items()]
    fix = "danku ledger verify"
    found += [Entry(name, "journal check", _sentence(text), fix) for name, text in CHECKS.items()]
    return tuple(found)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def explain(text: str) -> list[Entry]:
    """The entries that a word means, however it is spelled; or a reason as a board shows it.

    Raises:
        UnknownWord: none; the error names the nearest.
    """
    wanted = _folded(text)
    found = [entry for entry in entries() if wanted in _spellings(entry)]
    if found:
        return found
    found = [entry for entry in entries() if _reason(entry, text)]
    if found:
        return found
    near = difflib.get_close_matches(wanted, [_folded(entry.name) for entry in entries()], 3, 0.6)
    names = dict.fromkeys(
        entry.name for key in near for entry in entries() if _folded(entry.name) == key
    )
    raise UnknownWord(
        f"danku has no word {text[:80]!r}",
        why=f"near are: {', '.join(names)}" if names else "",
        fix=f"danku explain {_quoted(next(iter(names)))}" if names else "danku explain lists all",
    )


_REASONS = {
    "operator": ("unsupported operator", "is overloaded"),
    "limit": ("the limit is", "is larger than"),
    "version": ("opset version", "ir version"),
    "nan": ("has nan",),
    "domain": ("unsupported domain",),
    "false report": ("false report:",),
    "not-onnx": ("not an onnx model",),
    "wire": ("not allowed",),
    "dynamic-shape": ("dynamic shape",),
    "type": ("unsupported type", "unsupported element type"),
    "input": ("the input",),
    "output": ("fits", "outputs fit"),
    "runtime": ("out of range", "division by zero"),
    "duplicate": ("the same model as submission",),
    "unopened": ("was not opened in time",),
    "unavailable": ("nobody serves the model",),
}
"""Words of the reasons on a board, by the entry that explains them."""


def _reason(entry: Entry, text: str) -> bool:
    parts = _REASONS.get(entry.name, ()) if entry.kind in ("reason of rejection", "status") else ()
    return any(part in text.lower() for part in parts)


def _folded(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _spellings(entry: Entry) -> set[str]:
    name = _folded(entry.name)
    plain = {name, name + "s"}
    if entry.kind == "exit code":
        plain |= {f"exit{name}", f"exitcode{name}"}
    return plain


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
