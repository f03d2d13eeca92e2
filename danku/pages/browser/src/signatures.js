// Signatures over EIP-712 digests, with the bounds of danku/crypto/signatures.py.

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concat, fromHex, toHex, utf8 } from "./bytes.js";
import { address, bytes32, keccak, word } from "./hashing.js";

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const FIELD = 2n ** 256n - 2n ** 32n - 977n;
const ZERO = "0x" + "00".repeat(32);

const typeHash = (text) => keccak(utf8(text));
const DOMAIN = typeHash("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
const ACTION = typeHash("Action(string kind,bytes32 challenge,bytes32 payload,uint256 value,uint256 nonce,bytes32 seen)");
const LINE = typeHash("Line(uint256 sequence,bytes32 previous,uint256 time,bytes32 action)");

export function separator(chainId, ledger) {
  return keccak(concat(DOMAIN, keccak(utf8("danku")), keccak(utf8("1")), word(chainId), address(ledger)));
}

const signing = (domain, struct) => keccak(concat(Uint8Array.of(0x19, 1), domain, keccak(concat(...struct))));

// `payload` is the keccak of the action's canonical bytes.
export function actionDigest(domain, signed, payload) {
  const { action } = signed;
  return signing(domain, [
    ACTION,
    keccak(utf8(action.kind)),
    bytes32(action.challenge ?? ZERO),
    payload,
    word(signed.value),
    word(signed.nonce),
    bytes32(signed.seen),
  ]);
}

export function lineDigest(domain, line, action) {
  return signing(domain, [LINE, word(line.sequence), bytes32(line.previous), word(line.time), action]);
}

export function addressOf(publicKey) {
  return toHex(keccak(fromHex(publicKey)).slice(-20));
}

export function holds(publicKey, digest, signature) {
  const [key, bytes] = [fromHex(publicKey), fromHex(signature)];
  if (key.length !== 64 || bytes.length !== 64) return false;
  const r = BigInt(toHex(bytes.slice(0, 32)));
  if (r < FIELD - ORDER || r >= ORDER) return false;
  try {
    return secp256k1.verify(bytes, digest, concat(Uint8Array.of(4), key), { prehash: false, lowS: true });
  } catch {
    return false; // a point that is not on the curve
  }
}
