/** Links and documents of a chat, and who had it when: as far up as its messages were read. */

import { clickButton, el, reconcile, setHidden, setText } from "../parts/dom.js";
import { dayKey, momentText } from "../parts/format.js";
import { hrefOf, safeHref } from "../parts/links.js";
import { SIGNS } from "../organizing/signs.js";
import { ChatReader, contentsOf } from "./chat_contents.js";

/** Of each list, until more are asked for. */
const FEW = 4;

export class ContentsSection {
  nodes;

  #host;
  #reader = null;
  #id = null;
  #isNew = false; // nothing was read for it yet
  #drawn = ""; // what the lists were drawn from
  #all = new Set(); // the lists that show everything
  #lists;
  #foot;

  /** `api`; `thread(id)`: a conversation's thread; `onJump(messageId)`: it is to be shown in the
   * thread; `onChange()`: draw again. */
  constructor({ api, thread, onJump, onChange }) {
    this.#host = { api, thread, onJump, onChange };
    this.#lists = {
      lines: createList("Quem atendeu", "Ninguém assumiu nem passou esta conversa."),
      links: createList("Links", "Nenhum link."),
      documents: createList("Documentos", "Nenhum documento."),
    };
    for (const [name, { more }] of Object.entries(this.#lists)) {
      more.addEventListener("click", () => {
        this.#all.add(name);
        this.#drawn = "";
        this.#host.onChange();
      });
    }
    const text = el("p", "panel-soft");
    text.setAttribute("role", "status");
    const button = clickButton("link-button", "", () => this.#reader?.readMore());
    this.#foot = { text, button };
    const { lines, links, documents } = this.#lists;
    this.nodes = [lines.node, links.node, documents.node, el("section", "panel-section panel-foot", text, button)];
  }

  render(id, ownerWords, now) {
    if (id !== this.#id) {
      this.#id = id;
      this.#all.clear();
      this.#drawn = "";
      const { api, thread, onChange } = this.#host;
      this.#reader = new ChatReader(id, { api, thread: () => thread(id), onChange });
      this.#isNew = true;
    }
    const reader = this.#reader;
    if (this.#isNew && this.#host.thread(id).loaded) {
      this.#isNew = false;
      reader.readMore(); // one page further than what is on screen
    }
    const { messages } = reader;
    const newest = messages.at(-1);
    const drawn = [messages.length, messages[0]?.id, newest?.id, newest?.revoked_at, dayKey(now)].join();
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#draw(contentsOf(messages), now);
    }
    setText(this.#lists.lines.now, ownerWords);
    setHidden(this.#lists.lines.now, !ownerWords);
    const { text, button } = this.#foot;
    const since = messages[0] ? ` desde ${momentText(messages[0].sent_at, now)}` : "";
    const words = { loading: "Lendo as mensagens…", error: "Não foi possível ler mais mensagens." };
    setText(text, words[reader.state] ?? (reader.hasMore ? `Do que foi escrito${since}.` : "De toda a conversa."));
    setText(button, reader.state === "error" ? "Tentar novamente" : "Procurar em mensagens mais antigas");
    setHidden(button, !reader.hasMore || reader.state === "loading");
  }

  #draw(contents, now) {
    for (const [name, list] of Object.entries(this.#lists)) {
      const found = contents[name];
      const shown = this.#all.has(name) ? found : found.slice(0, FEW);
      reconcile(list.items, shown.map((item) => this.#item(name, item, now)));
      setHidden(list.none, found.length > 0);
      setHidden(list.more, shown.length === found.length);
      setText(list.more, `Mostrar tudo (${found.length})`);
    }
  }

  #item(name, { message, href, text }, now) {
    const who = message.direction === "out" ? message.author?.name : null;
    const when = [who, momentText(message.sent_at, now)].filter(Boolean).join(", ");
    const words = el("span", "contents-words", href ? linkTo(href, text) : el("span", "contents-text", text));
    words.append(el("span", "panel-soft", name === "lines" ? momentText(message.sent_at, now) : when));
    if (name === "lines") return el("li", "", words);
    const show = () => this.#host.onJump(message.id);
    const jump = clickButton("icon-button contents-jump", `Mostrar na conversa: ${text}`, show, SIGNS.chevron);
    return el("li", "", words, jump);
  }
}

function linkTo(href, text) {
  const node = el("a", "contents-text", text);
  Object.assign(node, { href: safeHref(href) ?? hrefOf(text), target: "_blank", rel: "noopener noreferrer", dir: "auto" });
  return node;
}

function createList(title, nothing) {
  const list = {
    now: el("p", "contents-now"),
    items: el("ul", "contents-list"),
    none: el("p", "panel-soft", nothing),
    more: el("button", "link-button", ""),
  };
  list.more.type = "button";
  list.now.hidden = true;
  list.node = el("section", "panel-section", el("h3", "", title), list.now, list.items, list.none, list.more);
  return list;
}
