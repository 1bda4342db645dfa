/** The line over the thread that says what is pinned and leads there: of several, one after the other. */

import { ICONS, clickButton, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { openMenu } from "../parts/menu.js";
import { SIGNS } from "../organizing/signs.js";

export class PinnedBar {
  #parts;
  #shown = []; // [{id, author, text}], the one pinned last first
  #conversationId = null;
  #at = 0;
  #callbacks;

  /** Callbacks: onJump(messageId), onUnpin(messageId). */
  constructor(pane, callbacks) {
    this.#callbacks = callbacks;
    const marks = el("span", "pinned-marks");
    const author = el("span", "pinned-author");
    const text = el("span", "pinned-text");
    for (const part of [author, text]) part.dir = "auto";
    const go = clickButton("pinned-go", "", () => this.#go());
    go.replaceChildren(marks, icon(SIGNS.pinned, "icon pinned-sign"), el("span", "pinned-words", author, text));
    const more = clickButton("icon-button pinned-menu", "Opções da mensagem fixada", () => this.#openMenu(), ICONS.chevron);
    more.setAttribute("aria-haspopup", "menu");
    const bar = el("div", "pinned-bar", go, more);
    bar.role = "region";
    bar.setAttribute("aria-label", "Mensagens fixadas");
    bar.hidden = true;
    pane.querySelector(".thread-area").before(bar);
    this.#parts = { bar, go, marks, author, text, more };
  }

  /** `messages`: [{id, author, text}] of this conversation, the one pinned last first. */
  render(conversationId, messages) {
    if (conversationId !== this.#conversationId || messages[0]?.id !== this.#shown[0]?.id) this.#at = 0;
    this.#conversationId = conversationId;
    this.#shown = messages;
    this.#at = Math.min(this.#at, Math.max(0, messages.length - 1));
    const { bar, go, marks, author, text } = this.#parts;
    setHidden(bar, messages.length === 0);
    if (messages.length === 0) return;
    const { author: by, text: words } = messages[this.#at];
    setText(author, `${by}: `);
    setText(text, words);
    const place = messages.length > 1 ? ` ${this.#at + 1} de ${messages.length}` : "";
    setAttribute(go, "aria-label", `Ir para a mensagem fixada${place}: ${by}: ${words}`);
    if (marks.children.length !== messages.length) marks.replaceChildren(...messages.map(() => el("i")));
    setHidden(marks, messages.length === 1);
    [...marks.children].forEach((mark, place) => mark.classList.toggle("current", place === this.#at));
  }

  #go() {
    const { id } = this.#shown[this.#at];
    this.#at = (this.#at + 1) % this.#shown.length;
    this.render(this.#conversationId, this.#shown);
    this.#callbacks.onJump(id);
  }

  #openMenu() {
    const { more } = this.#parts;
    const { id } = this.#shown[this.#at];
    const { left, bottom } = more.getBoundingClientRect();
    openMenu({
      label: "Opções da mensagem fixada",
      items: [
        { label: "Ir para a mensagem", run: () => this.#callbacks.onJump(id) },
        { label: "Desafixar", run: () => this.#callbacks.onUnpin(id) },
      ],
      at: { x: left, y: bottom },
      from: more,
    });
  }
}
