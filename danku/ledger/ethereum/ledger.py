"""The Ethereum ledger: a contract's history, replayed by the rules, behind the port of all ledgers.

State, history and head are read at the depth that the network's confirmations say. Time is that of
the block to come, since that is what an action sent now is judged by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from danku.crypto.hashing import from_hex
from danku.crypto.signatures import PrivateKey
from danku.errors import DataError, Rejected
from danku.ledger.ethereum.beacon import beacon_for, no_beacon
from danku.ledger.ethereum.cache import Cache
from danku.ledger.ethereum.calls import call_of
from danku.ledger.ethereum.chain import Chain, Inclusion
from danku.ledger.ethereum.crosscheck import crosscheck
from danku.ledger.ethereum.currency import Currency
from danku.ledger.ethereum.deployment import inspect
from danku.ledger.ethereum.encoding import encode_call
from danku.ledger.ethereum.errors import NodeContradicts, NodeRefused, Reverted
from danku.ledger.ethereum.history import History
from danku.ledger.ethereum.network import Network
from danku.ledger.ethereum.reader import Progress, Reader, entries, quiet
from danku.ledger.ethereum.refusals import CONTRACT_RULES, SELECTORS
from danku.ledger.ethereum.sender import Approve, Failed, Message, Sender, purpose_of
from danku.ledger.ethereum.transport import Transport
from danku.ledger.port import Entry, Receipt
from danku.protocol import records
from danku.protocol.actions import Action, kind_of
from danku.protocol.errors import RULES
from danku.protocol.rules import apply
from danku.protocol.state import Context, State
from danku.protocol.types import AMOUNT_LIMIT, Address, Digest
from danku.storage.files import NewFile, make_folder

_LOOKS, _LOOK_SECONDS = 20, 0.5
"""For the log of a transaction that a node says is in a block."""


class EthereumLedger:
    """A `Ledger` that is a contract; several processes may use one folder, one thread each."""

    def __init__(
        self,
        transport: Transport,
        network: Network,
        folder: Path,
        *,
        approve: Approve = lambda quote: None,
        progress: Progress = quiet,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a network; ``folder`` is private, and of this network alone.

        Raises:
            NodeContradicts: the node is of another chain, or the contract is not danku's.
            NetworkError: it gives no usable answer.
        """
        self._network, self._folder = network, folder
        self._chain = Chain(transport)
        self._sleep = sleep
        found = self._chain.chain_id()
        if found != network.chain_id:
            raise NodeContradicts(
                f"the node at {transport.host} is of chain {found}, not {network.chain_id}",
                why="the network was added for another chain",
                fix="give it a node of its chain: danku network add NAME --rpc URL",
            )
        self._check_contract()
        self._currency = Currency(self._chain, network)
        self._sender = Sender(
            self._chain, network, folder, approve=approve, sleep=sleep, clock=clock
        )
        cache = Cache(folder / "history.cache")
        self._reader = Reader(self._chain, network, cache=cache, progress=progress)

    @property
    def chain_id(self) -> int:
        """See `Ledger`."""
        return self._network.chain_id

    @property
    def address(self) -> Address:
        """See `Ledger`."""
        return self._network.contract

    @property
    def host(self) -> str:
        """The node that is asked, without anything secret."""
        return self._chain.transport.host

    def state(self) -> State:
        """See `Ledger`."""
        return self._reader.confirmed().state

    def time(self) -> int:
        """See `Ledger`."""
        return self._chain.next_time(self._chain.latest())

    def balance(self, address: Address) -> int:
        """See `Ledger`."""
        return self._currency.balance(address)

    def nonce(self, address: Address) -> int:
        """See `Ledger`."""
        return self._reader.confirmed().nonces[address]

    def head(self) -> Digest:
        """See `Ledger`."""
        return self._reader.confirmed().head

    def actions(self, challenge: Digest | None = None) -> Iterator[Entry]:
        """See `Ledger`."""
        history = self._reader.confirmed().copy()
        return (history.entry(sequence) for sequence in entries(history, challenge))

    def check(self, sender: Address, action: Action, value: int = 0) -> None:
        """See `Ledger`."""
        self._check(sender, action, value)

    def submit(self, key: PrivateKey, action: Action, value: int = 0) -> Receipt:
        """See `Ledger`.

        Raises:
            FeesTooHigh: the chain asks for more than the network's caps allow.
            NotIncluded: it was sent and may count later; the same action waits for it.
            StorageError, VerificationFailed: the node is not usable, or contradicts itself.
        """
        _well_formed(action, value)
        sender = key.address
        parts = (from_hex(self.address), records.encode(action), str(value).encode())
        if self._currency.is_token and value:
            self._check(sender, action, value)
            self._currency.allow(self._sender, key, value)
        try:
            inclusion = self._sender.send(
                key, purpose_of(sender, *parts), lambda: self._message(sender, action, value)
            )
        except Failed as failed:
            self._explain(sender, action, value, failed.inclusion)
        except NodeRefused as refusal:
            raise self._decoded(refusal, action) or refusal from None
        return self._receipt(inclusion)

    def replay(
        self, *, progress: Progress = quiet, observe: Callable[[State], None] = lambda state: None
    ) -> History:
        """Read everything again from the chain, and tell ``observe`` of each state.

        Raises:
            NodeContradicts: what the node tells cannot be true.
        """
        return Reader(self._chain, self._network, progress=progress, observe=observe).confirmed()

    def _check_contract(self) -> None:
        """See once in this folder that the contract is danku's, whoever wrote danku.toml."""
        seen, whole = self._folder / "seen", records.encode(self._network)
        with suppress(OSError):
            if seen.read_bytes() == whole:
                return
        if inspect(self._chain, self._network) != self._network:
            raise NodeContradicts(
                f"the contract {self.address} fixed other things than danku.toml says",
                why="currency, stake, unbonding or beacon_blocks were changed in danku.toml",
                fix=f"danku network add NAME --rpc URL --contract {self.address}",
            )
        with suppress(OSError):
            make_folder(self._folder, 0o700)
            with NewFile(self._folder, mode=0o600) as draft:
                draft.write(whole)
                draft.keep(seen)

    def _check(self, sender: Address, action: Action, value: int) -> History:
        """What the action would find, by all blocks so far."""
        history, latest = self._reader.newest()
        balance = self.balance(sender)
        if value > balance:
            raise Rejected(
                "InsufficientBalance",
                f"the action carries {value}, but {sender} has {balance}",
                why="an action carries no more money than its sender has",
                fix=f"danku claim withdraws what is owed; or send some to {sender}",
            )
        beacon = beacon_for(action, history, self._chain, self._network, latest.number + 1)
        context = Context(sender, self._chain.next_time(latest), value, beacon)
        try:
            apply(history.state, action, context)
        except Rejected as refusal:
            if refusal.rule == "BeaconUnavailable":
                raise no_beacon(action, history, latest.number) or refusal from None
            raise
        crosscheck(action, sender, history, self._chain, latest.number)
        return history

    def _message(self, sender: Address, action: Action, value: int) -> Message:
        history = self._check(sender, action, value)
        call = call_of(action, sender, history.state, history.beacon_blocks)
        carried = 0 if self._currency.is_token else value
        return Message(kind_of(action), self.address, encode_call(call), carried)

    def _receipt(self, inclusion: Inclusion) -> Receipt:
        for _ in range(_LOOKS):
            history = self._reader.confirmed()
            for sequence in range(len(history.told), 0, -1):
                if history.told[sequence - 1].transaction == inclusion.transaction:
                    entry = history.entry(sequence)
                    return Receipt(entry.sequence, entry.time, entry.digest)
            self._sleep(_LOOK_SECONDS)
        raise NodeContradicts(
            f"the node says that block {inclusion.block} holds {inclusion.transaction}, "
            "but gives no log of it"
        )

    def _explain(
        self, sender: Address, action: Action, value: int, inclusion: Inclusion
    ) -> NoReturn:
        """Raise why a transaction was refused in its block."""
        message = self._message(sender, action, value)  # most often the rules say it by now
        call = {"from": sender, "to": self.address, "data": "0x" + message.data.hex()}
        try:
            self._chain.simulate({**call, "value": hex(message.value)}, hex(inclusion.block))
        except NodeRefused as refusal:
            raise self._decoded(refusal, action) or refusal from None
        raise Reverted(
            f"the contract refused the {kind_of(action)} {inclusion.transaction}",
            why="it was allowed when it was sent and is allowed now, but not in between, or it "
            "ran out of gas",
            fix="run the command again",
        )

    def _decoded(self, refusal: NodeRefused, action: Action) -> Rejected | DataError | None:
        """What a revert says, by the selector that the contracts and the rules share."""
        rule = SELECTORS.get(_selector(refusal.data))
        if rule is None:
            return None
        what = f"the contract refuses the {kind_of(action)}: {rule}"
        if rule == "Malformed":
            return DataError(what, why=CONTRACT_RULES[rule])
        fix = "the state has just changed, or is about to; run the command again"
        return Rejected(rule, what, why=RULES.get(rule) or CONTRACT_RULES[rule], fix=fix)


def _selector(data: str | None) -> bytes:
    try:
        return bytes.fromhex((data or "")[2:10])
    except ValueError:
        return b""


def _well_formed(action: Action, value: int) -> None:
    """Refuse what is no record, as reading it from a journal would.

    Raises:
        DataError: it is malformed.
    """
    records.decode(records.encode(action), type(action), kind_of(action))
    if not 0 <= value < AMOUNT_LIMIT:
        raise DataError(f"an action carries 0 <= value < 2**96, found {value}")
