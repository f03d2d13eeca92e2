# pragma version 0.4.3
"""
@title What is stored of challenges, and what the rules of many actions ask first.
@notice A challenge is one stored keccak and one word of counters; who acts hands over what the
        keccak stands for (`Agreement`, `Panel`, `Committee` in layout.vy).
"""

import layout
import refusals
import digests
import registry

uses: registry

AMOUNT: constant(uint256) = layout.AMOUNT
COUNT: constant(uint256) = layout.COUNT

# Outcomes, in the order of danku.protocol.actions.OUTCOMES
TEST: constant(uint256) = 0
VOID: constant(uint256) = 2

# Settlements, in the order of danku.protocol.state.SettlementKind
DECIDED: constant(uint256) = 0
NOTHING_OPENED: constant(uint256) = 1
NO_QUORUM: constant(uint256) = 2
NO_TRAIN: constant(uint256) = 3
NO_SEED: constant(uint256) = 4
FEW_CONTRIBUTIONS: constant(uint256) = 5
CANCELLED: constant(uint256) = 6

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
# Of each submitter its submissions, in order
_submissions: HashMap[bytes32, HashMap[address, uint256[1000]]]
# Of each validator its votes in rounds one and two
_votes: HashMap[bytes32, HashMap[address, uint256[2]]]
_committees: HashMap[bytes32, HashMap[uint256, bytes32]]
_seeds: HashMap[bytes32, bytes32]
_mixes: HashMap[bytes32, bytes32]
_claimed: HashMap[bytes32, HashMap[uint256, uint256]]


@internal
@view
def _ongoing(challenge: bytes32) -> uint256:
    """
    @return The status of a challenge that is not settled, and whose agreement was handed over.
    """
    record: bytes32 = self.records[challenge]
    if record == empty(bytes32):
        refusals.refuse(method_id("UnknownChallenge()", output_type=bytes4))
    status: uint256 = self.status[challenge]
    if status & 1 != 0:
        refusals.refuse(method_id("Final()", output_type=bytes4))
    if self._record() != record:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    return status


@internal
@view
def _require_ongoing(challenge: bytes32):
    status: uint256 = self._ongoing(challenge)


@internal
@view
def _record() -> bytes32:
    """
    @return keccak of the agreement: it is the second argument of whatever acts on a challenge.
    """
    return keccak256(slice(msg.data, 36, 192))


@internal
@view
def _mark(commitment: bytes32) -> uint256:
    """
    @return What is kept of a commitment; it opens under the same agreement alone.
    """
    return convert(keccak256(concat(commitment, self._record())), uint256)


@internal
@pure
def _paid_in(entry: uint256) -> uint256:
    """
    @return What a submission costs.
    """
    return unsafe_add(entry & AMOUNT, (entry >> layout.ENTRY_FEE) & AMOUNT)


@internal
@view
def _final(challenge: bytes32) -> uint256:
    """
    @return The status of a challenge that is settled.
    """
    if self.records[challenge] == empty(bytes32):
        refusals.refuse(method_id("UnknownChallenge()", output_type=bytes4))
    status: uint256 = self.status[challenge]
    if status & 1 == 0:
        refusals.refuse(method_id("NotFinal()", output_type=bytes4))
    return status


@internal
@pure
def _panel_digest(panel: layout.Panel) -> bytes32:
    return keccak256(abi_encode(panel))


@internal
@pure
def _panel_holds(digest: bytes32, panel: layout.Panel):
    if self._panel_digest(panel) != digest:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))


@internal
@view
def _window(start: uint256, end: uint256):
    if block.timestamp < start:
        refusals.refuse(method_id("Early()", output_type=bytes4))
    if block.timestamp >= end:
        refusals.refuse(method_id("Late()", output_type=bytes4))


@internal
@view
def _organizer_only(origin: uint256):
    if convert(msg.sender, uint256) != origin & layout.OWNER:
        refusals.refuse(method_id("NotOrganizer()", output_type=bytes4))


@internal
@pure
def _cid(cid: String[80]):
    if not digests.is_cid(cid):
        refusals.refuse(method_id("Malformed()", output_type=bytes4))


@internal
@pure
def _named(schedule: uint256) -> bool:
    return (schedule >> layout.PANEL_KIND) & 1 == 0


@internal
@pure
def _seats(prize: uint256) -> uint256:
    return (prize >> layout.SEATS) & 31


@internal
@view
def _serves(challenge: bytes32, origin: uint256, owner: address) -> bool:
    return (
        convert(owner, uint256) != origin & layout.OWNER
        and self._submissions[challenge][owner][0] == 0
    )


@internal
@view
def _eligible(challenge: bytes32, origin: uint256, owner: address) -> uint256:
    """
    @return Seats of an owner that may be drawn for a challenge as things stand.
    """
    if not self._serves(challenge, origin, owner):
        return 0
    return registry._held_at(owner, (origin >> layout.POOL_VERSION) & layout.VERSION)


@internal
@view
def _round_due(schedule: uint256, bonds: uint256) -> uint256:
    return 2 if block.timestamp >= layout.end(schedule, bonds, 8) else 1


@internal
@view
def _committee_holds(
    challenge: bytes32,
    schedule: uint256,
    panel: bytes32,
    number: uint256,
    seed_commitment: bytes32,
    committee: layout.Committee,
):
    """
    @notice Who sits in a round that was convened: of a named panel its members, as owners.
    """
    if self._named(schedule):
        self._panel_holds(
            panel, layout.Panel(seed_commitment=seed_commitment, members=committee.owners)
        )
    elif keccak256(abi_encode(committee)) != self._committees[challenge][number]:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))


@internal
@pure
def _convened(status: uint256, number: uint256) -> bool:
    return (status >> unsafe_add(layout.CONVENED, unsafe_sub(number, 1))) & 1 != 0


@internal
@pure
def _lost_deposits(bonds: uint256, status: uint256) -> uint256:
    unopened: uint256 = unsafe_sub(
        (status >> layout.CONTRIBUTIONS) & 255, (status >> layout.CONTRIBUTIONS_OPENED) & 255
    )
    return unsafe_mul(unopened, (bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT)


@internal
@pure
def _distributable(
    prize: uint256, bonds: uint256, entry: uint256, status: uint256, outcome: uint256
) -> uint256:
    """
    @return What the payout tree may pay.
    """
    amount: uint256 = unsafe_add(
        unsafe_mul((status >> layout.SUBMISSIONS) & COUNT, entry & AMOUNT),
        self._lost_deposits(bonds, status),
    )
    if outcome != VOID:
        amount = unsafe_add(amount, prize & AMOUNT)
    if outcome != TEST:
        amount = unsafe_add(amount, bonds & AMOUNT)
    return amount


@internal
@pure
def _ballot_mark(ballot: layout.Ballot) -> uint256:
    return convert(keccak256(abi_encode(ballot)), uint256) | layout.MARK


@internal
@pure
def _quorum(prize: uint256, seats: uint256) -> bool:
    return unsafe_mul(3, seats) >= unsafe_mul(2, self._seats(prize))


@internal
@view
def _marks(
    challenge: bytes32, number: uint256, owners: DynArray[uint256, 16]
) -> DynArray[uint256, 16]:
    """
    @return What each seat's owner committed to or opened in a round.
    """
    marks: DynArray[uint256, 16] = []
    for owner: uint256 in owners:
        marks.append(self._votes[challenge][convert(owner, address)][unsafe_sub(number, 1)])
    return marks


@internal
@pure
def _decision(prize: uint256, marks: DynArray[uint256, 16]) -> uint256:
    """
    @return The opened ballot of at least two thirds of the committee's seats, or zero.
    """
    for mark: uint256 in marks:
        if mark & layout.MARK == 0:
            continue
        same: uint256 = 0
        for other: uint256 in marks:
            if other == mark:
                same = unsafe_add(same, 1)
        if self._quorum(prize, same):
            return mark
    return 0


@internal
@view
def _convenable(
    challenge: bytes32,
    terms: layout.Agreement,
    status: uint256,
    seed_commitment: bytes32,
    first: layout.Committee,
) -> uint256:
    """
    @return The round whose committee may be called now.
    """
    number: uint256 = self._round_due(terms.schedule, terms.bonds)
    start: uint256 = 0
    end: uint256 = 0
    over: uint256 = 0
    start, end, over = layout.round_ends(terms.schedule, terms.bonds, number)
    if not self._named(terms.schedule):
        # NOTE: a committee that is called at the last second would pay for its silence.
        end = start + (end - start + 1) // 2
    self._window(start, end)
    if (status >> layout.OPENED) & COUNT == 0:
        refusals.refuse(method_id("NoSubmissionOpened()", output_type=bytes4))
    if self._convened(status, number):
        refusals.refuse(method_id("AlreadyConvened()", output_type=bytes4))
    if number == 2 and self._convened(status, 1):
        self._committee_holds(
            challenge, terms.schedule, terms.panel, 1, seed_commitment, first
        )
        if self._decision(terms.prize, self._marks(challenge, 1, first.owners)) != 0:
            refusals.refuse(method_id("QuorumReached()", output_type=bytes4))
    return number


@internal
def _convene(challenge: bytes32, status: uint256, number: uint256):
    self.status[challenge] = status | (
        1 << unsafe_add(layout.CONVENED, unsafe_sub(number, 1))
    )


@internal
def _settle(
    challenge: bytes32,
    status: uint256,
    kind: uint256,
    escrow: uint256,
    deposit: uint256,
    root: bytes32,
):
    """
    @notice Make a challenge final: what is left in its escrow, and how it can be claimed.
    """
    self.records[challenge] = root
    self.status[challenge] = (
        1
        | (kind << layout.KIND)
        | (status & (COUNT << layout.SUBMISSIONS))
        | (escrow << layout.ESCROW)
        | (deposit << layout.DEPOSIT)
        | ((1 if kind == DECIDED and escrow != 0 else 0) << layout.PAYS)
    )
