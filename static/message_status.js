/* Browser half of message_status: the check marks, what they are called, and "Dados da mensagem" with
 * the new attempt.
 *
 * A page that includes message_status/head.html needs no script: a `<message-ticks>` inside what
 * `|live` marks keeps itself up to date, and opens the message's story when it is pressed. An
 * application with a script of its own calls startMessageStatus and updateTicks. */

import { liveOf, pageData, request, warnOnce } from "./realtime_events.js";

/** Of two states of one message as the server told them: it never has both a failure and these. */
const PROGRESS = { sending: 0, sent: 1, failed: 2, delivered: 3, read: 4, played: 5 };
const LABELS = {
  sending: "Pendente", unconfirmed: "Talvez enviada", sent: "Enviada", delivered: "Entregue", failed: "Não enviada",
};
const MAY_DUPLICATE = "O cliente pode receber esta mensagem duas vezes.";
const TOLD = 500; // messages whose last event is remembered

// --- what a status means --------------------------------------------------------------------------

/** Whether a message with status `a` is further on than with `b`, both as the server told them. */
export const isFurther = (a, b) => (PROGRESS[a] ?? -1) > (PROGRESS[b] ?? -1);

/** The message with the status of an event applied; the same object when that changes nothing.
 * `change`: {status, statuses, error, at}, the whole status and when the event was published. Of
 * two that are as far, the newer counts: "sending" has changes of its own. */
export function withStatus(message, { status, statuses, error, at }) {
  if (isFurther(message.status, status)) return message;
  const older = at && message.status_at && at < message.status_at;
  if (older && !isFurther(status, message.status)) return message;
  const whole = (known) => JSON.stringify([known.status, known.error ?? null, known.statuses]);
  const next = { ...message, status, error: error ?? null, ...(statuses && { statuses }) };
  return whole(next) === whole(message) ? message : { ...next, ...(at && { status_at: at }) };
}

/** The status that is drawn: "read" and "played" as "delivered". */
export const shownStatus = (status) => (status === "read" || status === "played" ? "delivered" : status);

const isUnconfirmed = (status, error) => status === "sending" && error?.code === "unconfirmed";

/** What a status is called on the screen. */
export const labelFor = (status, error = null) =>
  LABELS[isUnconfirmed(status, error) ? "unconfirmed" : shownStatus(status)] ?? LABELS.sending;

/** What went wrong with a message, as a page may show it under the bubble, or null:
 * {text, failed, action}. `failed` is false while it may still have reached the customer, or will;
 * `action` is "resend" where an attendant may try again. */
export function problemOf({ status, error, retried_as: retriedAs, retried_at: retriedAt }) {
  const failed = status === "failed";
  if (!failed && (status !== "sending" || !error)) return null;
  const inDoubt = isUnconfirmed(status, error);
  let text = error?.message;
  if (failed) text = text ? `${LABELS.failed}: ${text}` : `${LABELS.failed}.`;
  else if (inDoubt) text = `${LABELS.unconfirmed}. ${text}`;
  const time = retriedAt && new Date(retriedAt).toLocaleTimeString("pt-BR", { timeStyle: "short" });
  if (retriedAs) text += ` Reenviada${time ? ` às ${time}` : ""}.`;
  // "unreachable": the server sends it as soon as it can.
  return { text, failed, action: !retriedAs && (failed || inDoubt) ? "resend" : null };
}

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

const hosted = pageData("message-status"); // what message_status/head.html says; null without it
const told = new Map(); // message id → what events said of its status: a page under way may be older

/** `<message-ticks data-status="sent">`, with `data-unconfirmed` while nobody knows. */
class MessageTicks extends HTMLElement {
  static observedAttributes = ["data-status", "data-unconfirmed"];
  byScript = false; // updateTicks says what is shown

  connectedCallback() {
    this.refresh();
  }

  attributeChangedCallback() {
    const name = "unconfirmed" in this.dataset ? "unconfirmed" : this.dataset.status;
    if (!this.hasAttribute("tabindex")) this.setAttribute("role", "img");
    this.setAttribute("aria-label", LABELS[name] ?? "");
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
  const shown = status && shownStatus(status);
  element.toggleAttribute("data-unconfirmed", isUnconfirmed(status, error));
  element.toggleAttribute("hidden", !shown);
  if (!shown) delete element.dataset.status;
  else if (element.dataset.status !== shown) element.dataset.status = shown;
}

const redraw = (within = "") =>
  document.querySelectorAll(`${within} message-ticks`).forEach((each) => each.refresh());

// --- "Dados da mensagem" --------------------------------------------------------------------------

/** What is told of each step; the last three only where they have happened. */
const STEPS = {
  sending: "Escrita", accepted: "Aceita pelo WhatsApp", sent: LABELS.sent, delivered: LABELS.delivered,
  read: "Lida", played: "Reproduzida", failed: LABELS.failed,
};

/** Date and time as pt-BR; only the time for today's. */
export function momentText(iso, now = new Date()) {
  if (!iso) return "—";
  const date = new Date(iso);
  const [day, time] = [date.toLocaleDateString("pt-BR"), date.toLocaleTimeString("pt-BR")];
  return `${date.toDateString() === now.toDateString() ? "hoje" : day} às ${time}`;
}

/** The steps to show of an audit: [{name, at}], in their order. */
export function stepsOf({ message_id: id, status, statuses, attempts }) {
  const times = { ...statuses, accepted: attempts.find((each) => each.message_id === id)?.accepted_at };
  const isShown = (name, place) => times[name] || (place < 4 && status !== "failed");
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

/** A dialog with a message's story: modal, or on a wide screen beside what is in `pane`. */
function makeDetails({ ask, preview, pane, again }) {
  const closeButton = el("button", { part: "close", type: "button", "aria-label": "Fechar", title: "Fechar" },
    svg("0 0 24 24", [["M6 6 18 18M18 6 6 18"]]));
  const title = "Dados da mensagem";
  const notice = el("p", { part: "notice", role: "status" });
  const story = el("div", { part: "story" });
  const attributes = { class: "message-details", "aria-label": title, "data-live-kept": "" };
  const root = el("dialog", attributes, el("header", {}, closeButton, el("h2", {}, title)), notice, story);
  closeButton.addEventListener("click", () => root.close());
  root.addEventListener("click", ({ target }) => target === root && root.close()); // beside the modal
  let shownId = null;
  let asked = null; // the request whose answer is to be shown: the last one

  const shows = (id) => root.open && id === shownId;
  /** Whether it was open: its own `close` returns nothing. */
  const close = () => root.open && !root.close();

  async function open(id) {
    shownId = id;
    show(null, "Carregando…");
    if (!root.isConnected) (pane ?? document.body).append(root);
    const beside = pane && !matchMedia("(max-width: 760px)").matches;
    if (!root.open) beside ? root.show() : root.showModal();
    closeButton.focus();
    await read();
  }

  async function read() {
    const request = asked = {};
    let problem = "";
    const audit = await ask("GET", pathOf(shownId, "status")).catch(({ status }) => {
      problem = status === 404 ? "Esta mensagem não existe mais." : "Não foi possível ler os dados desta mensagem.";
    });
    if (request === asked && root.open) show(audit, problem);
  }

  function show(audit, problem = "") {
    const { error, status, attempts = [] } = audit ?? {};
    const parts = [el("p", { part: "text", dir: "auto" }, preview(shownId))];
    if (audit) parts.push(el("ol", { part: "steps" }, ...stepsOf(audit).reverse().map(stepLine)));
    if (error) {
      const after = shownStatus(status) === "delivered" ? "Depois de entregue, o WhatsApp avisou um erro: " : "";
      const code = /^\d+$/.test(error.code) ? `Código ${error.code} da Meta. ` : "";
      const words = error.details && !error.message.includes(error.details) ? error.details : "";
      const said = [el("p", {}, after + error.message), el("p", { part: "error-code" }, code + words)];
      parts.push(el("div", { part: "error" }, ...said));
    }
    if (audit && again && problemOf(audit)?.action) {
      const button = el("button", { part: "again", type: "button" }, "Tentar novamente");
      button.addEventListener("click", () => tryAgain(audit));
      parts.push(button);
    }
    if (attempts.length > 1) {
      parts.push(el("h3", {}, "Tentativas"), el("ol", { part: "attempts" }, ...attempts.map((each, place) => {
        const here = each.message_id === shownId ? " (esta)" : "";
        const said = `${place + 1}ª tentativa${here}: ${labelFor(each.status, each.error).toLowerCase()} `;
        return el("li", {}, said, el("time", {}, momentText(each.started_at)));
      })));
    }
    notice.textContent = problem;
    story.replaceChildren(...parts);
  }

  async function tryAgain(audit) {
    const id = audit.message_id;
    const say = (text) => shows(id) && show({ ...audit, status: null }, text);
    await again({ ...audit, id }, { onStart: () => say("Enviando novamente…") })
      .then(() => shows(id) && read(), (error) => say(error.message));
  }

  return { open, close, read, shows };
}

// --- start ----------------------------------------------------------------------------------------

const pathOf = (id, what) => `/api/messages/${encodeURIComponent(id)}/${what}`;

/** Makes what asks the server.
 *
 * request(method, path, body): the JSON of the answer; rejects with {status, code, message}.
 * onRetried(message): the new attempt, for the page to show.
 * confirm(text): asks the attendant; resolves to true or false.
 * newId(): a UUID for a new attempt. preview(id): the text of a message, for its story.
 * pane: what the story stands beside, on a wide screen. again: whether it offers a new attempt. */
export function startMessageStatus({
  request: ask = request, onRetried = () => {}, newId = () => undefined,
  confirm = async (text) => globalThis.confirm(`${text} Enviar novamente?`),
  preview = () => "", pane = null, again = false,
} = {}) {
  const ids = new Map(); // message id → the client_id of its one new attempt
  const details = makeDetails({ ask, preview, pane, again: again && retry });

  /** A new attempt; resolves when it is on its way or the attendant thought better of it.
   * `onStart()` is called when there is nothing more to ask. */
  async function retry(message, { onStart = () => {} } = {}) {
    let sure = isUnconfirmed(message.status, message.error);
    if (sure && !(await confirm(MAY_DUPLICATE))) return;
    onStart();
    // The same id as in an answer that got lost: the server sends it once.
    if (!ids.has(message.id)) ids.set(message.id, newId());
    const post = () => ask("POST", pathOf(message.id, "retry"), { client_id: ids.get(message.id), confirm: sure });
    const made = await post().catch(async (error) => {
      if (error.code !== "may_duplicate") throw error;
      sure = await confirm(error.message);
      return sure ? post() : null;
    });
    if (made) onRetried(made);
  }

  document.addEventListener("realtime:event", ({ detail: { data } }) => {
    if (details.shows(data?.message_id ?? data?.message?.id)) details.read();
  });
  return { openDetails: details.open, closeDetails: details.close, retry };
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
  document.addEventListener("realtime:event", ({ detail: { type, data, at } }) => {
    if (type !== "message.status_changed") return;
    const known = told.get(data.message_id) ?? {};
    told.delete(data.message_id); // the newest stands last
    told.set(data.message_id, withStatus(known, { ...data, at }));
    if (told.size > TOLD) told.delete(told.keys().next().value);
    redraw(`:is([data-message-id="${CSS.escape(data.message_id)}"], [data-conversation-id])`);
  });
  new MutationObserver(() => redraw()).observe(document, { subtree: true, attributeFilter: ["data-live"] });
}

if (!customElements.get("message-ticks")) customElements.define("message-ticks", MessageTicks);
if (hosted) startPage();
