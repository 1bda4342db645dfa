/** Several messages of the open chat selected at once: boxes before them, and a bar for the field. */

import { ICONS, el, icon, setText } from "../parts/dom.js";

const BOX = "select-box";

export class Selection {
  #pane;
  #content;
  #bar;
  #count;
  #buttons;
  #host;
  #conversationId = null; // whose messages are being selected; null: none are
  #ids = new Set();

  /** `pane`: the thread's. Callbacks: ordered(conversationId, ids): those messages that are still
   * there, from the top; canForward(messages); onCopy(messages), onForward(messages), onEnd(): the focus is nowhere then. */
  constructor(pane, host) {
    this.#pane = pane;
    this.#host = host;
    this.#content = pane.querySelector(".thread-content");
    this.#count = el("p", "select-count");
    this.#count.setAttribute("role", "status");
    const { ordered, onCopy, onForward } = host;
    const chosen = () => ordered(this.#conversationId, this.#ids);
    this.#buttons = {
      copy: button("Copiar", ICONS.copy, () => onCopy(chosen())),
      forward: button("Encaminhar", ICONS.forwarded, () => onForward(chosen())),
    };
    const end = button("Cancelar seleção", ICONS.close, () => this.end());
    this.#bar = el("div", "select-bar", end, this.#count, this.#buttons.copy, this.#buttons.forward);
    this.#bar.setAttribute("role", "toolbar");
    this.#bar.setAttribute("aria-label", "Mensagens selecionadas");
    this.#bar.hidden = true;
    pane.querySelector(".composer").before(this.#bar);
    // Before anything else of the thread hears of it: a click on a message only selects now.
    for (const type of ["click", "dblclick", "contextmenu"]) {
      this.#content.addEventListener(type, (event) => this.#clicked(event), { capture: true });
    }
    this.#content.addEventListener("pointerdown", (event) => {
      if (this.isOn) event.stopImmediatePropagation(); // a long press has no menu now
    }, { capture: true });
    this.#content.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  get isOn() {
    return this.#conversationId !== null;
  }

  /** Begins with this message. */
  begin(conversationId, messageId) {
    this.#conversationId = conversationId;
    this.#ids = new Set([messageId]);
    this.render(conversationId);
    this.#box(messageId)?.focus({ preventScroll: true });
  }

  /** Whether it was on. */
  end() {
    if (!this.isOn) return false;
    this.#conversationId = null;
    this.#ids.clear();
    const focused = document.activeElement; // the body, where its message was deleted meanwhile
    const hadFocus = focused === document.body || this.#pane.contains(focused);
    for (const box of this.#content.querySelectorAll(`.${BOX}`)) box.remove();
    this.#show();
    if (hadFocus) this.#host.onEnd();
    return true;
  }

  /** The conversation has become another's part. */
  merged(loser, winner) {
    if (this.#conversationId === loser) this.#conversationId = winner;
  }

  /** With each drawing of the thread, whose messages come and go. */
  render(conversationId) {
    if (!this.isOn) return;
    if (conversationId !== this.#conversationId) {
      this.end();
      return;
    }
    const there = this.#host.ordered(conversationId, this.#ids);
    this.#ids = new Set(there.map(({ id }) => id));
    for (const node of this.#content.querySelectorAll(".message")) this.#mark(node);
    this.#show(there);
  }

  #show(chosen = []) {
    this.#pane.classList.toggle("selecting", this.isOn);
    this.#bar.hidden = !this.isOn;
    setText(this.#count, chosen.length === 1 ? "1 selecionada" : `${chosen.length} selecionadas`);
    this.#buttons.copy.disabled = chosen.length === 0;
    this.#buttons.forward.disabled = chosen.length === 0 || !this.#host.canForward(chosen);
  }

  /** A box before each message that can be selected. */
  #mark(node) {
    const can = node.querySelector(".bubble-chevron")?.dataset.offers.split(" ").includes("select");
    let box = node.querySelector(`.${BOX}`);
    if (!can) {
      box?.remove();
      return;
    }
    if (!box) {
      box = el("input", BOX);
      box.type = "checkbox";
      box.setAttribute("aria-label", "Selecionar mensagem");
      node.prepend(box);
    }
    const wanted = this.#ids.has(node.dataset.messageId);
    if (box.checked !== wanted) box.checked = wanted;
  }

  #clicked(event) {
    const node = event.target.closest(".message");
    if (!this.isOn || !node) return;
    event.stopImmediatePropagation();
    // The box itself is set by `render`, or the browser would take it back after this.
    if (!event.target.matches(`.${BOX}`)) event.preventDefault();
    const { messageId } = node.dataset;
    if (event.type !== "click" || !node.querySelector(`.${BOX}`)) return;
    if (!this.#ids.delete(messageId)) this.#ids.add(messageId);
    this.render(this.#conversationId);
  }

  #moveFocus(event) {
    if (!event.target.matches(`.${BOX}`)) return;
    const boxes = [...this.#content.querySelectorAll(`.${BOX}`)];
    const at = boxes.indexOf(event.target);
    const next = { ArrowUp: boxes[at - 1], ArrowDown: boxes[at + 1] }[event.key];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  #box(messageId) {
    return this.#content.querySelector(`[data-message-id="${CSS.escape(messageId)}"] .${BOX}`);
  }
}

function button(label, sign, run) {
  const node = el("button", "icon-button", icon(sign));
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.title = label;
  node.addEventListener("click", run);
  return node;
}
