// What a journal says of one challenge, gathered from its actions in order.

import { address, digest, word } from "./hashing.js";

const WINDOWS = ["contribute", "open_seed", "reveal_train", "submit", "open", "reveal_test", "vote", "open_vote"];

export function challengeId(chainId, ledger, organizer, nonce) {
  return digest("challenge", word(chainId), address(ledger), address(organizer), word(nonce));
}

// Ends of the windows, as danku/protocol/schedule.py computes them.
export function windowsOf(created, schedule) {
  const ends = {};
  let end = created;
  for (const name of WINDOWS) ends[name] = end += schedule[name];
  ends.second_vote = end += schedule.vote;
  ends.second_open_vote = end + schedule.open_vote;
  return ends;
}

export function gather(journal, id) {
  let found = null;
  const on = {
    contribute: ({ sender, action }) => found.contributions.push({ by: sender, commitment: action.commitment, secret: null }),
    open_seed({ sender, action }) {
      if (sender === found.organizer) found.secret = action.secret;
      else found.contributions.find((item) => item.by === sender).secret = action.secret;
    },
    draw: () => (found.drawn = true),
    reveal_train: ({ action }) => (found.train = action.bundle),
    reveal_test: ({ action }) => (found.test = action.bundle),
    submit: ({ sender, action, time }) => found.submissions.push({ by: sender, commitment: action.commitment, time, report: null, opening: null }),
    report({ action }) {
      found.submissions[action.submission].report = action.score;
    },
    open({ sender, action }) {
      found.submissions[action.submission].opening = { ...action, by: sender };
    },
    vote({ sender, action, time }) {
      found.votes.push({ by: sender, round: time >= found.windows.open_vote ? 2 : 1, commitment: action.commitment, opening: null });
    },
    open_vote({ sender, action, time }) {
      const round = time >= found.windows.open_vote ? 2 : 1;
      found.votes.find((vote) => vote.by === sender && vote.round === round).opening = action;
    },
    finalize: ({ time }) => (found.finalized = time),
    claim: ({ action }) => found.claims.push(action),
  };
  for (const entry of journal.entries) {
    const { action, sender } = entry;
    if (action.kind === "create") {
      if (challengeId(journal.chainId, journal.ledger, sender, action.nonce) !== id) continue;
      const windows = windowsOf(entry.time, action.terms.schedule);
      const empty = { secret: null, contributions: [], submissions: [], votes: [], claims: [] };
      found = { ...empty, organizer: sender, created: entry.time, create: action, terms: action.terms, windows };
    } else if (found && action.challenge === id && on[action.kind]) {
      on[action.kind](entry);
    }
  }
  if (!found) throw new Error(`no action of the journal creates the challenge ${id}`);
  return found;
}
