"""Seed and partition: randomness that is fixed after the data root, and the split it decides."""

from __future__ import annotations

from collections.abc import Sequence

from danku.crypto.hashing import abi_digest, domain, from_hex, keccak, to_hex
from danku.protocol.types import ZERO_DIGEST, Address, Digest


def challenge_id(chain_id: int, ledger: Address, organizer: Address, nonce: int) -> Digest:
    """The id of the challenge that an organizer creates with a nonce, known before `create`."""
    types = ("uint256", "address", "address", "uint256")
    return to_hex(abi_digest("challenge", types, (chain_id, ledger, organizer, nonce)))


def seed_of(challenge: Digest, openings: Sequence[Digest], beacon: Digest | None) -> Digest:
    """keccak(domain, challenge, openings in commitment order, beacon or zero)."""
    values = (
        from_hex(challenge),
        [from_hex(opening) for opening in openings],
        from_hex(beacon or ZERO_DIGEST),
    )
    return to_hex(abi_digest("seed", ("bytes32", "bytes32[]", "bytes32"), values))


class IndexStream:
    """Unbiased indices from keccak(domain, seed, counter): too large words are drawn again."""

    def __init__(self, tag: str, seed: Digest) -> None:
        self._prefix = domain(tag) + from_hex(seed)
        self._counter = 0

    def below(self, bound: int) -> int:
        """The next index, uniform over 0 <= index < bound."""
        limit = 2**256 - 2**256 % bound
        while True:
            word = int.from_bytes(keccak(self._prefix + self._counter.to_bytes(32, "big")), "big")
            self._counter += 1
            if word < limit:
                return word % bound


def partition(seed: Digest, groups: int, test_groups: int) -> tuple[int, ...]:
    """Indices of the test groups, ascending; all others are train groups.

    The first ``test_groups`` places of a Fisher-Yates shuffle of 0..groups-1.
    """
    stream = IndexStream("partition", seed)
    order = list(range(groups))
    for place in range(test_groups):
        other = place + stream.below(groups - place)
        order[place], order[other] = order[other], order[place]
    return tuple(sorted(order[:test_groups]))


def complement(indices: Sequence[int], groups: int) -> tuple[int, ...]:
    """The groups that are not in ``indices``, ascending."""
    chosen = frozenset(indices)
    return tuple(index for index in range(groups) if index not in chosen)


def mix_in(mix: Digest, submitter: Address, salt: Digest) -> Digest:
    """The committee's entropy after one more opening: mix xor keccak(submitter, salt)."""
    word = abi_digest("mix", ("address", "bytes32"), (submitter, from_hex(salt)))
    return to_hex(bytes(a ^ b for a, b in zip(from_hex(mix), word, strict=True)))


def learning_link(
    previous: Digest, challenge: Digest, result: Digest, winner: Address, score: int
) -> Digest:
    """keccak(previous link, challenge, result digest, winner, score) (Proof-of-Learning)."""
    types = ("bytes32", "bytes32", "bytes32", "address", "int256")
    values = (from_hex(previous), from_hex(challenge), from_hex(result), winner, score)
    return to_hex(abi_digest("learning-link", types, values))
