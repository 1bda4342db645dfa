/** Where an attendant types: grows with its text, Enter sends, Shift+Enter breaks the line. */

import { setAttribute, setHidden, setText, touch } from "../parts/dom.js";
import { windowLeft, windowWords } from "../parts/format.js";
import { Completions } from "./completions.js";

/** WhatsApp's limit for a text message, in characters. */
export const MAX_TEXT_LENGTH = 4096;
/** With this many left, they are counted. */
const COUNTED_FROM = 200;

const LIMIT = `o WhatsApp aceita até ${MAX_TEXT_LENGTH.toLocaleString("pt-BR")} caracteres por mensagem.`;
const TOO_LONG = `Texto longo demais: ${LIMIT} Encurte-o para enviar.`;
const PASTED_TOO_LONG = `Tudo o que foi colado está no campo, mas ${LIMIT} Encurte o texto, ou envie-o em partes.`;

/** Between the buttons there is room for one word, which is WhatsApp's there. */
const narrow = matchMedia("(max-width: 480px)");

export class Composer {
  /** What is offered for the word at the caret. */
  completions;

  #root;
  #form;
  #input;
  #sendButton;
  #emojiButton;
  #notice;
  #length;
  #count;
  #conversationId = null;
  #closed = false;
  #pasted = false; // what made the text too long came all at once
  #callbacks;

  /** Callbacks: onSend(text), onInput(text). */
  constructor(root, callbacks) {
    this.#root = root;
    this.#callbacks = callbacks;
    this.#form = root.querySelector(".composer");
    this.#input = root.querySelector(".composer-input");
    this.#sendButton = root.querySelector(".send-button");
    this.#emojiButton = root.querySelector(".emoji-button");
    this.#notice = root.querySelector(".composer-notice");
    this.#length = root.querySelector(".composer-length");
    this.#count = root.querySelector(".composer-count");
    this.completions = new Completions(this.#input, root.querySelector(".completions"), {
      onTake: ({ text, select }, from, to) => this.insert(text, { from, to, select }),
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#input.addEventListener("keydown", (event) => this.#keyDown(event));
    this.#input.addEventListener("input", ({ inputType }) => {
      this.#pasted = inputType === "insertFromPaste" || inputType === "insertFromDrop"
        || (this.#pasted && isTooLong(this.#input.value.trim()));
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
    setHidden(this.#emojiButton, this.#closed);
    const hint = narrow.matches ? "Mensagem" : "Digite uma mensagem";
    setAttribute(this.#input, "placeholder", this.#closed ? "Janela de 24 horas encerrada" : hint);
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
    this.#pasted = false;
    this.completions.close();
    this.#grow();
    this.#renderLength();
  }

  /** Whether anything can be written now. */
  get isOpen() {
    return !this.#closed;
  }

  /**
   * Puts a text where the caret is, or in place of what stands from `from` to `to`; `select`: the part
   * of it that is selected then, [start, end]. The focus stays where it is.
   */
  insert(text, { from = this.#input.selectionStart, to = this.#input.selectionEnd, select = null } = {}) {
    if (this.#closed) return;
    const focused = document.activeElement;
    if (focused !== this.#input && !touch.matches) this.focus();
    this.#input.setSelectionRange(from, to);
    // As if it was typed, so that it can be undone; put there where that is not to be had.
    if (document.activeElement !== this.#input || !document.execCommand("insertText", false, text)) {
      this.#input.setRangeText(text, from, to, "end");
      this.#input.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText" }));
    }
    if (select) this.#input.setSelectionRange(from + select[0], from + select[1]);
    if (focused !== this.#input && focused !== document.body) focused.focus({ preventScroll: true });
  }

  focus() {
    this.#input.focus({ preventScroll: true });
  }

  #keyDown(event) {
    if (this.completions.keyDown(event)) return;
    // During IME composition Enter picks a word; keyCode 229 is how Safari tells.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.#input.value.trim();
    if (!text || this.#closed || isTooLong(text)) return;
    this.setText("");
    this.#callbacks.onSend(text); // first: what is known of its writing ends with the text
    this.#callbacks.onInput("");
    this.focus();
  }

  /** The arrow is there when there is something to send. */
  #renderLength() {
    const text = this.#input.value.trim();
    const left = charactersLeft(text);
    const long = left < 0;
    this.#form.classList.toggle("too-long", long);
    setText(this.#length, long ? (this.#pasted ? PASTED_TOO_LONG : TOO_LONG) : "");
    setText(this.#count, left > COUNTED_FROM ? "" : left.toLocaleString("pt-BR"));
    setHidden(this.#sendButton, !text || this.#closed);
    this.#form.classList.toggle("with-text", Boolean(text));
    if (this.#sendButton.disabled !== long) this.#sendButton.disabled = long;
  }

  /** The copy of the text behind the field gives it its height: see composer.css. */
  #grow() {
    setAttribute(this.#input.parentElement, "data-text", this.#input.value);
  }
}

/** How many more fit, exact near the limit; negative when it is too long. A character has one or two
 * UTF-16 units, so that far from it nothing has to be counted. */
function charactersLeft(text) {
  const least = MAX_TEXT_LENGTH - text.length;
  return least > COUNTED_FROM ? least : MAX_TEXT_LENGTH - [...text].length;
}

const isTooLong = (text) => charactersLeft(text) < 0;
