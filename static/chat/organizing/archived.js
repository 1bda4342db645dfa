/** The archived chats: the row that leads to them from the top of the list, and their own view. */

import { BackStep } from "../parts/back_step.js";
import { clickButton, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { SIGNS } from "./signs.js";

/** After a request that failed. */
const AGAIN_MS = 30_000;

export class Archived {
  isOpen = false;
  /** As the list's other filters, see list_filters.js. */
  filter = {
    id: "archived",
    server: "archived",
    empty: "Nenhuma conversa arquivada",
  };

  #host;
  #pane;
  #row;
  #count;
  #header;
  #hint = el("p", "archived-hint", "Estas conversas permanecem arquivadas quando chegam novas mensagens.");
  #had = false; // some were known
  #more = false; // the server has more unread ones than it listed
  #timer = null;
  #step = new BackStep("archived", () => this.#leave(), () => new URL(location.href).searchParams.has("c"));

  /** `pane`: the list column; `onOpen()`, `onClose()`: the list shows something else from now on. */
  constructor(pane, { api, state, unread, loader, onOpen, onClose, onChange }) {
    this.#host = { api, state, unread, loader, onOpen, onClose, onChange };
    this.#pane = pane;
    this.#count = el("span", "archived-count");
    this.#row = el("button", "archived-row", icon(SIGNS.archive), el("span", "", "Arquivadas"), this.#count);
    const back = clickButton("icon-button", "Voltar para a lista", () => this.close(), SIGNS.back);
    this.#header = el("header", "pane-header archived-header", back, el("h2", "", "Arquivadas"));
    this.#row.type = "button";
    this.#row.hidden = this.#header.hidden = this.#hint.hidden = true;
    this.#row.addEventListener("click", () => this.open());
    pane.querySelector(".conversation-list").before(this.#row, this.#hint);
    pane.querySelector(".pane-header").after(this.#header);
  }

  open() {
    if (this.isOpen) return;
    this.isOpen = true;
    this.#step.opened();
    this.#host.onOpen();
    this.render();
    this.#header.querySelector("button").focus();
  }

  /** Whether it was open. */
  close() {
    if (!this.isOpen) return false;
    this.#step.closed();
    this.#leave();
    return true;
  }

  #leave() {
    this.isOpen = false;
    this.#host.onClose();
    this.render();
    this.#row.focus();
  }

  /** Asks the server for the newest and for those that are unread, until there is an answer. */
  async refresh() {
    clearTimeout(this.#timer);
    const { api, state, onChange } = this.#host;
    try {
      const { conversations, more } = await api.call("GET", "/api/conversations/archived");
      this.#more = more;
      for (const conversation of conversations) state.putConversation(conversation);
      onChange();
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#timer = setTimeout(() => this.refresh(), AGAIN_MS);
    }
  }

  /** One far down that was marked as unread: the event tells its numbers alone. */
  onEvent({ type, data }) {
    if (type !== "unread.changed" || !data.silent) return;
    const { state, loader } = this.#host;
    const id = data.conversation_id;
    if (!state.conversation(id)) loader.loadConversation(id).catch(() => {});
  }

  /** Draws the row, or the view's header. */
  render() {
    const { state, unread } = this.#host;
    const known = state.conversations.filter(({ archived }) => archived);
    const n = known.filter(({ id }) => unread.isUnread(id)).length;
    const text = n ? `${n}${this.#more ? "+" : ""}` : "";
    this.#pane.classList.toggle("shows-archived", this.isOpen);
    for (const node of [this.#header, this.#hint]) setHidden(node, !this.isOpen);
    setHidden(this.#row, this.isOpen || known.length === 0);
    setText(this.#count, text);
    setAttribute(this.#row, "aria-label", n ? `Arquivadas: ${text} ${text === "1" ? "não lida" : "não lidas"}` : "Arquivadas");
    const wasLast = this.#had && known.length === 0; // of those that this page knew
    this.#had = known.length > 0;
    if (wasLast) this.refresh();
  }
}
