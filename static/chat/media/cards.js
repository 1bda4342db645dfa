/** A place, and contacts, as cards. Nothing is asked of anybody outside: no piece of a map. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { actionButton, el, icon } from "../parts/dom.js";
import { isSeen } from "../parts/format.js";
import { linkNode, safeHref } from "../parts/links.js";

const PIN = "M12 2a7 7 0 0 0-7 7c0 5.2 7 13 7 13s7-7.8 7-13a7 7 0 0 0-7-7Zm0 9.5A2.5 2.5 0 1 1 12 6.5a2.5 2.5 0 0 1 0 5Z";
/** Of a long list so many at first. */
const FEW = 3;

/** Where a place is on a map; null where its numbers are none. Pure. */
export function mapHref({ latitude, longitude }) {
  const fits = (value, most) => Number.isFinite(value) && Math.abs(value) <= most;
  if (!fits(latitude, 90) || !fits(longitude, 180)) return null;
  return `https://www.google.com/maps?q=${latitude},${longitude}`;
}

/** What is copied of a place. Pure. */
export function placeText(location) {
  return [location.name, location.address, mapHref(location)].filter(isSeen).join("\n");
}

/** The card of a place. */
export function placeCard(location) {
  const href = mapHref(location);
  const name = el("span", "place-name", isSeen(location.name) ? location.name : "Localização");
  const address = isSeen(location.address) ? el("span", "place-address", location.address) : null;
  for (const each of [name, address]) if (each) each.dir = "auto";
  const map = el("span", "place-map", icon(PIN));
  map.setAttribute("aria-hidden", "true");
  const where = href ? el("span", "place-link", "Ver no mapa") : null;
  const body = el("span", "place-words", name, address, where);
  const card = href ? linkNode(href, "") : el("div", "");
  card.className = "place";
  card.append(map, body);
  const nodes = [card];
  const site = safeHref(location.url ?? "");
  if (site) {
    const link = linkNode(site, new URL(site).hostname.replace(/^www\./, ""));
    link.className = "place-site";
    nodes.push(link);
  }
  return nodes;
}

/** What is copied of contacts. Pure. */
export function contactsText(contacts) {
  return contacts.map(({ name, phones = [], emails = [] }) => [
    name, ...phones.map(({ phone }) => phone), ...emails.map((each) => each.email ?? each),
  ].filter(isSeen).join("\n")).join("\n\n");
}

/** The cards of contacts; "Conversar" is the thread's, by `data-action` and `data-phone`. */
export function contactCards(contacts) {
  const list = el("ul", "contact-cards", ...contacts.map((each, place) => contactCard(each, place)));
  if (contacts.length <= FEW) return [list];
  const more = el("button", "contact-more", `Ver todos (${contacts.length})`);
  more.type = "button";
  more.addEventListener("click", () => {
    const hadFocus = document.activeElement === more;
    list.classList.add("all");
    more.remove();
    if (hadFocus) list.children[FEW].querySelector("button")?.focus();
  });
  return [list, more];
}

function contactCard({ name, phones = [], emails = [], organization }, place) {
  const title = isSeen(name) ? name : (phones[0]?.phone ?? "Contato");
  const avatar = createAvatar("small");
  updateAvatar(avatar, { id: phones[0]?.phone ?? title, name: isSeen(name) ? name : "" });
  const first = el("span", "contact-name", title);
  first.dir = "auto";
  const lines = [organization, ...emails.map((each) => each.email ?? each)].filter(isSeen)
    .map((text) => el("span", "contact-line", text));
  const numbers = phones.filter(({ phone }) => isSeen(phone)).map(({ phone }) => {
    const talk = actionButton("contact-talk", "talk", "Conversar");
    talk.dataset.phone = phone;
    talk.setAttribute("aria-label", `Conversar com ${title}, ${phone}`);
    return el("span", "contact-number", el("span", "contact-phone", phone), talk);
  });
  const node = el("li", "contact-card", avatar, el("div", "contact-words", first, ...lines, ...numbers));
  node.classList.toggle("further", place >= FEW);
  return node;
}
