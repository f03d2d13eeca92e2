// The journal, line by line: danku/ledger/embedded/replay.py without the rules of the actions.

import { canonical, fromHex, toHex, utf8 } from "./bytes.js";
import { keccak } from "./hashing.js";
import { actionDigest, addressOf, holds, lineDigest, separator } from "./signatures.js";

const ZERO = "0x" + "00".repeat(32);
const AHEAD_SECONDS = 300;
const LINE_BYTES = 16384;
const LINE_KEYS = ["action", "previous", "sequence", "time"];
const ACTION_KEYS = "action,nonce,public_key,seen,signature,value";

class Broken extends Error {
  constructor(line, check, detail) {
    super(`line ${line} of the journal fails the check '${check}': ${detail}`);
  }
}

function record(text, number) {
  if (text.length > LINE_BYTES) throw new Broken(number, "bytes", `it is longer than ${LINE_BYTES} bytes`);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Broken(number, "bytes", "it is not JSON");
  }
  if (value === null || typeof value !== "object" || canonical(value) !== text)
    throw new Broken(number, "bytes", "it is not in canonical form");
  return value;
}

const whole = (value) => Number.isSafeInteger(value) && value >= 0;

function genesis(text) {
  const first = record(text, 1);
  const made = first.genesis;
  if (!made || first.previous !== ZERO || first.sequence !== 0 || !whole(first.time))
    throw new Broken(1, "genesis", "it is not the beginning of a ledger");
  const chainId = 2n ** 51n + (BigInt(toHex(keccak(fromHex(made.nonce)))) >> 205n);
  const hash = keccak(utf8(text));
  return { made, time: first.time, chainId, ledger: toHex(hash.slice(-20)), hash: toHex(hash) };
}

// Yields how far it is, and returns the checked entries. `now` is in seconds since the epoch.
export function* readJournal(text, now) {
  const lines = text.split("\n");
  const torn = lines.pop();
  if (torn) throw new Broken(lines.length + 1, "bytes", `${torn.length} bytes stand behind the last newline`);
  if (!lines.length) throw new Broken(1, "genesis", "there is no whole line");
  const { made, time, chainId, ledger, hash } = genesis(lines[0]);
  const domain = separator(chainId, ledger);
  const [nonces, seen, hashes, entries] = [new Map(), new Set([hash]), [hash], []];
  let [last, advanced] = [time, 0];
  const check = (number, holding, name, detail) => {
    if (!holding) throw new Broken(number, name, detail());
  };
  check(1, time - now <= AHEAD_SECONDS, "time", () => `its time ${time} is ahead of this machine's clock`);
  for (let place = 1; place < lines.length; place++) {
    const number = place + 1;
    const line = record(lines[place], number);
    const signed = line.action;
    const keys = Object.keys(line).filter((key) => key !== "sequencer_signature");
    const formed = keys.join() === LINE_KEYS.join() && signed && Object.keys(signed).join() === ACTION_KEYS;
    check(number, formed && typeof signed.action?.kind === "string", "bytes", () => "it is no line of a journal");
    check(number, line.sequence === place, "chain", () => `its sequence is ${line.sequence}, expected ${place}`);
    const previous = hashes[place - 1];
    check(number, line.previous === previous, "chain", () => `it follows ${line.previous}, but line ${place} hashes to ${previous}`);
    check(number, whole(line.time) && line.time >= last, "time", () => `time runs backwards, from ${last} to ${line.time}`);
    check(number, line.time - now - advanced <= AHEAD_SECONDS, "time", () => `its time ${line.time} is ahead of this machine's clock`);
    const digest = keccak(utf8(canonical(signed)));
    const stamped = line.sequencer_signature;
    const stamp = made.sequencer ? stamped && holds(made.sequencer, lineDigest(domain, line, digest), stamped) : stamped === undefined;
    check(number, stamp, "signature", () => "the sequencer named at genesis did not sign it");
    const sender = addressOf(signed.public_key);
    const payload = keccak(utf8(canonical(signed.action)));
    const valid = holds(signed.public_key, actionDigest(domain, signed, payload), signed.signature);
    check(number, valid, "signature", () => `${sender} did not sign this action for the ledger ${ledger}`);
    const nonce = nonces.get(sender) ?? 0;
    check(number, signed.nonce === nonce, "order", () => `the nonce is ${signed.nonce}, the next one of ${sender} is ${nonce}`);
    check(number, seen.has(signed.seen), "order", () => `no action ${signed.seen} stands before it`);
    nonces.set(sender, nonce + 1);
    seen.add(toHex(digest));
    hashes.push(toHex(keccak(utf8(lines[place]))));
    if (signed.action.kind === "advance_time") advanced += signed.action.seconds;
    last = line.time;
    entries.push({ sequence: place, time: line.time, sender, action: signed.action, value: signed.value });
    yield { done: place, total: lines.length - 1 };
  }
  return { genesis: made, chainId, ledger, entries, hashes, signers: nonces.size };
}
