# pragma version 0.4.3
# pragma optimize gas
"""
@title The part of the arena that calls committees, settles challenges and keeps the registry.
@notice It is code for the arena, which calls it with its own storage (Arena.vy); called itself it
        refuses.
"""

import layout
import digests
import money
import registry
import challenges

initializes: money
initializes: registry[money := money]
initializes: challenges[registry := registry]

exports: (money.currency, registry.stake, registry.unbonding)


event Convened:
    challenge: indexed(bytes32)
    sender: indexed(address)


event Finalized:
    challenge: indexed(bytes32)
    sender: indexed(address)
    kind: uint256
    link: bytes32


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

# Seed sources, in the order of danku.protocol.terms.SEED_SOURCES
BEACON: constant(uint256) = 1

# Settlements, in the order of danku.protocol.state.SettlementKind
DECIDED: constant(uint256) = 0
NOTHING_OPENED: constant(uint256) = 1
NO_QUORUM: constant(uint256) = 2
NO_TRAIN: constant(uint256) = 3
NO_SEED: constant(uint256) = 4
FEW_CONTRIBUTIONS: constant(uint256) = 5
CANCELLED: constant(uint256) = 6

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


# --- stage 4: evaluation --------------------------------------------------------------------------


@internal
@pure
def _quorum(terms: layout.Agreement, seats: uint256) -> bool:
    return unsafe_mul(3, seats) >= unsafe_mul(2, challenges._seats(terms))


@internal
@view
def _marks(
    challenge: bytes32, number: uint256, owners: DynArray[address, 16]
) -> DynArray[uint256, 16]:
    """
    @return What each seat's owner committed to or opened in a round.
    """
    marks: DynArray[uint256, 16] = []
    for owner: address in owners:
        marks.append(challenges._votes[challenge][number][owner])
    return marks


@internal
@pure
def _decision(terms: layout.Agreement, marks: DynArray[uint256, 16]) -> uint256:
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
        if self._quorum(terms, same):
            return mark
    return 0


@internal
@pure
def _opened(marks: DynArray[uint256, 16]) -> uint256:
    opened: uint256 = 0
    for mark: uint256 in marks:
        opened = unsafe_add(opened, mark & layout.MARK)
    return opened


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
    size: uint256 = challenges._seats(terms)
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
        if registry._in_pool(seat, version) and challenges._serves(challenge, terms, owner):
            found.seats.append(slot)
            found.owners.append(owner)
    return found


@external
@payable
def convene(
    challenge: bytes32,
    terms: layout.Agreement,
    panel: layout.Panel,
    first: layout.Committee,
    second: layout.Committee,
):
    """
    @notice Anyone: calls the committee of the round that is due, or goes on with drawing it.
    @param first Round one's committee as far as it was drawn; empty for a named panel.
    @param second Round two's.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._panel_holds(terms, panel)
    number: uint256 = challenges._round_due(terms)
    start: uint256 = layout.end(terms, 6 if number == 1 else 8)
    end: uint256 = layout.end(terms, 7 if number == 1 else 9)
    named: bool = challenges._named(terms)
    if not named:
        end = start + (end - start + 1) // 2
    challenges._window(start, end)
    if (status >> layout.OPENED) & COUNT == 0:
        raw_revert(method_id("NoSubmissionOpened()"))
    if challenges._convened(status, number):
        raw_revert(method_id("AlreadyConvened()"))
    drawn: bool = challenges._committees[challenge][1] != empty(bytes32)
    if drawn:
        challenges._committee_holds(challenge, 1, first)
    elif len(first.owners) != 0 or len(first.seats) != 0 or first.position != 0:
        raw_revert(method_id("WrongWitness()"))
    if number == 2 and challenges._convened(status, 1):
        owners: DynArray[address, 16] = panel.members if named else first.owners
        if self._decision(terms, self._marks(challenge, 1, owners)) != 0:
            raw_revert(method_id("QuorumReached()"))
    complete: bool = named
    if not named:
        if challenges._committees[challenge][2] != empty(bytes32):
            challenges._committee_holds(challenge, 2, second)
        walked: layout.Committee = self._walked(challenge, terms, number, first, second)
        challenges._committees[challenge][number] = keccak256(abi_encode(walked))
        complete = len(walked.seats) == challenges._seats(terms)
    if complete:
        challenges.status[challenge] = status | (
            1 << unsafe_add(layout.CONVENED, unsafe_sub(number, 1))
        )
    log Convened(challenge=challenge, sender=msg.sender)
    money._take(0)


# --- stage 5: finalization ------------------------------------------------------------------------


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
    challenges.records[challenge] = root
    challenges.status[challenge] = (
        1
        | (kind << layout.KIND)
        | (status & (COUNT << layout.SUBMISSIONS))
        | (escrow << layout.ESCROW)
        | (deposit << layout.DEPOSIT)
        | ((1 if kind == DECIDED and escrow != 0 else 0) << layout.PAYS)
    )


@internal
def _back(
    challenge: bytes32, terms: layout.Agreement, status: uint256, kind: uint256, burned: uint256
):
    """
    @notice Settle a challenge of which nobody has anything to claim. The organizer has pot and fee
            back, and its bond where it is not at fault.
    """
    bond: uint256 = terms.bonds & AMOUNT
    returned: uint256 = unsafe_add(terms.prize & AMOUNT, (terms.prize >> layout.FEE) & AMOUNT)
    lost: uint256 = unsafe_add(burned, challenges._lost_deposits(terms, status))
    if kind == NO_TRAIN or kind == NO_SEED:
        lost = unsafe_add(lost, bond)
    else:
        returned = unsafe_add(returned, bond)
    money._credit(convert(terms.origin & layout.OWNER, address), returned)
    money._credit(money.BURN, lost)
    self._settle(challenge, status, kind, 0, 0, challenges.NO_PAYOUTS)


@internal
def _undrawn(challenge: bytes32, terms: layout.Agreement, status: uint256) -> uint256:
    """
    @return How a challenge ends whose seed was never drawn.
    """
    if block.timestamp < layout.end(terms, 2):
        raw_revert(method_id("Early()"))
    kind: uint256 = NO_TRAIN
    if (terms.schedule >> layout.SEED_SOURCE) & 3 != BEACON:
        needed: uint256 = terms.schedule >> layout.MIN_CONTRIBUTIONS
        if (status >> layout.CONTRIBUTIONS) & 255 < needed:
            # NOTE: before the organizer's own secret, which could not have mattered any more.
            kind = FEW_CONTRIBUTIONS
        elif (status >> layout.SECRET) & 1 == 0:
            kind = NO_SEED
        elif (status >> layout.CONTRIBUTIONS_OPENED) & 255 < needed:
            kind = FEW_CONTRIBUTIONS
    if kind == NO_TRAIN and block.timestamp < layout.end(terms, 3):
        raw_revert(method_id("Early()"))
    return kind


@internal
def _slash(
    terms: layout.Agreement,
    seats: DynArray[uint256, 16],
    marks: DynArray[uint256, 16],
    decided: uint256,
) -> uint256:
    """
    @notice Slash a round's faulty seats; `decided` is the ballot that this round decided, or zero.
    @return What they lost, and from bit 128 how many seats that ended.
    """
    version: uint256 = (terms.origin >> layout.POOL_VERSION) & layout.VERSION
    total: uint256 = 0
    for place: uint256 in range(len(seats), bound=16):
        mark: uint256 = marks[place]
        share: uint256 = (terms.prize >> layout.MINORITY_SHARE) & 8191
        if mark == 0:
            share = terms.prize >> layout.SILENCE_SHARE
        elif mark & layout.MARK != 0 and (decided == 0 or mark == decided):
            continue
        if not registry._in_pool(registry._seats[seats[place]], version):
            continue
        lost: uint256 = registry._slash(seats[place], share)
        total = unsafe_add(
            total, unsafe_add(lost & AMOUNT, (lost >> 96) << 128)
        )
    return total


@internal
def _decided(
    challenge: bytes32,
    terms: layout.Agreement,
    status: uint256,
    ballot: layout.Ballot,
    decided: uint256,
    owners: DynArray[address, 16],
    marks: DynArray[uint256, 16],
) -> bytes32:
    """
    @notice The majority shares the fees; the payout tree gets its total; the rest is the
            organizer's.
    @return The new learning link.
    """
    if challenges._ballot_mark(ballot) != decided:
        raw_revert(method_id("WrongWitness()"))
    voters: uint256 = 0
    for mark: uint256 in marks:
        if mark == decided:
            voters = unsafe_add(voters, 1)
    fees: uint256 = unsafe_add(
        (terms.prize >> layout.FEE) & AMOUNT,
        unsafe_mul(
            (status >> layout.SUBMISSIONS) & COUNT, (terms.entry >> layout.ENTRY_FEE) & AMOUNT
        ),
    )
    share: uint256 = unsafe_div(fees, voters)
    for place: uint256 in range(len(marks), bound=16):
        if marks[place] == decided:
            money._credit(owners[place], share)
    rest: uint256 = unsafe_sub(fees, unsafe_mul(share, voters))
    rest = unsafe_add(
        rest,
        unsafe_sub(challenges._distributable(terms, status, ballot.outcome), ballot.payout_total),
    )
    if ballot.outcome == challenges.TEST:
        rest = unsafe_add(rest, terms.bonds & AMOUNT)
    elif ballot.outcome == challenges.VOID:
        rest = unsafe_add(rest, terms.prize & AMOUNT)
    money._credit(convert(terms.origin & layout.OWNER, address), rest)
    newest: bytes32 = digests.link(
        challenges.link, challenge, ballot.result, ballot.winner, ballot.score
    )
    challenges.link = newest
    root: bytes32 = ballot.payout_root
    if root == empty(bytes32):
        root = challenges.NO_PAYOUTS
    self._settle(challenge, status, DECIDED, ballot.payout_total, 0, root)
    return newest


@internal
def _no_quorum(challenge: bytes32, terms: layout.Agreement, status: uint256):
    """
    @notice Pot back; fee and forfeits to the opened submissions, which also get their bonds back.
    """
    opened: uint256 = (status >> layout.OPENED) & COUNT
    submissions: uint256 = (status >> layout.SUBMISSIONS) & COUNT
    shared: uint256 = unsafe_add(
        unsafe_add(
            (terms.prize >> layout.FEE) & AMOUNT, challenges._lost_deposits(terms, status)
        ),
        unsafe_add(
            unsafe_mul(submissions, (terms.entry >> layout.ENTRY_FEE) & AMOUNT),
            unsafe_mul(unsafe_sub(submissions, opened), terms.entry & AMOUNT),
        ),
    )
    returned: uint256 = terms.prize & AMOUNT
    if (status >> layout.TEST) & 1 == 0:
        shared = unsafe_add(shared, terms.bonds & AMOUNT)
    else:
        returned = unsafe_add(returned, terms.bonds & AMOUNT)
    share: uint256 = unsafe_div(shared, opened)
    returned = unsafe_add(returned, unsafe_sub(shared, unsafe_mul(share, opened)))
    money._credit(convert(terms.origin & layout.OWNER, address), returned)
    deposit: uint256 = unsafe_add(terms.entry & AMOUNT, share)
    self._settle(
        challenge, status, NO_QUORUM, unsafe_mul(deposit, opened), deposit, challenges.NO_PAYOUTS
    )


@internal
def _evaluated(
    challenge: bytes32,
    terms: layout.Agreement,
    status: uint256,
    panel: layout.Panel,
    first: layout.Committee,
    second: layout.Committee,
    ballot: layout.Ballot,
) -> bytes32:
    """
    @notice Settle a challenge that a committee could judge, as it decided or for want of a quorum.
    @return The new learning link, or zero.
    """
    if block.timestamp < layout.end(terms, 8):
        raw_revert(method_id("Early()"))
    named: bool = challenges._named(terms)
    if named:
        challenges._panel_holds(terms, panel)
    decided: uint256 = 0
    number: uint256 = 0
    owners: DynArray[address, 16] = []
    marks: DynArray[uint256, 16] = []
    first_marks: DynArray[uint256, 16] = []
    second_marks: DynArray[uint256, 16] = []
    can_decide: bool = True
    if challenges._convened(status, 1):
        if not named:
            challenges._committee_holds(challenge, 1, first)
        owners = panel.members if named else first.owners
        first_marks = self._marks(challenge, 1, owners)
        decided = self._decision(terms, first_marks)
        if decided != 0:
            number = 1
            marks = first_marks
        can_decide = not named or self._quorum(terms, self._opened(first_marks))
    over: bool = block.timestamp >= layout.end(terms, 10)
    if challenges._convened(status, 2):
        if not named:
            challenges._committee_holds(challenge, 2, second)
        if decided == 0 and over:
            owners = panel.members if named else second.owners
            second_marks = self._marks(challenge, 2, owners)
            decided = self._decision(terms, second_marks)
            number = 2
            marks = second_marks
        elif not named:
            second_marks = self._marks(challenge, 2, second.owners)
    if decided == 0 and not over and can_decide:
        raw_revert(method_id("Early()"))
    newest: bytes32 = empty(bytes32)
    if decided != 0:
        newest = self._decided(challenge, terms, status, ballot, decided, owners, marks)
    else:
        self._no_quorum(challenge, terms, status)
    if not named:
        lost: uint256 = 0
        if challenges._convened(status, 1):
            lost = self._slash(terms, first.seats, first_marks, decided if number == 1 else 0)
        if challenges._convened(status, 2):
            lost = unsafe_add(
                lost,
                self._slash(terms, second.seats, second_marks, decided if number == 2 else 0),
            )
        registry._burn_stakes(lost & AMOUNT, lost >> 128)
    return newest


@external
@payable
def finalize(
    challenge: bytes32,
    terms: layout.Agreement,
    panel: layout.Panel,
    first: layout.Committee,
    second: layout.Committee,
    ballot: layout.Ballot,
):
    """
    @notice Anyone: settles a challenge whose fate is decided.
    @param first Round one's committee; empty for a named panel, and where it was not convened.
    @param second Round two's.
    @param ballot The one that a committee decided; empty where none did.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge, terms)
    newest: bytes32 = empty(bytes32)
    if (status >> layout.DRAWN) & 1 == 0:
        self._back(challenge, terms, status, self._undrawn(challenge, terms, status), 0)
    elif (status >> layout.TRAIN) & 1 == 0:
        if block.timestamp < layout.end(terms, 3):
            raw_revert(method_id("Early()"))
        self._back(challenge, terms, status, NO_TRAIN, 0)
    elif block.timestamp < layout.end(terms, 5):
        raw_revert(method_id("Early()"))
    elif (status >> layout.OPENED) & COUNT == 0:
        paid: uint256 = unsafe_add(terms.entry & AMOUNT, (terms.entry >> layout.ENTRY_FEE) & AMOUNT)
        burned: uint256 = unsafe_mul((status >> layout.SUBMISSIONS) & COUNT, paid)
        self._back(challenge, terms, status, NOTHING_OPENED, burned)
    else:
        newest = self._evaluated(challenge, terms, status, panel, first, second, ballot)
    log Finalized(
        challenge=challenge,
        sender=msg.sender,
        kind=(challenges.status[challenge] >> layout.KIND) & 7,
        link=newest,
    )
    money._take(0)


@external
@payable
def cancel(challenge: bytes32, terms: layout.Agreement, contributors: DynArray[address, 64]):
    """
    @notice Organizer: ends a challenge before any model can be opened.
    @param contributors While seeds can be opened: those who have not, in the order of their
           commitments; they get their deposits back.
    """
    self._in_arena()
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._organizer_only(terms)
    challenges._window(0, layout.end(terms, 4))
    committed: uint256 = (status >> layout.CONTRIBUTIONS) & 255
    lost: uint256 = challenges._lost_deposits(terms, status)
    deposit: uint256 = (terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT
    seedless: bool = block.timestamp < layout.end(terms, 2)
    if seedless:
        lost = 0
        opened: uint256 = (status >> layout.CONTRIBUTIONS_OPENED) & 255
        if len(contributors) != unsafe_sub(committed, opened):
            raw_revert(method_id("WrongWitness()"))
        following: uint256 = 0
        for contributor: address in contributors:
            mark: uint256 = challenges._contributions[challenge][contributor]
            index: uint256 = (mark >> layout.CONTRIBUTION_INDEX) & 127
            if mark == 0 or mark & layout.MARK != 0 or index < following:
                raw_revert(method_id("WrongWitness()"))
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
    paid: uint256 = unsafe_add(terms.entry & AMOUNT, (terms.entry >> layout.ENTRY_FEE) & AMOUNT)
    submissions: uint256 = (status >> layout.SUBMISSIONS) & COUNT
    self._settle(challenge, status, CANCELLED, unsafe_mul(submissions, paid), paid, challenges.NO_PAYOUTS)
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
    status: uint256 = challenges._final(challenge)
    if number >= (status >> layout.SUBMISSIONS) & COUNT:
        raw_revert(method_id("UnknownSubmission()"))
    mark: uint256 = challenges._submissions[challenge][submitter][place]
    if mark == 0 or (mark >> layout.SUBMISSION_NUMBER) & (2**17 - 1) != number:
        raw_revert(method_id("WrongWitness()"))
    kind: uint256 = (status >> layout.KIND) & 7
    deposit: uint256 = status >> layout.DEPOSIT
    owed: bool = kind == CANCELLED or (kind == NO_QUORUM and mark & layout.MARK != 0)
    if not owed or deposit == 0:
        raw_revert(method_id("NothingOwed()"))
    if mark & layout.SUBMISSION_PAID != 0:
        raw_revert(method_id("AlreadyClaimed()"))
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
