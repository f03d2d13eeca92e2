"""The lines after the first: a signed action in its place, and the sequencer's word for it."""

from __future__ import annotations

from danku.crypto.hashing import from_hex, to_hex
from danku.crypto.signatures import PrivateKey, typed_data_digest, verify
from danku.errors import DataError
from danku.ledger.embedded.envelope import Count, SignatureHex, SignedAction, domain_of
from danku.ledger.embedded.errors import refuse
from danku.ledger.embedded.genesis import Identity, PublicKeyHex, Time
from danku.protocol import records
from danku.protocol.manifest import Record
from danku.protocol.types import Digest

LINE_BYTES = 16_384
"""A line's bound, without its newline: several times what the largest action takes."""

_LINE_TYPE = {
    "Line": (
        ("sequence", "uint256"),
        ("previous", "bytes32"),
        ("time", "uint256"),
        ("action", "bytes32"),
    )
}


class Line(Record, omit_defaults=True):
    action: SignedAction
    previous: Digest
    """keccak of the bytes of the line before, without its newline."""
    sequence: Count
    time: Time
    """Asserted by the writer, or by the sequencer where there is one."""
    sequencer_signature: SignatureHex | None = None


def read_line(raw: bytes) -> Line:
    """A line's record.

    Raises:
        DataError: too long, malformed, or not in canonical form.
    """
    if len(raw) > LINE_BYTES:
        raise DataError(f"the line is longer than {LINE_BYTES} bytes")
    return records.decode(raw, Line, "the line")


def _signing_digest(identity: Identity, line: Line) -> bytes:
    message = {
        "sequence": line.sequence,
        "previous": line.previous,
        "time": line.time,
        "action": line.action.digest,
    }
    return typed_data_digest(_LINE_TYPE, "Line", domain_of(identity), message)


def sequencer_signature(key: PrivateKey, identity: Identity, line: Line) -> str:
    """The sequencer's signature over sequence, previous line, time and signed action."""
    return to_hex(key.sign(_signing_digest(identity, line)))


def sequenced(
    line: Line, identity: Identity, sequencer: PublicKeyHex, key: PrivateKey | None
) -> Line:
    """The line with the signature of the ledger's sequencer, whose ``key`` has to be.

    Raises:
        Rejected: it is another's key, or none.
    """
    if key is None or to_hex(key.public_key) != sequencer:
        refuse(
            "NotSequencer",
            f"the sequencer's key is {sequencer}, and it is not at hand",
            "send the action to whoever runs this ledger",
        )
    signature = sequencer_signature(key, identity, line)
    return Line(line.action, line.previous, line.sequence, line.time, signature)


def sequencer_signature_holds(line: Line, identity: Identity, sequencer: PublicKeyHex) -> bool:
    """Whether the sequencer signed the line for this ledger; False without a signature."""
    if line.sequencer_signature is None:
        return False
    digest = _signing_digest(identity, line)
    return verify(from_hex(sequencer), digest, from_hex(line.sequencer_signature))
