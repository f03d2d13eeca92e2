# pragma version 0.4.3
"""
@title How facts are packed into words; danku/ledger/ethereum/layout.py says the same, and golden
       vectors hold the two together.
@notice A name in capitals is the place of a field's lowest bit, from the lowest of its word.
"""

AMOUNT: constant(uint256) = 2**96 - 1
SECONDS: constant(uint256) = 2**31 - 1
TIME: constant(uint256) = 2**40 - 1
COUNT: constant(uint256) = 2**24 - 1

struct Terms:
    data_root: bytes32
    groups: uint256
    test_groups: uint256
    seed_source: uint256
    min_contributions: uint256
    contribute: uint256
    open_seed: uint256
    reveal_train: uint256
    submit: uint256
    open: uint256
    reveal_test: uint256
    vote: uint256
    open_vote: uint256
    pot: uint256
    fee: uint256
    organizer_bond: uint256
    contribution_deposit: uint256
    submission_bond: uint256
    entry_fee: uint256
    max_submissions: uint256
    max_entries: uint256
    panel_kind: uint256
    members: DynArray[uint256, 16]
    seats: uint256
    minority_share: uint256
    silence_share: uint256
    manifest: bytes32


# What every later action needs of a challenge. It is not stored: whoever calls hands it over, and
# its keccak has to be the one that `create` stored.
struct Agreement:
    schedule: uint256
    prize: uint256
    bonds: uint256
    entry: uint256
    origin: uint256
    panel: bytes32  # keccak of Panel


struct Panel:
    seed_commitment: bytes32
    members: DynArray[uint256, 16]


# A round's committee of staked seats, and where its walk stands; stored as its keccak.
struct Committee:
    owners: DynArray[uint256, 16]
    seats: DynArray[uint256, 16]
    position: uint256


struct Ballot:
    result: bytes32
    payout_root: bytes32
    winner_total: uint256
    score_outcome: uint256


# Agreement.schedule: the ends of the eight windows, in seconds from `create`, of 31 bits each, the
# first one lowest.
SEED_SOURCE: constant(uint256) = 248  # 2 bits
PANEL_KIND: constant(uint256) = 250  # 1 bit
MIN_CONTRIBUTIONS: constant(uint256) = 251  # 5 bits

# Agreement.prize
POT: constant(uint256) = 0  # 96 bits
FEE: constant(uint256) = 96  # 96 bits
MAX_ENTRIES: constant(uint256) = 192  # 17 bits
MAX_SUBMISSIONS: constant(uint256) = 209  # 10 bits
SEATS: constant(uint256) = 219  # 5 bits
MINORITY_SHARE: constant(uint256) = 224  # 13 bits
SILENCE_SHARE: constant(uint256) = 237  # 13 bits

# Agreement.bonds
ORGANIZER_BOND: constant(uint256) = 0  # 96 bits
CONTRIBUTION_DEPOSIT: constant(uint256) = 96  # 96 bits
CREATED: constant(uint256) = 192  # 40 bits

# Agreement.entry
SUBMISSION_BOND: constant(uint256) = 0  # 96 bits
ENTRY_FEE: constant(uint256) = 96  # 96 bits
BEACON_BLOCK: constant(uint256) = 192  # 64 bits

# Agreement.origin
ORGANIZER: constant(uint256) = 0  # 160 bits
POOL_VERSION: constant(uint256) = 160  # 48 bits
POOL_SLOTS: constant(uint256) = 208  # 21 bits

# Ballot.winner_total
WINNER: constant(uint256) = 0  # 160 bits
PAYOUT_TOTAL: constant(uint256) = 160  # 96 bits

# Ballot.score_outcome
SCORE: constant(uint256) = 0  # 64 bits, in two's complement
SCORES: constant(uint256) = 2**64 - 1
OUTCOME: constant(uint256) = 64  # 2 bits

# Status of a challenge
FINAL: constant(uint256) = 0  # 1 bit
KIND: constant(uint256) = 1  # 3 bits
DRAWN: constant(uint256) = 4  # flags, 1 bit each
TRAIN: constant(uint256) = 5
TEST: constant(uint256) = 6
SECRET: constant(uint256) = 7
CONVENED: constant(uint256) = 8  # round 1; round 2 is the next bit
CONTRIBUTIONS: constant(uint256) = 16  # 8 bits
CONTRIBUTIONS_OPENED: constant(uint256) = 24  # 8 bits
SUBMISSIONS: constant(uint256) = 32  # 24 bits
OPENED: constant(uint256) = 56  # 24 bits
ELIGIBLE: constant(uint256) = 80  # 24 bits: seats that may be drawn; of a named panel 0
# Once it is final, SUBMISSIONS stays, and all that is above it means
PAYS: constant(uint256) = 4  # 1 bit: some payouts are claimed by proof
ESCROW: constant(uint256) = 64  # 96 bits
CLAIMED: constant(uint256) = 160  # 96 bits: payouts 0 to 95 that were claimed
DEPOSIT: constant(uint256) = 160  # 96 bits: where deposits are claimed instead

# A contribution, a submission and a vote are a keccak that gives up its lowest bits.
MARK: constant(uint256) = 1  # opened
CONTRIBUTION_INDEX: constant(uint256) = 1  # 7 bits
CONTRIBUTION_HASH: constant(uint256) = max_value(uint256) - 255
SUBMISSION_PAID: constant(uint256) = 2
SUBMISSION_NUMBER: constant(uint256) = 2  # 17 bits
SUBMISSION_HASH: constant(uint256) = max_value(uint256) - (2**19 - 1)
VOTE_HASH: constant(uint256) = max_value(uint256) - 1

# A seat's first word; of an empty slot: no owner, and in SINCE the next empty slot, plus 1
SINCE: constant(uint256) = 160  # 48 bits
UNTIL: constant(uint256) = 208  # 48 bits
VERSION: constant(uint256) = 2**48 - 1
OWNER: constant(uint256) = 2**160 - 1
# A seat's second word
LOSS: constant(uint256) = 0  # 96 bits
FREE: constant(uint256) = 96  # 64 bits

# The registry
REGISTRY_VERSION: constant(uint256) = 0  # 48 bits
SLOTS: constant(uint256) = 48  # 24 bits
USED: constant(uint256) = 72  # 24 bits
ACTIVE: constant(uint256) = 96  # 24 bits
EMPTY: constant(uint256) = 120  # 24 bits: the slot emptied last, plus 1
STAKED: constant(uint256) = 144  # 96 bits

# How many seats an owner holds, from a version on; of the newest one also how many came before
HELD: constant(uint256) = 48  # 24 bits
CHANGES: constant(uint256) = 72  # 48 bits


@internal
@pure
def agreement(
    terms: Terms,
    organizer: address,
    created: uint256,
    beacon_block: uint256,
    pool: uint256,
    panel: bytes32,
) -> Agreement:
    """
    @notice What later actions need of a challenge; `pool` is the top of the word `origin`.
    """
    seats: uint256 = terms.seats
    if terms.panel_kind == 0:
        seats = len(terms.members)
    ends: uint256[8] = [
        terms.contribute,
        terms.open_seed,
        terms.reveal_train,
        terms.submit,
        terms.open,
        terms.reveal_test,
        terms.vote,
        terms.open_vote,
    ]
    schedule: uint256 = 0
    time: uint256 = 0
    for place: uint256 in range(8):
        time = unsafe_add(time, ends[place])
        schedule = schedule | (time << unsafe_mul(31, place))
    return Agreement(
        schedule=(
            schedule
            | (terms.seed_source << SEED_SOURCE)
            | (terms.panel_kind << PANEL_KIND)
            | (terms.min_contributions << MIN_CONTRIBUTIONS)
        ),
        prize=(
            terms.pot
            | (terms.fee << FEE)
            | (terms.max_entries << MAX_ENTRIES)
            | (terms.max_submissions << MAX_SUBMISSIONS)
            | (seats << SEATS)
            | (terms.minority_share << MINORITY_SHARE)
            | (terms.silence_share << SILENCE_SHARE)
        ),
        bonds=(
            terms.organizer_bond
            | (terms.contribution_deposit << CONTRIBUTION_DEPOSIT)
            | (created << CREATED)
        ),
        entry=(
            terms.submission_bond
            | (terms.entry_fee << ENTRY_FEE)
            | (beacon_block << BEACON_BLOCK)
        ),
        origin=convert(organizer, uint256) | pool,
        panel=panel,
    )


@internal
@pure
def end(schedule: uint256, bonds: uint256, stages: uint256) -> uint256:
    """
    @notice When the window of a stage ends, in seconds since the epoch; stage 1 is that of
            contributions, 8 that of opening votes in round one.
    """
    return unsafe_add(
        (bonds >> CREATED) & TIME, (schedule >> unsafe_mul(31, unsafe_sub(stages, 1))) & SECONDS
    )


@internal
@pure
def round_ends(
    schedule: uint256, bonds: uint256, number: uint256
) -> (uint256, uint256, uint256):
    """
    @notice When the votes of a round begin and end, and when their openings end.
    """
    created: uint256 = (bonds >> CREATED) & TIME
    start: uint256 = (schedule >> 155) & SECONDS
    voted: uint256 = (schedule >> 186) & SECONDS
    over: uint256 = (schedule >> 217) & SECONDS
    if number == 2:
        created = unsafe_add(created, unsafe_sub(over, start))
    return unsafe_add(created, start), unsafe_add(created, voted), unsafe_add(created, over)
