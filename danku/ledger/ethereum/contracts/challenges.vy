# pragma version 0.4.3
"""
@title What is stored of challenges, and what the rules of many actions ask first.
@notice A challenge is one stored keccak and one word of counters; who acts hands over what the
        keccak stands for (`Agreement`, `Panel`, `Committee` in layout.vy).
"""

import layout
import digests
import registry

uses: registry

AMOUNT: constant(uint256) = layout.AMOUNT
COUNT: constant(uint256) = layout.COUNT

# Outcomes, in the order of danku.protocol.actions.OUTCOMES
TEST: constant(uint256) = 0
VOID: constant(uint256) = 2

# A final challenge's record where nothing is paid by proof
NO_PAYOUTS: constant(bytes32) = (
    0x0000000000000000000000000000000000000000000000000000000000000001
)

# keccak of an Agreement; of a final challenge the payout root, or 1
records: public(HashMap[bytes32, bytes32])
# See layout.vy
status: public(HashMap[bytes32, uint256])
# The newest learning link
link: public(bytes32)

_contributions: HashMap[bytes32, HashMap[address, uint256]]
_submissions: HashMap[bytes32, HashMap[address, HashMap[uint256, uint256]]]
_votes: HashMap[bytes32, HashMap[uint256, HashMap[address, uint256]]]
_committees: HashMap[bytes32, HashMap[uint256, bytes32]]
_seeds: HashMap[bytes32, bytes32]
_mixes: HashMap[bytes32, bytes32]
_claimed: HashMap[bytes32, HashMap[uint256, uint256]]


@internal
@view
def _ongoing(challenge: bytes32, terms: layout.Agreement) -> uint256:
    """
    @return The status of a challenge that is not settled, and whose agreement this is.
    """
    record: bytes32 = self.records[challenge]
    if record == empty(bytes32):
        raw_revert(method_id("UnknownChallenge()"))
    status: uint256 = self.status[challenge]
    if status & 1 != 0:
        raw_revert(method_id("Final()"))
    if keccak256(abi_encode(terms)) != record:
        raw_revert(method_id("WrongWitness()"))
    return status


@internal
@view
def _final(challenge: bytes32) -> uint256:
    """
    @return The status of a challenge that is settled.
    """
    if self.records[challenge] == empty(bytes32):
        raw_revert(method_id("UnknownChallenge()"))
    status: uint256 = self.status[challenge]
    if status & 1 == 0:
        raw_revert(method_id("NotFinal()"))
    return status


@internal
@pure
def _panel_holds(terms: layout.Agreement, panel: layout.Panel):
    if keccak256(abi_encode(panel)) != terms.panel:
        raw_revert(method_id("WrongWitness()"))


@internal
@view
def _window(start: uint256, end: uint256):
    if block.timestamp < start:
        raw_revert(method_id("Early()"))
    if block.timestamp >= end:
        raw_revert(method_id("Late()"))


@internal
@view
def _organizer_only(terms: layout.Agreement):
    if convert(msg.sender, uint256) != terms.origin & layout.OWNER:
        raw_revert(method_id("NotOrganizer()"))


@internal
@pure
def _cid(cid: String[80]):
    if not digests.is_cid(cid):
        raw_revert(method_id("Malformed()"))


@internal
@pure
def _named(terms: layout.Agreement) -> bool:
    return (terms.schedule >> layout.PANEL_KIND) & 1 == 0


@internal
@pure
def _seats(terms: layout.Agreement) -> uint256:
    return (terms.prize >> layout.SEATS) & 31


@internal
@view
def _serves(challenge: bytes32, terms: layout.Agreement, owner: address) -> bool:
    return (
        convert(owner, uint256) != terms.origin & layout.OWNER
        and self._submissions[challenge][owner][0] == 0
    )


@internal
@view
def _eligible(challenge: bytes32, terms: layout.Agreement, owner: address) -> uint256:
    """
    @return Seats of an owner that may be drawn for a challenge as things stand.
    """
    if not self._serves(challenge, terms, owner):
        return 0
    return registry._held_at(owner, (terms.origin >> layout.POOL_VERSION) & layout.VERSION)


@internal
@view
def _round_due(terms: layout.Agreement) -> uint256:
    return 2 if block.timestamp >= layout.end(terms, 8) else 1


@internal
@view
def _committee_holds(challenge: bytes32, number: uint256, committee: layout.Committee):
    if keccak256(abi_encode(committee)) != self._committees[challenge][number]:
        raw_revert(method_id("WrongWitness()"))


@internal
@pure
def _convened(status: uint256, number: uint256) -> bool:
    return (status >> unsafe_add(layout.CONVENED, unsafe_sub(number, 1))) & 1 != 0


@internal
@pure
def _lost_deposits(terms: layout.Agreement, status: uint256) -> uint256:
    unopened: uint256 = unsafe_sub(
        (status >> layout.CONTRIBUTIONS) & 255, (status >> layout.CONTRIBUTIONS_OPENED) & 255
    )
    return unsafe_mul(unopened, (terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT)


@internal
@pure
def _distributable(terms: layout.Agreement, status: uint256, outcome: uint256) -> uint256:
    """
    @return What the payout tree may pay.
    """
    amount: uint256 = unsafe_add(
        unsafe_mul((status >> layout.SUBMISSIONS) & COUNT, terms.entry & AMOUNT),
        self._lost_deposits(terms, status),
    )
    if outcome != VOID:
        amount = unsafe_add(amount, terms.prize & AMOUNT)
    if outcome != TEST:
        amount = unsafe_add(amount, terms.bonds & AMOUNT)
    return amount


@internal
@pure
def _ballot_mark(ballot: layout.Ballot) -> uint256:
    return convert(keccak256(abi_encode(ballot)), uint256) | layout.MARK
