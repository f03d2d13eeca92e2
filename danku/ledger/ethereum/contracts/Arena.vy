# pragma version 0.4.3
# pragma optimize gas
"""
@title The arena: danku's challenges with real escrow. No owner, no upgrade, no fee.
@notice The rules, their order and their names are those of danku/protocol. Every accepted action is
        one event that tells all of it, so that danku/protocol replays the ledger from its events.
        What does not fit into one contract is in Court.vy, whose code runs on the arena's storage.
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

exports: (
    money.currency,
    registry.stake,
    registry.unbonding,
    challenges.records,
    challenges.status,
    challenges.link,
)


interface Court:
    def currency() -> address: view
    def stake() -> uint256: view
    def unbonding() -> uint256: view


event Created:
    challenge: indexed(bytes32)
    sender: indexed(address)
    agreement: layout.Agreement
    panel: layout.Panel
    data_root: bytes32
    groups: uint256  # from bit 128 on the test groups
    manifest_digest: bytes32
    manifest: String[80]
    nonce: uint256


event Drawn:
    challenge: indexed(bytes32)
    sender: indexed(address)
    seed: bytes32
    beacon: bytes32


event TrainRevealed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    bundle: String[80]


event Submitted:
    challenge: indexed(bytes32)
    sender: indexed(address)
    number: uint256
    commitment: bytes32


event Opened:
    challenge: indexed(bytes32)
    sender: indexed(address)
    number: uint256
    model: bytes32
    cid: String[80]
    salt: bytes32


event TestRevealed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    bundle: String[80]


event Convened:
    challenge: indexed(bytes32)
    sender: indexed(address)


event Voted:
    challenge: indexed(bytes32)
    sender: indexed(address)
    commitment: bytes32


event VoteOpened:
    challenge: indexed(bytes32)
    sender: indexed(address)
    ballot: layout.Ballot
    salt: bytes32
    cid: String[80]


event Claimed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    index: uint256
    payee: address
    amount: uint256
    proof: DynArray[bytes32, 32]


event Withdrawn:
    sender: indexed(address)
    amount: uint256


event Finalized:
    challenge: indexed(bytes32)
    sender: indexed(address)
    kind: uint256
    link: bytes32


AMOUNT: constant(uint256) = layout.AMOUNT
COUNT: constant(uint256) = layout.COUNT
NUMBER: constant(uint256) = 2**17 - 1

# Seed sources, in the order of danku.protocol.terms.SEED_SOURCES
CONTRIBUTIONS: constant(uint256) = 0
BEACON: constant(uint256) = 1

# EIP-2935: the hashes of the last 8,191 blocks
HISTORY: constant(address) = 0x0000F90827F1C53a10cb7A02335B175320002935
HISTORY_BLOCKS: constant(uint256) = 8191

# The contract that has the rest of the code
court: public(immutable(address))
# Seconds between two blocks, at least
block_seconds: public(immutable(uint256))
# How many blocks back a block's hash can be had; found out once, so that it never changes
beacon_blocks: public(immutable(uint256))


@deploy
def __init__(court_: address, block_seconds_: uint256):
    """
    @param court_ A contract Court, which says the currency and what a seat costs.
    @param block_seconds_ The shortest time between two blocks of this chain.
    """
    money.__init__(staticcall Court(court_).currency())
    registry.__init__(staticcall Court(court_).stake(), staticcall Court(court_).unbonding())
    assert block_seconds_ > 0 and block_seconds_ < 2**31, "block_seconds out of bounds"
    court = court_
    block_seconds = block_seconds_
    beacon_blocks = HISTORY_BLOCKS if HISTORY.is_contract else 256


@external
@payable
def __default__():
    """
    @notice The actions of Court.vy: its code, this contract's storage and money.
    """
    raw_call(court, msg.data, is_delegate_call=True)


# --- stage 1: initialization ----------------------------------------------------------------------


@internal
@pure
def _check_terms(terms: layout.Terms, organizer: address):
    lengths: uint256 = (
        terms.contribute
        | terms.open_seed
        | terms.reveal_train
        | terms.submit
        | terms.open
        | terms.reveal_test
        | terms.vote
        | terms.open_vote
    )
    amounts: uint256 = (
        terms.pot
        | terms.fee
        | terms.organizer_bond
        | terms.contribution_deposit
        | terms.submission_bond
        | terms.entry_fee
    )
    named: bool = terms.panel_kind == 0
    seats: uint256 = len(terms.members) if named else terms.seats
    bad: bool = (
        terms.groups < 2
        or terms.groups > 65536
        or terms.test_groups == 0
        or terms.test_groups >= terms.groups
        or terms.seed_source > 2
        or terms.min_contributions > 16
        or lengths > layout.SECONDS
        or terms.contribute == 0
        or terms.open_seed == 0
        or terms.reveal_train == 0
        or terms.submit == 0
        or terms.open == 0
        or terms.reveal_test == 0
        or terms.vote == 0
        or terms.open_vote == 0
        or amounts > AMOUNT
        or terms.max_submissions == 0
        or terms.max_submissions > 1000
        or terms.max_submissions > terms.max_entries
        or terms.max_entries > 100000
        or terms.panel_kind > 1
        or seats == 0
        or seats > 16
        or unsafe_mul(2, terms.organizer_bond) < terms.pot
        or terms.min_contributions > seats
        or (terms.min_contributions == 0) != (terms.seed_source == BEACON)
    )
    if named:
        bad = bad or terms.seats | terms.minority_share | terms.silence_share != 0
    else:
        bad = (
            bad
            or len(terms.members) != 0
            or terms.silence_share == 0
            or terms.silence_share >= terms.minority_share
            or terms.minority_share > 5000
        )
    if bad:
        refusals.refuse(method_id("BadTerms()", output_type=bytes4))
    length: uint256 = terms.contribute + terms.open_seed + terms.reveal_train + terms.submit
    length += terms.open + terms.reveal_test + terms.vote + terms.open_vote
    locked: uint256 = terms.pot + terms.fee + terms.organizer_bond
    locked += (seats if named else 64) * terms.contribution_deposit
    locked += terms.max_entries * (terms.submission_bond + terms.entry_fee)
    bad = locked > AMOUNT or length > layout.SECONDS
    for place: uint256 in range(len(terms.members), bound=16):
        member: uint256 = terms.members[place]
        bad = bad or member == 0 or member > layout.OWNER
        bad = bad or member == convert(organizer, uint256)
        for other: uint256 in range(place, bound=16):
            bad = bad or member == terms.members[other]
    if bad:
        refusals.refuse(method_id("BadTerms()", output_type=bytes4))


@internal
@view
def _pool(terms: layout.Terms, organizer: address) -> (uint256, uint256):
    """
    @return The seats that may serve a challenge of these terms now, as packed in `origin`, and how
            many they are.
    """
    if registry.stake == 0:
        refusals.refuse(method_id("NoRegistry()", output_type=bytes4))
    now: uint256 = registry._registry
    eligible: uint256 = unsafe_sub(
        (now >> layout.ACTIVE) & COUNT, registry._held_by(organizer)
    )
    if eligible < 2 * terms.seats:
        refusals.refuse(method_id("TooFewSeats()", output_type=bytes4))
    needed: uint256 = (
        terms.contribute
        + terms.open_seed
        + terms.reveal_train
        + terms.submit
        + terms.open
        + terms.reveal_test
        + 3 * terms.vote
        + 2 * terms.open_vote
    )
    if needed > registry.unbonding:
        refusals.refuse(method_id("UnbondingTooShort()", output_type=bytes4))
    pool: uint256 = ((now & layout.VERSION) << layout.POOL_VERSION) | (
        ((now >> layout.SLOTS) & COUNT) << layout.POOL_SLOTS
    )
    return pool, eligible


@external
@payable
@nonreentrant
def create(terms: layout.Terms, manifest: String[80], seed_commitment: bytes32, nonce: uint256):
    """
    @notice Organizer: fixes the terms and escrows pot, fee and bond.
    """
    challenges._cid(manifest)
    if nonce >= 2**48:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    self._check_terms(terms, msg.sender)
    pool: uint256 = 0
    eligible: uint256 = 0
    if terms.panel_kind == 1:
        pool, eligible = self._pool(terms, msg.sender)
    challenge: bytes32 = digests.challenge_id(msg.sender, nonce)
    if challenges.records[challenge] != empty(bytes32):
        refusals.refuse(method_id("AlreadyCreated()", output_type=bytes4))
    beacon_block: uint256 = 0
    if terms.seed_source != CONTRIBUTIONS:
        # NOTE: that many blocks take at least as long as seeds can be opened.
        length: uint256 = unsafe_add(terms.contribute, terms.open_seed)
        beacon_block = unsafe_add(
            block.number,
            unsafe_div(unsafe_add(length, unsafe_sub(block_seconds, 1)), block_seconds),
        )
    panel: layout.Panel = layout.Panel(seed_commitment=seed_commitment, members=terms.members)
    agreement: layout.Agreement = layout.agreement(
        terms, msg.sender, block.timestamp, beacon_block, pool, challenges._panel_digest(panel)
    )
    challenges.records[challenge] = keccak256(abi_encode(agreement))
    if eligible != 0:
        challenges.status[challenge] = eligible << layout.ELIGIBLE
    log Created(
        challenge=challenge,
        sender=msg.sender,
        agreement=agreement,
        panel=panel,
        data_root=terms.data_root,
        groups=terms.groups | (terms.test_groups << 128),
        manifest_digest=terms.manifest,
        manifest=manifest,
        nonce=nonce,
    )
    money._take(unsafe_add(unsafe_add(terms.pot, terms.fee), terms.organizer_bond))


@internal
def _openings(
    challenge: bytes32,
    opened: uint256,
    contributors: DynArray[address, 64],
    secrets: DynArray[bytes32, 65],
):
    """
    @notice The secrets are all that were opened, in the order of their commitments: as many as the
            status counts, each opened, each later than the one before.
    """
    if len(contributors) != opened or len(secrets) != unsafe_add(opened, 1):
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    following: uint256 = 0
    for place: uint256 in range(opened, bound=64):
        mark: uint256 = challenges._contributions[challenge][contributors[place]]
        index: uint256 = (mark >> layout.CONTRIBUTION_INDEX) & 127
        if (
            mark & layout.MARK == 0
            or index < following
            or mark & layout.CONTRIBUTION_HASH
            != convert(keccak256(secrets[unsafe_add(place, 1)]), uint256)
            & layout.CONTRIBUTION_HASH
        ):
            refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
        following = unsafe_add(index, 1)
        # NOTE: nothing asks for it any more, and emptying it is paid for.
        challenges._contributions[challenge][contributors[place]] = 0


@internal
@view
def _beacon(first: uint256) -> bytes32:
    """
    @notice The hash of the block that `create` fixed. Where nobody used it while it could be had,
            the block so many blocks later takes its place, and so on: never one that could be
            chosen, and always one that is there.
    """
    if block.number <= first:
        refusals.refuse(method_id("BeaconUnavailable()", output_type=bytes4))
    passed: uint256 = unsafe_sub(unsafe_sub(block.number, 1), first)
    number: uint256 = unsafe_add(first, unsafe_sub(passed, passed % beacon_blocks))
    if unsafe_sub(block.number, number) <= 256:
        return blockhash(number)
    found: bool = False
    answer: Bytes[32] = b""
    found, answer = raw_call(
        HISTORY,
        abi_encode(number),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not found or len(answer) != 32 or convert(answer, bytes32) == empty(bytes32):
        refusals.refuse(method_id("BeaconUnavailable()", output_type=bytes4))
    return convert(answer, bytes32)


@external
@payable
def draw(
    challenge: bytes32,
    terms: layout.Agreement,
    panel: layout.Panel,
    contributors: DynArray[address, 64],
    secrets: DynArray[bytes32, 65],
):
    """
    @notice Anyone: fixes the seed, and with it the train/test partition.
    @param contributors Who opened a seed secret, in the order of their commitments.
    @param secrets The organizer's and theirs; none where the beacon alone decides.
    """
    status: uint256 = challenges._ongoing(challenge)
    if (status >> layout.DRAWN) & 1 != 0:
        refusals.refuse(method_id("AlreadyDrawn()", output_type=bytes4))
    challenges._window(
        layout.end(terms.schedule, terms.bonds, 2), layout.end(terms.schedule, terms.bonds, 3)
    )
    source: uint256 = (terms.schedule >> layout.SEED_SOURCE) & 3
    if source != BEACON:
        if (status >> layout.SECRET) & 1 == 0:
            refusals.refuse(method_id("OrganizerUnopened()", output_type=bytes4))
        opened: uint256 = (status >> layout.CONTRIBUTIONS_OPENED) & 255
        if opened < terms.schedule >> layout.MIN_CONTRIBUTIONS:
            refusals.refuse(method_id("SeedNotContributed()", output_type=bytes4))
        challenges._panel_holds(terms.panel, panel)
        self._openings(challenge, opened, contributors, secrets)
        organizer: address = convert(terms.origin & layout.OWNER, address)
        if digests.seed_commitment(challenge, organizer, secrets[0]) != panel.seed_commitment:
            refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    elif len(secrets) != 0:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    beacon: bytes32 = empty(bytes32)
    if source != CONTRIBUTIONS:
        beacon = self._beacon(terms.entry >> layout.BEACON_BLOCK)
    seed: bytes32 = digests.seed_of(challenge, secrets, beacon)
    if not challenges._named(terms.schedule):
        challenges._seeds[challenge] = seed
    challenges.status[challenge] = status | (1 << layout.DRAWN)
    log Drawn(challenge=challenge, sender=msg.sender, seed=seed, beacon=beacon)
    money._take(0)


@external
@payable
def reveal_train(challenge: bytes32, terms: layout.Agreement, bundle: String[80]):
    """
    @notice Organizer: names the bundle of the train groups.
    """
    challenges._cid(bundle)
    status: uint256 = challenges._ongoing(challenge)
    challenges._organizer_only(terms.origin)
    if (status >> layout.DRAWN) & 1 == 0:
        refusals.refuse(method_id("NotDrawn()", output_type=bytes4))
    if (status >> layout.TRAIN) & 1 != 0:
        refusals.refuse(method_id("AlreadyRevealed()", output_type=bytes4))
    challenges._window(
        layout.end(terms.schedule, terms.bonds, 2), layout.end(terms.schedule, terms.bonds, 3)
    )
    challenges.status[challenge] = status | (1 << layout.TRAIN)
    log TrainRevealed(challenge=challenge, sender=msg.sender, bundle=bundle)
    money._take(0)


# --- stages 2 and 3: submission and reveal --------------------------------------------------------


@external
@payable
@nonreentrant
def submit(
    challenge: bytes32,
    terms: layout.Agreement,
    panel: layout.Panel,
    commitment: bytes32,
    place: uint256,
):
    """
    @notice Submitter: commits to a model.
    @param place How many submissions the sender has made to this challenge.
    """
    status: uint256 = challenges._ongoing(challenge)
    challenges._panel_holds(terms.panel, panel)
    if block.timestamp >= layout.end(terms.schedule, terms.bonds, 4):
        refusals.refuse(method_id("Late()", output_type=bytes4))
    if (status >> layout.TRAIN) & 1 == 0:
        refusals.refuse(method_id("TrainNotRevealed()", output_type=bytes4))
    if convert(msg.sender, uint256) in panel.members:
        refusals.refuse(method_id("PanelMember()", output_type=bytes4))
    if not challenges._named(terms.schedule):
        excluded: uint256 = challenges._eligible(challenge, terms.origin, msg.sender)
        needed: uint256 = unsafe_add(excluded, unsafe_mul(2, challenges._seats(terms.prize)))
        if (status >> layout.ELIGIBLE) & COUNT < needed:
            refusals.refuse(method_id("TooFewSeats()", output_type=bytes4))
        status = unsafe_sub(status, excluded << layout.ELIGIBLE)
    if place >= (terms.prize >> layout.MAX_SUBMISSIONS) & 1023:
        refusals.refuse(method_id("TooManySubmissions()", output_type=bytes4))
    number: uint256 = (status >> layout.SUBMISSIONS) & COUNT
    if number >= (terms.prize >> layout.MAX_ENTRIES) & NUMBER:
        refusals.refuse(method_id("TooManyEntries()", output_type=bytes4))
    if (
        challenges._submissions[challenge][msg.sender][place] != 0
        or (
            place != 0
            and challenges._submissions[challenge][msg.sender][unsafe_sub(place, 1)] == 0
        )
    ):
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    challenges._submissions[challenge][msg.sender][place] = (
        challenges._mark(commitment) & layout.SUBMISSION_HASH
    ) | (number << layout.SUBMISSION_NUMBER)
    challenges.status[challenge] = unsafe_add(status, 1 << layout.SUBMISSIONS)
    log Submitted(challenge=challenge, sender=msg.sender, number=number, commitment=commitment)
    money._take(challenges._paid_in(terms.entry))


@external
@payable
def open(
    challenge: bytes32,
    terms: layout.Agreement,
    number: uint256,
    model: bytes32,
    cid: String[80],
    salt: bytes32,
    place: uint256,
):
    """
    @notice Submitter: opens a committed model.
    @param place How many submissions the sender made to this challenge before that one.
    """
    challenges._cid(cid)
    if place >= 1000:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    status: uint256 = challenges.status[challenge]
    mark: uint256 = challenges._submissions[challenge][msg.sender][place]
    expected: bytes32 = digests.submission(challenge, msg.sender, model, cid, salt)
    # NOTE: the mark holds the agreement's keccak as well, so it need not be read where both fit.
    difference: uint256 = mark ^ challenges._mark(expected)
    fits: bool = mark != 0 and difference & layout.SUBMISSION_HASH == 0
    if not fits or status & 1 != 0:
        challenges._require_ongoing(challenge)
    start: uint256 = layout.end(terms.schedule, terms.bonds, 4)
    challenges._window(start, layout.end(terms.schedule, terms.bonds, 5))
    if number >= (status >> layout.SUBMISSIONS) & COUNT:
        refusals.refuse(method_id("UnknownSubmission()", output_type=bytes4))
    if mark == 0 or (mark >> layout.SUBMISSION_NUMBER) & NUMBER != number:
        refusals.refuse(method_id("NotSubmitter()", output_type=bytes4))
    if mark & layout.MARK != 0:
        refusals.refuse(method_id("AlreadyOpened()", output_type=bytes4))
    if not fits:
        refusals.refuse(method_id("CommitmentMismatch()", output_type=bytes4))
    challenges._submissions[challenge][msg.sender][place] = mark | layout.MARK
    challenges.status[challenge] = unsafe_add(status, 1 << layout.OPENED)
    if not challenges._named(terms.schedule):
        mixed: uint256 = convert(digests.mix(msg.sender, salt), uint256)
        challenges._mixes[challenge] = convert(
            convert(challenges._mixes[challenge], uint256) ^ mixed, bytes32
        )
    log Opened(
        challenge=challenge, sender=msg.sender, number=number, model=model, cid=cid, salt=salt
    )
    money._take(0)


@external
@payable
def reveal_test(challenge: bytes32, terms: layout.Agreement, bundle: String[80]):
    """
    @notice Organizer: names the bundle of the test groups.
    """
    challenges._cid(bundle)
    status: uint256 = challenges._ongoing(challenge)
    challenges._organizer_only(terms.origin)
    challenges._window(
        layout.end(terms.schedule, terms.bonds, 5), layout.end(terms.schedule, terms.bonds, 6)
    )
    if (status >> layout.TRAIN) & 1 == 0:
        refusals.refuse(method_id("TrainNotRevealed()", output_type=bytes4))
    if (status >> layout.TEST) & 1 != 0:
        refusals.refuse(method_id("AlreadyRevealed()", output_type=bytes4))
    challenges.status[challenge] = status | (1 << layout.TEST)
    log TestRevealed(challenge=challenge, sender=msg.sender, bundle=bundle)
    money._take(0)


# --- stage 4: evaluation --------------------------------------------------------------------------


@internal
def _marks(
    challenge: bytes32, number: uint256, owners: DynArray[uint256, 16]
) -> DynArray[uint256, 16]:
    """
    @notice Take the votes of a round off the books, which pays for some of what settling costs.
    @return What each seat's owner committed to or opened.
    """
    marks: DynArray[uint256, 16] = challenges._marks(challenge, number, owners)
    for owner: uint256 in owners:
        challenges._votes[challenge][convert(owner, address)][unsafe_sub(number, 1)] = 0
    return marks


@internal
@pure
def _opened(marks: DynArray[uint256, 16]) -> uint256:
    opened: uint256 = 0
    for mark: uint256 in marks:
        opened = unsafe_add(opened, mark & layout.MARK)
    return opened


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
    @notice Anyone: calls the committee of the round that is due, or goes on with drawing it.
    @param seed_commitment The organizer's, of a named panel, for round two.
    @param first Round one's committee as far as it was drawn; of a named panel its members as
           owners, for round two.
    @param second Round two's as far as it was drawn; of a named panel empty.
    """
    if not challenges._named(terms.schedule):
        raw_call(court, msg.data, is_delegate_call=True)
        return
    status: uint256 = challenges._ongoing(challenge)
    number: uint256 = challenges._convenable(challenge, terms, status, seed_commitment, first)
    challenges._convene(challenge, status, number)
    log Convened(challenge=challenge, sender=msg.sender)
    money._take(0)


@external
@payable
def vote(
    challenge: bytes32,
    terms: layout.Agreement,
    seed_commitment: bytes32,
    committee: layout.Committee,
    commitment: bytes32,
):
    """
    @notice Committee member: commits to a ballot.
    @param seed_commitment The organizer's, of a named panel; of seats any.
    @param committee That of the round which is due; of a named panel its members as owners.
    """
    status: uint256 = challenges._ongoing(challenge)
    number: uint256 = challenges._round_due(terms.schedule, terms.bonds)
    start: uint256 = 0
    voted: uint256 = 0
    over: uint256 = 0
    start, voted, over = layout.round_ends(terms.schedule, terms.bonds, number)
    challenges._window(start, voted)
    if not challenges._convened(status, number):
        refusals.refuse(method_id("NotConvened()", output_type=bytes4))
    challenges._committee_holds(
        challenge, terms.schedule, terms.panel, number, seed_commitment, committee
    )
    sits: bool = convert(msg.sender, uint256) in committee.owners
    # NOTE: of a named panel, who was silent in round one does not sit in round two.
    if number == 2 and challenges._named(terms.schedule) and challenges._convened(status, 1):
        sits = sits and challenges._votes[challenge][msg.sender][0] & layout.MARK != 0
    if not sits:
        refusals.refuse(method_id("NotOnCommittee()", output_type=bytes4))
    if challenges._votes[challenge][msg.sender][unsafe_sub(number, 1)] != 0:
        refusals.refuse(method_id("AlreadyVoted()", output_type=bytes4))
    challenges._votes[challenge][msg.sender][unsafe_sub(number, 1)] = (
        challenges._mark(commitment) & layout.VOTE_HASH
    )
    log Voted(challenge=challenge, sender=msg.sender, commitment=commitment)
    money._take(0)


@external
@payable
def open_vote(
    challenge: bytes32,
    terms: layout.Agreement,
    ballot: layout.Ballot,
    salt: bytes32,
    cid: String[80],
):
    """
    @notice Committee member: opens a committed ballot and names where the result can be had.
    """
    challenges._cid(cid)
    outcome: uint256 = ballot.score_outcome >> layout.OUTCOME
    score: uint256 = ballot.score_outcome & layout.SCORES
    if outcome > challenges.VOID or score == 2**63:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    status: uint256 = challenges.status[challenge]
    number: uint256 = challenges._round_due(terms.schedule, terms.bonds)
    mark: uint256 = challenges._votes[challenge][msg.sender][unsafe_sub(number, 1)]
    expected: bytes32 = digests.vote(challenge, number, msg.sender, ballot, salt)
    # NOTE: the mark holds the agreement's keccak as well, so it need not be read where both fit.
    fits: bool = challenges._mark(expected) & layout.VOTE_HASH == mark
    if not fits or status & 1 != 0:
        challenges._require_ongoing(challenge)
    start: uint256 = 0
    voted: uint256 = 0
    over: uint256 = 0
    start, voted, over = layout.round_ends(terms.schedule, terms.bonds, number)
    challenges._window(voted, over)
    if not challenges._convened(status, number):
        refusals.refuse(method_id("NotConvened()", output_type=bytes4))
    # NOTE: who does not sit in the round has no vote in it, so this refuses them too.
    if mark == 0:
        refusals.refuse(method_id("NotVoted()", output_type=bytes4))
    if mark & layout.MARK != 0:
        refusals.refuse(method_id("AlreadyOpened()", output_type=bytes4))
    if not fits:
        refusals.refuse(method_id("CommitmentMismatch()", output_type=bytes4))
    total: uint256 = ballot.winner_total >> layout.PAYOUT_TOTAL
    winner: address = convert(ballot.winner_total & layout.OWNER, address)
    bad: bool = (
        (outcome == challenges.TEST and (status >> layout.TEST) & 1 == 0)
        or total
        > challenges._distributable(terms.prize, terms.bonds, terms.entry, status, outcome)
        or (total == 0) != (ballot.payout_root == empty(bytes32))
    )
    if winner == empty(address):
        bad = bad or score != 0
    else:
        bad = (
            bad
            or outcome == challenges.VOID
            or challenges._submissions[challenge][winner][0] == 0
        )
    if bad:
        refusals.refuse(method_id("BadBallot()", output_type=bytes4))
    kept: uint256 = challenges._ballot_mark(ballot)
    challenges._votes[challenge][msg.sender][unsafe_sub(number, 1)] = kept
    log VoteOpened(challenge=challenge, sender=msg.sender, ballot=ballot, salt=salt, cid=cid)
    money._take(0)


# --- stage 5: finalization ------------------------------------------------------------------------


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
    lost: uint256 = unsafe_add(burned, challenges._lost_deposits(terms.bonds, status))
    if kind == challenges.NO_TRAIN or kind == challenges.NO_SEED:
        lost = unsafe_add(lost, bond)
    else:
        returned = unsafe_add(returned, bond)
    money._credit(convert(terms.origin & layout.OWNER, address), returned)
    money._credit(money.BURN, lost)
    challenges._settle(challenge, status, kind, 0, 0, challenges.NO_PAYOUTS)


@internal
@view
def _undrawn(terms: layout.Agreement, status: uint256) -> uint256:
    """
    @return How a challenge ends whose seed was never drawn.
    """
    if block.timestamp < layout.end(terms.schedule, terms.bonds, 2):
        refusals.refuse(method_id("Early()", output_type=bytes4))
    kind: uint256 = challenges.NO_TRAIN
    if (terms.schedule >> layout.SEED_SOURCE) & 3 != BEACON:
        needed: uint256 = terms.schedule >> layout.MIN_CONTRIBUTIONS
        if (status >> layout.CONTRIBUTIONS) & 255 < needed:
            # NOTE: before the organizer's own secret, which could not have mattered any more.
            kind = challenges.FEW_CONTRIBUTIONS
        elif (status >> layout.SECRET) & 1 == 0:
            kind = challenges.NO_SEED
        elif (status >> layout.CONTRIBUTIONS_OPENED) & 255 < needed:
            kind = challenges.FEW_CONTRIBUTIONS
    if kind == challenges.NO_TRAIN and block.timestamp < layout.end(terms.schedule, terms.bonds, 3):
        refusals.refuse(method_id("Early()", output_type=bytes4))
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
    owners: DynArray[uint256, 16],
    marks: DynArray[uint256, 16],
) -> bytes32:
    """
    @notice The majority shares the fees; the payout tree gets its total; the rest is the
            organizer's.
    @return The new learning link.
    """
    if challenges._ballot_mark(ballot) != decided:
        refusals.refuse(method_id("WrongWitness()", output_type=bytes4))
    outcome: uint256 = ballot.score_outcome >> layout.OUTCOME
    total: uint256 = ballot.winner_total >> layout.PAYOUT_TOTAL
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
            money._credit(convert(owners[place], address), share)
    rest: uint256 = unsafe_sub(fees, unsafe_mul(share, voters))
    rest = unsafe_add(
        rest,
        unsafe_sub(
            challenges._distributable(terms.prize, terms.bonds, terms.entry, status, outcome),
            total,
        ),
    )
    if outcome == challenges.TEST:
        rest = unsafe_add(rest, terms.bonds & AMOUNT)
    elif outcome == challenges.VOID:
        rest = unsafe_add(rest, terms.prize & AMOUNT)
    money._credit(convert(terms.origin & layout.OWNER, address), rest)
    newest: bytes32 = digests.link(challenges.link, challenge, ballot)
    challenges.link = newest
    root: bytes32 = ballot.payout_root
    if root == empty(bytes32):
        root = challenges.NO_PAYOUTS
    challenges._settle(challenge, status, challenges.DECIDED, total, 0, root)
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
            (terms.prize >> layout.FEE) & AMOUNT, challenges._lost_deposits(terms.bonds, status)
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
    escrow: uint256 = unsafe_mul(deposit, opened)
    challenges._settle(
        challenge, status, challenges.NO_QUORUM, escrow, deposit, challenges.NO_PAYOUTS
    )


@internal
def _evaluated(
    challenge: bytes32,
    terms: layout.Agreement,
    status: uint256,
    seed_commitment: bytes32,
    first: layout.Committee,
    second: layout.Committee,
    ballot: layout.Ballot,
) -> bytes32:
    """
    @notice Settle a challenge that a committee could judge, as it decided or for want of a quorum.
    @return The new learning link, or zero.
    """
    if block.timestamp < layout.end(terms.schedule, terms.bonds, 8):
        refusals.refuse(method_id("Early()", output_type=bytes4))
    named: bool = challenges._named(terms.schedule)
    decided: uint256 = 0
    can_decide: bool = True
    first_marks: DynArray[uint256, 16] = []
    if challenges._convened(status, 1):
        challenges._committee_holds(
            challenge, terms.schedule, terms.panel, 1, seed_commitment, first
        )
        first_marks = self._marks(challenge, 1, first.owners)
        decided = challenges._decision(terms.prize, first_marks)
        can_decide = not named or challenges._quorum(terms.prize, self._opened(first_marks))
    newest: bytes32 = empty(bytes32)
    if decided != 0:
        newest = self._decided(
            challenge, terms, status, ballot, decided, first.owners, first_marks
        )
        if named:
            return newest
    first_decided: uint256 = decided
    second_marks: DynArray[uint256, 16] = []
    if challenges._convened(status, 2):
        challenges._committee_holds(
            challenge, terms.schedule, terms.panel, 2, seed_commitment, second
        )
        second_marks = self._marks(challenge, 2, second.owners)
    if first_decided == 0:
        start: uint256 = 0
        voted: uint256 = 0
        over: uint256 = 0
        start, voted, over = layout.round_ends(terms.schedule, terms.bonds, 2)
        if block.timestamp >= over:
            decided = challenges._decision(terms.prize, second_marks)
        elif can_decide:
            refusals.refuse(method_id("Early()", output_type=bytes4))
        if decided != 0:
            newest = self._decided(
                challenge, terms, status, ballot, decided, second.owners, second_marks
            )
        else:
            self._no_quorum(challenge, terms, status)
    if not named:
        lost: uint256 = 0
        if challenges._convened(status, 1):
            lost = self._slash(terms, first.seats, first_marks, first_decided)
        if challenges._convened(status, 2):
            ballot_of_two: uint256 = decided if first_decided == 0 else 0
            lost = unsafe_add(
                lost, self._slash(terms, second.seats, second_marks, ballot_of_two)
            )
        registry._burn_stakes(lost & AMOUNT, lost >> 128)
    return newest


@external
@payable
def finalize(
    challenge: bytes32,
    terms: layout.Agreement,
    seed_commitment: bytes32,
    first: layout.Committee,
    second: layout.Committee,
    ballot: layout.Ballot,
):
    """
    @notice Anyone: settles a challenge whose fate is decided.
    @param seed_commitment The organizer's, of a named panel.
    @param first Round one's committee, where it was convened; of a named panel its members as
           owners.
    @param second Round two's, likewise.
    @param ballot The one that a committee decided; any where none did.
    """
    status: uint256 = challenges._ongoing(challenge)
    newest: bytes32 = empty(bytes32)
    kind: uint256 = challenges.DECIDED
    burned: uint256 = 0
    if (status >> layout.DRAWN) & 1 == 0:
        kind = self._undrawn(terms, status)
    elif (status >> layout.TRAIN) & 1 == 0:
        kind = challenges.NO_TRAIN
        if block.timestamp < layout.end(terms.schedule, terms.bonds, 3):
            refusals.refuse(method_id("Early()", output_type=bytes4))
    elif block.timestamp < layout.end(terms.schedule, terms.bonds, 5):
        refusals.refuse(method_id("Early()", output_type=bytes4))
    elif (status >> layout.OPENED) & COUNT == 0:
        kind = challenges.NOTHING_OPENED
        submissions: uint256 = (status >> layout.SUBMISSIONS) & COUNT
        burned = unsafe_mul(submissions, challenges._paid_in(terms.entry))
    if kind != challenges.DECIDED:
        self._back(challenge, terms, status, kind, burned)
    else:
        newest = self._evaluated(
            challenge, terms, status, seed_commitment, first, second, ballot
        )
        if newest == empty(bytes32):
            kind = challenges.NO_QUORUM
    log Finalized(challenge=challenge, sender=msg.sender, kind=kind, link=newest)
    money._take(0)


# --- payments -------------------------------------------------------------------------------------


@external
@payable
@nonreentrant
def claim(
    challenge: bytes32,
    index: uint256,
    payee: address,
    amount: uint256,
    proof: DynArray[bytes32, 32],
):
    """
    @notice Anyone: has one leaf of the payout tree paid to its payee.
    """
    if index >= 100000 or amount > AMOUNT:
        refusals.refuse(method_id("Malformed()", output_type=bytes4))
    status: uint256 = challenges._final(challenge)
    root: bytes32 = challenges.records[challenge]
    if (status >> layout.PAYS) & 1 == 0 or amount == 0:
        refusals.refuse(method_id("NothingOwed()", output_type=bytes4))
    if index < 96:
        if (status >> unsafe_add(layout.CLAIMED, index)) & 1 != 0:
            refusals.refuse(method_id("AlreadyClaimed()", output_type=bytes4))
        status = status | (1 << unsafe_add(layout.CLAIMED, index))
    else:
        claimed: uint256 = challenges._claimed[challenge][index >> 8]
        if (claimed >> (index & 255)) & 1 != 0:
            refusals.refuse(method_id("AlreadyClaimed()", output_type=bytes4))
        challenges._claimed[challenge][index >> 8] = claimed | (1 << (index & 255))
    if not digests.payout_holds(root, index, payee, amount, proof):
        refusals.refuse(method_id("BadProof()", output_type=bytes4))
    if amount > (status >> layout.ESCROW) & AMOUNT:
        refusals.refuse(method_id("EscrowExhausted()", output_type=bytes4))
    challenges.status[challenge] = unsafe_sub(status, amount << layout.ESCROW)
    log Claimed(
        challenge=challenge,
        sender=msg.sender,
        index=index,
        payee=payee,
        amount=amount,
        proof=proof,
    )
    money._take(0)
    money._pay(payee, amount)


@external
@payable
@nonreentrant
def withdraw():
    """
    @notice Anyone: takes out everything credited to the sender.
    """
    amount: uint256 = money._clear(msg.sender)
    if amount == 0:
        refusals.refuse(method_id("NothingOwed()", output_type=bytes4))
    log Withdrawn(sender=msg.sender, amount=amount)
    money._take(0)
    money._pay(msg.sender, amount)


@external
@view
def credit(who: address) -> uint256:
    """
    @return What `withdraw` would pay to an address.
    """
    return money._credit_of(who)
