// A served page asks whether it is still the newest, and loads itself again if it is not.

const SECONDS = 3;

export function setUpNews(version) {
  setInterval(async () => {
    if (document.hidden) return;
    let tag;
    try {
      tag = (await fetch(location.href, { method: "HEAD", cache: "no-store" })).headers.get("etag");
    } catch {
      return; // the server has gone; what is shown stays true of its time
    }
    const busy = document.querySelector("#steps [data-state]") || document.activeElement?.matches("input, select");
    if (tag && tag !== `"${version}"` && !busy) location.reload();
  }, SECONDS * 1000);
}
