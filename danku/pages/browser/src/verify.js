// The Verify button: loads the journal, takes the steps one after the other, and says what it found.

import { fromBase64 } from "./bytes.js";
import { STEPS } from "./steps.js";

const SLICE_MILLISECONDS = 40;
const pause = () => new Promise((resolve) => setTimeout(resolve, 0));

// Files beside the page come as scripts, since a page opened from a folder may not fetch anything.
function beside(name, receiver) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    window.danku = { ...window.danku, [receiver]: resolve };
    script.onload = () => reject(new Error(`${name} does not hold what it should`));
    script.onerror = () => reject(new Error(`${name} is not beside this page`));
    script.src = name;
    document.head.append(script);
  });
}

function journalOf(text) {
  const call = /^danku\.journal\((".*")\);?\s*$/s.exec(text);
  return call ? JSON.parse(call[1]) : text;
}

async function drive(steps, onProgress) {
  let due = performance.now() + SLICE_MILLISECONDS;
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
    if (performance.now() < due) continue;
    onProgress(value);
    await pause();
    due = performance.now() + SLICE_MILLISECONDS;
  }
}

async function collect(file) {
  const text = file ? journalOf(await file.text()) : await beside("journal.js", "journal");
  let found = {};
  let missing = "";
  try {
    found = await beside("blobs.js", "blobs");
  } catch {
    missing = "blobs.js is not beside this page, so that data and models are left out";
  }
  const blobs = new Map(Object.entries(found).map(([cid, data]) => [cid, fromBase64(data)]));
  return { text, blobs, missing };
}

export function setUpVerification(page) {
  const form = document.getElementById("verify-form");
  if (!form) return;
  const [button, said, input, drop] = ["verify-button", "verify-said", "journal-file", "drop"].map((id) => document.getElementById(id));
  const items = [...document.querySelectorAll("#steps li")];
  let dropped = null;

  const say = (text, state = "") => {
    said.textContent = text;
    said.className = `outcome ${state}`;
  };
  const mark = (item, state, detail, gap) => {
    item.dataset.state = state;
    const place = item.querySelector(".detail");
    const words = { ok: "holds", partly: "holds as far as checked", failed: "failed" }[state];
    const hidden = document.createElement("span");
    hidden.className = "unseen";
    hidden.textContent = words ? `${words}: ` : "";
    place.replaceChildren(hidden, detail ?? "");
    if (!gap) return;
    const left = document.createElement("span");
    left.className = "gap";
    left.textContent = `not checked here: ${gap}`;
    place.append(left);
  };

  async function run() {
    const noted = document.getElementById("noted").value.trim().toLowerCase();
    say("Loading the journal…");
    for (const item of items) mark(item, "waiting", "");
    const { text, blobs, missing } = await collect(dropped ?? input.files[0]);
    const audit = { page, text, blobs, noted, now: Math.floor(Date.now() / 1000) };
    const gaps = [];
    for (const [place, [name, step]] of STEPS.entries()) {
      const item = items[place];
      mark(item, "working", "checking…");
      try {
        const progress = ({ done, total }) => {
          item.querySelector(".detail").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
        };
        const [detail, gap] = await drive(step(audit), progress);
        mark(item, detail === null ? "not here" : gap ? "partly" : "ok", detail, gap);
        if (gap) gaps.push(place + 1);
      } catch (error) {
        mark(item, "failed", error.message);
        for (const rest of items.slice(place + 1)) mark(rest, "not reached", "not reached");
        say(`Verification failed in step ${place + 1}, ${name}: ${error.message}`, "failed");
        return;
      }
    }
    const left = gaps.length ? ` Not everything in steps ${gaps.join(", ")} is a browser's business; danku verify does the rest.` : "";
    say(`Everything that this browser computed again holds.${left}${missing ? ` ${missing}.` : ""}`, "ok");
  }

  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await run();
    } catch (error) {
      for (const item of items) mark(item, "not reached", "not reached");
      say(`Nothing was verified: ${error.message}. Choose your own copy of ledger.jsonl instead.`, "failed");
    }
    button.disabled = false;
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragenter" || name === "dragover");
    });
  }
  input.addEventListener("change", () => (dropped = null));
  drop.addEventListener("drop", (event) => {
    dropped = event.dataTransfer.files[0] ?? null;
    if (dropped) say(`${dropped.name} will be verified.`);
  });
}
