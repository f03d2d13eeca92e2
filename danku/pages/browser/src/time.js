// Deadlines as seen from now: a page may lie about for days. A sandbox's clock runs ahead; the
// page notes by how much.

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function span(seconds) {
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

export function setUpTime(page) {
  for (const time of document.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
  if (page.settled) return;
  const opened = Date.now() / 1000;
  // NOTE: served live, the page is new; from a file it may be old, and then the clock counts.
  const ahead = page.live || page.now > opened ? page.now - opened : 0;
  const next = document.getElementById("next");
  const tick = () => {
    const now = Math.floor(Date.now() / 1000 + ahead);
    const window = page.windows.find(([stage, , opens, closes]) => now < closes && (stage === page.stage || opens <= now));
    if (window) next.textContent = `${window[1].replaceAll("_", " ")}: ${span(window[3] - now)} left`;
    else if (now >= page.windows.at(-1)[3]) next.textContent = "by your clock, all windows are over";
  };
  tick();
  setInterval(tick, 1000);
}
