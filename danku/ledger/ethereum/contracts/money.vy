# pragma version 0.4.3
"""
@title What is owed to whom, and the one currency of the arena: ether, or an ERC-20 token.
@notice Whatever comes in is measured, whatever goes out is pulled by somebody and sent last.
"""

from ethereum.ercs import IERC20
import refusals

BURN: constant(address) = 0x000000000000000000000000000000000000dEaD

# The token's address; zero for ether.
currency: public(immutable(address))

# NOTE: one unit more than is owed, once there was something, so that later credits are cheap.
_credits: HashMap[address, uint256]


@deploy
def __init__(currency_: address):
    assert currency_ == empty(address) or currency_.is_contract, "no token"
    currency = currency_


@internal
@view
def _credit_of(who: address) -> uint256:
    kept: uint256 = self._credits[who]
    return 0 if kept == 0 else unsafe_sub(kept, 1)


@internal
def _credit(who: address, amount: uint256):
    if amount == 0:
        return
    kept: uint256 = self._credits[who]
    self._credits[who] = unsafe_add(1 if kept == 0 else kept, amount)


@internal
def _clear(who: address) -> uint256:
    amount: uint256 = self._credit_of(who)
    if amount != 0:
        self._credits[who] = 1
    return amount


@internal
@payable
def _take(amount: uint256):
    """
    @notice Take exactly this much from the sender: the value of the call, or tokens.
    """
    token: address = currency
    if token == empty(address):
        if msg.value != amount:
            refusals.refuse(method_id("WrongValue()", output_type=bytes4))
        return
    if msg.value != 0:
        refusals.refuse(method_id("WrongValue()", output_type=bytes4))
    if amount == 0:
        return
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    taken: bool = extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    )
    after: uint256 = staticcall IERC20(token).balanceOf(self)
    if not taken or after < before or unsafe_sub(after, before) != amount:
        refusals.refuse(method_id("WrongValue()", output_type=bytes4))


@internal
def _pay(payee: address, amount: uint256):
    """
    @notice Send what was taken off the books before; the caller lets nobody in again.
    """
    if amount == 0:
        return
    paid: bool = False
    token: address = currency
    if token == empty(address):
        paid = raw_call(payee, b"", value=amount, revert_on_failure=False)
    else:
        paid = extcall IERC20(token).transfer(payee, amount, default_return_value=True)
    if not paid:
        refusals.refuse(method_id("PayeeRefused()", output_type=bytes4))
