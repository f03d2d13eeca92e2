# pragma version 0.4.3
"""
@title How the contracts refuse: with the four bytes of ``Name()``, for the rule of that name.
"""


@internal
@pure
def refuse(rule: bytes4):
    raw_revert(slice(convert(rule, bytes32), 0, 4))
