"""The rules and the contract as one ledger: every action goes to both, and both must agree.

The contract is called by its ABI alone, with no client in between that could refuse first. Its logs
are read by the client's decoder, and replayed by the client's history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from eth_abi import encode

from danku.crypto.hashing import from_hex, keccak, to_hex
from danku.errors import Rejected
from danku.ledger.ethereum import calls, layout
from danku.ledger.ethereum.beacon import beacon_block
from danku.ledger.ethereum.decoding import KINDS, Read, read
from danku.ledger.ethereum.history import History
from danku.ledger.ethereum.refusals import SELECTORS
from danku.protocol import actions as a
from danku.protocol.rules import apply
from danku.protocol.state import Context, Registry, State
from danku.protocol.terms import RegistryTerms
from danku.protocol.types import BURN_ADDRESS, ZERO_DIGEST, Amount
from tests.ethereum.contract import ZERO, deploy_arena
from tests.ethereum.coverage import Coverage
from tests.ethereum.foreign import Foreign, deploy_foreign
from tests.ethereum.node import Node, Refused
from tests.ethereum.wire import Request, Wire
from tests.ethereum.words import (
    accepted_of,
    challenge_words,
    encoded,
    log_of,
    registry_word,
    request_of,
    same_rule,
    slot_of,
    witnessed,
)
from tests.protocol.simulator import CHAIN, LEDGER, START, price

OPTIONS = ("--chain-id", str(CHAIN), "--base-fee", "0", "--timestamp", "1600000000")
"""Of the node: gas is free, and it is the chain of the rules' tests."""
WEALTH = 2**150
BEACON_BLOCKS = 8_191
BLOCK_SECONDS = 3
ACCEPTED = "accepted"
_REGISTRY_PLACES = 24
"""Storage slots, from the first one, among which the registry's word is."""


@dataclass(frozen=True)
class Kind:
    """What an arena fixes."""

    registry: RegistryTerms | None
    token: bool = False


PATIENT = RegistryTerms(Amount(1_000), 5_000)
STAKING = RegistryTerms(Amount(101), 60)
KINDS_OF_ARENA = (
    Kind(STAKING),
    Kind(STAKING, token=True),
    Kind(RegistryTerms(Amount(2**94), 60)),
    Kind(None),
)
"""What random play plays on."""
LEISURE = Kind(PATIENT)
"""For the schedules of the simulator's games."""


class Table:
    """One node, and an arena of each kind whose code can be put where the rules' ledger is."""

    def __init__(self, node: Node, actors: tuple[str, ...]) -> None:
        self.node, self.wire = node, Wire(node)
        self.coverage = Coverage()
        self.actors = actors
        self.wire.call("anvil_autoImpersonateAccount", True)
        token = deploy_foreign(node, "Token")
        self.token = token.address
        for who in actors:
            node.set_balance(who, WEALTH)
            token.send("mint", who, WEALTH, sender=who)
            token.send("approve", LEDGER, 2**256 - 1, sender=who)
        self._codes = {kind: self._code(node, kind) for kind in (*KINDS_OF_ARENA, LEISURE)}
        self._clean = self.wire.call("evm_snapshot")

    def _code(self, node: Node, kind: Kind) -> str:
        terms = kind.registry
        arena = deploy_arena(
            node,
            currency=self.token if kind.token else ZERO,
            block_seconds=BLOCK_SECONDS,
            stake=int(terms.stake) if terms else 0,
            unbonding=terms.unbonding if terms else 0,
        )
        return str(node.call("eth_getCode", arena.address, "latest"))

    def begin(self, kind: Kind, token: str | None = None) -> Both:
        """A new ledger; ``token`` is the bytecode of what its token does instead."""
        assert self.wire.call("evm_revert", self._clean) is True
        self._clean = self.wire.call("evm_snapshot")
        self.wire.call("anvil_setCode", LEDGER, self._codes[kind])
        if token is not None:
            self.wire.call("anvil_setCode", self.token, token)
        self.coverage.sequences += 1
        return Both(self, kind)


class Both:
    """One ledger, by the rules and by the contract."""

    def __init__(self, table: Table, kind: Kind) -> None:
        self._table = table
        self.node, self.wire, self.coverage = table.node, table.wire, table.coverage
        self.kind, self.token, self.actors = kind, table.token, table.actors
        self.state = State(CHAIN, LEDGER, Registry(kind.registry) if kind.registry else None)
        self.history = History(CHAIN, LEDGER, kind.registry)
        self.time = START
        self.block = int(self.wire.call("eth_blockNumber"), 16) + 1
        """Of whatever is sent next."""
        self.attempts: list[tuple[a.Action, str]] = []
        self.spent: Counter[str] = Counter()
        self.gas: dict[str, int] = {}
        """What the newest accepted action of each kind used."""
        self.sent: list[tuple[str, str, int]] = []
        """Sender, bytes and coins of each accepted action."""
        self.gifts = 0
        """Ether or tokens that somebody left in the contract without an action."""
        self._registry_place: int | None = None

    def attempt(self, action: a.Action, sender: str, off: int = 0) -> str | None:
        """Send an action to both; returns the rule that refuses it, or None.

        ``off`` is what its money is wrong by; of a token, what coins it carries.
        """
        self.attempts.append((action, sender))
        seen, request = self._prepared(action, sender, off)
        after, rule = self._judged(action, seen)
        name = a.kind_of(action)
        if after is None:
            found = self._refusal(request)
            assert found == same_rule(action, rule), (name, rule, found)
            self.coverage.refused[name, rule] += 1
            return rule
        if len(self.attempts) % 5 == 0:
            self._check_witness(request)
        self._accepted(action, seen, request, after)
        self.coverage.accepted[name] += 1
        return None

    def would(self, action: a.Action, sender: str, off: int = 0) -> str | None:
        """What `attempt` would return, in both alike; nothing is sent."""
        seen, request = self._prepared(action, sender, off)
        _, rule = self._judged(action, seen)
        found = self._called(request)
        assert found == same_rule(action, rule), (a.kind_of(action), rule, found)
        return None if rule == ACCEPTED else rule

    def _prepared(self, action: a.Action, sender: str, off: int) -> tuple[Context, dict[str, str]]:
        """What the rules see of an action, and its call."""
        assert sender in self.actors
        value = price(self.state, action)
        coins = max(off if self.kind.token else value + off, 0)
        data = self.call_of(action, sender)
        # NOTE: the rules know one currency; coins where tokens are wanted are too much of it.
        carried = value + coins if self.kind.token else coins
        context = Context(sender, self.time, carried, self._beacon(action))
        return context, request_of(sender, data, coins)

    def _judged(self, action: a.Action, seen: Context) -> tuple[State | None, str]:
        """The state after an action, or None and the rule that refuses it."""
        try:
            return apply(self.state, action, seen), ACCEPTED
        except Rejected as refusal:
            return None, refusal.rule

    def _beacon(self, action: a.Action) -> str | None:
        """The block's hash that a draw in the next block takes, or None."""
        if not isinstance(action, a.Draw):
            return ZERO_DIGEST
        first = self.history.beacon_blocks.get(action.challenge, 0)
        number = beacon_block(first, self.block, BEACON_BLOCKS) if first else None
        if number is None:
            return None
        return str(self.wire.call("eth_getBlockByNumber", hex(number), False)["hash"])

    def _refusal(self, request: dict[str, str]) -> str:
        """The rule by which the contract refuses a call; now and then in a transaction too."""
        found = self._called(request)
        if found != ACCEPTED and len(self.attempts) % 8 == 0:
            receipt = self._send(request)
            assert receipt["status"] == "0x0", "a transaction succeeds whose call is refused"
            assert receipt["logs"] == []
        return found

    def _called(self, request: dict[str, str]) -> str:
        """What a call in the next block comes to: "accepted", or the rule that refuses it."""
        overrides = {"time": hex(self.time), "number": hex(self.block)}
        try:
            self.wire.call("eth_call", request, "latest", {}, overrides)
        except Refused as refusal:
            data = str(refusal.data or "")
            return SELECTORS.get(from_hex(data) if data.startswith("0x") else b"", data)
        return ACCEPTED

    def _check_witness(self, request: dict[str, str]) -> None:
        """With any bit of the agreement changed the contract refuses what it would accept."""
        data, bit = bytearray(from_hex(request["data"])), 37 * len(self.attempts) % (6 * 256)
        if bytes(data[:4]) in witnessed():
            data[4 + 32 + bit // 8] ^= 1 << bit % 8
            assert self._called({**request, "data": to_hex(bytes(data))}) == "WrongWitness"

    def _send(self, request: dict[str, str]) -> dict[str, Any]:
        self.wire.call("evm_setNextBlockTimestamp", hex(self.time))
        receipt: dict[str, Any] = self.wire.call("eth_sendTransactionSync", request)
        assert int(receipt["blockNumber"], 16) == self.block
        self.block += 1
        return receipt

    def _accepted(
        self, action: a.Action, seen: Context, request: dict[str, str], after: State
    ) -> None:
        receipt = self._send(request)
        if receipt["status"] != "0x1":
            raise AssertionError((a.kind_of(action), ACCEPTED, self._called(request)))
        self.sent.append((seen.sender, request["data"], int(request["value"], 16)))
        self.gas[a.kind_of(action)] = int(receipt["gasUsed"], 16)
        [log] = [each for each in receipt["logs"] if each["address"] == LEDGER]
        found = read(log_of(log))
        assert (found.action, found.told.sender) == (action, seen.sender)
        assert calls.value_of(action, self.state) == seen.value
        self.history.add(accepted_of(found, log, self.time, seen))
        before, self.state = self.state, after
        assert self.history.state == after, "the events replay to another state"
        self._check_outcome(found, action, before, seen)
        self.spent[seen.sender] += seen.value
        self._agree(action, before)

    def _check_outcome(self, found: Read, action: a.Action, before: State, seen: Context) -> None:
        """What an event says besides the action is what the rules made of it."""
        identity = getattr(action, "challenge", None)
        challenge = self.state.challenges.get(str(identity))
        came = dict(found.came)
        if isinstance(action, a.Create):
            assert came.pop("id") in self.state.challenges.keys() - before.challenges.keys()
        if isinstance(action, a.Withdraw):
            assert came.pop("withdrawn") == before.credits[seen.sender]
        if isinstance(action, a.Draw) and challenge is not None:
            assert came.pop("seed") == challenge.seed
            source = challenge.terms.seed_source
            assert found.told.beacon == (ZERO_DIGEST if source == "contributions" else seen.beacon)
        if isinstance(action, a.Submit) and challenge is not None:
            assert came.pop("number") == len(challenge.submissions) - 1
        if isinstance(action, a.Finalize) and challenge is not None:
            settlement = challenge.settlement
            assert settlement is not None
            assert KINDS[came.pop("kind")] == settlement.kind
            assert came.pop("link") == (settlement.link or ZERO_DIGEST)
        assert not came.keys() - {"number"}, came
        if isinstance(action, a.Finalize | a.Cancel) and challenge is not None:
            self.coverage.end(challenge)

    # --- past the rules -----------------------------------------------------------------------

    def call_of(self, action: a.Action, sender: str) -> str:
        """What the action is as bytes of a transaction, in hex."""
        return encoded(calls.call_of(action, sender, self.state, self.history.beacon_blocks))

    def agreement(self, challenge: str) -> layout.Agreement:
        """What is handed over with actions on a challenge."""
        block = self.history.beacon_blocks[challenge]
        return layout.agreement(self.state.challenges[challenge], block)

    def invite(self, newcomers: tuple[str, ...]) -> None:
        """Let more people play with ether."""
        for who in newcomers:
            self.node.set_balance(who, WEALTH)
        self.actors = (*self.actors, *newcomers)

    def raw(self, sender: str, data: str, value: int = 0, to: str = LEDGER) -> dict[str, Any]:
        """The receipt of any transaction; the rules see it when they `follow` it."""
        request = request_of(sender, data, value, to)
        receipt = self._send(request)
        if receipt["status"] == "0x1" and to == LEDGER:
            self.spent[sender] += value
        return receipt

    def asked(self, sender: str, data: str, value: int = 0, to: str = LEDGER) -> str:
        """What a transaction would come to: "accepted", or the rule that refuses it."""
        return self._called(request_of(sender, data, value, to))

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Whatever is done in here is undone afterwards, on both sides."""
        snapshot = self.wire.call("evm_snapshot")
        kept = self.state, self.history.copy(), self.time, self.block, Counter(self.spent)
        yield
        assert self.wire.call("evm_revert", snapshot) is True
        self.state, self.history, self.time, self.block, self.spent = kept

    def deploy(self, name: str, *arguments: Any) -> Foreign:
        """A contract of the tests on the same chain."""
        found = deploy_foreign(self.node, name, *arguments)
        self.caught_up()
        return found

    def caught_up(self) -> None:
        """Somebody else made blocks."""
        newest = self.wire.call("eth_getBlockByNumber", "latest", False)
        self.block = int(newest["number"], 16) + 1
        self.time = max(self.time, int(newest["timestamp"], 16))

    def follow(self, *receipts: dict[str, Any]) -> None:
        """Have the rules do what the logs of transactions tell, in their order."""
        assert all(receipt["status"] == "0x1" for receipt in receipts)
        for log in (log for receipt in receipts for log in receipt["logs"]):
            found = read(log_of(log))
            seen = Context(found.told.sender, self.time, calls.value_of(found.action, self.state))
            self.history.add(accepted_of(found, log, self.time, seen))
            self.state = self.history.state
        self.agree()

    def again(self) -> Both:
        """A new ledger of the same kind; this one is gone."""
        return self._table.begin(self.kind)

    # --- the same money and counters ----------------------------------------------------------

    def _agree(self, action: a.Action, before: State) -> None:
        """Whatever the action may have changed stands where the rules say."""
        credits, paid = self.state.credits, self.state.paid
        moved = {
            who
            for who in credits.keys() | before.credits.keys()
            if credits.get(who) != before.credits.get(who)
        }
        payees = {who for who in paid if paid[who] != before.paid.get(who)}
        sender = self.attempts[-1][1]
        touched = [
            name
            for name, challenge in self.state.challenges.items()
            if challenge is not before.challenges.get(name)
        ]
        self._compare(touched, moved | {sender}, payees | {sender})

    def agree(self) -> None:
        """All money and all counters stand where the rules say."""
        everybody = {*self.actors, *self.state.credits, *self.state.paid, BURN_ADDRESS}
        self._compare(list(self.state.challenges), everybody, everybody)

    def _compare(self, challenges: list[str], credited: set[str], paid: set[str]) -> None:
        asked: list[Request] = [self._balance(LEDGER), self._view("link")]
        expected = [self._held() + self.gifts, int(self.state.link, 16)]
        for name in challenges:
            asked += [self._view("status", from_hex(name)), self._view("records", from_hex(name))]
            block = self.history.beacon_blocks[name]
            expected += [*challenge_words(self.state.challenges[name], block)]
        for who in sorted(credited):
            asked.append(self._view("credit", who))
            expected.append(self.state.credits.get(who, 0))
        for who in sorted(paid):
            asked.append(self._balance(who))
            start = WEALTH if who in self.actors else 0
            expected.append(start - self.spent[who] + self.state.paid.get(who, 0))
        if self.state.registry is not None and self.state.registry.version:
            asked.append(self._registry_word())
            expected.append(registry_word(self.state.registry))
        answers = [int(answer, 16) for answer in self.wire.batch(asked)]
        for request, found, wanted in zip(asked, answers, expected, strict=True):
            assert found == wanted, (request, hex(found), hex(wanted))

    def _held(self) -> int:
        held = sum(challenge.escrow for challenge in self.state.challenges.values())
        held += sum(self.state.credits.values())
        return held + (self.state.registry.staked if self.state.registry else 0)

    def _view(self, function: str, *arguments: Any) -> Request:
        data = encoded(calls.Call(function, arguments))
        return "eth_call", ({"to": LEDGER, "data": data}, "latest")

    def _balance(self, who: str) -> Request:
        if not self.kind.token:
            return "eth_getBalance", (who, "latest")
        data = keccak(b"balanceOf(address)")[:4] + encode(["address"], [who])
        return "eth_call", ({"to": self.token, "data": to_hex(data)}, "latest")

    def _registry_word(self) -> Request:
        if self._registry_place is None:
            slots = [slot_of(place) for place in range(_REGISTRY_PLACES)]
            words = [int(word, 16) for word in self.wire.batch(slots)]
            assert self.state.registry is not None
            self._registry_place = words.index(registry_word(self.state.registry))
        return slot_of(self._registry_place)
