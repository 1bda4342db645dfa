/** Which message the next one answers: kept per chat as the draft is, and shown over the field. */

import { Drafts } from "../composer/drafts.js";
import { pictureOf } from "../media/quoted.js";
import { createQuote, updateQuote } from "../message/quote.js";
import { ICONS, el, icon, setHidden } from "../parts/dom.js";
import { previewText } from "../parts/media_format.js";

/** What is kept of the message, and sent along: how the bubble shows it until the server's comes. */
export const quoteOf = (message) => ({
  id: message.id,
  text: previewText(message),
  author_name: message.author?.name ?? null,
  author_kind: message.author?.kind ?? null,
  ...(pictureOf(message) && { picture: pictureOf(message) }),
});

/** By conversation; in every tab of the attendant, across reloads. No DOM. */
export class Replies {
  #kept;

  constructor(storage, userId) {
    this.#kept = new Drafts(storage, userId, "reply");
  }

  /** The quote as `quoteOf` made it, or null. */
  get(id) {
    try {
      const quoted = JSON.parse(this.#kept.get(id) || "null");
      return quoted?.id ? quoted : null;
    } catch {
      return null; // not ours
    }
  }

  /** The conversations that have one. */
  get ids() {
    return this.#kept.ids;
  }

  set(id, quoted) {
    this.#kept.set(id, quoted ? JSON.stringify(quoted) : "");
  }

  /** The conversation was merged into another one, where an answer under way goes first. */
  move(from, to) {
    const quoted = this.get(from);
    if (!quoted) return;
    this.set(from, null);
    if (!this.get(to)) this.set(to, quoted);
  }

  /** Whether a "storage" event was another tab's answer begun or ended. */
  onStorage(event) {
    return this.#kept.onStorage(event) !== null;
  }

  forget() {
    this.#kept.forget();
  }
}

/** The bar over the field that shows what is answered. */
export class QuoteBar {
  #node;
  #quote;

  /** `root`: the thread's pane. onDrop(): answer nothing after all; onJump(messageId). */
  constructor(root, { onDrop, onJump }) {
    const quote = el("button", "quote");
    quote.type = "button";
    quote.addEventListener("click", () => onJump(quote.dataset.quotedId));
    const drop = el("button", "icon-button", icon(ICONS.close));
    drop.type = "button";
    drop.setAttribute("aria-label", "Cancelar resposta");
    drop.title = "Cancelar resposta";
    drop.addEventListener("click", () => onDrop());
    this.#quote = createQuote(quote);
    this.#node = el("div", "quote-bar", quote, drop);
    this.#node.setAttribute("role", "group");
    this.#node.setAttribute("aria-label", "Respondendo a");
    this.#node.hidden = true;
    root.querySelector(".composer-box").before(this.#node);
  }

  get isShown() {
    return !this.#node.hidden;
  }

  /** `quoted`: null where nothing is answered; `who`: {viewer, customerName}. */
  render(quoted, who) {
    setHidden(this.#node, !quoted);
    updateQuote(this.#quote, quoted, who);
  }
}
