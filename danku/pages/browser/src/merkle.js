// Both Merkle trees of danku/crypto/merkle.py.

import { concat, toHex } from "./bytes.js";
import { address, bytes32, domain, keccak, word } from "./hashing.js";

const less = (a, b) => {
  for (let place = 0; place < a.length; place++) if (a[place] !== b[place]) return a[place] < b[place];
  return false;
};

export const dataLeaf = (nonce, data) => keccak(concat(domain("data-leaf"), bytes32(nonce), data));
const dataNode = (left, right) => keccak(concat(domain("data-node"), left, right));

// Whether a leaf is number `index` of the `count` leaves under a root, by exactly these siblings.
export function verifyData(root, count, index, leaf, proof) {
  if (!(index >= 0 && index < count)) return false;
  const siblings = proof.map(bytes32);
  let [node, place, width, next] = [leaf, index, count, 0];
  while (width > 1) {
    if ((place ^ 1) < width) {
      if (next === siblings.length) return false;
      const sibling = siblings[next++];
      node = place & 1 ? dataNode(sibling, node) : dataNode(node, sibling);
    }
    place >>= 1;
    width = (width + 1) >> 1;
  }
  return next === siblings.length && toHex(keccak(concat(domain("data-root"), word(count), node))) === root;
}

export const payoutLeaf = (index, payee, amount) => keccak(keccak(concat(word(index), address(payee), word(amount))));
const pair = (one, other) => (less(one, other) ? keccak(concat(one, other)) : keccak(concat(other, one)));

export function verifyPayout(root, leaf, proof) {
  return toHex(proof.map(bytes32).reduce(pair, leaf)) === root;
}

// The root of OpenZeppelin's StandardMerkleTree over [index, payee, amount].
export function payoutRoot(leaves) {
  if (!leaves.length) return "0x" + "00".repeat(32);
  const hashes = leaves.map((leaf) => payoutLeaf(...leaf)).sort((a, b) => (less(a, b) ? 1 : -1));
  const inner = hashes.length - 1;
  const nodes = [...new Array(inner), ...hashes];
  for (let place = inner - 1; place >= 0; place--) nodes[place] = pair(nodes[2 * place + 1], nodes[2 * place + 2]);
  return toHex(nodes[0]);
}

