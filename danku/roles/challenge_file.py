"""`challenge.toml`: what an organizer writes, read strictly and turned into terms."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from danku.errors import DataError
from danku.protocol.manifest import (
    EvaluationTerms,
    Limits,
    Line,
    Manifest,
    MechanismTerms,
    ModelContract,
    Name,
    Record,
    Text,
)
from danku.protocol.records import decode_scalar
from danku.protocol.terms import NamedPanel, Panel, Reward, Schedule, SeatsPanel, SeedSource
from danku.protocol.types import SCORE_LIMIT, SCORE_UNIT, Address, Amount, Score

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (86_400, 3_600, 60, 1)


class ChallengeFileBroken(DataError):
    """challenge.toml is missing, malformed, or says something that cannot be."""


class Duration(int):
    """Seconds, spelled like "7d", "36h" or "1d12h30m"."""


class Identity(Record):
    name: Name
    title: Line
    summary: Text = ""


class DataSection(Record):
    source: Line
    target: Line
    group_rows: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    test_fraction: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    shuffle: bool = True
    group_by: Line | None = None


class EvaluationSection(Record):
    metric: Line
    threshold: str
    batch: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    limits: Limits = Limits()
    yardstick_groups: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0


class ScheduleSection(Record):
    contribute: Duration
    open_seed: Duration
    reveal_train: Duration
    submit: Duration
    open: Duration
    reveal_test: Duration
    vote: Duration
    open_vote: Duration


class RewardSection(Record):
    pot: Amount
    fee: Amount
    organizer_bond: Amount
    contribution_deposit: Amount
    submission_bond: Amount
    entry_fee: Amount
    max_submissions: int
    max_entries: int
    mechanism: str
    shares: tuple[int, ...] = ()


class ValidatorsSection(Record):
    panel: Literal["named", "seats"]
    addresses: tuple[str, ...] = ()
    seats: int = 0
    minority_share: int = 3_000
    """Parts per 10,000 of a seat's stake."""
    silence_share: int = 500
    min_contributions: int = 1
    seed_source: SeedSource = "contributions"
    """`beacon` and `both` need a ledger that has public randomness."""


class ChallengeFile(Record):
    """The whole of challenge.toml, section by section."""

    challenge: Identity
    data: DataSection
    evaluation: EvaluationSection
    model: ModelContract
    schedule: ScheduleSection
    reward: RewardSection
    validators: ValidatorsSection


def parse_duration(text: str) -> Duration:
    """Seconds of "7d", "36h", "1d12h30m".

    Raises:
        ValueError: not a duration, or zero.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    parts = [int(part or 0) for part in match.groups()] if match else []
    seconds = sum(part * unit for part, unit in zip(parts, _UNITS, strict=False))
    if not 0 < seconds < 2**31:
        raise ValueError(f"expected a duration such as '7d' or '1d12h', found {text!r}")
    return Duration(seconds)


def parse_score(text: str) -> Score:
    """A decimal number as a score in units of 1e-9.

    Raises:
        ValueError: not a number, finer than 1e-9, or out of bounds.
    """
    try:
        number = Decimal(text)
        scaled = number * SCORE_UNIT
        exact = scaled == scaled.to_integral_value() and abs(scaled) < SCORE_LIMIT
        # NOTE: a product of too many digits is rounded.
        exact = exact and scaled / SCORE_UNIT == number
    except (InvalidOperation, ValueError):
        exact = False
    if not exact:
        raise ValueError(f"expected a decimal with at most 9 places, found {text!r}")
    return Score(int(scaled))


def _scalar(expected: type[Any], value: Any) -> Any:
    if expected is Duration:
        return parse_duration(str(value))
    if expected is Amount:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        elif isinstance(value, str):
            value = value.replace("_", "")
    return decode_scalar(expected, value)


def _advice(message: str, text: str) -> str:
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if not unknown:
        return "danku challenge new --from breast-cancer writes a complete example"
    keys = {
        name for section in ChallengeFile.__struct_fields__ for name in (section, *_fields(section))
    }
    close = difflib.get_close_matches(unknown[1], sorted(keys), 1)
    return f"did you mean `{close[0]}`?" if close else f"remove `{unknown[1]}`"


def _fields(section: str) -> tuple[str, ...]:
    expected = next(
        field.type for field in msgspec.structs.fields(ChallengeFile) if field.name == section
    )
    return tuple(expected.__struct_fields__)


def read_challenge_file(path: Path) -> ChallengeFile:
    """The typed content of a challenge.toml.

    Raises:
        ChallengeFileBroken: names the key, what was found and what was expected.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChallengeFileBroken(
            f"{path} cannot be read: {error}", fix="danku challenge new NAME makes one"
        ) from None
    try:
        return msgspec.toml.decode(text, type=ChallengeFile, dec_hook=_scalar)
    except (msgspec.DecodeError, RecursionError) as error:
        message = str(error).replace("$.", "").replace("Object", "Section")
        raise ChallengeFileBroken(f"{path}: {message}", fix=_advice(message, text)) from None


def checked(path: Path, what: str, make: Any) -> Any:
    """Run ``make`` and name the key of the file where it fails.

    Raises:
        ChallengeFileBroken: with the key and the reason.
    """
    try:
        return make()
    except (ValueError, DataError) as error:
        raise ChallengeFileBroken(f"{path}: {what}: {error}", fix=f"mend {what}") from None


def schedule_of(file: ChallengeFile) -> Schedule:
    """The schedule as the ledger keeps it."""
    lengths = (getattr(file.schedule, name) for name in Schedule.__struct_fields__)
    return Schedule(*(int(length) for length in lengths))


def reward_of(file: ChallengeFile, path: Path) -> Reward:
    """The amounts as the ledger keeps them."""
    from danku.protocol.records import convert, plain

    fields = {name: getattr(file.reward, name) for name in Reward.__struct_fields__}
    return checked(path, "reward", lambda: convert(plain(fields), Reward, "reward"))  # type: ignore[no-any-return]


def panel_of(file: ChallengeFile, path: Path) -> Panel:
    """The panel as the ledger keeps it; checksummed addresses are accepted.

    Raises:
        ChallengeFileBroken: a value is malformed, or stands beside a panel of the other kind.
    """
    from danku.protocol.records import convert

    section = file.validators
    wanted, other = ("seats", "addresses")[:: 1 if section.panel == "seats" else -1]
    if getattr(section, other):
        raise ChallengeFileBroken(
            f'{path}: validators.panel: "{section.panel}" stands beside `{other}`',
            why="a panel is either named by addresses or drawn from the registry's seats",
            fix=f"remove `{other}`, or change panel",
        )
    if not getattr(section, wanted):
        raise ChallengeFileBroken(
            f'{path}: validators.{wanted}: panel = "{section.panel}" needs `{wanted}`',
            fix="danku challenge new --validator ADDRESS, or --seats N, writes them",
        )
    if section.panel == "seats":
        shares = {
            "kind": "seats",
            "seats": section.seats,
            "minority_share": section.minority_share,
            "silence_share": section.silence_share,
        }
        return checked(path, "validators", lambda: convert(shares, SeatsPanel, "panel"))  # type: ignore[no-any-return]
    members = [address.lower() for address in file.validators.addresses]
    plain = {"kind": file.validators.panel, "members": members}
    return checked(  # type: ignore[no-any-return]
        path, "validators.addresses", lambda: convert(plain, NamedPanel, "panel")
    )


def check_yardstick(evaluation: EvaluationTerms, path: Path, train_groups: int) -> None:
    """Refuse a yardstick that leaves no group to train on.

    Raises:
        ChallengeFileBroken: it does.
    """
    if evaluation.yardstick_groups >= train_groups:
        raise ChallengeFileBroken(
            f"{path}: evaluation.yardstick_groups: {evaluation.yardstick_groups} of "
            f"{train_groups} train groups leave none to train on",
            fix=f"set it to {train_groups // 4} or less, or make groups smaller (group_rows)",
        )


def evaluation_of(file: ChallengeFile, path: Path) -> EvaluationTerms:
    """How models are scored, as the manifest keeps it."""
    section = file.evaluation
    threshold = checked(path, "evaluation.threshold", lambda: parse_score(section.threshold))
    return EvaluationTerms(
        metric=section.metric,
        threshold=threshold,
        batch=section.batch,
        limits=section.limits,
        yardstick_groups=section.yardstick_groups,
    )


def mechanism_of(file: ChallengeFile, path: Path) -> MechanismTerms:
    """How the pot is divided, as the manifest keeps it."""
    from danku.mechanisms import check_terms
    from danku.protocol.records import convert

    plain = {"name": file.reward.mechanism, "shares": list(file.reward.shares)}
    terms = checked(path, "reward.mechanism", lambda: convert(plain, MechanismTerms, "mechanism"))
    checked(path, "reward.shares", lambda: check_terms(terms))
    return terms  # type: ignore[no-any-return]


__all__ = [
    "Address",
    "ChallengeFile",
    "ChallengeFileBroken",
    "Manifest",
    "check_yardstick",
    "evaluation_of",
    "mechanism_of",
    "panel_of",
    "parse_duration",
    "parse_score",
    "read_challenge_file",
    "reward_of",
    "schedule_of",
]
