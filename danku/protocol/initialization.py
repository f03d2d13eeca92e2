"""Stage 1, initialization: terms, seed and partition, and the train data."""

from __future__ import annotations

from msgspec.structs import replace

from danku.crypto.commitments import seed_commitment
from danku.crypto.hashing import from_hex, to_hex
from danku.protocol import actions as a
from danku.protocol import money
from danku.protocol.committee import judges
from danku.protocol.draw import challenge_id, seed_of
from danku.protocol.errors import refuse, require
from danku.protocol.guards import exact_value, ongoing, organizer_only, window
from danku.protocol.registry import held_by
from danku.protocol.schedule import windows
from danku.protocol.state import Challenge, Context, Contribution, Pool, Registry, State
from danku.protocol.terms import MAX_SCHEDULE, SeatsPanel, Terms, escrow_of, terms_digest
from danku.protocol.types import AMOUNT_LIMIT, ZERO_ADDRESS, Address, Digest


def check_terms(terms: Terms, organizer: Address) -> None:
    """Refuse terms that cannot be played or that favour the organizer.

    Raises:
        Rejected: BadTerms, with the value and its bound.
    """
    reward, panel = terms.reward, terms.panel
    contributed = terms.seed_source != "beacon"
    locked = escrow_of(terms) + panel.contributors * reward.contribution_deposit
    locked += reward.max_entries * (reward.submission_bond + reward.entry_fee)
    for holds, what in (
        (locked < AMOUNT_LIMIT, f"up to {locked} could be locked up, the limit is 2^96 - 1"),
        (
            windows(0, terms.schedule).open_vote < MAX_SCHEDULE,
            f"the schedule takes {windows(0, terms.schedule).open_vote} s, the limit is 2^31 - 1",
        ),
        (
            terms.test_groups < terms.groups,
            f"{terms.test_groups} test groups of {terms.groups} leave no train group",
        ),
        (
            2 * reward.organizer_bond >= reward.pot,
            f"organizer_bond {reward.organizer_bond} is less than half the pot {reward.pot}",
        ),
        (
            reward.max_submissions <= reward.max_entries,
            f"max_submissions {reward.max_submissions} exceeds max_entries {reward.max_entries}",
        ),
        (len(set(panel.members)) == len(panel.members), "a panel member is named twice"),
        (organizer not in panel.members, f"the organizer {organizer} is on its own panel"),
        (ZERO_ADDRESS not in panel.members, "the zero address is on the panel"),
        (
            not isinstance(panel, SeatsPanel) or panel.silence_share < panel.minority_share,
            "silence_share must be less than minority_share, or nobody would risk a vote",
        ),
        (
            terms.min_contributions <= panel.seats,
            f"min_contributions {terms.min_contributions} exceeds the panel's {panel.seats} seats",
        ),
        (
            (terms.min_contributions > 0) == contributed,
            f"min_contributions {terms.min_contributions} does not fit seed_source "
            f"{terms.seed_source}",
        ),
    ):
        require(holds, "BadTerms", what, "mend challenge.toml; danku challenge check explains it")


def check_panel(terms: Terms, organizer: Address, registry: Registry | None) -> Pool | None:
    """The seats that may serve a challenge of these terms now; None for a named panel.

    Raises:
        Rejected: NoRegistry, TooFewSeats or UnbondingTooShort.
    """
    panel = terms.panel
    if not isinstance(panel, SeatsPanel):
        return None
    if registry is None:
        refuse(
            "NoRegistry",
            "the panel takes seats, and this ledger has no registry of them",
            "name the validators: danku challenge new --validator ADDRESS",
        )
    eligible = registry.active - held_by(registry, organizer)
    require(
        eligible >= 2 * panel.seats,
        "TooFewSeats",
        f"{eligible} seats are eligible, a committee of {panel.seats} takes {2 * panel.seats}",
        "wait for more validators: danku validator list; or draw fewer seats",
    )
    needed = windows(0, terms.schedule).second_open_vote + terms.schedule.vote
    require(
        needed <= registry.terms.unbonding,
        "UnbondingTooShort",
        f"the schedule with both rounds, and {terms.schedule.vote} s to settle it, takes {needed} "
        f"s; a stake can be taken out after {registry.terms.unbonding} s",
        "shorten [schedule]",
    )
    return Pool(registry.version, len(registry.seats), eligible)


def next_nonce(state: State, organizer: Address) -> int:
    """The nonce to create the next challenge with: the count of the organizer's, or the next one
    that is not used."""
    nonce = state.created.get(organizer, 0)
    while challenge_id(state.chain_id, state.ledger, organizer, nonce) in state.challenges:
        nonce += 1
    return nonce


def create(state: State, action: a.Create, context: Context) -> State:
    """Fix the terms and escrow pot, fee and bond.

    Raises:
        Rejected: BadTerms, as `check_panel`, BeaconUnavailable, AlreadyCreated or WrongValue.
    """
    terms = action.terms
    check_terms(terms, context.sender)
    pool = check_panel(terms, context.sender, state.registry)
    require(
        terms.seed_source == "contributions" or context.beacon is not None,
        "BeaconUnavailable",
        f"seed_source is {terms.seed_source}, and this ledger has no beacon",
        'set seed_source = "contributions"',
    )
    identity = challenge_id(state.chain_id, state.ledger, context.sender, action.nonce)
    require(
        identity not in state.challenges,
        "AlreadyCreated",
        f"{context.sender} has created challenge {identity} with the nonce {action.nonce}",
        "run the command again; it takes the next nonce",
    )
    exact_value(context, escrow_of(terms), "create")
    challenge = Challenge(
        id=identity,
        organizer=context.sender,
        terms=terms,
        terms_digest=terms_digest(terms),
        manifest=action.manifest,
        created=context.time,
        seed_commitment=action.seed_commitment,
        escrow=0,
        pool=pool,
    )
    count = state.created.get(context.sender, 0) + 1
    counted = replace(state, created={**state.created, context.sender: count})
    return money.deposit(counted, challenge, context.value)


def contribute(state: State, action: a.Contribute, context: Context) -> State:
    """Commit to a part of the seed.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    ends = challenge.windows
    window(context, ends.created, ends.contribute, "contribute")
    require(
        challenge.terms.seed_source != "beacon"
        and judges(challenge, state.registry, context.sender),
        "NotOnPanel",
        f"{context.sender} does not contribute to this challenge's seed",
        "use --as with the key of a panel member, or of an owner of seats that `create` found",
    )
    require(
        all(item.contributor != context.sender for item in challenge.contributions),
        "AlreadyContributed",
        f"{context.sender} has contributed",
        "open it in the next window: danku advance",
    )
    limit = challenge.terms.panel.contributors
    require(
        len(challenge.contributions) < limit,
        "TooManyContributions",
        f"all {limit} contributions to the seed are made",
        "nothing is to be done; the seed needs no more",
    )
    exact_value(context, challenge.terms.reward.contribution_deposit, "contribute")
    entry = Contribution(context.sender, action.commitment)
    contributed = replace(challenge, contributions=(*challenge.contributions, entry))
    return money.deposit(state, contributed, context.value)


def open_seed(state: State, action: a.OpenSeed, context: Context) -> State:
    """Open a committed part of the seed, and have the deposit back.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    ends = challenge.windows
    window(context, ends.contribute, ends.open_seed, "open_seed")
    if context.sender == challenge.organizer:
        committed, opened = challenge.seed_commitment, challenge.seed_secret
        _secret(challenge, committed, opened, action, context)
        return money.put(state, replace(challenge, seed_secret=action.secret))
    entries = {item.contributor: item for item in challenge.contributions}
    entry = entries.get(context.sender)
    if entry is None:
        refuse("NotContributor", f"{context.sender} committed to no part of this seed")
    _secret(challenge, entry.commitment, entry.secret, action, context)
    entries[context.sender] = replace(entry, secret=action.secret)
    returned = {context.sender: challenge.terms.reward.contribution_deposit}
    contributed = replace(challenge, contributions=tuple(entries.values()))
    return money.credit(state, contributed, returned)


def _secret(
    challenge: Challenge,
    committed: Digest,
    opened: Digest | None,
    action: a.OpenSeed,
    context: Context,
) -> None:
    require(opened is None, "AlreadyOpened", f"{context.sender} has opened its seed secret")
    expected = to_hex(
        seed_commitment(from_hex(challenge.id), context.sender, from_hex(action.secret))
    )
    require(
        expected == committed,
        "CommitmentMismatch",
        f"the secret hashes to {expected}, committed was {committed}",
        "open with the secret in the private folder",
    )
    exact_value(context, 0, "open_seed")


def draw(state: State, action: a.Draw, context: Context) -> State:
    """Fix the seed, and with it the partition.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    require(challenge.seed is None, "AlreadyDrawn", f"the seed is {challenge.seed}")
    ends = challenge.windows
    window(context, ends.open_seed, ends.reveal_train, "draw")
    source = challenge.terms.seed_source
    openings = [] if source == "beacon" else _seed_openings(challenge)
    beacon = None if source == "contributions" else context.beacon
    require(
        source == "contributions" or beacon is not None,
        "BeaconUnavailable",
        "the ledger gave no beacon",
    )
    exact_value(context, 0, "draw")
    return money.put(state, replace(challenge, seed=seed_of(challenge.id, openings, beacon)))


def _seed_openings(challenge: Challenge) -> list[Digest]:
    if challenge.seed_secret is None:
        refuse(
            "OrganizerUnopened",
            "the organizer did not open its seed secret",
            f"danku challenge finalize {challenge.id} settles it",
        )
    openings = [item.secret for item in challenge.contributions if item.secret is not None]
    require(
        len(openings) >= challenge.terms.min_contributions,
        "SeedNotContributed",
        f"{len(openings)} contributions were opened, "
        f"{challenge.terms.min_contributions} are needed",
        f"danku challenge finalize {challenge.id} settles it",
    )
    return [challenge.seed_secret, *openings]


def reveal_train(state: State, action: a.RevealTrain, context: Context) -> State:
    """Name the bundle of the train groups.

    Raises:
        Rejected: by the rules below, in their order.
    """
    challenge = ongoing(state, action.challenge)
    organizer_only(challenge, context)
    require(
        challenge.seed is not None,
        "NotDrawn",
        "the seed is not drawn",
        f"danku challenge draw {challenge.id}",
    )
    require(challenge.train is None, "AlreadyRevealed", f"the train bundle is {challenge.train}")
    ends = challenge.windows
    window(context, ends.open_seed, ends.reveal_train, "reveal_train")
    exact_value(context, 0, "reveal_train")
    return money.put(state, replace(challenge, train=action.bundle))
