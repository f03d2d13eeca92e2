// The leaderboard's rows: a page of a hundred at a time, looked for and filtered.

import { cell, element, grouped, person, score, sent, short } from "./cells.js";
import { icon, shape } from "./icon.js";

const ROWS = 100;

const dash = (text = "–") => element("span", { class: "dash" }, text);

export function setUpBoard(page) {
  const body = document.getElementById("rows");
  if (!body) return;
  const [filter, search, status, pager, place, said] = ["filter", "search", "status", "pager", "place", "rows-said"].map((id) => document.getElementById(id));
  const [previous, following] = ["previous", "following"].map((id) => document.getElementById(id));
  const { rows } = page;
  const scores = rows.filter((row) => row[3] !== null).map((row) => Number(row[3]));
  // Not Math.min(...scores): ten thousand arguments are too many for some browsers.
  const [low, high] = scores.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  let [found, first] = [rows, 0];

  function bar(value) {
    if (low === high) return 100;
    const part = (Number(value) - low) / (high - low);
    return (6 + 94 * (page.higher ? part : 1 - part)).toFixed(1);
  }

  function draw([rank, number, submitter, value, kind, passes, reason, after, cid, payout]) {
    const [address, state, why] = [page.submitters[submitter], page.statuses[kind], page.reasons[reason]];
    const medal = rank > 0 && rank <= 3 && passes ? rank : 0;
    const words = state === "ranked" ? (passes ? "passes" : "below threshold") : state;
    const rule = (width, name) => shape("rect", { class: name, width, height: 3 });
    const drawn = value === null ? [dash()] : [score(value), shape("svg", { class: "scorebar", viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, rule(100, "rail"), rule(bar(value), "fill"))];
    const model = cid
      ? [element("a", { href: `ipfs://${cid}`, rel: "nofollow noreferrer", title: `ipfs://${cid}` }, short(cid)), copier(cid, `the path of submission ${number}'s model`)]
      : [dash(state === "sealed" ? "sealed" : "–")];
    return element(
      "tr",
      { role: "row", class: `${state}${medal ? " top" : ""}` },
      element("th", { scope: "row", role: "rowheader", class: "rank" }, rank ? element("span", { class: `medal m${medal}` }, grouped(rank)) : dash()),
      cell("submitter", icon(address), person(page, address)),
      cell("score", ...drawn),
      cell("status", element("span", { class: `tag ${passes ? "passes" : state}` }, words), ...(why ? [element("bdi", { class: "reason" }, why)] : [])),
      sent(page, after, number),
      cell("payout", Number(payout) ? grouped(payout) : dash()),
      cell("model", ...model),
    );
  }

  function divider(name, value) {
    const meaning = name === "baseline" && page.baselineMeaning ? `, ${page.baselineMeaning}` : "";
    const line = element("td", { role: "cell", colspan: 7 }, element("span", {}, `${name} ${score(value)}${meaning}`));
    return element("tr", { role: "row", class: `divider ${name}` }, line);
  }

  // The threshold and the baseline, each before the first row that does not reach it.
  function dividers() {
    if (found !== rows || !rows.some((row) => row[0])) return [];
    const lines = [["threshold", page.threshold], ["baseline", page.baseline]].filter((line) => line[1] !== null);
    return lines
      .map(([name, value]) => {
        const line = BigInt(value);
        const beyond = (row) => !row[0] || (page.higher ? BigInt(row[3]) < line : BigInt(row[3]) > line);
        const at = rows.findIndex(beyond);
        return { name, value, at: at < 0 ? rows.length : at };
      })
      .sort((a, b) => a.at - b.at || (BigInt(b.value) > BigInt(a.value) === page.higher ? 1 : -1));
  }

  function show() {
    const part = found.slice(first, first + ROWS);
    const lines = dividers();
    const made = [];
    part.forEach((row, place) => {
      for (const line of lines) if (line.at === first + place) made.push(divider(line.name, line.value));
      made.push(draw(row));
    });
    if (first + ROWS >= found.length) for (const line of lines) if (line.at >= found.length) made.push(divider(line.name, line.value));
    body.replaceChildren(...made);
    const end = first + part.length;
    const total = found.length.toLocaleString("en");
    said.textContent = found.length > ROWS ? `Rows ${(first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${total}.` : `${total} ${found === rows ? "submission" : "of these"}${found.length === 1 || found !== rows ? "" : "s"}.`;
    pager.hidden = found.length <= ROWS;
    place.textContent = `Page ${Math.floor(first / ROWS) + 1} of ${Math.max(Math.ceil(found.length / ROWS), 1)}`;
    previous.disabled = first === 0;
    following.disabled = end >= found.length;
  }

  function select() {
    const [wanted, state] = [search.value.trim().toLowerCase(), status.value];
    const fits = ([, number, submitter, , kind, , reason, , cid]) => {
      if (state && page.statuses[kind] !== state) return false;
      if (!wanted) return true;
      const address = page.submitters[submitter];
      const words = [address, page.names[address] ?? "", page.reasons[reason], cid || "", `no. ${number}`];
      return words.some((word) => word.toLowerCase().includes(wanted));
    };
    found = wanted || state ? rows.filter(fits) : rows;
    first = 0;
    show();
  }

  const turn = (step) => () => {
    first += step * ROWS;
    show();
    document.getElementById("leaderboard").scrollIntoView();
  };
  previous.addEventListener("click", turn(-1));
  following.addEventListener("click", turn(1));
  search.addEventListener("input", select);
  status.addEventListener("change", select);
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.hidden = rows.length < 4;
  if (rows.length > ROWS) show();
}

export function copier(cid, what) {
  const button = element("button", { type: "button", class: "copy quiet", "data-copy": `/ipfs/${cid}` }, "copy", element("span", { class: "unseen" }, ` ${what}`));
  button.hidden = !navigator.clipboard;
  return button;
}

export function setUpCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(".copy")) button.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.(".copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.firstChild.textContent = "copied";
    } catch {
      button.firstChild.textContent = "not allowed";
    }
    setTimeout(() => (button.firstChild.textContent = "copy"), 1500);
  });
}
