"""Operators of `exact/1`, a module a family; each module lists its own in ``OPERATORS``."""
