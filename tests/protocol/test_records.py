"""Canonical JSON: a record has one spelling, and every other one is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danku.errors import DataError
from danku.protocol import actions
from danku.protocol.actions import MAX_SEATS, MAX_SLOTS, Action
from danku.protocol.manifest import DataDescription, EvaluationTerms, Manifest, Record
from danku.protocol.records import convert, decode, encode, plain
from danku.protocol.state import Submission
from danku.protocol.terms import MAX_ENTRIES, MAX_GROUPS, RegistryTerms, SeatsPanel, Terms
from danku.protocol.types import AMOUNT_LIMIT, SCORE_LIMIT, Amount, Score
from tests.protocol.simulator import Game, cid, digest, terms
from tests.protocol.strategies import records

ACTIONS = get_args(Action)
VOTE = actions.Vote(digest("challenge"), digest("commitment"))
VOTE_BYTES = encode(VOTE)


class Sample(Record):
    """One field of each scalar kind."""

    amount: Amount = Amount(5)
    count: int = 3
    flag: bool = False
    score: Score = Score(-7)
    text: str = "a"


SAMPLE = b'{"amount":"5","count":3,"flag":false,"score":"-7","text":"a"}'


def refused(data: bytes, expected: Any = Action) -> None:
    with pytest.raises(DataError, match="the record"):
        decode(data, expected, "the record")


@given(records(Action))
def test_every_action_survives_the_round_trip(action: Any) -> None:
    data = encode(action)
    assert decode(data, Action, "an action") == action
    assert json.loads(data)["kind"] == actions.kind_of(action)
    assert data == json.dumps(
        json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8")


@pytest.mark.parametrize("kind", [*ACTIONS, Manifest, Terms])
def test_each_kind_of_record_survives_the_round_trip(kind: Any) -> None:
    @settings(max_examples=30)
    @given(records(kind))
    def check(record: Any) -> None:
        data = encode(record)
        found = decode(data, kind, "a record")
        assert found == record
        assert type(found) is kind
        assert encode(found) == data
        assert convert(plain(record), kind, "a record") == record
        assert hash(found) == hash(record)

    check()


def test_kinds_are_told_apart_and_spelled_in_snake_case() -> None:
    kinds = [kind.__struct_config__.tag for kind in ACTIONS]
    assert len(set(kinds)) == len(ACTIONS) == 20
    assert kinds[:3] == ["create", "contribute", "open_seed"]


def test_an_action_golden() -> None:
    ballot = Game().ballot({"0x" + "11" * 20: 10**18}, winner="0x" + "11" * 20, score=-987_654_321)
    assert encode(ballot) == (
        b'{"outcome":"test","payout_root":"' + ballot.payout_root.encode() + b'",'
        b'"payout_total":"1000000000000000000","result":"' + ballot.result.encode() + b'",'
        b'"score":"-987654321","winner":"0x' + b"11" * 20 + b'"}'
    )
    assert (
        b'{"challenge":"' + VOTE.challenge.encode() + b'",'
        b'"commitment":"' + VOTE.commitment.encode() + b'","kind":"vote"}'
    ) == VOTE_BYTES


@given(st.data())
def test_no_single_changed_byte_reads_as_the_same_record(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(VOTE_BYTES) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != VOTE_BYTES[place]))
    changed = VOTE_BYTES[:place] + bytes([byte]) + VOTE_BYTES[place + 1 :]
    try:
        found = decode(changed, Action, "an action")
    except DataError:
        return
    assert found != VOTE


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_data_error(data: bytes) -> None:
    for kind in (Action, Manifest, Sample):
        try:
            decode(data, kind, "a record")
        except DataError:
            continue


@given(st.text(alphabet='{}[]",:0123456789eE+-. \\untrfalsk\ud800', max_size=60))
def test_no_json_alike_raises_anything_but_a_data_error(text: str) -> None:
    try:
        decode(text.encode("utf-8", "surrogatepass"), Action, "a record")
    except DataError:
        return


@pytest.mark.parametrize("space", [b" ", b"\n", b"\t", b"\r"])
def test_whitespace_is_refused_wherever_it_stands(space: bytes) -> None:
    for place in range(len(VOTE_BYTES) + 1):
        refused(VOTE_BYTES[:place] + space + VOTE_BYTES[place:])


NOT_CANONICAL = {
    "key order": b'{"count":3,"amount":"5","flag":false,"score":"-7","text":"a"}',
    "a key twice, alike": b'{"amount":"5","amount":"5","count":3,"flag":false,"score":"-7",'
    b'"text":"a"}',
    "a key twice, unlike": b'{"amount":"6","amount":"5","count":3,"flag":false,"score":"-7",'
    b'"text":"a"}',
    "an unknown key": SAMPLE[:-1] + b',"zebra":1}',
    "a default left out": b'{"count":3,"flag":false,"score":"-7","text":"a"}',
    "nothing": b"",
    "an empty object": b"{}",
    "a list": b'["5",3,false,"-7","a"]',
    "null": b"null",
    "a null field": SAMPLE.replace(b"3", b"null"),
    "two records": SAMPLE * 2,
    "a record and a NUL": SAMPLE + b"\0",
    "a byte order mark": b"\xef\xbb\xbf" + SAMPLE,
    "UTF-16": SAMPLE.decode().encode("utf-16"),
    "a comma too many": SAMPLE[:-1] + b",}",
    "a torn end": SAMPLE[:-1],
    "an escaped letter": SAMPLE.replace(b'"a"', b'"\\u0061"'),
    "an escaped key": SAMPLE.replace(b'"text"', b'"te\\u0078t"'),
    "an escaped slash": SAMPLE.replace(b'"a"', b'"\\/"'),
    "an upper-case escape": SAMPLE.replace(b'"a"', b'"\\u001F"'),
    "a long escape of a short one": SAMPLE.replace(b'"a"', b'"\\u000a"'),
    "a raw control character": SAMPLE.replace(b'"a"', b'"\n"'),
    "a raw NUL": SAMPLE.replace(b'"a"', b'"\0"'),
    "a lone high surrogate": SAMPLE.replace(b'"a"', b'"\\ud800"'),
    "a lone high surrogate, then text": SAMPLE.replace(b'"a"', b'"\\ud800abcdef"'),
    "a lone low surrogate": SAMPLE.replace(b'"a"', b'"\\udc00"'),
    "surrogates in the wrong order": SAMPLE.replace(b'"a"', b'"\\udc00\\ud800"'),
    "two high surrogates": SAMPLE.replace(b'"a"', b'"\\ud800\\ud800"'),
    "an escaped pair": SAMPLE.replace(b'"a"', b'"\\ud83d\\ude00"'),
    "an encoded surrogate": SAMPLE.replace(b'"a"', b'"\xed\xa0\x80"'),
    "broken UTF-8": SAMPLE.replace(b'"a"', b'"\xff"'),
    "overlong UTF-8": SAMPLE.replace(b'"a"', b'"\xc1\xa1"'),
    "single quotes": SAMPLE.replace(b'"', b"'"),
    "a comment": SAMPLE + b"//",
}


@pytest.mark.parametrize("what", NOT_CANONICAL)
def test_every_other_spelling_is_refused(what: str) -> None:
    assert decode(SAMPLE, Sample, "the record") == Sample()
    refused(NOT_CANONICAL[what], Sample)


INTEGERS = ["3.0", "3e0", "30e-1", "03", "+3", "-0", "0.0", "0x3", "3_0", "true", '"3"', "[3]"]
INTEGERS += ["NaN", "Infinity", "null", "1e400", str(2**53), str(2**64), "1" + "0" * 5000]


@pytest.mark.parametrize("spelling", INTEGERS, ids=lambda text: text[:20])
def test_an_integer_has_one_spelling_and_stays_below_two_to_the_53(spelling: str) -> None:
    refused(SAMPLE.replace(b"3", spelling.encode()), Sample)


@pytest.mark.parametrize("value", [0, -1, 2**53 - 1, -(2**53) + 1])
def test_safe_integers_are_read(value: int) -> None:
    assert decode(encode(Sample(count=value)), Sample, "a record").count == value


DECIMALS = ["", " ", "-0", "+1", "00", "01", "1.0", "1e3", "1 ", " 1", "1_0", "0x1", "1,0", "--1"]
DECIMALS += ["٣", "²", "１", "NaN", "1\\n", "1\\u0000"]  # noqa: RUF001


@pytest.mark.parametrize("spelling", DECIMALS)
@pytest.mark.parametrize("field", ['"5"', '"-7"'])
def test_a_decimal_string_has_one_spelling(spelling: str, field: str) -> None:
    refused(SAMPLE.replace(field.encode(), f'"{spelling}"'.encode()), Sample)


@pytest.mark.parametrize("value", ["-1", str(AMOUNT_LIMIT), str(10**40), "9" * 5000])
def test_an_amount_is_not_negative_and_below_two_to_the_96(value: str) -> None:
    refused(SAMPLE.replace(b'"5"', f'"{value}"'.encode()), Sample)


@pytest.mark.parametrize("value", [str(SCORE_LIMIT), str(-SCORE_LIMIT), "9" * 5000])
def test_a_score_is_below_two_to_the_63(value: str) -> None:
    refused(SAMPLE.replace(b'"-7"', f'"{value}"'.encode()), Sample)


@pytest.mark.parametrize("field", [b'"5"', b'"-7"'])
@pytest.mark.parametrize("value", [b"5", b"5.0", b"true", b"null", b'["5"]', b'{"value":"5"}'])
def test_a_decimal_string_is_a_string(field: bytes, value: bytes) -> None:
    refused(SAMPLE.replace(field, value), Sample)


@pytest.mark.parametrize("text", ["", "\0", '\x1f\x7f\n\t"\\/', "é", "e\u0301", "\u2028", "😀"])
def test_every_text_has_its_spelling(text: str) -> None:
    """Also what a terminal must not see: whoever shows a text has to escape it."""
    assert decode(encode(Sample(text=text)), Sample, "a record").text == text


def test_texts_that_look_alike_stay_apart() -> None:
    assert encode(Sample(text="é")) != encode(Sample(text="e\u0301"))


def test_keys_stand_in_utf_16_order_at_every_depth() -> None:
    record = {"\U0001f600": 1, "\uff5e": 2, "b": {"d": 1, "c": [{"z": 1, "y": 2}]}, "a": 3}
    assert encode(record).decode() == (
        '{"a":3,"b":{"c":[{"y":2,"z":1}],"d":1},"\U0001f600":1,"\uff5e":2}'
    )


def test_deep_nesting_is_refused_and_does_not_exhaust_the_stack() -> None:
    for opening in (b"[", b'{"a":'):
        refused(opening * 200_000)
        refused(opening * 200_000, Sample)
    refused(SAMPLE.replace(b"3", b"[" * 100_000 + b"]" * 100_000), Sample)


@pytest.mark.parametrize("value", [object(), 1.5 + 0j, {1: "key"}, "\ud800", 2**53, float("nan")])
def test_what_records_do_not_hold_is_not_encoded(value: Any) -> None:
    """Nothing is spelled by accident: neither a path, nor a numpy number, nor half a character."""
    with pytest.raises(DataError):
        encode({"value": value})


BAD_PARTS: list[tuple[str, Any]] = [
    ("challenge", digest("challenge").upper()),
    ("challenge", digest("challenge")[2:]),
    ("challenge", digest("challenge") + "00"),
    ("challenge", digest("challenge") + "\n"),
    ("challenge", "\n" + digest("challenge")),
    ("challenge", "0x" + "٣" * 64),
    ("challenge", digest("challenge")[:-1]),
    ("challenge", ""),
    ("kind", "Vote"),
    ("kind", "nothing"),
    ("kind", ""),
    ("kind", 1),
    ("kind", "withdraw"),
]


@pytest.mark.parametrize(("field", "value"), BAD_PARTS)
def test_digests_and_kinds_are_exact(field: str, value: Any) -> None:
    data = json.dumps(
        {**plain(VOTE), field: value}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    refused(data.encode())


@pytest.mark.parametrize("missing", ["kind", "challenge", "commitment"])
def test_no_field_of_an_action_may_be_missing(missing: str) -> None:
    rest = {key: value for key, value in plain(VOTE).items() if key != missing}
    refused(encode(rest))


BOUNDS: list[tuple[Any, str, list[Any], list[Any]]] = [
    (Terms, "groups", [2, MAX_GROUPS], [1, 0, -1, MAX_GROUPS + 1]),
    (Terms, "test_groups", [1, MAX_GROUPS], [0, -1, MAX_GROUPS + 1]),
    (Terms, "min_contributions", [0, 16], [-1, 17]),
    (Terms, "seed_source", ["contributions", "beacon", "both"], ["none", "Both", 1]),
    (SeatsPanel, "seats", [1, 16], [0, -1, 17]),
    (SeatsPanel, "minority_share", [1, 5_000], [0, -1, 5_001]),
    (SeatsPanel, "silence_share", [1, 5_000], [0, -1, 5_001]),
    (RegistryTerms, "stake", ["1", str(2**96 - 1)], [1, "-1", str(2**96)]),
    (RegistryTerms, "unbonding", [1, 2**36 - 1], [0, -1, 2**36]),
    (actions.Join, "seats", [1, MAX_SEATS], [0, -1, MAX_SEATS + 1]),
    (actions.Join, "held", [0, MAX_SLOTS], [-1, MAX_SLOTS + 1]),
    (actions.Leave, "seats", [[0], [MAX_SLOTS - 1]], [[], [-1], [MAX_SLOTS], [0] * 257]),
    (actions.Unstake, "seats", [[0] * 256], [[], [-1], [MAX_SLOTS], [0] * 257]),
    (actions.ClaimDeposit, "submission", [0, MAX_ENTRIES - 1], [-1, MAX_ENTRIES]),
    (actions.Claim, "index", [0, MAX_ENTRIES - 1], [-1, MAX_ENTRIES]),
    (actions.Claim, "proof", [[], [digest("node")] * 32], [[digest("node")] * 33, [""], ""]),
    (actions.RevealTest, "bundle", ["Q" * 46, cid("x"), "b" * 80], ["Q" * 45, "b" * 81, "b/" * 30]),
]
EXAMPLES: dict[Any, Record] = {
    Terms: terms(),
    SeatsPanel: SeatsPanel(4, 3_000, 500),
    RegistryTerms: RegistryTerms(Amount(1), 1),
    actions.Join: actions.Join(1, 0),
    actions.Leave: actions.Leave((0,)),
    actions.Unstake: actions.Unstake((0,)),
    actions.ClaimDeposit: actions.ClaimDeposit(digest("challenge"), 0),
    actions.Claim: actions.Claim(digest("challenge"), 0, "0x" + "11" * 20, Amount(1), ()),
    actions.RevealTest: actions.RevealTest(digest("challenge"), cid("test")),
}


@pytest.mark.parametrize(("kind", "field", "good", "bad"), BOUNDS)
def test_bounds(kind: Any, field: str, good: list[Any], bad: list[Any]) -> None:
    example = plain(EXAMPLES[kind])
    for value in good:
        data = encode({**example, field: value})
        assert encode(decode(data, kind, "the record")) == data
    for value in bad:
        refused(encode({**example, field: value}), kind)


def test_windows_last_from_one_second_to_sixty_eight_years() -> None:
    example = plain(terms())
    for field in example["schedule"]:
        for value, holds in ((1, True), (2**31 - 1, True), (0, False), (-1, False), (2**31, False)):
            changed = {**example, "schedule": {**example["schedule"], field: value}}
            if holds:
                assert plain(decode(encode(changed), Terms, "the record")) == changed
            else:
                refused(encode(changed), Terms)


def test_panels_have_one_to_sixteen_members() -> None:
    example = plain(terms())
    for count, holds in ((0, False), (1, True), (16, True), (17, False)):
        members = [f"0x{number:040x}" for number in range(count)]
        changed = {**example, "panel": {"kind": "named", "members": members}}
        if holds:
            assert decode(encode(changed), Terms, "the record").panel.seats == count
        else:
            refused(encode(changed), Terms)


def test_convert_names_what_is_wrong_and_where() -> None:
    with pytest.raises(DataError, match=r"the data is malformed.*\$\.rows"):
        convert({"columns": [], "target": "y", "rows": 0}, DataDescription, "the data")
    with pytest.raises(DataError, match=r"the data is malformed.*unknown field"):
        convert({"columns": [], "target": "y", "rows": 1, "r": 0}, DataDescription, "the data")
    with pytest.raises(DataError, match=r"expected a whole number.*'007'.*\$\.amount"):
        convert({"amount": "007"}, Sample, "the sample")


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        VOTE.commitment = digest("other")  # type: ignore[misc]
    assert msgspec.structs.replace(VOTE, commitment=digest("other")) != VOTE


OLD_MANIFEST = (
    b'{"data":{"columns":["a","b"],"rows":9,"target":"kind"},"evaluation":{"batch":64,'
    b'"limits":{"elements":1000000000,"model_bytes":16777216,"multiply_accumulates":1000000000,'
    b'"nodes":10000,"peak_bytes":536870912},"metric":"accuracy","profile":"exact/1",'
    b'"threshold":"600000000"},"mechanism":{"name":"winner-takes-all","shares":[]},'
    b'"model":{"classes":["no","yes"],"dtype":"float32","output":"label","shape":[2]},'
    b'"name":"pulled","summary":"","title":"Pulled"}'
)
"""NOTE: frozen; written before a manifest could have a yardstick."""


def test_a_manifest_without_a_yardstick_has_the_bytes_that_it_always_had() -> None:
    found = decode(OLD_MANIFEST, Manifest, "the manifest")
    assert found.evaluation.yardstick_groups == 0
    assert encode(found) == OLD_MANIFEST
    terms_now = EvaluationTerms(metric="accuracy", threshold=Score(600_000_000))
    assert found.evaluation == terms_now
    assert encode(terms_now) in OLD_MANIFEST


def test_a_yardstick_is_written_only_where_there_is_one() -> None:
    some = OLD_MANIFEST.replace(
        b'"threshold":"600000000"', b'"threshold":"600000000","yardstick_groups":3'
    )
    found = decode(some, Manifest, "the manifest")
    assert found.evaluation.yardstick_groups == 3
    assert encode(found) == some
    for other in (b"0", b"-1", b"65537", b'"3"', b"3.0", b"null"):
        refused(some.replace(b":3}", b":" + other + b"}"), Manifest)


@pytest.mark.parametrize("name", ["batch", "limits", "profile"])
def test_every_other_evaluation_term_is_always_written(name: str) -> None:
    plain_terms = json.loads(OLD_MANIFEST)
    del plain_terms["evaluation"][name]
    without = json.dumps(plain_terms, sort_keys=True, separators=(",", ":")).encode()
    refused(without, Manifest)


def test_a_submission_kept_before_there_were_reports_reads_as_one_without() -> None:
    """So a cached state goes on to count."""
    kept = plain(Submission(0, "0x" + "11" * 20, digest("commitment"), 5))
    del kept["report"]
    assert convert(kept, Submission, "a submission").report is None
