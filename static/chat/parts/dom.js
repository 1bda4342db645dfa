/** Small DOM helpers. None of them writes when nothing changes. */

/** Whether a finger points here: a keyboard that comes by itself covers half of the screen then. */
export const touch = matchMedia("(pointer: coarse)");

/** An element with classes and children; strings become text nodes. */
export function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** A button that a click delegate finds by `data-action`. */
export function actionButton(className, action, label) {
  const button = el("button", className, label);
  button.type = "button";
  button.dataset.action = action;
  return button;
}

/** A button that does something when it is clicked; `sign`: the path of an icon in place of words. */
export function clickButton(className, label, run, sign = null) {
  const node = el("button", className, sign ? icon(sign) : label);
  node.type = "button";
  if (sign) {
    node.title = label;
    node.setAttribute("aria-label", label);
  }
  node.addEventListener("click", run);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute; null or false takes it away, true makes it empty. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Makes `nodes` the children of `parent`, touching only those that came, went or moved. */
export function reconcile(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else if (node.parentNode === parent && parent.moveBefore) parent.moveBefore(node, next); // keeps focus
    else parent.insertBefore(node, next);
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** A decorative icon: one path on a 24 by 24 grid. */
export function icon(path, className = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

export const ICONS = {
  person: "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm0 2.2c-4.4 0-9 2.1-9 5.3V22h18v-2.5c0-3.2-4.6-5.3-9-5.3Z",
  alert: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.1 5h2.2v6.5h-2.2V7Zm1.1 10.4a1.4 1.4 0 1 1 0-2.8 1.4 1.4 0 0 1 0 2.8Z",
  chevron: "m12 15.4-6-6L7.4 8l4.6 4.6L16.6 8 18 9.4l-6 6Z",
  muted: "M12 22a2.2 2.2 0 0 0 2.2-2.2H9.8A2.2 2.2 0 0 0 12 22ZM3.3 2 2 3.3l4.6 4.6a6.6 6.6 0 0 0-.6 2.9V16l-2 2v.8h13.4l3.3 3.2 1.3-1.3L3.3 2ZM18 14.4v-3.6c0-3-1.6-5.5-4.5-6.2v-.7a1.5 1.5 0 0 0-3 0v.7c-.5.1-1 .3-1.4.5L18 14.4Z",
  group: "M9 12.2a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm7.4-.4a3.3 3.3 0 1 0 0-6.6 3.3 3.3 0 0 0 0 6.6ZM9 14c-3.8 0-8 1.8-8 4.6V20h16v-1.4C17 15.8 12.8 14 9 14Zm7.9-.4c-.4 0-.8 0-1.2.1 2 1.1 3.3 2.7 3.3 4.9V20h4v-1.2c0-2.9-3.2-5.2-6.1-5.2Z",
  needed: "M10.6 3h2.8v11h-2.8V3ZM12 21.2a2 2 0 1 1 0-4 2 2 0 0 1 0 4Z",
  forwarded: "M13.2 5.5 20.5 12l-7.3 6.5v-4C8.3 14.5 5 16 3 19.3c.7-5 4-9 10.2-9.8v-4Z",
  revoked: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2a8 8 0 0 1 4.9 1.7L5.7 16.9A8 8 0 0 1 12 4Zm0 16a8 8 0 0 1-4.9-1.7L18.3 7.1A8 8 0 0 1 12 20Z",
  claude: "M12 1.8c.7 5.9 4.3 9.5 10.2 10.2-5.9.7-9.5 4.3-10.2 10.2-.7-5.9-4.3-9.5-10.2-10.2C7.7 11.3 11.3 7.7 12 1.8Z",
  close: "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4 6.4 5Z",
  copy: "M9 3h9a2 2 0 0 1 2 2v11h-2V5H9V3ZM6 7h8a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V9c0-1.1.9-2 2-2Zm0 2v10h8V9H6Z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6V5Z",
  react: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16ZM8.5 8a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Zm7 0a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM7 13.5a5.2 5.2 0 0 0 10 0H7Z",
  send: "M3 20.5v-6.8L11.5 12 3 10.3V3.5L22.5 12 3 20.5Z",
  template: "M6 2h8.5L20 7.5V20a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2Zm0 2v16h12V9h-5V4H6Zm2 8h8v1.8H8V12Zm0 3.6h6v1.8H8v-1.8Z",
  attach: "M16.5 6v11.2a4.3 4.3 0 0 1-8.6 0V5.5a2.8 2.8 0 0 1 5.6 0v10.3a1.3 1.3 0 0 1-2.6 0V6.5H9.3v9.3a2.9 2.9 0 0 0 5.8 0V5.5a4.4 4.4 0 0 0-8.8 0v11.7a5.9 5.9 0 0 0 11.8 0V6h-1.6Z",
  file: "M6 2h8.5L20 7.5V20a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4c0-1.1.9-2 2-2Zm7.5 1.8v4.7h4.7l-4.7-4.7ZM8 12v1.8h8V12H8Zm0 3.8v1.8h5.5v-1.8H8Z",
  photo: "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6c0-1.1.9-2 2-2Zm0 13.5h14l-4.6-6-3.5 4.4-2.4-2.9L5 17.5ZM8 10.4a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2Z",
  audio: "M12 3a9 9 0 0 0-9 9v6a3 3 0 0 0 3 3h2v-8H5v-1a7 7 0 0 1 14 0v1h-3v8h2a3 3 0 0 0 3-3v-6a9 9 0 0 0-9-9Z",
  mic: "M12 14.5a3.5 3.5 0 0 0 3.5-3.5V5.5a3.5 3.5 0 1 0-7 0V11a3.5 3.5 0 0 0 3.5 3.5Zm5.6-3.5a5.6 5.6 0 0 1-11.2 0H4.6a7.4 7.4 0 0 0 6.5 7.3v3.2h1.8v-3.2a7.4 7.4 0 0 0 6.5-7.3h-1.8Z",
  play: "M7 4.5v15a.8.8 0 0 0 1.2.7l12-7.5a.8.8 0 0 0 0-1.4l-12-7.5A.8.8 0 0 0 7 4.5Z",
  pause: "M7 4.5h3.4v15H7v-15Zm6.6 0H17v15h-3.4v-15Z",
  trash: "M9 3h6l1 1.5h4v2H4v-2h4L9 3ZM5.5 8h13l-.9 12a2 2 0 0 1-2 1.9H8.4a2 2 0 0 1-2-1.9L5.5 8Zm4 2.5v8.5h1.6v-8.5H9.5Zm3.4 0v8.5h1.6v-8.5h-1.6Z",
  quick: "M13.5 2 5 13.5h5.6L9.5 22l9-12.3h-6L13.5 2Z",
  ad: "M20 4.5v15l-9-3.6v-7.8L20 4.5ZM9.5 8.2v7.6H8l1.3 4.7H6.2L5 15.7A3.8 3.8 0 0 1 5.8 8.2h3.7Z",
};
