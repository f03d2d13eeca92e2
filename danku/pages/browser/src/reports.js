// Self-reported scores behind the first hundred: in the order of submission, whatever they say.

import { cell, element, person, score, sent } from "./cells.js";
import { icon } from "./icon.js";

const ROWS = 100;
const BECAME = ["false", "holds"];

export function setUpReports(page) {
  const { reports } = page;
  if (reports.length <= ROWS) return;
  const [body, said, pager, place, previous, following] = ["rows", "said", "pager", "place", "previous", "following"].map((id) => document.getElementById(`report-${id}`));
  const entries = new Map(page.rows.map((row) => [row[1], row]));
  let first = 0;

  function draw([number, value, holds]) {
    const entry = entries.get(number);
    const address = page.submitters[entry[2]];
    const became = BECAME[holds] ?? "unchecked";
    const who = element("span", { class: "payee" }, icon(address), person(page, address));
    return element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader" }, who),
      cell("amount", score(value)),
      cell("became", element("span", { class: `tag ${became}` }, became)),
      sent(page, entry[7], number),
    );
  }

  function show() {
    const end = Math.min(first + ROWS, reports.length);
    body.replaceChildren(...reports.slice(first, end).map(draw));
    said.textContent = `Rows ${(first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${reports.length.toLocaleString("en")}.`;
    place.textContent = `Page ${first / ROWS + 1} of ${Math.ceil(reports.length / ROWS)}`;
    previous.disabled = first === 0;
    following.disabled = end >= reports.length;
  }

  const turn = (step) => () => {
    first += step * ROWS;
    show();
    document.getElementById("self-reported").scrollIntoView();
  };
  previous.addEventListener("click", turn(-1));
  following.addEventListener("click", turn(1));
  pager.hidden = false;
  show();
}
