/**
 * The search over the list: conversations by name and number, and messages of all of them. What the
 * page knows of conversations shows at once, what the server adds a moment later.
 */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { displayName, fullDate, listTime } from "../parts/format.js";
import { KINDS } from "../parts/media_format.js";
import { plainText } from "../parts/rich_text.js";
import { markedNodes } from "./marks.js";
import { matches, nameWords, placesOf, wordsOf } from "./words.js";

const TYPING_MS = 300;
/** So many words of a message are shown before what was found in it. */
const BEFORE_CHARS = 24;
const SHOWN_CHARS = 200;
const GLASS = "M15.9 14.5h-.8l-.3-.3a6.5 6.5 0 1 0-.7.7l.3.3v.8l5 5 1.5-1.5-5-5Zm-6 0a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9Z";
const CLOSE = "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4 6.4 5Z";
const FAILED = "Não foi possível pesquisar.";

export class ListSearch {
  #root;
  #parts;
  #callbacks;
  #query = "";
  #found = null; // {conversations, more, messages, homes, next, until, findableFrom} of this query
  #state = "idle"; // "idle" | "searching" | "failed"
  #turn = 0; // answers to an earlier question are late
  #timer = null;

  /**
   * `root`: the list column. Callbacks: find(path): GET of the API; known(): the conversations that
   * the page knows; learn(conversation): one of the server's; now(): a Date;
   * onConversation(id), onMessage(message).
   */
  constructor(root, callbacks) {
    this.#root = root;
    this.#callbacks = callbacks;
    this.#parts = createParts();
    const { pill, field, clear, results, more } = this.#parts;
    root.querySelector(".list-filters").before(pill);
    root.querySelector(".list-scroll").before(results);
    field.addEventListener("input", () => this.#typed());
    pill.addEventListener("keydown", (event) => this.#keyDown(event));
    results.addEventListener("keydown", (event) => this.#keyDown(event));
    clear.addEventListener("click", () => {
      this.#clear();
      field.focus();
    });
    results.addEventListener("click", (event) => this.#clicked(event));
    more.addEventListener("click", () => this.#lookOn());
  }

  /** Puts the keyboard into the field. */
  focus() {
    this.#parts.field.focus();
    this.#parts.field.select();
  }

  /** Ends it; whether anything was searched for. */
  close() {
    const wasOpen = this.#query !== "";
    this.#clear();
    return wasOpen;
  }

  /** A conversation is no more: not among what was found, either. */
  erased(id) {
    if (!this.#found) return;
    const { conversations, messages } = this.#found;
    this.#found.conversations = conversations.filter((each) => each.id !== id);
    this.#found.messages = messages.filter((each) => each.conversation_id !== id);
    this.#draw();
  }

  #clear() {
    this.#parts.field.value = "";
    this.#typed();
  }

  #typed() {
    const query = this.#parts.field.value.trim();
    if (query === this.#query) return;
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#query = query;
    this.#found = null;
    this.#state = wordsOf(query).length ? "searching" : "idle";
    this.#parts.results.scrollTop = 0;
    this.#draw();
    if (this.#state === "searching") this.#timer = setTimeout(() => this.#ask(), TYPING_MS);
  }

  async #ask() {
    const q = new URLSearchParams({ q: this.#query });
    await this.#wait(async () => {
      const [named, said] = await Promise.all([
        this.#callbacks.find(`/api/conversations?${q}`),
        this.#callbacks.find(`/api/messages/search?${q}`),
      ]);
      return () => {
        const more = Boolean(named.more || named.next);
        this.#found = { conversations: named.conversations, more, messages: [], homes: new Map() };
        named.conversations.forEach(this.#callbacks.learn);
        this.#take(said);
      };
    });
  }

  async #lookOn() {
    if (this.#state === "searching") return;
    if (!this.#found) return void this.#ask();
    const q = new URLSearchParams({ q: this.#query, before: this.#found.next });
    await this.#wait(async () => {
      const said = await this.#callbacks.find(`/api/messages/search?${q}`);
      return () => this.#take(said);
    });
  }

  /** `ask` gives what is to be done with the answer, if it is still wanted. */
  async #wait(ask) {
    const turn = this.#turn;
    this.#state = "searching";
    this.#draw();
    try {
      const take = await ask();
      if (turn !== this.#turn) return;
      take();
      this.#state = "idle";
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (turn !== this.#turn) return;
      this.#state = "failed";
    }
    this.#draw();
  }

  #take({ messages, conversations, next, looked_until: until, findable_from: findableFrom }) {
    this.#found.messages.push(...messages);
    for (const home of conversations) {
      this.#found.homes.set(home.id, home);
      this.#callbacks.learn(home);
    }
    Object.assign(this.#found, { next, until: until ?? this.#found.until, findableFrom });
  }

  #draw() {
    const { field, clear, results } = this.#parts;
    const active = this.#query !== "";
    this.#root.classList.toggle("searching", active);
    setHidden(results, !active);
    setHidden(clear, field.value === "");
    if (active) this.#drawResults();
  }

  #drawResults() {
    const { said, sayList, named, nameList, nameMore, none } = this.#parts;
    const now = this.#callbacks.now();
    const [names, words] = [nameWords(this.#query), wordsOf(this.#query)];
    const homeOf = (message) => this.#found.homes.get(message.conversation_id);
    const conversations = this.#named();
    const messages = this.#found?.messages ?? [];
    const focused = keyOf(document.activeElement);
    nameList.replaceChildren(...conversations.map((each) => conversationRow(each, names, now)));
    sayList.replaceChildren(...messages.map((each) => messageRow(each, homeOf(each), words, now)));
    setHidden(named, conversations.length === 0);
    setHidden(nameMore, !this.#found?.more);
    setHidden(said, messages.length === 0);
    setHidden(none, this.#state !== "idle" || conversations.length + messages.length > 0);
    this.#drawHowFar();
    if (focused) this.#refocus(focused);
  }

  /** What had the focus was drawn anew, or is not there any more. */
  #refocus(key) {
    const rows = [...this.#parts.results.querySelectorAll(".row")];
    (rows.find((row) => keyOf(row) === key) ?? this.#parts.field).focus();
  }

  #drawHowFar() {
    const { how, howText, more } = this.#parts;
    const settled = this.#state !== "searching";
    const { next = null, until = null, findableFrom = null } = this.#found ?? {};
    const failed = this.#state === "failed";
    const date = (iso) => fullDate(new Date(iso));
    const lines = this.#state === "idle" ? [
      next !== null && until && `Pesquisado até ${date(until)}`,
      findableFrom && `As mensagens anteriores a ${date(findableFrom)} ainda estão sendo preparadas para a pesquisa.`,
    ].filter(Boolean) : [failed ? FAILED : "Pesquisando…"];
    setText(howText, lines.join(" · "));
    const hadFocus = document.activeElement === more;
    setHidden(more, !settled || !(failed || next !== null));
    if (hadFocus && more.hidden) this.#parts.field.focus();
    setText(more, failed ? "Tentar novamente" : "Continuar");
    setHidden(how, lines.length === 0);
  }

  /** Those of the server and those known here, the newest first, each once. */
  #named() {
    const words = nameWords(this.#query);
    const known = this.#callbacks.known();
    const fits = (each) => each.last_message && matches(words, nameText(each));
    const found = new Map((this.#found?.conversations ?? []).map((each) => [each.id, each]));
    for (const each of known) if (found.has(each.id) || fits(each)) found.set(each.id, each);
    const position = (each) => each.last_message?.position ?? "";
    const byTime = (a, b) => (position(a) < position(b) ? 1 : position(a) > position(b) ? -1 : 0);
    return [...found.values()].sort(byTime);
  }

  #clicked(event) {
    const row = event.target.closest(".row-item");
    if (!row) return;
    const { conversationId, hit } = row.dataset;
    if (conversationId) this.#callbacks.onConversation(conversationId);
    else this.#callbacks.onMessage(this.#found.messages.find(({ id }) => id === hit));
  }

  #keyDown(event) {
    if (event.isComposing) return;
    const rows = [...this.#parts.results.querySelectorAll(".row")];
    const at = rows.indexOf(document.activeElement);
    if (event.key === "Escape" && this.#query !== "") {
      this.#clear();
      this.#parts.field.focus();
    } else if (event.key === "ArrowDown" && rows[at + 1]) rows[at + 1].focus();
    else if (event.key === "ArrowUp" && at === 0) this.#parts.field.focus();
    else if (event.key === "ArrowUp" && at > 0) rows[at - 1].focus();
    else if (event.key === "Enter" && event.target === this.#parts.field && rows[0]) rows[0].click();
    else return;
    event.preventDefault(); // Escape would close the conversation
  }
}

/** What a row leads to; null for anything else. */
function keyOf(node) {
  const { hit, conversationId } = node.closest(".search-results .row-item")?.dataset ?? {};
  return hit ?? conversationId ?? null;
}

/** What a conversation is found by here: a number by any part of it. */
function nameText(conversation) {
  const digits = (conversation.phone ?? "").replace(/\D/g, "");
  const parts = Array.from({ length: Math.max(0, digits.length - 3) }, (_, at) => digits.slice(at));
  return `${displayName(conversation)} ${parts.join(" ")}`;
}

function conversationRow(conversation, words, now) {
  const last = conversation.last_message;
  const byNumber = /^\d+$/.test(words[0] ?? "") && conversation.phone;
  const preview = byNumber ? conversation.phone : plainText(last?.text ?? "");
  const node = rowOf({
    conversation, time: last?.sent_at, now,
    name: markedNodes(displayName(conversation), words),
    preview: [preview],
    badge: true,
  });
  node.dataset.conversationId = conversation.id;
  return node;
}

function messageRow(message, home, words, now) {
  const text = [message.text, ...(message.details ?? []).map(({ value }) => value)].join(" ");
  const source = matches(words, text) || !message.placeholder ? text : `${message.placeholder} · ${text}`;
  const line = plainText(source).replace(/\s+/g, " ");
  const author = message.direction === "out" || home?.is_group ? message.author?.name : null;
  const sign = source === text && message.media ? `${KINDS[message.media.kind]?.sign ?? ""} ` : "";
  const who = `${author ? `${author}: ` : ""}${sign.trimStart()}`;
  const from = placesOf(words, line)[0]?.[0] ?? 0;
  const before = Math.max(BEFORE_CHARS - who.length, 0); // the name takes of the same width
  const begin = from > before ? line.indexOf(" ", Math.max(from - before - 1, 0)) + 1 : 0;
  const cut = (begin > 0 && begin <= from ? `…${line.slice(begin)}` : line).slice(0, SHOWN_CHARS);
  const node = rowOf({
    conversation: home ?? { id: message.conversation_id }, time: message.sent_at, now,
    name: [displayName(home)],
    preview: [who, ...markedNodes(cut, words)],
  });
  node.dataset.hit = message.id;
  return node;
}

function rowOf({ conversation, time, now, name, preview, badge = false }) {
  const avatar = createAvatar();
  updateAvatar(avatar, conversation);
  const names = el("span", "row-name", ...name);
  const words = el("span", "row-text", ...preview);
  for (const each of [names, words]) each.dir = "auto";
  const when = el("time", "row-time", time ? listTime(time, now) : "");
  setAttribute(when, "datetime", time);
  const marks = badge ? [el("span", "row-marks", document.createElement("unread-badge"))] : [];
  const top = el("span", "row-line", names, when);
  const bottom = el("span", "row-line", el("span", "row-preview", words), ...marks);
  const body = el("span", "row-body", top, bottom);
  const button = el("button", "row", avatar, body);
  button.type = "button";
  return el("li", "row-item", button);
}

function createParts() {
  const field = el("input", "list-search-field");
  Object.assign(field, { type: "search", autocomplete: "off", maxLength: 100, placeholder: "Pesquisar" });
  field.setAttribute("aria-label", "Pesquisar conversas e mensagens");
  field.enterKeyHint = "search";
  const clear = el("button", "icon-button list-search-clear", icon(CLOSE));
  Object.assign(clear, { type: "button", hidden: true, title: "Limpar pesquisa" });
  clear.setAttribute("aria-label", "Limpar pesquisa");
  const pill = el("div", "list-search", icon(GLASS), field, clear);
  pill.setAttribute("role", "search");
  const nameList = el("ul", "result-list");
  const nameMore = el("p", "result-note", "Há mais conversas. Escreva mais para encontrá-las.");
  const named = el("section", "result-group", el("h2", "result-title", "Conversas"), nameList, nameMore);
  const sayList = el("ul", "result-list");
  const said = el("section", "result-group", el("h2", "result-title", "Mensagens"), sayList);
  const none = el("p", "result-note", "Nenhuma conversa, contato ou mensagem encontrada");
  const howText = el("span", "");
  const more = el("button", "link-button", "Continuar");
  more.type = "button";
  const how = el("p", "result-note result-how", howText, more);
  const told = el("div", "", none, how);
  told.setAttribute("role", "status");
  const results = el("div", "search-results", named, said, told);
  results.setAttribute("aria-label", "Resultados da pesquisa");
  results.setAttribute("role", "region");
  results.hidden = true;
  return { pill, field, clear, results, named, nameList, nameMore, said, sayList, none, how, howText, more };
}
