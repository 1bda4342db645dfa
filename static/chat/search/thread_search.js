/**
 * "Pesquisar mensagens": a bar over the open thread, with the way up and down through what it found.
 *
 * The server looks through the conversation, from the newest message on, for so long; the bar says
 * how far it came, and goes on when it is asked to, or when the way up leads there.
 */

import { unfold } from "../message/text.js";
import { ICONS, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { fullDate } from "../parts/format.js";
import { markInside, unmark } from "./marks.js";
import { wordsOf } from "./words.js";

/** A word is mostly not searched for before it is typed. */
const TYPING_MS = 300;
const FAILED = "Não foi possível pesquisar.";
const UP = "m12 8.6-6 6L7.4 16l4.6-4.6 4.6 4.6 1.4-1.4-6-6Z";
const CLOSE = "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4 6.4 5Z";

export class ThreadSearch {
  #parts;
  #content;
  #search;
  #jump;
  #onClose;
  #id = null; // the conversation that is searched; null: the bar is closed
  #words = [];
  #hits = []; // [{id, position}], the newest first
  #at = -1; // which of them is shown
  #next = null; // where the server goes on
  #until = null; // when the last message it looked at was sent
  #state = "idle"; // "idle" | "searching" | "failed"
  #turn = 0; // answers to an earlier question are late
  #timer = null;
  #marked = new Map(); // bubble's words -> what they showed when they were marked

  /**
   * `root`: the thread's pane. search(conversationId, query, before): the server's answer.
   * async jump(hit): brings a message into view, from wherever it is. onClose(): the bar is gone.
   */
  constructor(root, { search, jump, onClose }) {
    this.#search = search;
    this.#jump = jump;
    this.#onClose = onClose;
    this.#content = root.querySelector(".thread-content");
    this.#parts = createBar();
    const { bar, field, up, down, close, more } = this.#parts;
    root.querySelector(".thread-header").after(bar);
    field.addEventListener("input", () => this.#typed());
    bar.addEventListener("keydown", (event) => this.#keyDown(event));
    up.addEventListener("click", () => this.#step(1));
    down.addEventListener("click", () => this.#step(-1));
    close.addEventListener("click", () => this.close());
    more.addEventListener("click", () => this.#lookOn());
  }

  get isOpen() {
    return this.#id !== null;
  }

  /** Opens the bar over a conversation, or goes to its field. */
  open(conversationId) {
    if (conversationId !== this.#id) this.#reset();
    this.#id = conversationId;
    setHidden(this.#parts.bar, false);
    this.#draw();
    this.#parts.field.focus();
    this.#parts.field.select();
  }

  /** Whether it was open. */
  close() {
    if (!this.isOpen) return false;
    this.#id = null;
    this.#reset();
    setHidden(this.#parts.bar, true);
    this.#onClose();
    return true;
  }

  /** The conversation has become another's part. */
  merged(loser, winner) {
    if (this.#id === loser) this.#id = winner;
  }

  /** The thread was drawn: what was found is marked in what is new of it. */
  render(conversationId) {
    if (!this.isOpen) return;
    if (conversationId !== this.#id) {
      this.close();
      return;
    }
    this.#mark();
  }

  #reset() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#parts.field.value = "";
    this.#words = [];
    this.#forget();
  }

  #forget() {
    this.#hits = [];
    this.#at = -1;
    this.#next = this.#until = null;
    this.#state = "idle";
    for (const node of this.#marked.keys()) unmark(node);
    this.#marked.clear();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), TYPING_MS);
  }

  #ask() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#turn += 1;
    this.#forget();
    this.#words = wordsOf(this.#parts.field.value);
    if (this.#words.length === 0) this.#draw();
    else this.#lookOn();
  }

  /** Looks at further messages; what it finds first is shown. */
  async #lookOn() {
    if (this.#state === "searching") return;
    const turn = this.#turn;
    const shownBefore = this.#hits.length;
    this.#state = "searching";
    this.#draw();
    try {
      const found = await this.#search(this.#id, this.#parts.field.value, this.#next);
      if (turn !== this.#turn) return;
      this.#hits.push(...found.hits);
      this.#next = found.next;
      this.#until = found.looked_until ?? this.#until;
      this.#state = "idle";
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (turn !== this.#turn) return;
      this.#state = "failed";
    }
    if (this.#hits.length > shownBefore) this.#show(shownBefore);
    else this.#draw();
  }

  /** `by`: 1 goes up, to an older message. */
  #step(by) {
    const to = this.#at + by;
    if (to >= 0 && to < this.#hits.length) this.#show(to);
    else if (by > 0 && this.#next !== null) this.#lookOn();
  }

  async #show(at) {
    this.#at = at;
    this.#draw();
    const turn = this.#turn;
    const hit = this.#hits[at];
    await this.#jump(hit);
    if (turn !== this.#turn || hit !== this.#hits[this.#at]) return;
    this.#mark();
    const node = this.#bubble(hit);
    for (const mark of this.#content.querySelectorAll("mark.current")) mark.classList.remove("current");
    for (const mark of node?.querySelectorAll("mark.hit") ?? []) mark.classList.add("current");
    const folded = node?.querySelector(".text-rest[hidden] mark.hit");
    if (folded) unfold(node.querySelector(".bubble-text"));
    node?.querySelector("mark.hit")?.scrollIntoView({ block: "nearest" });
  }

  #bubble({ id }) {
    return this.#content.querySelector(`[data-message-id="${CSS.escape(id)}"] .bubble-body`);
  }

  /** Each bubble once, and again when its words are others. */
  #mark() {
    for (const node of this.#marked.keys()) if (!node.isConnected) this.#marked.delete(node);
    for (const hit of this.#hits) {
      const node = this.#bubble(hit);
      if (!node) continue;
      const shown = `${this.#words.join(" ")}\n${node.querySelector(".bubble-text").dataset.source}`;
      if (this.#marked.get(node) === shown) continue;
      unmark(node);
      markInside(node, this.#words);
      this.#marked.set(node, shown);
    }
  }

  #keyDown(event) {
    if (event.key === "Escape") {
      event.preventDefault(); // which would close the conversation, too
      this.close();
      return;
    }
    if (event.target !== this.#parts.field || event.isComposing) return;
    if (event.key === "Enter" && this.#timer !== null) this.#ask(); // asked for before the pause was over
    else if (event.key === "Enter" || event.key === "ArrowUp" || event.key === "ArrowDown") {
      const down = event.key === "ArrowDown" || (event.key === "Enter" && event.shiftKey);
      this.#step(down ? -1 : 1);
    } else return;
    event.preventDefault();
  }

  #draw() {
    const { count, up, down, how, howText, more } = this.#parts;
    const searching = this.#state === "searching";
    const [n, all] = [this.#at + 1, this.#hits.length];
    const none = this.#words.length > 0 && all === 0;
    const words = none ? (searching ? "Pesquisando…" : "Nenhuma mensagem encontrada") : "";
    setText(count, all > 0 ? `${n} de ${all}` : (this.#state === "failed" ? FAILED : words));
    // The way up leads on to what was not looked at yet.
    setDisabled(up, !(n < all || (all > 0 && this.#next !== null)) || searching);
    setDisabled(down, n <= 1);
    const failed = this.#state === "failed";
    setHidden(how, this.#words.length === 0 || (this.#next === null && !failed));
    const until = this.#until ? `Pesquisado até ${fullDate(new Date(this.#until))}` : "";
    setText(howText, searching ? "Pesquisando…" : (failed && all > 0 ? FAILED : until));
    setText(more, failed ? "Tentar novamente" : "Continuar");
    setHidden(more, searching);
  }
}

function setDisabled(button, disabled) {
  setAttribute(button, "aria-disabled", disabled ? "true" : null);
}

function createBar() {
  const field = el("input", "thread-search-field");
  Object.assign(field, { type: "search", autocomplete: "off", maxLength: 100, placeholder: "Pesquisar mensagens" });
  field.setAttribute("aria-label", "Pesquisar mensagens");
  field.enterKeyHint = "search";
  const count = el("span", "thread-search-count");
  count.setAttribute("role", "status");
  const up = button("Mensagem anterior", UP);
  const down = button("Mensagem seguinte", ICONS.chevron);
  const close = button("Fechar pesquisa", CLOSE);
  const howText = el("span", "thread-search-until");
  const more = el("button", "link-button", "Continuar");
  more.type = "button";
  const how = el("p", "thread-search-how", howText, more);
  how.setAttribute("role", "status");
  const line = el("div", "thread-search-line", field, count, up, down, close);
  const bar = el("div", "thread-search", line, how);
  bar.setAttribute("role", "search");
  bar.setAttribute("aria-label", "Pesquisar mensagens");
  bar.hidden = true;
  return { bar, field, count, up, down, close, how, howText, more };
}

function button(label, path) {
  const node = el("button", "icon-button", icon(path));
  node.type = "button";
  node.title = label;
  node.setAttribute("aria-label", label);
  return node;
}
