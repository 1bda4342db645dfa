/**
 * The menu of a bubble: from its chevron, by right click, by a long press, and by keyboard. One
 * chevron is in the tab order; the arrow keys move between them.
 */

import { onLongPress } from "../parts/long_press.js";
import { openMenu } from "../parts/menu.js";

/** In WhatsApp's order; which of them a message has stands in its chevron's `data-offers`. There is
 * no "Apagar": the Cloud API cannot take back what was sent. */
const LABELS = {
  details: "Dados da mensagem",
  reply: "Responder",
  copy: "Copiar",
  "copy-image": "Copiar imagem",
  react: "Reagir",
  download: "Baixar",
  forward: "Encaminhar",
  pin: "Fixar",
  unpin: "Desafixar",
  select: "Selecionar mensagens",
};

/** What of a message's media is reached by Tab from its chevron, and only from there: the arrow keys go
 * from message to message. */
const CONTROLS = ".picture-button, .voice-play, .voice-line, .voice-speed, .document-link, .place, "
  + ".contact-talk, .contact-more";
/** A link has the browser's menu, but for what is a message's whole content. */
const LINK = "a:not(.document-link, .place)";

/** The words of the message that has the keyboard. */
const FOCUSED_ID = "focused-message";

export class MessageMenu {
  #content;
  #callbacks;

  /** `content`: where the bubbles are. Callbacks: onAction(name, messageId, bubble), with the names
   * above but "copy"; whyNot(name, messageId): why that cannot be done now, in words, or null;
   * onLeave(): an arrow key leads down from the newest one. */
  constructor(content, { onAction, whyNot = () => null, onLeave = () => {} }) {
    this.#content = content;
    this.#callbacks = { onAction, whyNot, onLeave };
    content.addEventListener("click", (event) => {
      const chevron = event.target.closest(".bubble-chevron");
      if (chevron) this.#open(chevron, below(chevron));
    });
    content.addEventListener("contextmenu", (event) => this.#contextMenu(event));
    content.addEventListener("keydown", (event) => this.#keyDown(event));
    content.addEventListener("focusin", (event) => {
      if (!event.target.matches(".bubble-chevron")) return;
      this.#setTabStop(event.target);
      this.#describe(event.target);
    });
    onLongPress(content, {
      find: (target) => (target.closest(LINK) ? null : chevronOf(target)),
      open: (chevron, at) => this.#open(chevron, at),
    });
  }

  /** The newest message's chevron is where Shift+Tab leads from the field. */
  setTabStop() {
    const chevrons = this.#chevrons();
    const focused = chevrons.includes(document.activeElement);
    if (!focused) this.#setTabStop(chevrons.at(-1) ?? null);
  }

  /** Puts the keyboard on the newest message; whether there is one. */
  focusNewest() {
    const newest = this.#chevrons().at(-1);
    newest?.focus();
    return Boolean(newest);
  }

  #chevrons() {
    // What an album does not show is reached in the viewer.
    return [...this.#content.querySelectorAll(".bubble-chevron:not([hidden], .album-grid > .album-rest *)")];
  }

  #setTabStop(stop) {
    for (const button of this.#chevrons()) {
      const index = button === stop ? 0 : -1;
      if (button.tabIndex !== index) button.tabIndex = index;
    }
    const message = stop?.closest("[data-message-id]") ?? null;
    for (const control of this.#content.querySelectorAll(CONTROLS)) {
      const index = message?.contains(control) ? 0 : -1;
      if (control.tabIndex !== index) control.tabIndex = index;
    }
  }

  /** A screen reader says the message with its menu's button, on which the arrow keys have come. */
  #describe(chevron) {
    this.#content.querySelector(`#${FOCUSED_ID}`)?.removeAttribute("id");
    chevron.closest(".bubble").querySelector(".bubble-body").id = FOCUSED_ID;
    chevron.setAttribute("aria-describedby", FOCUSED_ID);
  }

  #contextMenu(event) {
    const chevron = chevronOf(event.target);
    // Links and marked text keep the browser's own menu.
    if (!chevron || isMarked(chevron.closest(".bubble")) || event.target.closest(LINK)) return;
    event.preventDefault();
    const byKeyboard = event.clientX === 0 && event.clientY === 0;
    this.#open(chevron, byKeyboard ? below(chevron) : { x: event.clientX, y: event.clientY });
  }

  #keyDown(event) {
    if (!event.target.matches(".bubble-chevron")) return;
    const chevrons = this.#chevrons();
    const place = chevrons.indexOf(event.target);
    if (event.key === "ArrowDown" && place === chevrons.length - 1) {
      event.preventDefault();
      this.#callbacks.onLeave();
      return;
    }
    const target = {
      ArrowUp: chevrons[place - 1],
      ArrowDown: chevrons[place + 1],
      Home: chevrons[0],
      End: chevrons.at(-1),
    }[event.key];
    if (!target) return;
    event.preventDefault();
    target.focus();
  }

  #open(chevron, at) {
    const message = chevron.closest("[data-message-id]");
    const { messageId } = message.dataset;
    const { onAction, whyNot } = this.#callbacks;
    const offered = new Set(chevron.dataset.offers.split(" "));
    const items = Object.keys(LABELS).filter((name) => offered.has(name)).map((name) => ({
      label: LABELS[name],
      whyNot: whyNot(name, messageId),
      run: () => (name === "copy" ? copy(message) : onAction(name, messageId, message)),
    }));
    openMenu({ label: "Opções da mensagem", items, at, from: chevron });
  }
}

function chevronOf(target) {
  return target.closest(".bubble")?.querySelector(".bubble-chevron:not([hidden])") ?? null;
}

/** Whether some of a bubble's text is marked: then the browser's menu copies that. */
function isMarked(bubble) {
  const selection = getSelection();
  return Boolean(selection) && !selection.isCollapsed && selection.containsNode(bubble, true);
}

/** The text as it was written, its markers included, and the lines below it. */
function copy(message) {
  const { source } = message.querySelector(".bubble-text").dataset;
  const lines = [...message.querySelectorAll(".bubble-lines li")].map((line) => line.textContent);
  const card = message.querySelector(".media-card")?.dataset.copy;
  // Refused where the page has no right to; the text can still be marked.
  navigator.clipboard?.writeText([source, card, ...lines].filter(Boolean).join("\n")).catch(() => {});
}

function below(node) {
  const box = node.getBoundingClientRect();
  return { x: box.left, y: box.bottom };
}
