/** A round avatar: initials, or a silhouette (a group, or a name without letters), coloured by id. */

import { ICONS, el, icon, setAttribute, setText } from "./dom.js";
import { initials, toneOf } from "./format.js";

const lettersOf = ({ name, is_group: isGroup }) => (isGroup ? "" : initials(name));
const silhouetteOf = ({ is_group: isGroup }) => ICONS[isGroup ? "group" : "person"];

export function createAvatar(className = "") {
  const node = el("span", `avatar ${className}`.trim(), el("span", "avatar-initials"), icon(ICONS.person));
  node.setAttribute("aria-hidden", "true");
  return node;
}

/** `who`: {id, name, is_group?}, as a conversation has them. */
export function updateAvatar(node, who) {
  const letters = lettersOf(who);
  setText(node.querySelector(".avatar-initials"), letters);
  setAttribute(node.querySelector("path"), "d", silhouetteOf(who));
  node.classList.toggle("without-name", !letters);
  const tone = `tone-${toneOf(who.id)}`;
  if (node.classList.contains(tone)) return;
  node.classList.remove(...[...node.classList].filter((token) => token.startsWith("tone-")));
  node.classList.add(tone);
}

const ICON_SIZE = 96;
const icons = new Map(); // what it shows -> data URL: drawn once

/** The same avatar as a picture, for where no element can stand: a desktop notification. */
export function avatarPicture(who) {
  const letters = lettersOf(who);
  const tone = toneOf(who.id);
  const key = `${tone} ${letters || silhouetteOf(who)}`;
  if (!icons.has(key)) icons.set(key, drawPicture(letters, silhouetteOf(who), tone));
  return icons.get(key);
}

function drawPicture(letters, silhouette, tone) {
  const probe = el("span", `avatar tone-${tone}`);
  probe.hidden = true;
  document.body.append(probe);
  const { backgroundColor: back, color: front } = getComputedStyle(probe);
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
    pen.fill(new Path2D(silhouette));
  }
  return canvas.toDataURL("image/png");
}
