# pragma version 0.4.3
"""
@title A token for tests: honest, or with one fault that tokens are known for.
"""

FEE: constant(uint256) = 1  # keeps 1 % of what is sent
LIE: constant(uint256) = 2  # says true and moves nothing
REFUSE: constant(uint256) = 3  # says false and moves nothing
BONUS: constant(uint256) = 4  # gives a unit more than was sent

fault: uint256
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(fault: uint256):
    self.fault = fault


@external
def mint(who: address, amount: uint256):
    self.balanceOf[who] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@internal
def _move(sender: address, payee: address, amount: uint256) -> bool:
    if self.fault == LIE:
        return True
    if self.fault == REFUSE:
        return False
    got: uint256 = amount
    if self.fault == FEE:
        got -= amount // 100
    elif self.fault == BONUS:
        got += 1
    self.balanceOf[sender] -= amount
    self.balanceOf[payee] += got
    return True


@external
def transfer(payee: address, amount: uint256) -> bool:
    return self._move(msg.sender, payee, amount)


@external
def transferFrom(sender: address, payee: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, payee, amount)
