# pragma version 0.4.3
"""
@title A token of the kind that answers nothing, as some old ones do.
"""

balanceOf: public(HashMap[address, uint256])


@external
def mint(who: address, amount: uint256):
    self.balanceOf[who] += amount


@external
def transfer(to: address, amount: uint256):
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount


@external
def transferFrom(owner: address, to: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount
