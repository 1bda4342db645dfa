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

const ICON_SIZE = 96;
const icons = new Map(); // what it shows -> data URL: drawn once

/** The same avatar as a picture, for where no element can stand: a desktop notification. */
export function avatarPicture({ id, name }) {
  const letters = initials(name);
  const tone = toneOf(id);
  const key = `${tone} ${letters}`;
  if (!icons.has(key)) icons.set(key, drawPicture(letters, tone));
  return icons.get(key);
}

function drawPicture(letters, tone) {
  const probe = el("span", `tone-${tone}`);
  probe.hidden = true;
  document.body.append(probe);
  const colour = (part) => getComputedStyle(probe).getPropertyValue(`--tone-${part}`).trim();
  const [back, front] = [colour("back"), colour("text")];
  probe.remove();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = ICON_SIZE;
  const pen = canvas.getContext("2d");
  pen.fillStyle = back;
  pen.arc(ICON_SIZE / 2, ICON_SIZE / 2, ICON_SIZE / 2, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = front;
  if (letters) {
    pen.font = `500 ${ICON_SIZE * 0.4}px sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(letters, ICON_SIZE / 2, ICON_SIZE * 0.53);
  } else {
    pen.setTransform(ICON_SIZE / 34, 0, 0, ICON_SIZE / 34, ICON_SIZE * 0.147, ICON_SIZE * 0.12);
    pen.fill(new Path2D(ICONS.person));
  }
  return canvas.toDataURL("image/png");
}
