# pragma version 0.4.3
"""
@title A token that returns nothing, as some old ones do.
"""

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@external
def mint(who: address, amount: uint256):
    self.balanceOf[who] += amount


@external
def approve(spender: address, amount: uint256):
    self.allowance[msg.sender][spender] = amount


@external
def transfer(payee: address, amount: uint256):
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[payee] += amount


@external
def transferFrom(sender: address, payee: address, amount: uint256):
    self.allowance[sender][msg.sender] -= amount
    self.balanceOf[sender] -= amount
    self.balanceOf[payee] += amount
