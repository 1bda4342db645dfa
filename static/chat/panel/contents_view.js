/** "Mídia, links e docs" of a chat, over its panel: pictures by month, documents, links. */

import { BackStep } from "../parts/back_step.js";
import { clickButton, el, setAttribute, setHidden, setText } from "../parts/dom.js";
import { momentText } from "../parts/format.js";
import { hrefOf, safeHref } from "../parts/links.js";
import { fileFacts, fileNameOf, isReady, mediaUrl } from "../parts/media_format.js";
import { createSheet } from "../media/document.js";
import { SIGNS } from "../organizing/signs.js";
import { Pictures } from "./pictures.js";

const BACK = "M20 11H7.8l5.6-5.6L12 4l-8 8 8 8 1.4-1.4L7.8 13H20v-2Z";
const TABS = {
  media: { label: "Mídia", none: "Nenhuma mídia." },
  documents: { label: "Docs", none: "Nenhum documento." },
  links: { label: "Links", none: "Nenhum link." },
};

/** "Este mês", "outubro", "outubro de 2025". Pure. */
export function monthLabel(date, now) {
  const sameYear = date.getFullYear() === now.getFullYear();
  if (sameYear && date.getMonth() === now.getMonth()) return "Este mês";
  const options = sameYear ? { month: "long" } : { month: "long", year: "numeric" };
  return date.toLocaleDateString("pt-BR", options);
}

export class ContentsView {
  node;

  #step = new BackStep("contents", () => this.#hide());
  #onJump;
  #pictures;
  #tabs = new Map(); // name → {tab, panel, list, none}
  #foot;
  #back;
  #chosen = "media";
  #opener = null;

  /** onJump(messageId), onView(message); onMore(): read further up. */
  constructor({ onJump, onView, onMore }) {
    this.#onJump = onJump;
    this.#pictures = new Pictures({ onView });
    this.#back = clickButton("icon-button", "Voltar", () => this.close(), BACK);
    const title = el("h2", "", "Mídia, links e docs");
    title.id = "contents-title";
    const tabs = el("div", "contents-tabs");
    tabs.setAttribute("role", "tablist");
    tabs.setAttribute("aria-labelledby", title.id);
    tabs.addEventListener("keydown", (event) => this.#keyDown(event));
    const text = el("p", "panel-soft");
    text.setAttribute("role", "status");
    this.#foot = { text, button: clickButton("link-button", "", () => onMore()) };
    const scroll = el("div", "panel-scroll", ...Object.keys(TABS).map((name) => this.#createTab(name, tabs)));
    scroll.append(el("div", "contents-foot", text, this.#foot.button));
    this.node = el("section", "contents-view", el("header", "pane-header", this.#back, title), tabs, scroll);
    this.node.setAttribute("aria-labelledby", title.id);
    this.node.hidden = true;
    this.#choose("media");
  }

  get isOpen() {
    return !this.node.hidden;
  }

  open(opener) {
    this.#opener = opener;
    setHidden(this.node, false);
    this.#cover(true);
    this.#step.opened();
    this.#choose("media");
    this.#back.focus();
  }

  /** Whether it was open. `left`: the panel shows something else. */
  close({ left = false } = {}) {
    if (!this.isOpen) return false;
    this.#step.closed({ left });
    this.#hide({ left });
    return true;
  }

  /** `contents`: see contentsOf. */
  draw(contents, now) {
    if (!this.isOpen) return;
    const fill = (name, nodes) => this.#tabs.get(name).list.replaceChildren(...nodes);
    fill("media", this.#months(contents.media.map(({ message }) => message), now));
    fill("documents", contents.documents.map((each) => this.#document(each, now)));
    fill("links", contents.links.map((each) => this.#link(each, now)));
    for (const [name, { none }] of this.#tabs) setHidden(none, contents[name].length > 0);
  }

  /** How far up the messages were read. */
  tellHowFar(reader, now) {
    const { text, button } = this.#foot;
    const [oldest] = reader.messages;
    const since = oldest ? ` desde ${momentText(oldest.sent_at, now)}` : "";
    const words = { loading: "Lendo as mensagens…", error: "Não foi possível ler mais mensagens." };
    setText(text, words[reader.state] ?? (reader.hasMore ? `Do que foi escrito${since}.` : "De toda a conversa."));
    setText(button, reader.state === "error" ? "Tentar novamente" : "Procurar em mensagens mais antigas");
    setHidden(button, !reader.hasMore || reader.state === "loading");
  }

  #createTab(name, tabs) {
    const { label, none: nothing } = TABS[name];
    const tab = clickButton("contents-tab", label, () => this.#choose(name));
    const list = el(name === "media" ? "div" : "ul", name === "media" ? "contents-months" : "contents-list");
    const none = el("p", "panel-soft contents-none", nothing);
    const panel = el("div", "contents-page", list, none);
    Object.assign(tab, { id: `contents-tab-${name}` });
    panel.id = `contents-page-${name}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tabs.append(tab);
    this.#tabs.set(name, { tab, panel, list, none });
    return panel;
  }

  #choose(name) {
    this.#chosen = name;
    for (const [each, { tab, panel }] of this.#tabs) {
      setAttribute(tab, "aria-selected", each === name ? "true" : "false");
      tab.tabIndex = each === name ? 0 : -1;
      setHidden(panel, each !== name);
    }
    this.node.querySelector(".panel-scroll").scrollTop = 0;
  }

  #keyDown(event) {
    const names = [...this.#tabs.keys()];
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const name = names[(names.indexOf(this.#chosen) + step + names.length) % names.length];
    this.#choose(name);
    this.#tabs.get(name).tab.focus();
  }

  #months(messages, now) {
    const buttons = this.#pictures.nodes(messages);
    const months = new Map(); // label → buttons
    messages.forEach(({ sent_at: at }, place) => {
      const label = monthLabel(new Date(at), now);
      months.set(label, [...(months.get(label) ?? []), buttons[place]]);
    });
    return [...months].map(([label, nodes]) => el(
      "section",
      "contents-month",
      el("h3", "", label),
      el("div", "contents-grid", ...nodes),
    ));
  }

  #document({ message, text }, now) {
    const { media } = message;
    const sheet = createSheet();
    sheet.update(media ?? {});
    const facts = [media && fileFacts(media), momentText(message.sent_at, now)].filter(Boolean).join(" · ");
    const name = el("span", "contents-text", text);
    name.dir = "auto";
    const words = el("span", "contents-words", name, el("span", "panel-soft", facts));
    if (!media || !isReady(media)) return el("li", "", sheet.node, words, this.#jump(message, text));
    const link = el("a", "contents-document", sheet.node, words);
    Object.assign(link, { href: mediaUrl(message, { download: true }), download: fileNameOf(message) });
    return el("li", "", link, this.#jump(message, text));
  }

  #link({ message, href, text }, now) {
    const node = el("a", "contents-text", text);
    Object.assign(node, { href: safeHref(href) ?? hrefOf(text), target: "_blank", rel: "noopener noreferrer", dir: "auto" });
    const who = message.direction === "out" ? message.author?.name : null;
    const when = [who, momentText(message.sent_at, now)].filter(Boolean).join(", ");
    return el("li", "", el("span", "contents-words", node, el("span", "panel-soft", when)), this.#jump(message, text));
  }

  #jump(message, text) {
    const show = () => this.#onJump(message.id);
    return clickButton("icon-button contents-jump", `Mostrar na conversa: ${text}`, show, SIGNS.chevron);
  }

  /** Nothing below it is reached meanwhile. */
  #cover(covered) {
    for (const each of this.node.parentElement.children) if (each !== this.node) each.inert = covered;
  }

  #hide({ left = false } = {}) {
    setHidden(this.node, true);
    this.#cover(false);
    if (!left) this.#opener?.focus();
  }
}
