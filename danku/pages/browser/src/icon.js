// The picture of an address, as danku/pages/icons.py draws it.

import { fromHex } from "./bytes.js";
import { keccak } from "./hashing.js";

const SPACE = "http://www.w3.org/2000/svg";

export function shape(name, attributes, ...children) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function icon(address) {
  const digest = keccak(fromHex(address));
  const hue = ((digest[0] << 8) | digest[1]) % 360;
  const bits = (digest[2] << 8) | digest[3];
  let path = "";
  for (let place = 0; place < 15; place++) {
    if (!((bits >> place) & 1)) continue;
    const [row, column] = [Math.floor(place / 3), place % 3];
    for (const x of new Set([column, 4 - column])) path += `M${x} ${row}h1v1h-1z`;
  }
  return shape(
    "svg",
    { class: "icon", viewBox: "0 0 5 5", "aria-hidden": "true", focusable: "false" },
    shape("rect", { width: 5, height: 5, fill: `hsl(${hue} 45% 88%)` }),
    shape("path", { fill: `hsl(${hue} 55% 42%)`, d: path }),
  );
}
