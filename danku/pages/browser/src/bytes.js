// Bytes, hex and canonical JSON, as danku/crypto/hashing.py and danku/protocol/records.py have them.

import { concatBytes, hexToBytes } from "@noble/hashes/utils.js";

const encoder = new TextEncoder();
const HEX = /^0x(?:[0-9a-f]{2})*$/;

export const concat = concatBytes;
export const utf8 = (text) => encoder.encode(text);

export function toHex(bytes) {
  let text = "0x";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function fromHex(text) {
  if (typeof text !== "string" || !HEX.test(text)) throw new Error(`not lower-case hex: ${String(text).slice(0, 80)}`);
  return hexToBytes(text.slice(2));
}

export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return bytes;
}

// RFC 8785: keys by UTF-16 code units, JavaScript's own spelling of strings and numbers.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const parts = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
    return `{${parts.join(",")}}`;
  }
  return JSON.stringify(value);
}
