"""Hypothesis strategies for records, read off their types, so that a new record needs none."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from danku.protocol.types import AMOUNT_LIMIT, SCORE_LIMIT, Amount, Score

_SCALARS = {
    Amount: st.integers(0, AMOUNT_LIMIT - 1).map(Amount),
    Score: st.integers(-SCORE_LIMIT + 1, SCORE_LIMIT - 1).map(Score),
}


def records(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a record type, or of a union of them, within all bounds."""
    return _values(msgspec.inspect.type_info(kind))


def _values(info: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case msgspec.inspect.CustomType(cls=cls):
            return _SCALARS[cls]
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _values(field.type) for field in fields})
        case msgspec.inspect.UnionType(types=types):
            return st.one_of(*map(_values, types))
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.IntType(ge=low, gt=above, le=high, lt=below):
            least = low if low is not None else None if above is None else above + 1
            most = high if high is not None else None if below is None else below - 1
            return st.integers(least, most)
        case msgspec.inspect.StrType(pattern=None, min_length=shortest, max_length=longest):
            return st.text(min_size=shortest or 0, max_size=min(longest or 20, 20))
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case msgspec.inspect.VarTupleType(item_type=item, min_length=shortest, max_length=longest):
            size = {"min_size": shortest or 0, "max_size": min(longest or 4, 4)}
            return st.lists(_values(item), **size).map(tuple)
    raise NotImplementedError(f"no strategy for {info}")
