/** What stands round the text of a template: its title, the line below, its buttons. */

import { el, icon, setHidden, setText } from "../parts/dom.js";
import { linkNode, safeHref } from "../parts/links.js";

const SIGNS = {
  reply: "M10 8.5V4.2L2.5 11.7 10 19.2v-4.4c5.3 0 9 1.7 11.6 5.4-1-5.3-4.2-10.6-11.6-11.7Z",
  url: "M14 3h7v7h-2V6.4l-8.8 8.8-1.4-1.4L17.6 5H14V3ZM5 5h5v2H5v12h12v-5h2v5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2Z",
  phone: "M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11.4 11.4 0 0 0 3.6.57 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1c0 1.25.2 2.45.57 3.57a1 1 0 0 1-.25 1l-2.22 2.23Z",
  copy: "M16 1H4a2 2 0 0 0-2 2v14h2V3h12V1Zm3 4H8a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2V7a2 2 0 0 0-2-2Zm0 16H8V7h11v14Z",
};
SIGNS.call = SIGNS.phone;

/** {title, footer, buttons}: nodes for `updateTemplate`, to be put where they belong. */
export function createTemplateParts() {
  const parts = {
    title: el("span", "bubble-title"),
    footer: el("span", "bubble-footer"),
    buttons: el("div", "bubble-buttons"),
  };
  parts.title.dir = parts.footer.dir = "auto";
  parts.buttons.setAttribute("role", "list");
  parts.buttons.setAttribute("aria-label", "Botões do modelo");
  return parts;
}

/** `template`: as in the message's JSON, or null; `node`: the message's. */
export function updateTemplate(node, parts, template) {
  const { header = null, footer = null, buttons = [] } = template ?? {};
  node.classList.toggle("of-template", Boolean(template));
  for (const [part, text] of [[parts.title, header], [parts.footer, footer]]) {
    setHidden(part, !text);
    setText(part, text ?? "");
  }
  setHidden(parts.buttons, buttons.length === 0);
  const shown = JSON.stringify(buttons);
  if (parts.buttons.dataset.shown === shown) return;
  parts.buttons.dataset.shown = shown; // drawn once: a link that has the focus keeps it
  parts.buttons.replaceChildren(...buttons.map(buttonNode));
}

/** As the customer sees it; only a link leads anywhere from here. */
function buttonNode({ kind, text, url, phone, code }) {
  const href = kind === "url" && url && !url.includes("{{") ? safeHref(url) : null;
  const words = href ? linkNode(href, text) : el("span", "", text);
  const node = el("div", "bubble-button", icon(SIGNS[kind] ?? SIGNS.reply), words);
  const told = href ?? phone ?? code;
  if (told) node.title = told;
  node.setAttribute("role", "listitem");
  return node;
}
