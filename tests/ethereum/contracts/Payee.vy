# pragma version 0.4.3
"""
@title A payee that calls back whoever pays it, or refuses money.
"""

_target: address
_data: Bytes[8192]
_refuses: bool
calls: public(uint256)
successes: public(uint256)
answer: public(Bytes[4])


@external
def arm(target: address, data: Bytes[8192]):
    self._target = target
    self._data = data


@external
def refuse(wanted: bool):
    self._refuses = wanted


@external
@payable
def __default__():
    assert not self._refuses, "not today"
    if len(self._data) == 0:
        return
    self.calls += 1
    done: bool = False
    answer: Bytes[4] = b""
    done, answer = raw_call(self._target, self._data, max_outsize=4, revert_on_failure=False)
    if done:
        self.successes += 1
    else:
        self.answer = answer
