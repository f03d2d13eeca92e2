// The numbered steps of `danku verify`, as far as a browser can take them.
//
// Each returns [detail, gap]: what was found, and what was left to `danku verify`. Each throws where
// two things that must agree do not.

import { canonical, utf8 } from "./bytes.js";
import { gather } from "./challenge.js";
import { address, bytes32, cidOf, digest, digestWithArrays, domain, keccak, word } from "./hashing.js";
import { concat, toHex } from "./bytes.js";
import { readJournal } from "./journal.js";
import { dataLeaf, payoutLeaf, payoutRoot, verifyData, verifyPayout } from "./merkle.js";

const OUTCOMES = ["test", "train-fallback", "void"];
const SOURCES = ["contributions", "beacon", "both"];
const SCHEDULE = ["contribute", "open_seed", "reveal_train", "submit", "open", "reveal_test", "vote", "open_vote"];
const REWARD = ["pot", "fee", "organizer_bond", "contribution_deposit", "submission_bond", "entry_fee", "max_submissions", "max_entries"];
const FALSE_REPORT = "false report";
const ZERO_ADDRESS = "0x" + "00".repeat(20);

export class Mismatch extends Error {}

function agree(found, expected, what) {
  if (found !== expected) throw new Mismatch(`${what}: found ${found}, expected ${expected}`);
}

const cut = (text) => `${text.slice(0, 18)}…`;
const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

function* journal(audit) {
  const read = yield* readJournal(audit.text, audit.now);
  audit.journal = read;
  const { record } = audit.page;
  agree(read.ledger, record.ledger, "ledger");
  const head = read.hashes[read.hashes.length - 1];
  const place = read.hashes.indexOf(record.head);
  if (place < 0) throw new Mismatch(`the head that this page was made from, ${record.head}, is not in the journal`);
  let detail = `${count(read.hashes.length, "line")}, signed by ${count(read.signers, "key")}; head ${cut(head)}`;
  if (audit.noted) {
    const later = read.hashes.length - 1 - read.hashes.indexOf(audit.noted);
    if (!read.hashes.includes(audit.noted)) throw new Mismatch(`the journal was rewritten or truncated: no line hashes to ${audit.noted}`);
    detail += `; the noted head is ${count(later, "line")} back`;
  }
  // What the page shows is as of its own head, whatever came later.
  audit.challenge = gather({ ...read, entries: read.entries.filter((entry) => entry.sequence <= place) }, audit.page.challenge.id);
  const times = read.genesis.sequencer ? "" : "; times are asserted by the writers";
  return [detail + times, "whether the rules allowed each action when it was made"];
}

// Blobs of at most 256 KiB are compared with their CIDs; a keccak that the ledger holds binds all.
function blob(audit, cid) {
  const data = audit.blobs.get(cid);
  if (!data) return null;
  const name = cidOf(data);
  if (name !== null) agree(name, cid, "CID of a file");
  return data;
}

function terms({ challenge, page }, audit) {
  const { terms: agreed, create } = challenge;
  const named = agreed.panel.kind === "named";
  const panel = named ? [word(0), agreed.panel.members.map(address), word(0), word(0), word(0)] : [word(1), [], ...["seats", "minority_share", "silence_share"].map((name) => word(agreed.panel[name]))];
  const found = digestWithArrays(
    "terms",
    bytes32(agreed.data_root),
    ...[agreed.groups, agreed.test_groups, SOURCES.indexOf(agreed.seed_source), agreed.min_contributions].map(word),
    ...SCHEDULE.map((name) => word(agreed.schedule[name])),
    ...REWARD.map((name) => word(agreed.reward[name])),
    ...panel,
    bytes32(agreed.manifest),
  );
  agree(found, page.challenge.termsDigest, "terms digest");
  agree(challenge.organizer, page.challenge.organizer, "organizer");
  agree(create.manifest, page.challenge.manifest, "CID of the manifest");
  agree(challenge.created, page.challenge.created, "time of create");
  for (const [, name, , closes] of page.windows) agree(closes, challenge.windows[name], `deadline of ${name}`);
  const data = blob(audit, create.manifest);
  if (!data) return ["the terms digest and all deadlines", "the manifest does not come with this page"];
  agree(toHex(keccak(data)), agreed.manifest, "digest of the manifest");
  audit.manifest = JSON.parse(new TextDecoder().decode(data));
  agree(String(page.threshold), audit.manifest.evaluation.threshold, "threshold");
  agree(page.yardstick, yardstick(audit.manifest, page, agreed), "groups of the yardstick");
  return [`the manifest, all deadlines, and terms ${cut(found)}`];
}

// How many train groups are set apart; once they are drawn, one at least is not.
function yardstick(manifest, page, agreed) {
  const wanted = manifest.evaluation.yardstick_groups ?? 0;
  return page.challenge.seed ? Math.min(wanted, Math.max(agreed.groups - agreed.test_groups - 1, 0)) : wanted;
}

function partition(seed, groups, tests) {
  const prefix = concat(domain("partition"), bytes32(seed));
  let counter = 0;
  const below = (bound) => {
    const limit = 2n ** 256n - (2n ** 256n % BigInt(bound));
    for (;;) {
      const drawn = BigInt(toHex(keccak(concat(prefix, word(counter++)))));
      if (drawn < limit) return Number(drawn % BigInt(bound));
    }
  };
  const order = Array.from({ length: groups }, (_, place) => place);
  for (let place = 0; place < tests; place++) {
    const other = place + below(groups - place);
    [order[place], order[other]] = [order[other], order[place]];
  }
  return order.slice(0, tests).sort((a, b) => a - b);
}

function seed({ challenge, page }, audit) {
  const id = bytes32(page.challenge.id);
  const own = { by: challenge.organizer, commitment: challenge.create.seed_commitment, secret: challenge.secret };
  const secrets = [];
  for (const { by, commitment, secret } of [own, ...challenge.contributions]) {
    if (secret === null) continue;
    agree(digest("seed-commitment", id, address(by), bytes32(secret)), commitment, `seed commitment of ${by}`);
    secrets.push(secret);
  }
  if (!challenge.drawn) {
    agree(page.challenge.seed, null, "seed");
    return ["the seed is not drawn yet"];
  }
  if (challenge.terms.seed_source !== "contributions") return [`${count(secrets.length, "secret")} fit`, "the beacon is the ledger's"];
  const drawn = digestWithArrays("seed", id, secrets.map(bytes32), word(0));
  agree(page.challenge.seed, drawn, "seed");
  audit.tests = partition(drawn, challenge.terms.groups, challenge.terms.test_groups);
  agree(page.testGroups.join(), audit.tests.join(), "test groups");
  return [`${count(secrets.length, "secret")}; ${audit.tests.length} of ${challenge.terms.groups} groups are test`];
}

function* data(audit, kind) {
  const { challenge, page } = audit;
  const cid = kind === "train" ? challenge.train : challenge.test;
  agree(page.challenge[kind], cid ?? null, `CID of the ${kind} bundle`);
  if (!cid) return ["not revealed"];
  const raw = blob(audit, cid);
  if (!raw) return [null, `the ${kind} bundle does not come with this page`];
  const bundle = JSON.parse(new TextDecoder().decode(raw));
  agree(bundle.challenge, page.challenge.id, `challenge of the ${kind} bundle`);
  agree(bundle.kind, kind, "kind of the bundle");
  if (audit.tests) {
    const isTest = new Set(audit.tests);
    const expected = Array.from({ length: challenge.terms.groups }, (_, place) => place).filter((place) => isTest.has(place) === (kind === "test"));
    agree(bundle.groups.map((group) => group.index).join(), expected.join(), `groups of the ${kind} bundle`);
  }
  let [checked, rows] = [0, 0];
  for (const group of bundle.groups) {
    const bytes = blob(audit, group.cid);
    if (!bytes) continue;
    const leaf = dataLeaf(group.nonce, bytes);
    if (!verifyData(challenge.terms.data_root, challenge.terms.groups, group.index, leaf, group.proof))
      throw new Mismatch(`group ${group.index} of the ${kind} data is not under the data root`);
    checked++;
    rows += group.rows;
    yield { done: checked, total: bundle.groups.length };
  }
  const left = bundle.groups.length - checked;
  const gap = left ? `${count(left, "group")} did not fit beside this page` : "whether each group is well-formed";
  return [checked ? `${count(checked, "group")}, ${count(rows, "row")} lead to the data root` : null, gap];
}

function* models(audit) {
  const { challenge, page } = audit;
  const id = bytes32(page.challenge.id);
  const shown = new Map(page.rows.map((row) => [row[1], row]));
  agree(shown.size, challenge.submissions.length, "submissions on this page");
  const reports = new Map(page.reports.map((report) => [report[0], String(report[1])]));
  agree(reports.size, page.reports.length, "submissions with a reported score");
  let [opened, whole, reported] = [0, 0, 0];
  for (const [number, entry] of challenge.submissions.entries()) {
    const row = shown.get(number);
    if (!row) throw new Mismatch(`submission ${number} is not on this page`);
    agree(page.submitters[row[2]], entry.by, `submitter of submission ${number}`);
    agree(page.challenge.created + row[7], entry.time, `time of submission ${number}`);
    // Where there is no yardstick, nobody looks at a report, and the page shows none.
    if (page.yardstick) agree(reports.get(number) ?? null, entry.report, `reported score of submission ${number}`);
    if (reports.has(number)) reported++;
    const { opening } = entry;
    agree(row[8] || null, opening?.cid ?? null, `model of submission ${number}`);
    if (opening) {
      const found = digest("submission", id, address(entry.by), bytes32(opening.model), keccak(utf8(opening.cid)), bytes32(opening.salt));
      agree(found, entry.commitment, `commitment of submission ${number}`);
      opened++;
      const bytes = blob(audit, opening.cid);
      if (bytes && toHex(keccak(bytes)) === opening.model) whole++;
    }
    yield { done: number + 1, total: challenge.submissions.length };
  }
  agree(page.yardstick ? reported : 0, reports.size, "submissions with a reported score");
  const said = reported ? `; ${count(reported, "reported score")} as signed` : "";
  const detail = `${opened.toLocaleString("en")} of ${challenge.submissions.length.toLocaleString("en")} opened as committed${said}`;
  const gap = whole < opened ? `the bytes of ${count(opened - whole, "model")}` : undefined;
  return [whole ? `${detail}; ${count(whole, "model")} whole` : detail, gap];
}

function committee(challenge, page, round) {
  const { panel } = challenge.terms;
  if (panel.kind !== "named") return page.challenge.committees[round] ?? [];
  if (round === 1) return panel.members;
  return panel.members.filter((member) => challenge.votes.some((vote) => vote.round === 1 && vote.by === member && vote.opening));
}

function votes(audit) {
  const { challenge, page } = audit;
  const tally = new Map();
  let opened = 0;
  for (const vote of challenge.votes) {
    if (!vote.opening) continue;
    const { ballot, salt } = vote.opening;
    const found = digest(
      "vote",
      bytes32(page.challenge.id),
      word(vote.round),
      address(vote.by),
      word(OUTCOMES.indexOf(ballot.outcome)),
      bytes32(ballot.result),
      bytes32(ballot.payout_root),
      word(ballot.payout_total),
      address(ballot.winner),
      word(ballot.score),
      bytes32(salt),
    );
    agree(found, vote.commitment, `commitment of the vote of ${vote.by}`);
    opened++;
    const seats = committee(challenge, page, vote.round).filter((member) => member === vote.by).length;
    const key = `${vote.round} ${canonical(ballot)}`;
    tally.set(key, (tally.get(key) ?? 0) + seats);
  }
  const decided = page.challenge.ballot;
  if (!decided) unchecked(page);
  if (!decided) return [`${count(opened, "opened vote")}; no committee decision`];
  const { panel } = challenge.terms;
  const seats = panel.kind === "named" ? panel.members.length : panel.seats;
  const agreed = tally.get(`${page.challenge.round} ${canonical(decided)}`) ?? 0;
  if (3 * agreed < 2 * seats) throw new Mismatch(`${agreed} of ${seats} seats say what this page says was decided`);
  const gap = panel.kind === "named" ? "" : "the draw of the committee's seats";
  const result = winningResult(audit, decided);
  if (result) leaderboard(page, result, decided);
  const gaps = [gap, result ? "" : "the result does not come with this page"].filter(Boolean).join("; ");
  const shown = result ? "; the leaderboard above is the decided one" : "";
  return [`${count(opened, "opened vote")}; ${agreed} of ${seats} seats agreed on ${decided.outcome}${shown}`, gaps];
}

function winningResult(audit, decided) {
  const { challenge } = audit;
  for (const vote of challenge.votes) {
    if (!vote.opening || vote.opening.ballot.result !== decided.result) continue;
    const data = audit.blobs.get(vote.opening.cid);
    if (data && toHex(keccak(data)) === decided.result) return JSON.parse(new TextDecoder().decode(data));
  }
  return null;
}

function unchecked(page) {
  for (const [number, , holds] of page.reports) agree(holds, null, `check of the report of submission ${number}`);
}

function reportHolds({ status, reason }) {
  if (status === "ranked" || status === "duplicate") return 1;
  return status === "rejected" && reason.startsWith(FALSE_REPORT) ? 0 : null;
}

// Every line of the page against the decided result: rank, status, score, and what of a report.
function leaderboard(page, result, decided) {
  const rows = new Map(result.rows.map((row) => [row.submission, row]));
  for (const [rank, number, , score, status] of page.rows) {
    const row = rows.get(number);
    const said = page.statuses[status];
    if (!row) {
      agree(rank, 0, `rank of submission ${number}`);
      continue;
    }
    agree(rank, row.status === "ranked" ? row.rank : 0, `rank of submission ${number}`);
    agree(said, row.status, `status of submission ${number}`);
    if (row.status === "ranked" || row.status === "duplicate") agree(String(score), row.score, `score of submission ${number}`);
  }
  for (const [number, , holds] of page.reports) {
    const row = rows.get(number);
    agree(holds, row ? reportHolds(row) : null, `check of the report of submission ${number}`);
  }
  const first = page.rows.find((row) => row[0] === 1);
  agree(first ? page.submitters[first[2]] : ZERO_ADDRESS, decided.winner, "winner");
}

function payouts({ challenge, page }) {
  const { ballot } = page.challenge;
  if (!ballot) return ["no committee decision divides money"];
  if (!page.payouts.length && ballot.payout_total !== "0") return [null, "the payouts do not come with this page"];
  const leaves = page.payouts.map(([index, payee, amount]) => [index, payee, amount]);
  agree(payoutRoot(leaves), ballot.payout_root, "payout root");
  const total = leaves.reduce((sum, leaf) => sum + BigInt(leaf[2]), 0n);
  agree(String(total), ballot.payout_total, "total of the payouts");
  const paid = new Set();
  for (const { index, payee, amount, proof } of challenge.claims) {
    if (!verifyPayout(ballot.payout_root, payoutLeaf(index, payee, amount), proof)) throw new Mismatch(`the proof of claim ${index} does not lead to the payout root`);
    if (paid.has(index)) throw new Mismatch(`payout ${index} was claimed twice`);
    paid.add(index);
  }
  const marked = page.payouts.filter((payout) => payout[3]).length;
  agree(marked, paid.size, "claimed payouts");
  return [`${count(leaves.length, "payout")} of ${total.toLocaleString("en")} have the decided root; ${count(paid.size, "claim")} proved`, "how prizes follow from scores"];
}

function money({ page }) {
  const { ballot, previousLink, link } = page.challenge;
  if (!ballot) return [null, "the balance of the whole ledger"];
  const found = digest("learning-link", bytes32(previousLink), bytes32(page.challenge.id), bytes32(ballot.result), address(ballot.winner), word(ballot.score));
  agree(link, found, "learning link");
  return [`the learning link ${cut(found)} follows`, "the links before it, and the balance of the whole ledger"];
}

function evaluation() {
  return [null, "a browser does not run the models: danku verify does"];
}

const plainly = (step) =>
  function* run(audit) {
    yield { done: 0, total: 1 };
    return step(audit, audit);
  };

export const STEPS = [
  ["journal", journal],
  ["terms", plainly(terms)],
  ["seed", plainly(seed)],
  ["train data", (audit) => data(audit, "train")],
  ["models", models],
  ["test data", (audit) => data(audit, "test")],
  ["votes", plainly(votes)],
  ["evaluation", plainly(evaluation)],
  ["payouts", plainly(payouts)],
  ["money", plainly(money)],
];
