/** Answers that Claude drafts for an attendant, who sends them, changes them, or drops them. */

import { setHidden, setText } from "../parts/dom.js";

const WORKING = "Claude está escrevendo…";
const OFFERED = "Sugestão do Claude";
const DRAFTED = "Sugestão do Claude: confira antes de enviar.";

/**
 * One suggestion a conversation at most: "working" until it comes; then it is "drafted" into an
 * empty field, or "offered" where something has been typed. It is over once the field holds
 * anything else. No DOM.
 */
export class Suggestions {
  #host;
  #known = new Map(); // conversation id → {state, text, before, abort}

  /** `ask(id, signal)`: resolves to the text; `canTake(id)`: whether it can still be used there;
   * `draftOf(id)`, `setDraft(id, text)`: what the field holds; `onChange()`: draw again;
   * `onFailed(words)`. */
  constructor({ ask, canTake, draftOf, setDraft, onChange, onFailed }) {
    this.#host = { ask, canTake, draftOf, setDraft, onChange, onFailed };
  }

  /** {state, text}, or null. */
  of(id) {
    return this.#known.get(id) ?? null;
  }

  async ask(id) {
    if (this.of(id)?.state === "working") return;
    const mine = { state: "working", text: "", before: "", abort: new AbortController() };
    this.#known.set(id, mine);
    this.#host.onChange();
    try {
      mine.text = await this.#host.ask(id, mine.abort.signal);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      const where = this.#where(mine);
      if (where === null) return; // dropped
      this.#known.delete(where);
      this.#host.onFailed(error.message);
      this.#host.onChange();
      return;
    }
    const where = this.#where(mine);
    if (where === null) return;
    mine.state = "offered";
    // The strip that marks it is not there any more: it would be in the field as if typed.
    if (!this.#host.canTake(where)) this.#known.delete(where);
    else if (!this.#host.draftOf(where).trim()) this.use(where);
    this.#host.onChange();
  }

  /** Into the field, in place of what it holds. */
  use(id) {
    const mine = this.of(id);
    Object.assign(mine, { state: "drafted", before: this.#host.draftOf(id) });
    this.#host.setDraft(id, mine.text);
    this.#host.onChange();
  }

  /** Does without it, at whatever state; the field holds again what it held before. */
  drop(id) {
    const mine = this.of(id);
    this.#known.delete(id);
    mine?.abort.abort();
    if (mine?.state === "drafted") this.#host.setDraft(id, mine.before);
    this.#host.onChange();
  }

  /** The field holds something else: typed, sent, or from another tab. */
  edited(id, text) {
    const mine = this.of(id);
    if (mine?.state !== "drafted" || mine.text === text) return;
    this.#known.delete(id);
    this.#host.onChange();
  }

  /** The conversation was merged into another one. */
  move(from, to) {
    const mine = this.of(from);
    if (!mine) return;
    this.#known.delete(from);
    if (mine.state === "working" && !this.of(to)) this.#known.set(to, mine);
    else mine.abort.abort();
  }

  #where(mine) {
    return [...this.#known].find(([, each]) => each === mine)?.[0] ?? null;
  }
}

/** The button in the composer, and the strip above it that tells how the suggestion goes. */
export class SuggestionStrip {
  #strip;
  #button;
  #parts;

  /** Callbacks: onAsk(), onUse(), onDrop(). */
  constructor(root, { onAsk, onUse, onDrop }) {
    this.#button = root.querySelector(".suggest-button");
    this.#strip = root.querySelector(".suggestion");
    const [title, text, use, drop] = ["title", "text", "use", "drop"]
      .map((name) => this.#strip.querySelector(`.suggestion-${name}`));
    this.#parts = { title, text, use, drop };
    this.#button.addEventListener("click", () => onAsk());
    use.addEventListener("click", () => onUse());
    drop.addEventListener("click", () => onDrop());
  }

  /** `available`: there is somebody to ask, and a field to write in; `suggestion`: as `Suggestions.of`. */
  render({ available, suggestion }) {
    const { state = null, text } = (available && suggestion) || {};
    const { title, text: words, use, drop } = this.#parts;
    setHidden(this.#button, !available);
    if (this.#button.disabled !== (state === "working")) this.#button.disabled = state === "working";
    setHidden(this.#strip, state === null);
    setText(title, { working: WORKING, offered: OFFERED, drafted: DRAFTED }[state] ?? "");
    setHidden(words, state !== "offered");
    setText(words, state === "offered" ? text : "");
    setHidden(use, state !== "offered");
    setText(drop, state === "working" ? "Cancelar" : "Descartar");
    this.#strip.classList.toggle("working", state === "working");
  }
}
