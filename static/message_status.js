/**
 * Module 3, the browser's half: the check marks, what they are called, the panel that tells a
 * message's whole story, a new attempt, and which sends still wait.
 *
 * `<message-ticks>` draws; `startMessageStatus` asks the server. The rest is pure. The rule and the
 * drawings are those of message_status.py; a test holds the two together.
 */

const RANKS = { sending: 0, sent: 1, delivered: 2, read: 3, played: 4 };
/** Of two states of one message as the server told them: it never has both a failure and these. */
const PROGRESS = { sending: 0, sent: 1, failed: 2, delivered: 3, read: 4, played: 5 };
const LABELS = { sending: "Pendente", sent: "Enviada", delivered: "Entregue", failed: "Não enviada" };
const UNCONFIRMED_LABEL = "Talvez enviada";
const MAY_DUPLICATE = "O cliente pode receber esta mensagem duas vezes.";
/** The server's AWAITING_SECONDS, until its first answer tells. */
const AWAITING_SECONDS = 60;
/** Asking again a little after a send became worth a look: clocks differ. */
const SLACK_MS = 1500;
/** After a failed request; the next reconnection asks again anyway. */
const RETRY_MS = 30_000;
/** After the list got shorter while the server has more: those sent together make one request. */
const REFILL_MS = 2_000;

const CLOCK = '<circle cx="9" cy="6" r="4.7"/><path d="M9 3.4V6l1.8 1.2"/>';
/** What is inside the SVG, by what is shown. */
export const DRAWINGS = {
  sending: CLOCK,
  unconfirmed: `${CLOCK}<circle class="mark" cx="15.9" cy="9.4" r="1.5"/>`,
  sent: '<path d="M4.6 6.4 7.7 9.5l6-7"/>',
  delivered: '<path d="M1.6 6.4 4.7 9.5l6-7M8.3 9.2l.3.3 6-7"/>',
  failed: '<circle class="disc" cx="9" cy="6" r="5.6"/><path class="sign" d="M9 3v3.6m0 2.3V9"/>',
};

// --- the rule ------------------------------------------------------------------------------------

/** What a message becomes when a status comes: [status, error]. See message_status.next_status. */
export function nextStatus(current, error, incoming, reason = null) {
  if (incoming === "failed") {
    if (current === "sending" || current === "sent") return ["failed", reason];
    return [current, error ?? reason];
  }
  const higher = (RANKS[incoming] ?? -1) > (RANKS[current] ?? -1);
  if (current === "failed" || !higher) return [current, error];
  return [incoming, current === "sending" ? null : error];
}

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
 * What went wrong with a message, as shown under its bubble, or null: {text, failed, action}.
 * `failed` is false while it may still have reached the customer, or will; `action` is "resend"
 * where an attendant may try again.
 */
export function problemOf(message, { time = clock } = {}) {
  const { status, error } = message;
  const failed = status === "failed";
  if (!failed && (status !== "sending" || !error)) return null;
  const reason = error?.message;
  const inDoubt = isUnconfirmed(status, error);
  let said = reason;
  if (failed) said = reason ? `${LABELS.failed}: ${reason}` : `${LABELS.failed}.`;
  else if (inDoubt) said = `${UNCONFIRMED_LABEL}. ${reason}`;
  if (message.retried_as) {
    const when = message.retried_at ? ` às ${time(new Date(message.retried_at))}` : "";
    return { text: `${said} Reenviada${when}.`, failed, action: null };
  }
  // "unreachable": the server sends it as soon as it can.
  return { text: said, failed, action: failed || inDoubt ? "resend" : null };
}

const two = (number) => String(number).padStart(2, "0");
const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

// --- the drawing ---------------------------------------------------------------------------------

const drawings = new Map();

function drawing(name) {
  if (!drawings.has(name)) {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 12" aria-hidden="true">${DRAWINGS[name]}</svg>`;
    const node = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    node.removeAttribute("xmlns"); // it is where it belongs: the same markup as the server's
    drawings.set(name, document.importNode(node, true));
  }
  return drawings.get(name).cloneNode(true);
}

/** `<message-ticks data-status="sent">`, with `data-unconfirmed` while nobody knows. */
export class MessageTicks extends HTMLElement {
  static observedAttributes = ["data-status", "data-unconfirmed"];
  #drawn = null;

  connectedCallback() {
    this.#draw();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#draw();
  }

  #draw() {
    const { status } = this.dataset;
    const name = status === "sending" && "unconfirmed" in this.dataset ? "unconfirmed" : status;
    if (name === this.#drawn) return;
    this.#drawn = name;
    if (!(name in DRAWINGS)) {
      this.replaceChildren();
      this.removeAttribute("aria-label");
      return;
    }
    this.setAttribute("role", "img");
    this.setAttribute("aria-label", name === "unconfirmed" ? UNCONFIRMED_LABEL : LABELS[name]);
    this.replaceChildren(drawing(name));
  }
}

/** Lets a `<message-ticks>` show this status; null where there is none to show. */
export function updateTicks(element, status, error = null) {
  const shown = status ? shownStatus(status) : undefined;
  if (element.dataset.status === shown && element.hidden === !shown
      && element.hasAttribute("data-unconfirmed") === isUnconfirmed(status, error)) return;
  element.toggleAttribute("data-unconfirmed", isUnconfirmed(status, error));
  if (shown) element.dataset.status = shown;
  else delete element.dataset.status;
  element.hidden = !shown;
}

if (globalThis.customElements && !customElements.get("message-ticks")) {
  customElements.define("message-ticks", MessageTicks);
}

// --- what still waits ----------------------------------------------------------------------------

/**
 * Which sends have stayed without "sent" for too long. The server is asked once at the start, and
 * again only when a send seen here has waited that long: while all goes well, nothing is asked. It
 * lists the newest; when some of these are sent and there are more, it is asked for the others.
 */
export class Awaiting {
  #fetch;
  #onChange;
  #listed = new Map(); // message id -> message, as the server listed them
  #watched = new Map(); // message id -> when it was seen, ms
  #seconds = AWAITING_SECONDS;
  #more = false; // the server has more than it listed
  #told = null; // the events that came since the request that is under way began
  #timer = null;
  #asks = false; // whether the timer is there to ask the server
  #now;

  /** `fetch()`: the server's answer {messages, seconds}; `onChange()`: the list is another one. */
  constructor({ fetch, onChange, now = Date.now }) {
    this.#fetch = fetch;
    this.#onChange = onChange;
    this.#now = now;
  }

  /** The messages, the newest first. */
  get messages() {
    return [...this.#listed.values()];
  }

  /** Asks the server. What it does not list yet may be about to come of age: it is asked again. */
  async refresh() {
    const asked = this.#now();
    const told = [];
    this.#told = told;
    let answer = null;
    try {
      answer = await this.#fetch();
    } catch {
      // Asked again below.
    }
    if (this.#told !== told) return; // the request that began later knows more
    this.#told = null;
    if (answer) this.#take(answer, asked, told);
    else this.#wait(RETRY_MS, { ask: true });
  }

  #take({ messages, next = null, seconds }, asked, told) {
    this.#seconds = seconds ?? this.#seconds;
    this.#more = next !== null;
    const before = this.messages;
    this.#listed = new Map(messages.map((message) => [message.id, message]));
    for (const [id, since] of this.#watched) if (asked - since > this.#ms) this.#watched.delete(id);
    for (const event of told) this.onEvent(event); // the answer may be older than these
    if (!sameJson(this.messages, before)) this.#onChange();
    this.#schedule();
  }

  /** Once more, when what was too young at the start has come of age. */
  async start() {
    this.#watched.set("", this.#now());
    await this.refresh();
  }

  onEvent(event) {
    const { type, data, at } = event;
    this.#told?.push(event);
    if (type === "message.status_changed") {
      this.#see(data.message_id, data.status === "sending");
      this.#update(data.message_id, { ...data, at });
    } else if (type === "message.created" || type === "message.updated") {
      const { message } = data;
      if (message?.direction !== "out") return;
      this.#see(message.id, message.status === "sending" && !message.retried_as);
    }
  }

  get #ms() {
    return this.#seconds * 1000;
  }

  #see(id, waits) {
    if (waits) {
      if (!this.#watched.has(id) && !this.#listed.has(id)) this.#watched.set(id, this.#now());
      this.#schedule();
      return;
    }
    this.#watched.delete(id);
    if (!this.#listed.delete(id)) return;
    this.#onChange();
    const asking = this.#asks || this.#told !== null;
    if (this.#more && !asking) this.#wait(REFILL_MS, { ask: true });
  }

  /** One that still waits may have become doubtful meanwhile, or certain again. */
  #update(id, change) {
    const known = this.#listed.get(id);
    const next = known && withStatus(known, change);
    if (next === known) return;
    this.#listed.set(id, next);
    this.#onChange();
  }

  #schedule() {
    if (this.#timer !== null || !this.#watched.size) return;
    const oldest = Math.min(...this.#watched.values());
    this.#wait(Math.max(0, oldest + this.#ms + SLACK_MS - this.#now()));
  }

  #wait(ms, { ask = false } = {}) {
    clearTimeout(this.#timer);
    this.#asks = ask;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#asks = false;
      // Those that were due may have been sent meanwhile.
      const due = [...this.#watched.values()].some((since) => this.#now() - since > this.#ms);
      if (due || ask) this.refresh();
      else this.#schedule();
    }, ms);
  }
}

// --- the panel -----------------------------------------------------------------------------------

const STEPS = ["sending", "accepted", "sent", "delivered", "read", "played", "failed"];
/** Told only where they have happened. */
const RARE = new Set(["read", "played", "failed"]);
const STATUS_NAMES = {
  sent: "Enviada", delivered: "Entregue", read: "Lida", played: "Ouvida", failed: "Não enviada",
};

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
  return STEPS.filter((name) => times[name] || !RARE.has(name))
    .filter((name) => times[name] || audit.status !== "failed")
    .map((name) => ({ name, at: times[name] ?? null }));
}

/** "Dados da mensagem": the dialog that templates/message_status/details.html makes. */
class Details {
  #root;
  #request;
  #preview;
  #narrow = matchMedia("(max-width: 760px)");
  #messageId = null;
  #opener = null;
  #reading = false;
  #again = false;

  constructor(root, { request, preview }) {
    this.#root = root;
    this.#request = request;
    this.#preview = preview;
    this.#part("close").addEventListener("click", () => this.close());
    root.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    // Before the page's own Escape, which would close the conversation.
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || !this.#root.open) return;
      if (document.querySelector("dialog:modal:not(.message-details), :popover-open")) return;
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }, true);
  }

  get messageId() {
    return this.#messageId;
  }

  async open(messageId) {
    if (!this.#root.open) this.#opener = document.activeElement;
    this.#messageId = messageId;
    this.#part("text").textContent = this.#preview(messageId);
    this.#show(null, "Carregando…");
    if (!this.#root.open) {
      if (this.#narrow.matches) this.#root.showModal();
      else this.#root.show();
    }
    this.#part("close").focus();
    await this.read();
  }

  close() {
    if (!this.#root.open) return;
    this.#messageId = null;
    this.#root.close();
    if (this.#opener?.isConnected) this.#opener.focus();
  }

  /** Reads the message's story again; news that come meanwhile make it once more. */
  async read() {
    this.#again = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    const id = this.#messageId;
    try {
      const audit = await this.#request("GET", `/api/messages/${encodeURIComponent(id)}/status`);
      if (id === this.#messageId) this.#show(audit);
    } catch (error) {
      if (id === this.#messageId) {
        this.#show(null, error.status === 404 ? "Esta mensagem não existe mais."
          : "Não foi possível ler os dados desta mensagem.");
      }
    } finally {
      this.#reading = false;
    }
    if (this.#messageId !== null && (this.#again || id !== this.#messageId)) await this.read();
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }

  #show(audit, notice = "") {
    this.#part("notice").textContent = notice;
    this.#part("story").hidden = !audit;
    if (!audit) return;
    const steps = new Map(stepsOf(audit).map(({ name, at }) => [name, at]));
    for (const item of this.#root.querySelectorAll("[data-step]")) {
      const { step } = item.dataset;
      item.hidden = !steps.has(step);
      item.classList.toggle("done", Boolean(steps.get(step)));
      item.querySelector("time").textContent = momentText(steps.get(step));
    }
    this.#showError(audit);
    const attempts = audit.attempts.map((each, place) => {
      const here = each.message_id === audit.message_id ? " (esta)" : "";
      return line(`${place + 1}ª tentativa${here}: ${each.label.toLowerCase()}`, each.started_at);
    });
    this.#part("attempts").hidden = attempts.length < 2;
    this.#part("attempts").querySelector("ol").replaceChildren(...attempts);
    const trail = audit.trail.map(({ status, received_at: at, error }) => {
      const name = STATUS_NAMES[status] ?? status;
      return line(error ? `${name} (erro ${error.code})` : name, at);
    });
    this.#part("trail").hidden = trail.length === 0;
    this.#part("trail").querySelector("summary").textContent = `Avisos recebidos do WhatsApp (${trail.length})`;
    this.#part("trail").querySelector("ol").replaceChildren(...trail);
  }

  #showError({ error, status }) {
    this.#part("error").hidden = !error;
    if (!error) return;
    const noted = status !== "failed" && status !== "sending";
    this.#part("error-text").textContent =
      noted ? `Depois de entregue, o WhatsApp avisou um erro: ${error.message}` : error.message;
    const words = error.details && !error.message.includes(error.details) ? ` ${error.details}` : "";
    const known = /^\d+$/.test(error.code);
    this.#part("error-code").textContent = known ? `Código ${error.code} da Meta.${words}` : words;
  }
}

function line(text, at) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = momentText(at);
  item.append(text, " ", time);
  return item;
}

// --- start ---------------------------------------------------------------------------------------

/**
 * Makes what asks the server; nothing is asked before `start()`.
 *
 * request(method, path, body): the JSON of the answer; rejects with {status, code, message}.
 * onRetried(message): the new attempt, for the page to show.
 * onAwaiting(): the messages that wait are other ones.
 * confirm(text): asks the attendant; resolves to true or false.
 * newId(): a UUID for a new attempt. preview(id): the text of a message, for its panel.
 * details: the panel's dialog, or null.
 */
export function startMessageStatus({
  request, onRetried, onAwaiting = () => {}, confirm, newId, preview = () => "", details = null,
}) {
  const attempts = new Map(); // message id -> the client_id of its one new attempt
  const awaiting = new Awaiting({
    fetch: () => request("GET", "/api/messages/awaiting"),
    onChange: onAwaiting,
  });
  const panel = details && new Details(details, { request, preview });
  async function ask(message, confirmed) {
    const path = `/api/messages/${encodeURIComponent(message.id)}/retry`;
    // The same id as in an answer that got lost: the server sends it once.
    if (!attempts.has(message.id)) attempts.set(message.id, newId());
    const body = { client_id: attempts.get(message.id), confirm: confirmed };
    onRetried(await request("POST", path, body));
  }

  return {
    onEvent(event) {
      awaiting.onEvent(event);
      const data = event.data ?? {};
      const id = data.message_id ?? data.message?.id;
      if (panel && id !== undefined && id === panel.messageId) panel.read();
    },
    get awaiting() {
      return awaiting.messages;
    },
    /** Asks what awaits its sending; when the page has shown what is more urgent. */
    start: () => awaiting.start(),
    refresh: () => awaiting.refresh(),
    openDetails: (messageId) => panel?.open(messageId),
    closeDetails: () => panel?.close(),
    /**
     * A new attempt; resolves when it is on its way or the attendant thought better of it.
     * `onStart()` is called when there is nothing more to ask.
     */
    async retry(message, { onStart = () => {} } = {}) {
      const inDoubt = isUnconfirmed(message.status, message.error);
      if (inDoubt && !(await confirm(MAY_DUPLICATE))) return;
      onStart();
      try {
        await ask(message, inDoubt);
      } catch (error) {
        if (error.code !== "may_duplicate") throw error;
        if (await confirm(error.message)) await ask(message, true);
      }
    },
  };
}
