# pragma version 0.4.3
# pragma optimize gas
"""
@title The part of the arena that takes seeds, draws committees, cancels and keeps the registry.
@notice It is code for the arena, which calls it with its own storage (Arena.vy); called itself it
        refuses.
"""

import layout
import refusals
import digests
import money
import registry
import challenges

initializes: money
initializes: registry[money := money]
initializes: challenges[registry := registry]

exports: (money.currency, registry.stake, registry.unbonding)


event Contributed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    commitment: bytes32


event SeedOpened:
    challenge: indexed(bytes32)
    sender: indexed(address)
    secret: bytes32


event Reported:
    challenge: indexed(bytes32)
    sender: indexed(address)
    number: uint256
    score: int256


event Convened:
    challenge: indexed(bytes32)
    sender: indexed(address)


event Cancelled:
    challenge: indexed(bytes32)
    sender: indexed(address)


event DepositClaimed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    number: uint256


event Joined:
    sender: indexed(address)
    seats: uint256
    held: uint256


event Left:
    sender: indexed(address)
    seats: DynArray[uint256, 256]


event Unstaked:
    sender: indexed(address)
    seats: DynArray[uint256, 256]


AMOUNT: constant(uint256) = layout.AMOUNT
COUNT: constant(uint256) = layout.COUNT
NUMBER: constant(uint256) = 2**17 - 1

# Seed sources, in the order of danku.protocol.terms.SEED_SOURCES
BEACON: constant(uint256) = 1

WALK_STEPS: constant(uint256) = 512

_here: immutable(address)


@deploy
def __init__(currency: address, stake: uint256, unbonding: uint256):
    """
    @param currency The token of all money, or zero for ether.
    @param stake One seat's deposit, or zero for no registry.
    @param unbonding Seconds between leaving and taking a stake out, or zero for no registry.
    """
    money.__init__(currency)
    registry.__init__(stake, unbonding)
    _here = self


@internal
@view
def _in_arena():
    # NOTE: this contract's own storage is nobody's; money sent here would be lost.
    assert self != _here, "call the arena"


# --- stage 1: initialization ----------------------------------------------------------------------


@external
@payable
@nonreentrant
def contribute(
    challenge: bytes32, terms: layout.Agreement, panel: layout.Panel, commitment: bytes32
):
    """
    @notice Validator: commits to 32 random bytes for the seed.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge)
    challenges._panel_holds(terms.panel, panel)
    challenges._window(0, layout.end(terms.schedule, terms.bonds, 1))
    judges: bool = False
    limit: uint256 = 64
    if challenges._named(terms.schedule):
        judges = convert(msg.sender, uint256) in panel.members
        limit = len(panel.members)
    else:
        judges = challenges._eligible(challenge, terms.origin, msg.sender) > 0
    if not judges or (terms.schedule >> layout.SEED_SOURCE) & 3 == BEACON:
        refusals.refuse(method_id("NotOnPanel()", output_type=bytes4))
    if challenges._contributions[challenge][msg.sender] != 0:
        refusals.refuse(method_id("AlreadyContributed()", output_type=bytes4))
    index: uint256 = (status >> layout.CONTRIBUTIONS) & 255
    if index >= limit:
        refusals.refuse(method_id("TooManyContributions()", output_type=bytes4))
    challenges._contributions[challenge][msg.sender] = (
        challenges._mark(commitment) & layout.CONTRIBUTION_HASH
    ) | (index << layout.CONTRIBUTION_INDEX)
    challenges.status[challenge] = unsafe_add(status, 1 << layout.CONTRIBUTIONS)
    log Contributed(challenge=challenge, sender=msg.sender, commitment=commitment)
    money._take((terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT)


@external
@payable
def open_seed(
    challenge: bytes32, terms: layout.Agreement, panel: layout.Panel, secret: bytes32
):
    """
    @notice Organizer or contributor: opens the committed 32 bytes.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge)
    challenges._panel_holds(terms.panel, panel)
    challenges._window(
        layout.end(terms.schedule, terms.bonds, 1), layout.end(terms.schedule, terms.bonds, 2)
    )
    expected: bytes32 = digests.seed_commitment(challenge, msg.sender, secret)
    if convert(msg.sender, uint256) == terms.origin & layout.OWNER:
        if (status >> layout.SECRET) & 1 != 0:
            refusals.refuse(method_id("AlreadyOpened()", output_type=bytes4))
        if expected != panel.seed_commitment:
            refusals.refuse(method_id("CommitmentMismatch()", output_type=bytes4))
        challenges.status[challenge] = status | (1 << layout.SECRET)
    else:
        mark: uint256 = challenges._contributions[challenge][msg.sender]
        if mark == 0:
            refusals.refuse(method_id("NotContributor()", output_type=bytes4))
        if mark & layout.MARK != 0:
            refusals.refuse(method_id("AlreadyOpened()", output_type=bytes4))
        if (mark ^ challenges._mark(expected)) & layout.CONTRIBUTION_HASH != 0:
            refusals.refuse(method_id("CommitmentMismatch()", output_type=bytes4))
        challenges._contributions[challenge][msg.sender] = (
            (convert(keccak256(secret), uint256) & layout.CONTRIBUTION_HASH)
            | (mark & ~layout.CONTRIBUTION_HASH)
            | layout.MARK
        )
        challenges.status[challenge] = unsafe_add(status, 1 << layout.CONTRIBUTIONS_OPENED)
        money._credit(msg.sender, (terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT)
    log SeedOpened(challenge=challenge, sender=msg.sender, secret=secret)
    money._take(0)


# --- stage 2: submission --------------------------------------------------------------------------


@external
@payable
def report(
    challenge: bytes32, terms: layout.Agreement, number: uint256, score: int256, place: uint256
):
    """
    @notice Submitter: says what its model scores on the yardstick; only the event keeps it.
    @param place How many submissions the sender made to this challenge before that one.
    """
    self._in_arena()
    if place >= 1000 or score >= 2**63 or score <= -(2**63):
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    status: uint256 = challenges._ongoing(challenge)
    challenges._window(0, layout.end(terms.schedule, terms.bonds, 4))
    if number >= (status >> layout.SUBMISSIONS) & COUNT:
        refusals.refuse(method_id("UnknownSubmission()", output_type=bytes4))
    mark: uint256 = challenges._submissions[challenge][msg.sender][place]
    if mark == 0 or (mark >> layout.SUBMISSION_NUMBER) & NUMBER != number:
        refusals.refuse(method_id("NotSubmitter()", output_type=bytes4))
    log Reported(challenge=challenge, sender=msg.sender, number=number, score=score)
    money._take(0)


# --- stage 4: evaluation --------------------------------------------------------------------------


@internal
@view
def _walk_holds(challenge: bytes32, number: uint256, committee: layout.Committee):
    """
    @notice A round's walk stands where it is said to, or has not begun.
    """
    kept: bytes32 = challenges._committees[challenge][number]
    holds: bool = keccak256(abi_encode(committee)) == kept
    if kept == empty(bytes32):
        holds = (
            len(committee.owners) == 0 and len(committee.seats) == 0 and committee.position == 0
        )
    if not holds:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))


@internal
@view
def _walked(
    challenge: bytes32,
    terms: layout.Agreement,
    number: uint256,
    first: layout.Committee,
    second: layout.Committee,
) -> layout.Committee:
    """
    @notice A committee of staked seats after at most WALK_STEPS more candidates; the walk is that
            of danku/protocol/committee.py.
    """
    found: layout.Committee = first
    if number == 2:
        found = second
        if challenges._committees[challenge][2] == empty(bytes32):
            found = layout.Committee(owners=[], seats=[], position=first.position)
    seed: bytes32 = challenges._seeds[challenge]
    mix: bytes32 = challenges._mixes[challenge]
    version: uint256 = (terms.origin >> layout.POOL_VERSION) & layout.VERSION
    slots: uint256 = (terms.origin >> layout.POOL_SLOTS) & (2**21 - 1)
    size: uint256 = challenges._seats(terms.prize)
    # NOTE: 2**256 modulo slots, by which the largest words are uneven.
    limit: uint256 = max_value(uint256) - (max_value(uint256) % slots + 1) % slots
    for _: uint256 in range(WALK_STEPS):
        if len(found.seats) == size:
            break
        word: uint256 = digests.candidate(seed, mix, found.position)
        found.position = unsafe_add(found.position, 1)
        slot: uint256 = word % slots
        if word > limit or slot in found.seats or (number == 2 and slot in first.seats):
            continue
        seat: uint256 = registry._seats[slot]
        owner: address = convert(seat & layout.OWNER, address)
        if registry._in_pool(seat, version) and challenges._serves(challenge, terms.origin, owner):
            found.seats.append(slot)
            found.owners.append(seat & layout.OWNER)
    return found


@external
@payable
def convene(
    challenge: bytes32,
    terms: layout.Agreement,
    seed_commitment: bytes32,
    first: layout.Committee,
    second: layout.Committee,
):
    """
    @notice Anyone: calls the committee of staked seats of the round that is due, or goes on with
            drawing it.
    @param seed_commitment Any: it is for named panels, which the arena itself convenes.
    @param first Round one's committee as far as it was drawn.
    @param second Round two's.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge)
    number: uint256 = challenges._convenable(challenge, terms, status, seed_commitment, first)
    self._walk_holds(challenge, 1, first)
    self._walk_holds(challenge, 2, second)
    walked: layout.Committee = self._walked(challenge, terms, number, first, second)
    challenges._committees[challenge][number] = keccak256(abi_encode(walked))
    if len(walked.seats) == challenges._seats(terms.prize):
        challenges._convene(challenge, status, number)
    log Convened(challenge=challenge, sender=msg.sender)
    money._take(0)


# --- stage 5: finalization ------------------------------------------------------------------------


@external
@payable
def cancel(challenge: bytes32, terms: layout.Agreement, contributors: DynArray[address, 64]):
    """
    @notice Organizer: ends a challenge before any model can be opened.
    @param contributors While seeds can be opened: those who have not, in the order of their
           commitments; they get their deposits back.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge)
    challenges._organizer_only(terms.origin)
    challenges._window(0, layout.end(terms.schedule, terms.bonds, 4))
    committed: uint256 = (status >> layout.CONTRIBUTIONS) & 255
    lost: uint256 = challenges._lost_deposits(terms.bonds, status)
    deposit: uint256 = (terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT
    seedless: bool = block.timestamp < layout.end(terms.schedule, terms.bonds, 2)
    if seedless:
        lost = 0
        opened: uint256 = (status >> layout.CONTRIBUTIONS_OPENED) & 255
        if len(contributors) != unsafe_sub(committed, opened):
            refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
        following: uint256 = 0
        for contributor: address in contributors:
            mark: uint256 = challenges._contributions[challenge][contributor]
            index: uint256 = (mark >> layout.CONTRIBUTION_INDEX) & 127
            if mark == 0 or mark & layout.MARK != 0 or index < following:
                refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
            following = unsafe_add(index, 1)
            money._credit(contributor, deposit)
    returned: uint256 = unsafe_add(terms.prize & AMOUNT, (terms.prize >> layout.FEE) & AMOUNT)
    beacon: bool = (terms.schedule >> layout.SEED_SOURCE) & 3 == BEACON
    if committed == 0 and (seedless or not beacon):
        returned = unsafe_add(returned, terms.bonds & AMOUNT)
    else:
        lost = unsafe_add(lost, terms.bonds & AMOUNT)
    money._credit(convert(terms.origin & layout.OWNER, address), returned)
    money._credit(money.BURN, lost)
    paid: uint256 = challenges._paid_in(terms.entry)
    submissions: uint256 = (status >> layout.SUBMISSIONS) & COUNT
    escrow: uint256 = unsafe_mul(submissions, paid)
    challenges._settle(
        challenge, status, challenges.CANCELLED, escrow, paid, challenges.NO_PAYOUTS
    )
    log Cancelled(challenge=challenge, sender=msg.sender)
    money._take(0)


# --- payments -------------------------------------------------------------------------------------


@external
@payable
@nonreentrant
def claim_deposit(challenge: bytes32, number: uint256, submitter: address, place: uint256):
    """
    @notice Anyone: has a submission's deposit paid back to its submitter, where no committee
            decided.
    @param place How many submissions the submitter made to this challenge before that one.
    """
    self._in_arena()
    if place >= 1000:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    status: uint256 = challenges._final(challenge)
    if number >= (status >> layout.SUBMISSIONS) & COUNT:
        refusals.refuse(method_id("UnknownSubmission()", output_type=bytes4))
    mark: uint256 = challenges._submissions[challenge][submitter][place]
    if mark == 0 or (mark >> layout.SUBMISSION_NUMBER) & NUMBER != number:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    kind: uint256 = (status >> layout.KIND) & 7
    deposit: uint256 = status >> layout.DEPOSIT
    owed: bool = kind == challenges.CANCELLED or (
        kind == challenges.NO_QUORUM and mark & layout.MARK != 0
    )
    if not owed or deposit == 0:
        refusals.refuse(method_id("NothingOwed()", output_type=bytes4))
    if mark & layout.SUBMISSION_PAID != 0:
        refusals.refuse(method_id("AlreadyClaimed()", output_type=bytes4))
    challenges._submissions[challenge][submitter][place] = mark | layout.SUBMISSION_PAID
    challenges.status[challenge] = unsafe_sub(status, deposit << layout.ESCROW)
    log DepositClaimed(challenge=challenge, sender=msg.sender, number=number)
    money._take(0)
    money._pay(submitter, deposit)


# --- the registry ---------------------------------------------------------------------------------


@external
@payable
@nonreentrant
def join(seats: uint256, held: uint256):
    """
    @notice Anyone: stakes seats in the registry.
    @param held How many the sender holds already, so that nothing is bought twice.
    """
    self._in_arena()
    registry._join(seats, held)
    log Joined(sender=msg.sender, seats=seats, held=held)


@external
@payable
def leave(seats: DynArray[uint256, 256]):
    """
    @notice Owner: ends seats, whose stakes can be taken out after the unbonding delay.
    """
    self._in_arena()
    registry._leave(seats)
    log Left(sender=msg.sender, seats=seats)


@external
@payable
@nonreentrant
def unstake(seats: DynArray[uint256, 256]):
    """
    @notice Owner: takes out what is left of the stakes of ended seats.
    """
    self._in_arena()
    left: uint256 = registry._unstake(seats)
    log Unstaked(sender=msg.sender, seats=seats)
    money._pay(msg.sender, left)
