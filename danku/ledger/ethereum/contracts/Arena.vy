# pragma version 0.4.3
# pragma optimize gas
"""
@title The arena: danku's challenges with real escrow. No owner, no upgrade, no fee.
@notice The rules, their order and their names are those of danku/protocol. Every accepted action is
        one event that tells all of it, so that danku/protocol replays the ledger from its events.
        What does not fit into one contract is in Court.vy, whose code runs on the arena's storage.
"""

import layout
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
    terms: layout.Terms
    manifest: String[80]
    seed_commitment: bytes32
    nonce: uint256
    beacon_block: uint256


event Contributed:
    challenge: indexed(bytes32)
    sender: indexed(address)
    commitment: bytes32


event SeedOpened:
    challenge: indexed(bytes32)
    sender: indexed(address)
    secret: bytes32


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


AMOUNT: constant(uint256) = layout.AMOUNT
COUNT: constant(uint256) = layout.COUNT

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
        raw_revert(method_id("BadTerms()"))
    locked: uint256 = terms.pot + terms.fee + terms.organizer_bond
    locked += (seats if named else 64) * terms.contribution_deposit
    locked += terms.max_entries * (terms.submission_bond + terms.entry_fee)
    bad = locked > AMOUNT
    for place: uint256 in range(len(terms.members), bound=16):
        member: address = terms.members[place]
        bad = bad or member == organizer or member == empty(address)
        for other: uint256 in range(place, bound=16):
            bad = bad or member == terms.members[other]
    if bad:
        raw_revert(method_id("BadTerms()"))


@internal
@view
def _pool(terms: layout.Terms, organizer: address) -> (uint256, uint256):
    """
    @return The seats that may serve a challenge of these terms now, as packed in `origin`, and how
            many they are.
    """
    if registry.stake == 0:
        raw_revert(method_id("NoRegistry()"))
    now: uint256 = registry._registry
    eligible: uint256 = unsafe_sub(
        (now >> layout.ACTIVE) & COUNT, registry._held_by(organizer)
    )
    if eligible < 2 * terms.seats:
        raw_revert(method_id("TooFewSeats()"))
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
        raw_revert(method_id("UnbondingTooShort()"))
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
        raw_revert(method_id("Malformed()"))
    self._check_terms(terms, msg.sender)
    pool: uint256 = 0
    eligible: uint256 = 0
    if terms.panel_kind == 1:
        pool, eligible = self._pool(terms, msg.sender)
    challenge: bytes32 = digests.challenge_id(msg.sender, nonce)
    if challenges.records[challenge] != empty(bytes32):
        raw_revert(method_id("AlreadyCreated()"))
    beacon_block: uint256 = 0
    if terms.seed_source != CONTRIBUTIONS:
        # NOTE: that many blocks take at least as long as seeds can be opened.
        seconds: uint256 = terms.contribute + terms.open_seed
        beacon_block = block.number + (seconds + block_seconds - 1) // block_seconds
    panel: bytes32 = keccak256(
        abi_encode(layout.Panel(seed_commitment=seed_commitment, members=terms.members))
    )
    challenges.records[challenge] = keccak256(
        abi_encode(
            layout.agreement(terms, msg.sender, block.timestamp, beacon_block, pool, panel)
        )
    )
    if eligible != 0:
        challenges.status[challenge] = eligible << layout.ELIGIBLE
    log Created(
        challenge=challenge,
        sender=msg.sender,
        terms=terms,
        manifest=manifest,
        seed_commitment=seed_commitment,
        nonce=nonce,
        beacon_block=beacon_block,
    )
    money._take(terms.pot + terms.fee + terms.organizer_bond)


@external
@payable
@nonreentrant
def contribute(
    challenge: bytes32, terms: layout.Agreement, panel: layout.Panel, commitment: bytes32
):
    """
    @notice Validator: commits to 32 random bytes for the seed.
    """
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._panel_holds(terms, panel)
    challenges._window(0, layout.end(terms, 1))
    judges: bool = False
    limit: uint256 = 64
    if challenges._named(terms):
        judges = msg.sender in panel.members
        limit = len(panel.members)
    else:
        judges = challenges._eligible(challenge, terms, msg.sender) > 0
    if not judges or (terms.schedule >> layout.SEED_SOURCE) & 3 == BEACON:
        raw_revert(method_id("NotOnPanel()"))
    if challenges._contributions[challenge][msg.sender] != 0:
        raw_revert(method_id("AlreadyContributed()"))
    index: uint256 = (status >> layout.CONTRIBUTIONS) & 255
    if index >= limit:
        raw_revert(method_id("TooManyContributions()"))
    challenges._contributions[challenge][msg.sender] = (
        convert(keccak256(commitment), uint256) & layout.CONTRIBUTION_HASH
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
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._panel_holds(terms, panel)
    challenges._window(layout.end(terms, 1), layout.end(terms, 2))
    expected: bytes32 = digests.seed_commitment(challenge, msg.sender, secret)
    if convert(msg.sender, uint256) == terms.origin & layout.OWNER:
        if (status >> layout.SECRET) & 1 != 0:
            raw_revert(method_id("AlreadyOpened()"))
        if expected != panel.seed_commitment:
            raw_revert(method_id("CommitmentMismatch()"))
        challenges.status[challenge] = status | (1 << layout.SECRET)
    else:
        mark: uint256 = challenges._contributions[challenge][msg.sender]
        if mark == 0:
            raw_revert(method_id("NotContributor()"))
        if mark & layout.MARK != 0:
            raw_revert(method_id("AlreadyOpened()"))
        if (
            mark & layout.CONTRIBUTION_HASH
            != convert(keccak256(expected), uint256) & layout.CONTRIBUTION_HASH
        ):
            raw_revert(method_id("CommitmentMismatch()"))
        challenges._contributions[challenge][msg.sender] = (
            (convert(keccak256(secret), uint256) & layout.CONTRIBUTION_HASH)
            | (mark & ~layout.CONTRIBUTION_HASH)
            | layout.MARK
        )
        challenges.status[challenge] = unsafe_add(status, 1 << layout.CONTRIBUTIONS_OPENED)
        money._credit(msg.sender, (terms.bonds >> layout.CONTRIBUTION_DEPOSIT) & AMOUNT)
    log SeedOpened(challenge=challenge, sender=msg.sender, secret=secret)
    money._take(0)


@internal
@view
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
        raw_revert(method_id("WrongWitness()"))
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
            raw_revert(method_id("WrongWitness()"))
        following = unsafe_add(index, 1)


@internal
@view
def _beacon(first: uint256) -> bytes32:
    """
    @notice The hash of the block that `create` fixed. Where nobody used it while it could be had,
            the block so many blocks later takes its place, and so on: never one that could be
            chosen, and always one that is there.
    """
    if block.number <= first:
        raw_revert(method_id("BeaconUnavailable()"))
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
        raw_revert(method_id("BeaconUnavailable()"))
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
    status: uint256 = challenges._ongoing(challenge, terms)
    if (status >> layout.DRAWN) & 1 != 0:
        raw_revert(method_id("AlreadyDrawn()"))
    challenges._window(layout.end(terms, 2), layout.end(terms, 3))
    source: uint256 = (terms.schedule >> layout.SEED_SOURCE) & 3
    if source != BEACON:
        if (status >> layout.SECRET) & 1 == 0:
            raw_revert(method_id("OrganizerUnopened()"))
        opened: uint256 = (status >> layout.CONTRIBUTIONS_OPENED) & 255
        if opened < terms.schedule >> layout.MIN_CONTRIBUTIONS:
            raw_revert(method_id("SeedNotContributed()"))
        challenges._panel_holds(terms, panel)
        self._openings(challenge, opened, contributors, secrets)
        organizer: address = convert(terms.origin & layout.OWNER, address)
        if digests.seed_commitment(challenge, organizer, secrets[0]) != panel.seed_commitment:
            raw_revert(method_id("WrongWitness()"))
    elif len(secrets) != 0:
        raw_revert(method_id("WrongWitness()"))
    beacon: bytes32 = empty(bytes32)
    if source != CONTRIBUTIONS:
        beacon = self._beacon(terms.entry >> layout.BEACON_BLOCK)
    seed: bytes32 = digests.seed_of(challenge, secrets, beacon)
    if not challenges._named(terms):
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
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._organizer_only(terms)
    if (status >> layout.DRAWN) & 1 == 0:
        raw_revert(method_id("NotDrawn()"))
    if (status >> layout.TRAIN) & 1 != 0:
        raw_revert(method_id("AlreadyRevealed()"))
    challenges._window(layout.end(terms, 2), layout.end(terms, 3))
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
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._panel_holds(terms, panel)
    if block.timestamp >= layout.end(terms, 4):
        raw_revert(method_id("Late()"))
    if (status >> layout.TRAIN) & 1 == 0:
        raw_revert(method_id("TrainNotRevealed()"))
    if msg.sender in panel.members:
        raw_revert(method_id("PanelMember()"))
    if not challenges._named(terms):
        excluded: uint256 = challenges._eligible(challenge, terms, msg.sender)
        needed: uint256 = unsafe_add(excluded, unsafe_mul(2, challenges._seats(terms)))
        if (status >> layout.ELIGIBLE) & COUNT < needed:
            raw_revert(method_id("TooFewSeats()"))
        status = unsafe_sub(status, excluded << layout.ELIGIBLE)
    if place >= (terms.prize >> layout.MAX_SUBMISSIONS) & 1023:
        raw_revert(method_id("TooManySubmissions()"))
    number: uint256 = (status >> layout.SUBMISSIONS) & COUNT
    if number >= (terms.prize >> layout.MAX_ENTRIES) & (2**17 - 1):
        raw_revert(method_id("TooManyEntries()"))
    if (
        challenges._submissions[challenge][msg.sender][place] != 0
        or (
            place != 0
            and challenges._submissions[challenge][msg.sender][unsafe_sub(place, 1)] == 0
        )
    ):
        raw_revert(method_id("WrongWitness()"))
    challenges._submissions[challenge][msg.sender][place] = (
        convert(keccak256(commitment), uint256) & layout.SUBMISSION_HASH
    ) | (number << layout.SUBMISSION_NUMBER)
    challenges.status[challenge] = unsafe_add(status, 1 << layout.SUBMISSIONS)
    log Submitted(challenge=challenge, sender=msg.sender, number=number, commitment=commitment)
    money._take(
        unsafe_add(terms.entry & AMOUNT, (terms.entry >> layout.ENTRY_FEE) & AMOUNT)
    )


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
    status: uint256 = challenges._ongoing(challenge, terms)
    start: uint256 = layout.end(terms, 4)
    challenges._window(start, unsafe_add(start, (terms.schedule >> 124) & layout.SECONDS))
    if number >= (status >> layout.SUBMISSIONS) & COUNT:
        raw_revert(method_id("UnknownSubmission()"))
    mark: uint256 = challenges._submissions[challenge][msg.sender][place]
    if mark == 0 or (mark >> layout.SUBMISSION_NUMBER) & (2**17 - 1) != number:
        raw_revert(method_id("NotSubmitter()"))
    if mark & layout.MARK != 0:
        raw_revert(method_id("AlreadyOpened()"))
    expected: bytes32 = digests.submission(challenge, msg.sender, model, cid, salt)
    if (
        (convert(keccak256(expected), uint256) ^ mark) & layout.SUBMISSION_HASH != 0
    ):
        raw_revert(method_id("CommitmentMismatch()"))
    challenges._submissions[challenge][msg.sender][place] = mark | layout.MARK
    challenges.status[challenge] = unsafe_add(status, 1 << layout.OPENED)
    if not challenges._named(terms):
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
    status: uint256 = challenges._ongoing(challenge, terms)
    challenges._organizer_only(terms)
    challenges._window(layout.end(terms, 5), layout.end(terms, 6))
    if (status >> layout.TRAIN) & 1 == 0:
        raw_revert(method_id("TrainNotRevealed()"))
    if (status >> layout.TEST) & 1 != 0:
        raw_revert(method_id("AlreadyRevealed()"))
    challenges.status[challenge] = status | (1 << layout.TEST)
    log TestRevealed(challenge=challenge, sender=msg.sender, bundle=bundle)
    money._take(0)


# --- stage 4: evaluation --------------------------------------------------------------------------


@external
@payable
def vote(
    challenge: bytes32,
    terms: layout.Agreement,
    panel: layout.Panel,
    committee: layout.Committee,
    commitment: bytes32,
):
    """
    @notice Committee member: commits to a ballot.
    @param committee That of the round which is due; empty for a named panel.
    """
    status: uint256 = challenges._ongoing(challenge, terms)
    number: uint256 = challenges._round_due(terms)
    start: uint256 = layout.end(terms, 6 if number == 1 else 8)
    challenges._window(start, unsafe_add(start, (terms.schedule >> 186) & layout.SECONDS))
    if not challenges._convened(status, number):
        raw_revert(method_id("NotConvened()"))
    sits: bool = False
    if challenges._named(terms):
        challenges._panel_holds(terms, panel)
        sits = msg.sender in panel.members
        # NOTE: who was silent in round one does not sit in round two.
        if number == 2 and challenges._convened(status, 1):
            sits = sits and challenges._votes[challenge][1][msg.sender] & layout.MARK != 0
    else:
        challenges._committee_holds(challenge, number, committee)
        sits = msg.sender in committee.owners
    if not sits:
        raw_revert(method_id("NotOnCommittee()"))
    if challenges._votes[challenge][number][msg.sender] != 0:
        raw_revert(method_id("AlreadyVoted()"))
    challenges._votes[challenge][number][msg.sender] = (
        convert(keccak256(commitment), uint256) & layout.VOTE_HASH
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
    if (
        ballot.outcome > challenges.VOID
        or ballot.payout_total > AMOUNT
        or ballot.score >= 2**63
        or ballot.score <= -(2**63)
    ):
        raw_revert(method_id("Malformed()"))
    status: uint256 = challenges._ongoing(challenge, terms)
    number: uint256 = challenges._round_due(terms)
    start: uint256 = layout.end(terms, 7 if number == 1 else 9)
    challenges._window(start, unsafe_add(start, (terms.schedule >> 217) & layout.SECONDS))
    if not challenges._convened(status, number):
        raw_revert(method_id("NotConvened()"))
    # NOTE: who does not sit in the round has no vote in it, so this refuses them too.
    mark: uint256 = challenges._votes[challenge][number][msg.sender]
    if mark == 0:
        raw_revert(method_id("NotVoted()"))
    if mark & layout.MARK != 0:
        raw_revert(method_id("AlreadyOpened()"))
    expected: bytes32 = digests.vote(challenge, number, msg.sender, ballot, salt)
    if convert(keccak256(expected), uint256) & layout.VOTE_HASH != mark:
        raw_revert(method_id("CommitmentMismatch()"))
    if (
        (ballot.outcome == challenges.TEST and (status >> layout.TEST) & 1 == 0)
        or ballot.payout_total > challenges._distributable(terms, status, ballot.outcome)
        or (ballot.payout_total == 0) != (ballot.payout_root == empty(bytes32))
        or (
            ballot.score != 0
            if ballot.winner == empty(address)
            else ballot.outcome == challenges.VOID
            or challenges._submissions[challenge][ballot.winner][0] == 0
        )
    ):
        raw_revert(method_id("BadBallot()"))
    challenges._votes[challenge][number][msg.sender] = challenges._ballot_mark(ballot)
    log VoteOpened(challenge=challenge, sender=msg.sender, ballot=ballot, salt=salt, cid=cid)
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
        raw_revert(method_id("Malformed()"))
    status: uint256 = challenges._final(challenge)
    root: bytes32 = challenges.records[challenge]
    if (status >> layout.PAYS) & 1 == 0 or amount == 0:
        raw_revert(method_id("NothingOwed()"))
    if index < 96:
        if (status >> unsafe_add(layout.CLAIMED, index)) & 1 != 0:
            raw_revert(method_id("AlreadyClaimed()"))
        status = status | (1 << unsafe_add(layout.CLAIMED, index))
    else:
        claimed: uint256 = challenges._claimed[challenge][index >> 8]
        if (claimed >> (index & 255)) & 1 != 0:
            raw_revert(method_id("AlreadyClaimed()"))
        challenges._claimed[challenge][index >> 8] = claimed | (1 << (index & 255))
    if not digests.payout_holds(root, index, payee, amount, proof):
        raw_revert(method_id("BadProof()"))
    if amount > (status >> layout.ESCROW) & AMOUNT:
        raw_revert(method_id("EscrowExhausted()"))
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
        raw_revert(method_id("NothingOwed()"))
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
