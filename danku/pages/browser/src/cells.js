// What stands in the cells of tables, as danku/pages/text.py and templates/macros.html write it.

const UNIT = 1000000000n;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const short = (text) => (text.length <= 16 ? text : `${text.slice(0, 8)}…${text.slice(-6)}`);
export const grouped = (text) => String(text).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
export const cell = (name, ...children) => element("td", { role: "cell", class: name }, ...children);

export function score(units) {
  const value = BigInt(units);
  const size = value < 0n ? -value : value;
  return `${value < 0n ? "−" : ""}${grouped(size / UNIT)}.${String((size % UNIT) / 1000n).padStart(6, "0")}`;
}

function moment(seconds) {
  const text = new Date(seconds * 1000).toISOString();
  return element("time", { datetime: text.replace(".000Z", "Z") }, text.slice(0, 16).replace("T", " "));
}

// When a submission was committed, and its number.
export const sent = (page, after, number) => cell("sent", moment(page.challenge.created + after), element("small", {}, `no. ${number}`));

export function person(page, address) {
  const code = element("code", { class: "address", title: address }, short(address));
  const name = page.names[address];
  return element("span", { class: "who" }, ...(name ? [element("bdi", { class: "name" }, name), " ", code] : [code]));
}
