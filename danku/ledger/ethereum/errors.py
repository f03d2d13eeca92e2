"""What can go wrong between danku and a node, and what mends it."""

from __future__ import annotations

from danku.errors import NotYet, StorageError, UsageError, VerificationFailed


class ExtraMissing(UsageError):
    """The packages for Ethereum are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"this needs the package {package}, which is not installed",
            why="what Ethereum takes is an extra, so that others need not install it",
            fix="pip install 'danku[ethereum]'",
        )


class NetworkError(StorageError):
    """A node cannot be reached, or gives no usable answer."""


class NodeRefused(NetworkError):
    """A node answered a call with an error of its own."""

    def __init__(self, what: str, *, code: int, message: str, data: str | None) -> None:
        super().__init__(what, fix="try again later, or ask another node: danku network add")
        self.code = code
        self.message = message
        """What the node said, without anything secret."""
        self.data = data
        """What a reverted call left, as hex."""


class AnswerTooLong(NetworkError):
    """A node's answer has more bytes than are read."""

    def __init__(self, what: str) -> None:
        super().__init__(what, fix="ask another node: danku network add")


class Reorganized(NetworkError):
    """The chain was reorganized while it was read; reading it again may go well."""


class NodeContradicts(VerificationFailed):
    """What a node says cannot be true: it contradicts itself, the rules, or what was added."""

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(
            what,
            why=why or "the node lies, is broken, or is not of this chain",
            fix=fix or "ask another node: danku network add",
        )


class BadNetwork(UsageError):
    """A network's name, address or URL is not one."""


class NoFactory(UsageError):
    """A chain does not have the factory that gives contracts addresses which prove their code."""

    def __init__(self, chain_id: int, factory: str) -> None:
        super().__init__(
            f"chain {chain_id} has no factory for contracts at {factory}",
            why="the address that it gives a contract proves which code made it (EIP-1014)",
            fix="have the deterministic deployment proxy put there: a transaction that everybody "
            "may send, and that nearly every chain has seen",
        )


class UnknownNetwork(UsageError):
    """The workspace knows no network of this name."""


class FeesTooHigh(NotYet):
    """The chain asks for more than the network's caps allow."""


class NotIncluded(NetworkError):
    """A transaction was sent, and no block holds it yet; the next command goes on waiting."""


class Replaced(NetworkError):
    """Another transaction of the same key took the place of one that was waiting."""


class Reverted(StorageError):
    """The contract refused a transaction for a reason that danku does not know."""
