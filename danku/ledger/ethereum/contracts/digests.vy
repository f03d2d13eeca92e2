# pragma version 0.4.3
"""
@title The digests of danku/protocol and danku/crypto: keccak of ABI words behind a domain tag.
"""

import layout

CHALLENGE: constant(bytes32) = keccak256("danku/v1/challenge")
TERMS: constant(bytes32) = keccak256("danku/v1/terms")
SEED: constant(bytes32) = keccak256("danku/v1/seed")
SEED_COMMITMENT: constant(bytes32) = keccak256("danku/v1/seed-commitment")
SUBMISSION: constant(bytes32) = keccak256("danku/v1/submission")
VOTE: constant(bytes32) = keccak256("danku/v1/vote")
MIX: constant(bytes32) = keccak256("danku/v1/mix")
COMMITTEE: constant(bytes32) = keccak256("danku/v1/committee")
LINK: constant(bytes32) = keccak256("danku/v1/learning-link")


@internal
@view
def challenge_id(organizer: address, nonce: uint256) -> bytes32:
    return keccak256(abi_encode(CHALLENGE, chain.id, self, organizer, nonce))


@internal
@pure
def seed_of(challenge: bytes32, openings: DynArray[bytes32, 65], beacon: bytes32) -> bytes32:
    return keccak256(abi_encode(SEED, challenge, openings, beacon))


@internal
@pure
def seed_commitment(challenge: bytes32, contributor: address, secret: bytes32) -> bytes32:
    return keccak256(abi_encode(SEED_COMMITMENT, challenge, contributor, secret))


@internal
@pure
def submission(
    challenge: bytes32, submitter: address, model: bytes32, cid: String[80], salt: bytes32
) -> bytes32:
    return keccak256(abi_encode(SUBMISSION, challenge, submitter, model, keccak256(cid), salt))


@internal
@pure
def vote(
    challenge: bytes32, number: uint256, validator: address, ballot: layout.Ballot, salt: bytes32
) -> bytes32:
    score: int256 = convert(ballot.score_outcome & (2**64 - 1), int256)
    if score >= 2**63:
        score = unsafe_sub(score, 2**64)
    return keccak256(
        abi_encode(
            VOTE,
            challenge,
            number,
            validator,
            ballot.score_outcome >> layout.OUTCOME,
            ballot.result,
            ballot.payout_root,
            ballot.winner_total >> layout.PAYOUT_TOTAL,
            ballot.winner_total & layout.OWNER,
            score,
            salt,
        )
    )


@internal
@pure
def mix(submitter: address, salt: bytes32) -> bytes32:
    return keccak256(abi_encode(MIX, submitter, salt))


@internal
@pure
def candidate(seed: bytes32, mix: bytes32, position: uint256) -> uint256:
    return convert(keccak256(abi_encode(COMMITTEE, seed, mix, position)), uint256)


@internal
@pure
def link(previous: bytes32, challenge: bytes32, ballot: layout.Ballot) -> bytes32:
    score: int256 = convert(ballot.score_outcome & (2**64 - 1), int256)
    if score >= 2**63:
        score = unsafe_sub(score, 2**64)
    winner: uint256 = ballot.winner_total & layout.OWNER
    return keccak256(abi_encode(LINK, previous, challenge, ballot.result, winner, score))


@internal
@pure
def payout_holds(
    root: bytes32, index: uint256, payee: address, amount: uint256, proof: DynArray[bytes32, 32]
) -> bool:
    """
    @notice Whether a leaf stands in a StandardMerkleTree of OpenZeppelin's.
    """
    node: bytes32 = keccak256(keccak256(abi_encode(index, payee, amount)))
    for sibling: bytes32 in proof:
        if convert(node, uint256) < convert(sibling, uint256):
            node = keccak256(concat(node, sibling))
        else:
            node = keccak256(concat(sibling, node))
    return node == root


@internal
@pure
def is_cid(cid: String[80]) -> bool:
    """
    @notice Whether it is 46 to 80 letters and digits.
    """
    size: uint256 = len(cid)
    if size < 46:
        return False
    text: Bytes[80] = convert(cid, Bytes[80])
    # The last word overlaps the one before, so that no byte is left out and none made up.
    holds: bool = self._plain(extract32(text, 0, output_type=uint256)) and self._plain(
        extract32(text, unsafe_sub(size, 32), output_type=uint256)
    )
    if size > 64:
        holds = holds and self._plain(extract32(text, 32, output_type=uint256))
    return holds


EACH: constant(uint256) = max_value(uint256) // 255
HIGH: constant(uint256) = EACH * 128


@internal
@pure
def _plain(word: uint256) -> bool:
    # All 32 bytes at once: of a byte below 128, adding 128 - low sets the top bit from low on, and
    # adding 127 - high leaves it clear up to high.
    if word & HIGH != 0:
        return False
    lower: uint256 = word | (EACH * 32)
    digits: uint256 = unsafe_add(word, EACH * 80) & ~unsafe_add(word, EACH * 70)
    letters: uint256 = unsafe_add(lower, EACH * 31) & ~unsafe_add(lower, EACH * 5)
    return (digits | letters) & HIGH == HIGH
