/**
 * Module 3, the browser's half: the check marks, what they are called, "Dados da mensagem" with the
 * new attempt, and which sends still wait.
 *
 * A page that includes message_status/head.html needs no script: a `<message-ticks>` inside what
 * `|live` marks keeps itself up to date, and opens the message's story when it is pressed. An
 * application with a script of its own calls startMessageStatus and updateTicks.
 */

import { liveOf, request, warnOnce } from "./realtime_events.js";

/** Of two states of one message as the server told them: it never has both a failure and these. */
const PROGRESS = { sending: 0, sent: 1, failed: 2, delivered: 3, read: 4, played: 5 };
const LABELS = { sending: "Pendente", sent: "Enviada", delivered: "Entregue", failed: "Não enviada" };
const UNCONFIRMED_LABEL = "Talvez enviada";
const MAY_DUPLICATE = "O cliente pode receber esta mensagem duas vezes.";
const AWAITING_MS = 60_000; // the server's AWAITING_SECONDS, until its first answer tells
const SLACK_MS = 1_500; // asking again a little after a send became worth a look: clocks differ
const AGAIN_MS = 30_000; // after a failed request, or when the server has more than it listed
const TOLD = 500; // messages whose last event is remembered

// --- what a status means --------------------------------------------------------------------------

/** Whether a message with status `a` is further on than with `b`, both as the server told them. */
export function isFurther(a, b) {
  return (PROGRESS[a] ?? -1) > (PROGRESS[b] ?? -1);
}

/**
 * The message with the status of an event applied; the same object when that changes nothing.
 * `change`: {status, statuses, error, at}, the whole status and when the event was published. Of
 * two that are as far, the newer counts: "sending" has changes of its own.
 */
export function withStatus(message, { status, statuses, error, at }) {
  if (isFurther(message.status, status)) return message;
  const older = at && message.status_at && at < message.status_at;
  if (older && !isFurther(status, message.status)) return message;
  const same = message.status === status && sameJson(message.error ?? null, error ?? null)
    && (!statuses || sameJson(message.statuses, statuses));
  if (same) return message;
  const changed = { ...message, status, error: error ?? null };
  if (statuses) changed.statuses = statuses;
  if (at) changed.status_at = at;
  return changed;
}

const sameJson = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** The status that is drawn: "read" and "played" as "delivered". */
export function shownStatus(status) {
  return status === "read" || status === "played" ? "delivered" : status;
}

const isUnconfirmed = (status, error) => status === "sending" && error?.code === "unconfirmed";

/** What a status is called on the screen. */
export function labelFor(status, error = null) {
  if (isUnconfirmed(status, error)) return UNCONFIRMED_LABEL;
  return LABELS[shownStatus(status)] ?? LABELS.sending;
}

/**
 * What went wrong with a message, as a page may show it under the bubble, or null:
 * {text, failed, action}. `failed` is false while it may still have reached the customer, or will;
 * `action` is "resend" where an attendant may try again.
 */
export function problemOf({ status, error, retried_as: retriedAs, retried_at: retriedAt }) {
  const failed = status === "failed";
  if (!failed && (status !== "sending" || !error)) return null;
  const inDoubt = isUnconfirmed(status, error);
  let text = error?.message;
  if (failed) text = text ? `${LABELS.failed}: ${text}` : `${LABELS.failed}.`;
  else if (inDoubt) text = `${UNCONFIRMED_LABEL}. ${text}`;
  if (retriedAs) text += ` Reenviada${retriedAt ? ` às ${clock(new Date(retriedAt))}` : ""}.`;
  // "unreachable": the server sends it as soon as it can.
  return { text, failed, action: !retriedAs && (failed || inDoubt) ? "resend" : null };
}

const two = (number) => String(number).padStart(2, "0");
const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

// --- the check marks ------------------------------------------------------------------------------

const CLOCK = [["M9 1.3a4.7 4.7 0 1 1-.01 0z"], ["M9 3.4V6l1.8 1.2"]];
/** Paths of 18 × 12, by what is shown; a "disc" is filled, and a "sign" stands on it. */
const DRAWINGS = {
  sending: CLOCK,
  unconfirmed: [...CLOCK, ["M15.9 7.9a1.5 1.5 0 1 1-.01 0z", "disc"]],
  sent: [["M4.5 6.2 7.8 9.5 13.8 2.4"]],
  delivered: [["M1.5 6.2 4.8 9.5 10.8 2.4"], ["M8.8 7.9 10.4 9.5 16.4 2.4"]], // one behind the other
  failed: [["M9 .4a5.6 5.6 0 1 1-.01 0z", "disc"], ["M9 3v3.6m0 2.3V9", "sign"]],
};

function make(node, attributes, ...children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function svg(viewBox, paths) {
  const draw = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  return make(draw("svg"), { viewBox, "aria-hidden": "true" },
    ...paths.map(([d, kind = "line"]) => make(draw("path"), { d, class: kind })));
}

let hosted = null; // what message_status/head.html says, on a page that it is in
const told = new Map(); // message id → what events said of its status: a page under way may be older

/** `<message-ticks data-status="sent">`, with `data-unconfirmed` while nobody knows. */
export class MessageTicks extends HTMLElement {
  static observedAttributes = ["data-status", "data-unconfirmed"];
  byScript = false; // updateTicks says what is shown
  #drawn = null;

  connectedCallback() {
    this.refresh();
  }

  attributeChangedCallback() {
    const { status } = this.dataset;
    const name = status === "sending" && "unconfirmed" in this.dataset ? "unconfirmed" : status;
    if (name === this.#drawn) return;
    this.#drawn = name;
    if (!this.hasAttribute("tabindex")) this.setAttribute("role", "img");
    this.setAttribute("aria-label", name === "unconfirmed" ? UNCONFIRMED_LABEL : LABELS[name] ?? "");
    this.replaceChildren(...(name in DRAWINGS ? [svg("0 0 18 12", DRAWINGS[name])] : []));
  }

  /** Shows the message of the bubble, or the `last_message` of the row, that it stands in. */
  refresh() {
    const mark = this.closest("[data-message-id], [data-conversation-id]");
    if (this.byScript || (!hosted && mark?.dataset.live === undefined)) return;
    if (!mark) return warnOnce("ticks", "message_status: a <message-ticks> is in nothing that {{ message|live }} marks");
    const live = liveOf(mark);
    const inBubble = mark.dataset.messageId !== undefined;
    if (inBubble && live && !("status" in live)) {
      warnOnce("status", "message_status: a data-live has no status; give the model message_status.MessageStatusMixin, and keep what live_json says");
    }
    const known = (inBubble ? live : live?.last_message) ?? {};
    const { status, error } = told.has(known.id) ? withStatus(known, told.get(known.id)) : known;
    if (hosted && inBubble && status && !mark.closest("[data-conversation-id]")) {
      this.tabIndex = 0;
      this.setAttribute("role", "button");
    }
    showStatus(this, status, error);
  }
}

/** Lets a `<message-ticks>` show this status; null where there is none to show. */
export function updateTicks(element, status, error = null) {
  element.byScript = true;
  showStatus(element, status, error);
}

function showStatus(element, status, error) {
  const shown = status ? shownStatus(status) : undefined;
  const unconfirmed = isUnconfirmed(status, error);
  if (element.dataset.status === shown && element.hidden === !shown
      && element.hasAttribute("data-unconfirmed") === unconfirmed) return;
  element.toggleAttribute("data-unconfirmed", unconfirmed);
  if (shown) element.dataset.status = shown;
  else delete element.dataset.status;
  element.hidden = !shown;
}

function redraw() {
  for (const each of document.querySelectorAll("message-ticks")) each.refresh();
}

// --- what still waits -----------------------------------------------------------------------------

/**
 * Which sends have stayed without "sent" for too long. The server is asked once at the start, and
 * again only when a send seen here has waited that long, or when it has more than it listed: while
 * all goes well, nothing is asked.
 */
export class Awaiting {
  #host;
  #listed = new Map(); // message id → message, as the server listed them
  #watched = new Map(); // message id → when it was seen, ms
  #ms = AWAITING_MS;
  #told = null; // the events that came since the request that is under way began
  #askAt = Infinity; // even if no send has waited long by then
  #notBefore = 0;
  #timer = null;

  /** `fetch()`: the server's answer {messages, more, seconds}; `onChange()`: it is another list. */
  constructor({ fetch, onChange, now = Date.now }) {
    this.#host = { fetch, onChange, now };
  }

  /** The messages, the newest first. */
  get messages() {
    return [...this.#listed.values()];
  }

  /** Once more, when what was too young at the start has come of age. */
  start() {
    this.#watched.set("", this.#host.now());
    return this.refresh();
  }

  async refresh() {
    const asked = this.#host.now();
    const news = this.#told = [];
    const answer = await this.#host.fetch().catch(() => null);
    if (this.#told !== news) return; // the request that began later knows more
    this.#told = null;
    this.#askAt = !answer || answer.more ? this.#host.now() + AGAIN_MS : Infinity;
    this.#notBefore = answer ? 0 : this.#askAt;
    const before = this.messages;
    if (answer) {
      this.#ms = answer.seconds * 1000;
      this.#listed = new Map(answer.messages.map((message) => [message.id, message]));
      for (const [id, since] of this.#watched) if (asked - since > this.#ms) this.#watched.delete(id);
    }
    for (const event of news) this.onEvent(event); // the answer may be older than these
    if (!sameJson(this.messages, before)) this.#host.onChange();
    this.#plan();
  }

  onEvent(event) {
    const { type, data, at } = event;
    this.#told?.push(event);
    const message = type === "message.status_changed" ? { ...data, id: data.message_id } : data?.message;
    if (!message || message.direction === "in") return;
    const { id } = message;
    const before = this.#listed.get(id);
    if (message.status !== "sending" || message.retried_as) {
      this.#watched.delete(id);
      this.#listed.delete(id);
    } else if (before) this.#listed.set(id, withStatus(before, { ...message, at })); // in doubt, or certain again
    else if (!this.#watched.has(id)) this.#watched.set(id, this.#host.now());
    if (this.#listed.get(id) !== before) this.#host.onChange();
    this.#plan();
  }

  #plan() {
    clearTimeout(this.#timer);
    const due = Math.min(...this.#watched.values()) + this.#ms + SLACK_MS;
    const at = Math.max(this.#notBefore, Math.min(this.#askAt, due));
    if (at === Infinity || this.#told) return;
    this.#timer = setTimeout(() => this.refresh(), Math.max(0, at - this.#host.now()));
  }
}

// --- "Dados da mensagem" --------------------------------------------------------------------------

const STEPS = {
  sending: "Escrita", accepted: "Aceita pelo WhatsApp", sent: "Enviada", delivered: "Entregue",
  read: "Lida", played: "Ouvida", failed: "Não enviada",
};
const RARE = new Set(["read", "played", "failed"]); // told only where they have happened

/** Date and time as pt-BR; only the time for today's. */
export function momentText(iso, now = new Date()) {
  if (!iso) return "—";
  const date = new Date(iso);
  const time = `${clock(date)}:${two(date.getSeconds())}`;
  if (date.toDateString() === now.toDateString()) return `hoje às ${time}`;
  return `${two(date.getDate())}/${two(date.getMonth() + 1)}/${date.getFullYear()} às ${time}`;
}

/** The steps to show of an audit: [{name, at}], in their order. */
export function stepsOf(audit) {
  const accepted = audit.attempts.find((each) => each.message_id === audit.message_id)?.accepted_at;
  const times = { ...audit.statuses, accepted };
  const isShown = (name) => times[name] || (!RARE.has(name) && audit.status !== "failed");
  return Object.keys(STEPS).filter(isShown).map((name) => ({ name, at: times[name] ?? null }));
}

/** An element; `part` is its name within the dialog. */
const el = (name, { part, ...attributes } = {}, ...children) => make(document.createElement(name),
  { ...attributes, ...(part && { "data-part": part }) }, ...children);

function stepLine({ name, at }) {
  const ticks = el("message-ticks", { "aria-hidden": "true" });
  updateTicks(ticks, name === "accepted" ? "sending" : name);
  const attributes = { "data-step": name, class: at ? "done" : "due" };
  return el("li", attributes, ticks, el("b", {}, STEPS[name]), el("time", {}, momentText(at)));
}

/** A dialog: modal, or on a wide screen beside what is in `pane`. */
class Details {
  messageId = null;
  #options;
  #root = null;
  #reading = false;
  #stale = false;

  constructor(options) {
    this.#options = options;
  }

  async open(messageId) {
    this.#root ??= this.#make();
    this.messageId = messageId;
    this.#show(null, "Carregando…");
    const beside = this.#options.pane && !matchMedia("(max-width: 760px)").matches;
    if (!this.#root.open) beside ? this.#root.show() : this.#root.showModal();
    this.#part("close").focus();
    await this.read();
  }

  /** Whether it was open. */
  close() {
    const wasOpen = this.messageId !== null;
    this.messageId = null;
    this.#root?.close();
    return wasOpen;
  }

  /** Reads the message's story again; news that come meanwhile make it once more. */
  async read() {
    this.#stale = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    const id = this.messageId;
    let notice = "";
    const audit = await this.#options.ask("GET", pathOf(id, "status")).catch(({ status }) => {
      notice = status === 404 ? "Esta mensagem não existe mais." : "Não foi possível ler os dados desta mensagem.";
    });
    this.#reading = false;
    if (this.messageId !== null && id === this.messageId) this.#show(audit, notice);
    if (this.messageId !== null && (this.#stale || id !== this.messageId)) await this.read();
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #make() {
    const close = el("button", { part: "close", type: "button", "aria-label": "Fechar", title: "Fechar" },
      svg("0 0 24 24", [["M6 6 18 18M18 6 6 18"]]));
    const title = el("h2", { id: "message-details-title" }, "Dados da mensagem");
    const attributes = { class: "message-details", "aria-labelledby": title.id, "data-live-kept": "" };
    const root = el("dialog", attributes, el("header", {}, close, title),
      el("p", { part: "notice", role: "status" }), el("div", { part: "story" }));
    close.addEventListener("click", () => this.close());
    root.addEventListener("click", ({ target }) => target === root && this.close()); // beside the modal
    root.addEventListener("close", () => root.open || this.close()); // by Escape
    return (this.#options.pane ?? document.body).appendChild(root);
  }

  #show(audit, notice = "") {
    const { error, status, attempts = [] } = audit ?? {};
    const parts = [el("p", { part: "text", dir: "auto" }, this.#options.preview(this.messageId))];
    if (audit) parts.push(el("ol", { part: "steps" }, ...stepsOf(audit).reverse().map(stepLine)));
    if (error) {
      const said = shownStatus(status) === "delivered" ? `Depois de entregue, o WhatsApp avisou um erro: ${error.message}` : error.message;
      const code = /^\d+$/.test(error.code) ? `Código ${error.code} da Meta. ` : "";
      const words = error.details && !error.message.includes(error.details) ? error.details : "";
      parts.push(el("div", { part: "error" }, el("p", {}, said), el("p", { part: "error-code" }, code + words)));
    }
    if (audit && this.#options.again && problemOf(audit)?.action) {
      const button = el("button", { part: "again", type: "button" }, "Tentar de novo");
      button.addEventListener("click", () => this.#again(audit));
      parts.push(button);
    }
    if (attempts.length > 1) {
      parts.push(el("h3", {}, "Tentativas"), el("ol", { part: "attempts" }, ...attempts.map((each, place) => {
        const here = each.message_id === audit.message_id ? " (esta)" : "";
        const said = `${place + 1}ª tentativa${here}: ${labelFor(each.status, each.error).toLowerCase()} `;
        return el("li", {}, said, el("time", {}, momentText(each.started_at)));
      })));
    }
    this.#part("notice").textContent = notice;
    this.#part("story").replaceChildren(...parts);
  }

  async #again(audit) {
    const show = (text) => this.messageId === audit.message_id && this.#show({ ...audit, status: null }, text);
    const message = { ...audit, id: audit.message_id };
    await this.#options.again(message, { onStart: () => show("Enviando de novo…") })
      .then(() => this.messageId === audit.message_id && this.read(), (error) => show(error.message));
  }
}

// --- start ----------------------------------------------------------------------------------------

const pathOf = (id, what) => `/api/messages/${encodeURIComponent(id)}/${what}`;

/**
 * Makes what asks the server; nothing is asked before `start()`.
 *
 * request(method, path, body): the JSON of the answer; rejects with {status, code, message}.
 * onRetried(message): the new attempt, for the page to show.
 * onAwaiting(): the messages that wait are other ones; without it they are not asked for.
 * confirm(text): asks the attendant; resolves to true or false.
 * newId(): a UUID for a new attempt. preview(id): the text of a message, for its story.
 * pane: what the story stands beside, on a wide screen. again: whether it offers a new attempt.
 */
export function startMessageStatus({
  request: ask = request, onRetried = () => {}, onAwaiting = null, newId = () => undefined,
  confirm = async (text) => globalThis.confirm(`${text} Enviar de novo?`),
  preview = () => "", pane = null, again = false,
} = {}) {
  const ids = new Map(); // message id → the client_id of its one new attempt
  const fetch = () => ask("GET", "/api/messages/awaiting");
  const awaiting = onAwaiting && new Awaiting({ fetch, onChange: onAwaiting });
  const details = new Details({ ask, preview, pane, again: again && retry });

  async function post(message, confirmed) {
    // The same id as in an answer that got lost: the server sends it once.
    if (!ids.has(message.id)) ids.set(message.id, newId());
    const body = { client_id: ids.get(message.id), confirm: confirmed };
    onRetried(await ask("POST", pathOf(message.id, "retry"), body));
  }

  async function retry(message, { onStart = () => {} } = {}) {
    const inDoubt = isUnconfirmed(message.status, message.error);
    if (inDoubt && !(await confirm(MAY_DUPLICATE))) return;
    onStart();
    try {
      await post(message, inDoubt);
    } catch (error) {
      if (error.code !== "may_duplicate") throw error;
      if (await confirm(error.message)) await post(message, true);
    }
  }

  return {
    onEvent(event) {
      awaiting?.onEvent(event);
      const id = event.data?.message_id ?? event.data?.message?.id;
      if (id !== undefined && id === details.messageId) details.read();
    },
    get awaiting() {
      return awaiting?.messages ?? [];
    },
    /** Asks what awaits its sending; when the page has shown what is more urgent. */
    start: () => awaiting?.start(),
    refresh: () => awaiting?.refresh(),
    openDetails: (messageId) => details.open(messageId),
    closeDetails: () => details.close(),
    /**
     * A new attempt; resolves when it is on its way or the attendant thought better of it.
     * `onStart()` is called when there is nothing more to ask.
     */
    retry,
  };
}

/** For a page with message_status/head.html. */
function startPage() {
  const preview = (id) => {
    const bubble = document.querySelector(`[data-message-id="${CSS.escape(id)}"][data-live]`);
    return (bubble && liveOf(bubble)?.text) ?? "";
  };
  const page = startMessageStatus({ preview, again: hosted.retry });
  const press = (event) => {
    const ticks = event.target.closest?.("message-ticks[role=button]");
    if (!ticks || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    page.openDetails(ticks.closest("[data-message-id]").dataset.messageId);
  };
  for (const type of ["click", "keydown"]) document.addEventListener(type, press);
  document.addEventListener("realtime:event", ({ detail: event }) => {
    const { type, data, at } = event;
    if (type === "message.status_changed") {
      told.set(data.message_id, withStatus(told.get(data.message_id) ?? {}, { ...data, at }));
      if (told.size > TOLD) told.delete(told.keys().next().value);
      redraw();
    }
    page.onEvent(event);
  });
  new MutationObserver(redraw).observe(document, { subtree: true, attributeFilter: ["data-live"] });
}

hosted = JSON.parse(document.getElementById("message-status")?.textContent ?? "null");
if (!customElements.get("message-ticks")) customElements.define("message-ticks", MessageTicks);
if (hosted) startPage();
