# pragma version 0.4.3
"""
@title A token that does what it is told, not what the standard says.
"""

DENYING: constant(uint256) = 1  # says false, and moves nothing
GRUDGING: constant(uint256) = 2  # moves, and says false
FEE: constant(uint256) = 3  # moves one less
NOTHING: constant(uint256) = 4  # says true, and moves nothing
MORE: constant(uint256) = 5  # moves one more
CALLING: constant(uint256) = 6  # calls somebody before it moves
REVERTING: constant(uint256) = 7
LYING: constant(uint256) = 8  # moves nothing, and says that the receiver has it
VANISHING: constant(uint256) = 9  # says that the receiver has less than before

mode: public(uint256)
_balances: HashMap[address, uint256]
_lies: HashMap[address, uint256]
_target: address
_data: Bytes[8192]
calls: public(uint256)
successes: public(uint256)
answer: public(Bytes[4])


@external
def behave(mode: uint256):
    self.mode = mode


@external
def arm(target: address, data: Bytes[8192]):
    self._target = target
    self._data = data


@external
def mint(who: address, amount: uint256):
    self._balances[who] += amount


@external
@view
def balanceOf(who: address) -> uint256:
    if self.mode == VANISHING and self._lies[who] != 0:
        return 0
    return self._balances[who] + self._lies[who]


@external
@view
def allowance(owner: address, spender: address) -> uint256:
    return max_value(uint256)


@internal
def _move(owner: address, to: address, amount: uint256) -> bool:
    mode: uint256 = self.mode
    assert mode != REVERTING, "no transfers today"
    if mode == DENYING:
        return False
    if mode == NOTHING:
        return True
    if mode == LYING or mode == VANISHING:
        self._lies[to] += amount
        return True
    if mode == CALLING:
        self.calls += 1
        done: bool = False
        answer: Bytes[4] = b""
        done, answer = raw_call(self._target, self._data, max_outsize=4, revert_on_failure=False)
        if done:
            self.successes += 1
        else:
            self.answer = answer
    moved: uint256 = amount
    if mode == FEE:
        moved -= 1
    if mode == MORE:
        moved += 1
    self._balances[owner] -= moved
    self._balances[to] += moved
    return mode != GRUDGING


@external
def transfer(to: address, amount: uint256) -> bool:
    return self._move(msg.sender, to, amount)


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return self._move(owner, to, amount)
