"""Mechanisms: how a pot is divided, in exact integer arithmetic. A new one is one new file here."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from danku.mechanisms.definition import (
    MECHANISMS,
    BadMechanismTerms,
    BadPot,
    BadRanking,
    Mechanism,
    Passing,
    Ranked,
    UnknownMechanism,
    check_terms,
    mechanism,
    prizes,
    register,
)

__all__ = [
    "MECHANISMS",
    "BadMechanismTerms",
    "BadPot",
    "BadRanking",
    "Mechanism",
    "Passing",
    "Ranked",
    "UnknownMechanism",
    "check_terms",
    "mechanism",
    "prizes",
    "register",
]

for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_file}")
