/** The field for a file's caption: grows with its text, Enter sends, Shift+Enter breaks the line. */

import { ICONS, el, icon, setAttribute, setText } from "../../parts/dom.js";
import { MAX_CAPTION_LENGTH } from "./limits.js";

/** With this many left, they are counted. */
const COUNTED_FROM = 100;

export class Caption {
  node;
  #field;
  #grow;
  #count;
  #shown = null;

  /** onInput(text); onEnter(). */
  constructor({ onInput, onEnter }) {
    this.#field = el("textarea", "caption-field");
    Object.assign(this.#field, { rows: 1, dir: "auto", placeholder: "Adicione uma legenda", autocomplete: "off", enterKeyHint: "send" });
    this.#field.setAttribute("aria-label", "Legenda");
    this.#grow = el("div", "caption-grow", this.#field);
    this.#count = el("span", "caption-count");
    this.#count.setAttribute("role", "status");
    const panel = el("div", "emoji-panel");
    panel.setAttribute("role", "dialog");
    panel.setAttribute("aria-label", "Emojis");
    panel.hidden = true;
    const button = el("button", "composer-button emoji-button", icon(ICONS.react));
    Object.assign(button, { type: "button", title: "Emojis" });
    for (const [name, value] of [["label", "Emojis"], ["haspopup", "dialog"], ["expanded", "false"]]) {
      button.setAttribute(`aria-${name}`, value);
    }
    this.node = el("div", "attach-caption", panel, button, this.#grow, this.#count);
    this.#field.addEventListener("input", () => {
      this.#fit();
      onInput(this.#field.value);
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      onEnter();
    });
  }

  get isTooLong() {
    return left(this.#field.value) < 0;
  }

  /** The caption of another file, known by any object of its own. */
  show(owner, text) {
    if (owner === this.#shown && this.#field.value === text) return;
    this.#shown = owner;
    this.#field.value = text;
    this.#fit();
  }

  /** `otherwise`: what gets the focus where there is no caption. */
  focus(otherwise = null) {
    if (this.node.hidden) otherwise?.focus({ preventScroll: true });
    else this.#field.focus({ preventScroll: true });
  }

  insert(text, { focus }) {
    this.#field.setRangeText(text, this.#field.selectionStart, this.#field.selectionEnd, "end");
    this.#field.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText" }));
    if (focus) this.focus();
  }

  #fit() {
    const { value } = this.#field;
    setAttribute(this.#grow, "data-text", value);
    const rest = left(value);
    setText(this.#count, rest > COUNTED_FROM ? "" : rest.toLocaleString("pt-BR"));
    this.node.classList.toggle("too-long", rest < 0);
  }
}

const left = (text) => MAX_CAPTION_LENGTH - [...text.trim()].length;
