# pragma version 0.4.3
"""
@title Ether that nobody can refuse.
"""


@external
@payable
def force(target: address):
    selfdestruct(target)
