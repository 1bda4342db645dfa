/** To which chats messages are passed on: a dialog with a search, over the chats that can take them. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { ICONS, el, icon, reconcile, setHidden, setText } from "../parts/dom.js";
import { displayName, plain, windowState } from "../parts/format.js";

const CLOSED = "Janela de 24 horas encerrada";
/** Chats whose customer wrote within the window are the newest of the list: it is read down to there. */
const WINDOW_MS = 24 * 60 * 60 * 1000;
const MOST_PAGES = 20;

const digits = (text) => (text ?? "").replace(/\D/g, "");

/** Whether a chat is meant by what was typed: its name without accents, or its number. Pure. */
export function isMeant(conversation, query) {
  const wanted = plain(query.trim());
  if (plain(displayName(conversation)).includes(wanted)) return true;
  return Boolean(digits(query)) && digits(conversation.phone).includes(digits(query));
}

export class ForwardDialog {
  #host;
  #dialog;
  #parts;
  #rows = new Map(); // conversation id → {node, box, …}
  #chosen = new Set();
  #onSend = null;

  /** `state`, `loader`; `now()`: the server's milliseconds. */
  constructor(host) {
    this.#host = host;
    const close = el("button", "icon-button", icon(ICONS.close));
    close.type = "button";
    close.setAttribute("aria-label", "Fechar");
    const title = el("h2", "forward-title", "Encaminhar mensagem para");
    title.id = "forward-title";
    const search = el("input", "forward-search");
    search.type = "text"; // of a "search" Escape would empty the field, and not close the dialog
    search.inputMode = "search";
    search.autocomplete = "off";
    search.placeholder = "Pesquisar nome ou número";
    search.setAttribute("aria-label", "Pesquisar nome ou número");
    const list = el("ul", "forward-list");
    list.setAttribute("aria-label", "Conversas");
    const empty = el("p", "forward-empty");
    empty.setAttribute("role", "status");
    const names = el("p", "forward-names");
    names.setAttribute("role", "status");
    names.dir = "auto";
    const send = el("button", "send-button", icon(ICONS.send));
    send.type = "button";
    send.setAttribute("aria-label", "Enviar");
    this.#parts = { search, list, empty, names, send };
    const head = el("header", "forward-head", close, title);
    this.#dialog = el("dialog", "dialog forward-dialog", head, search, empty, list, el("footer", "forward-foot", names, send));
    this.#dialog.setAttribute("aria-labelledby", title.id);
    document.body.append(this.#dialog);
    close.addEventListener("click", () => this.#dialog.close());
    search.addEventListener("input", () => this.#render());
    list.addEventListener("change", (event) => this.#choose(event.target));
    send.addEventListener("click", () => this.#send());
  }

  /** onSend(conversationIds): in the order of the list. */
  open(onSend) {
    this.#onSend = onSend;
    this.#chosen.clear();
    this.#parts.search.value = "";
    this.#render();
    this.#dialog.showModal();
    this.#parts.search.focus();
    this.#loadWindow();
  }

  /** With each drawing of the page: chats come, and the window of others closes. */
  render() {
    if (this.#dialog.open) this.#render();
  }

  /** Reads the list as far down as a chat can be that still takes a message. */
  async #loadWindow() {
    const { state, loader, now } = this.#host;
    for (let pages = 0; pages < MOST_PAGES && this.#dialog.open; pages += 1) {
      const oldest = state.rows().at(-1)?.last;
      const before = loader.listNext;
      if (before === null || (oldest && Date.parse(oldest.sent_at) < now() - WINDOW_MS)) return;
      await loader.loadMoreOfList();
      if (loader.listNext === before) return; // no answer: what is there can be chosen
    }
  }

  #choose(box) {
    if (box.checked) this.#chosen.add(box.value);
    else this.#chosen.delete(box.value);
    this.#render();
  }

  #send() {
    const ids = this.#open().filter(({ id }) => this.#chosen.has(id)).map(({ id }) => id);
    if (!ids.length) return;
    this.#dialog.close();
    this.#onSend(ids);
  }

  /** The chats that take a message now. */
  #open() {
    return this.#host.state.rows({ floor: null }).map(({ conversation }) => conversation)
      .filter((conversation) => this.#takes(conversation));
  }

  #takes(conversation) {
    return windowState(conversation, new Date(this.#host.now())).state !== "closed";
  }

  #render() {
    const { search, list, empty, names, send } = this.#parts;
    const all = this.#host.state.rows().map(({ conversation }) => conversation);
    const found = all.filter((conversation) => isMeant(conversation, search.value));
    // Those that can be chosen first; else in the order of the list.
    const sorted = [...found.filter((each) => this.#takes(each)), ...found.filter((each) => !this.#takes(each))];
    reconcile(list, sorted.map((conversation) => this.#row(conversation)));
    setHidden(empty, found.length > 0);
    setText(empty, found.length ? "" : "Nenhuma conversa encontrada");
    const chosen = this.#open().filter(({ id }) => this.#chosen.has(id));
    setText(names, chosen.map(displayName).join(", "));
    if (send.disabled !== (chosen.length === 0)) send.disabled = chosen.length === 0;
  }

  #row(conversation) {
    const { id } = conversation;
    if (!this.#rows.has(id)) this.#rows.set(id, createRow(id));
    const row = this.#rows.get(id);
    const takes = this.#takes(conversation);
    updateAvatar(row.avatar, conversation);
    setText(row.name, displayName(conversation));
    setText(row.line, takes ? (conversation.phone ?? "") : CLOSED);
    row.node.classList.toggle("closed", !takes);
    row.box.disabled = !takes;
    row.box.checked = takes && this.#chosen.has(id);
    return row.node;
  }
}

function createRow(id) {
  const box = el("input", "");
  box.type = "checkbox";
  box.value = id;
  const avatar = createAvatar("small");
  const name = el("span", "forward-name");
  const line = el("span", "forward-line");
  name.dir = "auto";
  const label = el("label", "forward-row", box, avatar, el("span", "forward-words", name, line));
  return { node: el("li", "", label), box, avatar, name, line };
}
