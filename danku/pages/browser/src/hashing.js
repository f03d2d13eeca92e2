// Keccak-256, domain tags and ABI words, as danku/crypto/hashing.py makes them.

import { keccak_256 } from "@noble/hashes/sha3.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, fromHex, toHex, utf8 } from "./bytes.js";

const tags = new Map();

export const keccak = (...parts) => keccak_256(parts.length === 1 ? parts[0] : concat(...parts));

export function domain(tag) {
  if (!tags.has(tag)) tags.set(tag, keccak(utf8(`danku/v1/${tag}`)));
  return tags.get(tag);
}

export function word(value) {
  const number = BigInt.asUintN(256, BigInt(value));
  return fromHex("0x" + number.toString(16).padStart(64, "0"));
}

export function bytes32(text) {
  const bytes = fromHex(text);
  if (bytes.length !== 32) throw new Error(`not 32 bytes: ${text}`);
  return bytes;
}

export function address(text) {
  const bytes = fromHex(text);
  if (bytes.length !== 20) throw new Error(`not an address: ${text}`);
  return concat(new Uint8Array(12), bytes);
}

// keccak(abi.encode(domain(tag), ...words)) of static words.
export const digest = (tag, ...words) => toHex(keccak(concat(domain(tag), ...words)));

// The same with dynamic arrays of words among them, each given as an array.
export function digestWithArrays(tag, ...values) {
  const all = [domain(tag), ...values];
  const head = [];
  const tail = [];
  let offset = 32 * all.length;
  for (const value of all) {
    if (!Array.isArray(value)) {
      head.push(value);
      continue;
    }
    head.push(word(offset));
    tail.push(word(value.length), ...value);
    offset += 32 * (1 + value.length);
  }
  return toHex(keccak(concat(...head, ...tail)));
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

// The CID of at most 256 KiB: version 1, base32, one raw leaf. Larger blobs are trees: null.
export function cidOf(data) {
  if (data.length > 262144) return null;
  const bytes = concat(Uint8Array.of(1, 0x55, 0x12, 0x20), sha256(data));
  let bits = 0;
  let held = 0;
  let text = "b";
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= 31;
  }
  return bits ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}
