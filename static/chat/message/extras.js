/** What a message has beside its text: the ad it came from, lines below it, reactions under it. */

import { ICONS, el, icon, setAttribute, setHidden } from "../parts/dom.js";
import { isSeen } from "../parts/format.js";
import { linkNode, safeHref } from "../parts/links.js";

/** So many emoji stand under a bubble; the others are in the words. */
const MAX_EMOJI = 6;

const drawn = new WeakMap(); // node -> JSON of what it shows, so that marked text stays marked

/** Calls `draw` when `data` is not what the node shows. */
function redraw(node, data, draw) {
  const json = JSON.stringify(data ?? null);
  if (drawn.get(node) === json) return;
  drawn.set(node, json);
  draw();
}

/** "once", "frequently" or null: how a message was passed on before it came here. Pure. */
export function forwardedOf({ forwarded, frequently_forwarded: frequently }) {
  if (frequently || forwarded === "frequently") return "frequently";
  return forwarded ? "once" : null;
}

/** With one arrow, or two. */
export function updateForwarded(node, forwarded) {
  setHidden(node, !forwarded);
  redraw(node, forwarded, () => {
    if (!forwarded) return node.replaceChildren();
    const often = forwarded === "frequently";
    const arrows = Array.from({ length: often ? 2 : 1 }, () => icon(ICONS.forwarded));
    return node.replaceChildren(...arrows, el("span", "", often ? "Encaminhada com frequência" : "Encaminhada"));
  });
}

/** "Mensagem apagada", in place of all that it said. */
export function updateRevoked(node, revoked) {
  setHidden(node, !revoked);
  redraw(node, revoked, () => node.replaceChildren(...(revoked ? [icon(ICONS.revoked), "Mensagem apagada"] : [])));
}

/** The ad or post whose button the customer pressed; `referral` as in incoming/words.py. */
export function updateReferral(node, referral) {
  setHidden(node, !referral);
  redraw(node, referral, () => {
    if (!referral) return node.replaceChildren();
    const href = safeHref(referral.source_url ?? "");
    const kind = referral.source_type === "post" ? "Publicação" : "Anúncio";
    return node.replaceChildren(
      el("span", "referral-kind", icon(ICONS.ad), kind),
      ...["headline", "body"].filter((name) => isSeen(referral[name])).map((name) => {
        const words = el("span", `referral-${name}`, referral[name]);
        words.dir = "auto";
        return words;
      }),
      ...(href ? [sourceLink(href)] : []),
    );
  });
}

function sourceLink(href) {
  const link = linkNode(href, new URL(href).hostname.replace(/^www\./, ""));
  link.className = "referral-source";
  link.title = href;
  return link;
}

/** The lines below the text, [{label?, value, href?}]: the product it is about, what belongs to its
 * kind, and what Meta says went wrong with it. Pure. */
export function linesOf({ details, referred_product: product, errors }) {
  const listed = (value) => (Array.isArray(value) ? value : []);
  return [
    { label: "Sobre o produto", value: product?.product_retailer_id ?? product?.catalog_id },
    ...listed(details),
    ...listed(errors).map((error) => ({ label: "Aviso da Meta", value: errorText(error ?? {}) })),
  ].filter((line) => isSeen(line?.value));
}

function errorText({ code, title, details }) {
  const said = [...new Set([title, details].filter(isSeen))].join(": ");
  return said && code ? `${said} (${code})` : (said || (code ? `erro ${code}` : ""));
}

/** Shows such lines; true when there are any. */
export function updateLines(node, lines) {
  setHidden(node, lines.length === 0);
  redraw(node, lines, () => node.replaceChildren(...lines.map(lineNode)));
  return lines.length > 0;
}

function lineNode({ label, value, href }) {
  const address = safeHref(href ?? "");
  const shown = address ? linkNode(address, value) : el("span", "line-value", value);
  shown.dir = "auto";
  if (!isSeen(label)) return el("li", "", shown);
  const name = el("span", "line-label", `${label}:`);
  name.dir = "auto";
  return el("li", "", name, " ", shown);
}

/** Who gave a reaction, for whoever reads it. Pure. */
export function reactorOf({ author, own }, viewer) {
  if (own && author === viewer) return "Você";
  return isSeen(author) ? author : "Cliente";
}

/** [{emoji, authors}], the commonest first; with and without U+FE0F is one emoji. Pure. */
export function groupReactions(reactions, viewer = null) {
  const groups = new Map();
  for (const reaction of reactions ?? []) {
    const { emoji } = reaction;
    if (!isSeen(emoji)) continue;
    const key = emoji.replaceAll("\uFE0F", "");
    if (!groups.has(key)) groups.set(key, { emoji, authors: [] });
    groups.get(key).authors.push(reactorOf(reaction, viewer));
  }
  return [...groups.values()].sort((a, b) => b.authors.length - a.authors.length);
}

/** The reactions under a bubble: [{emoji, author, own?}]. */
export function updateReactions(node, reactions, viewer) {
  const groups = groupReactions(reactions, viewer);
  setHidden(node, groups.length === 0);
  redraw(node, groups, () => {
    const said = groups.map(({ emoji, authors }) => `${emoji} ${list(authors)}`);
    setAttribute(node, "aria-label", said.length ? `Reações: ${said.join("; ")}` : null);
    setAttribute(node, "title", said.length ? said.join("\n") : null);
    node.replaceChildren(...groups.slice(0, MAX_EMOJI).map(({ emoji, authors }) => {
      const shown = el("span", "reaction", el("span", "reaction-emoji", emoji));
      if (authors.length > 1) shown.append(el("span", "reaction-count", String(authors.length)));
      return shown;
    }));
  });
}

const list = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} e ${names.at(-1)}`);
