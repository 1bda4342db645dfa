/** A round avatar: initials, or the silhouette where the name has none, coloured by id. */

import { ICONS, el, icon, setText } from "./dom.js";
import { initials, toneOf } from "./format.js";

export function createAvatar(className = "") {
  const node = el("span", `avatar ${className}`.trim(), el("span", "avatar-initials"), icon(ICONS.person));
  node.setAttribute("aria-hidden", "true");
  return node;
}

export function updateAvatar(node, { id, name }) {
  const letters = initials(name);
  setText(node.querySelector(".avatar-initials"), letters);
  node.classList.toggle("without-name", !letters);
  const tone = `tone-${toneOf(id)}`;
  if (node.classList.contains(tone)) return;
  node.classList.remove(...[...node.classList].filter((token) => token.startsWith("tone-")));
  node.classList.add(tone);
}
