/** Where an attendant types: grows with its text, Enter sends, Shift+Enter breaks the line. */

import { setAttribute, setHidden, setText } from "../parts/dom.js";
import { windowLeft, windowWords } from "../parts/format.js";

/** WhatsApp's limit for a text message, in characters. */
export const MAX_TEXT_LENGTH = 4096;

export class Composer {
  #root;
  #form;
  #input;
  #sendButton;
  #notice;
  #conversationId = null;
  #closed = false;
  #callbacks;

  /** Callbacks: onSend(text), onInput(text). */
  constructor(root, callbacks) {
    this.#root = root;
    this.#callbacks = callbacks;
    this.#form = root.querySelector(".composer");
    this.#input = root.querySelector(".composer-input");
    this.#sendButton = root.querySelector(".send-button");
    this.#notice = root.querySelector(".composer-notice");
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#input.addEventListener("keydown", (event) => this.#keyDown(event));
    this.#input.addEventListener("input", () => {
      this.#grow();
      this.#renderLength();
      callbacks.onInput(this.#input.value);
    });
  }

  /** `draft` fills the field when another conversation is opened; `window`: see format.js. */
  render({ conversationId, draft, window }) {
    this.#closed = window.state === "closed";
    this.#root.classList.toggle("window-closed", this.#closed);
    setHidden(this.#notice, window.state === "open");
    this.#notice.classList.toggle("closed", this.#closed);
    setText(this.#notice.querySelector(".window-words"), windowWords(window));
    setText(this.#notice.querySelector(".window-left"), windowLeft(window));
    if (this.#input.disabled !== this.#closed) this.#input.disabled = this.#closed;
    setAttribute(this.#input, "placeholder", this.#closed ? "Janela de 24 horas encerrada" : "Digite uma mensagem");
    if (conversationId !== this.#conversationId) {
      this.#conversationId = conversationId;
      this.setText(draft);
    }
    this.#renderLength();
  }

  get text() {
    return this.#input.value;
  }

  setText(text) {
    this.#input.value = text;
    this.#grow();
    this.#renderLength();
  }

  focus() {
    this.#input.focus({ preventScroll: true });
  }

  #keyDown(event) {
    // During IME composition Enter picks a word; keyCode 229 is how Safari tells.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.#input.value.trim();
    if (!text || this.#closed || tooLong(text)) return;
    this.setText("");
    this.#callbacks.onInput("");
    this.#callbacks.onSend(text);
    this.focus();
  }

  #renderLength() {
    const text = this.#input.value.trim();
    const long = tooLong(text);
    this.#form.classList.toggle("too-long", long);
    setText(
      this.#form.querySelector(".composer-length"),
      long ? `Texto longo demais: ${length(text).toLocaleString("pt-BR")} de ${MAX_TEXT_LENGTH.toLocaleString("pt-BR")} caracteres.` : "",
    );
    const disabled = !text || this.#closed || long;
    if (this.#sendButton.disabled !== disabled) this.#sendButton.disabled = disabled;
  }

  /** The copy of the text behind the field gives it its height: see composer.css. */
  #grow() {
    setAttribute(this.#input.parentElement, "data-text", this.#input.value);
  }
}

const length = (text) => [...text].length;

// Counting characters is only needed near the limit: a character has one or two UTF-16 units.
const tooLong = (text) => text.length > MAX_TEXT_LENGTH && length(text) > MAX_TEXT_LENGTH;
