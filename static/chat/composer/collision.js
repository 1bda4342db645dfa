/** Somebody else answered while this attendant was writing: that is seen before the own text goes. */

import { setHidden, setText } from "../parts/dom.js";
import { clockTime, dayLabel, daysAgo } from "../parts/format.js";
import { previewText } from "../parts/media_format.js";
import { plainText } from "../parts/rich_text.js";

const LATELY_MS = 10 * 60_000;

/** What had arrived last when the writing of each draft began. No DOM. */
export class Beginnings {
  #newest = new Map(); // conversation id → message id
  #newestOf;

  /** `newestOf(id)`: the id of the message that has arrived last in a conversation, or null. */
  constructor(newestOf) {
    this.#newestOf = newestOf;
  }

  /** The field of a conversation holds this text. */
  wrote(id, text) {
    if (!text.trim()) this.#newest.delete(id);
    else if (!this.#newest.get(id)) this.#newest.set(id, this.#newestOf(id));
  }

  /** The text is sent: what had arrived when its writing began. */
  take(id) {
    const newest = this.#newest.get(id) ?? this.#newestOf(id);
    this.#newest.delete(id);
    return newest;
  }

  /** The conversation was merged into another one. */
  move(from, to) {
    const newest = this.#newest.get(from);
    this.#newest.delete(from);
    if (newest && !this.#newest.get(to)) this.#newest.set(to, newest);
  }
}

/** The strip above the field that shows the other's answer and asks for a word. */
export class CollisionStrip {
  #strip;
  #title;
  #text;

  /** Callbacks: onSend(), all the same; onCancel(), the text goes back into the field. */
  constructor(root, { onSend, onCancel }) {
    this.#strip = root.querySelector(".collision");
    this.#title = this.#strip.querySelector(".collision-title");
    this.#text = this.#strip.querySelector(".collision-text");
    this.#strip.querySelector(".collision-send").addEventListener("click", () => onSend());
    this.#strip.querySelector(".collision-cancel").addEventListener("click", () => onCancel());
    root.querySelector(".composer").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || this.#strip.hidden) return;
      event.preventDefault(); // which would close the conversation
      onCancel();
    });
  }

  /** `message`: the other's answer; null: nothing waits for a word. */
  render({ message, now }) {
    setHidden(this.#strip, message === null);
    if (!message) return;
    setText(this.#title, titleOf(message, now));
    setText(this.#text, plainText(previewText(message)));
  }
}

function titleOf({ author, sent_at: sentAt }, now) {
  const name = author?.kind === "business_app" ? "O celular da empresa" : (author?.name ?? "Alguém");
  const date = new Date(sentAt);
  if (now - date < LATELY_MS) return `${name} respondeu há pouco:`;
  const days = daysAgo(date, now);
  if (days <= 0) return `${name} respondeu às ${clockTime(date)}:`;
  const day = dayLabel(sentAt, now).toLocaleLowerCase("pt-BR");
  return `${name} respondeu ${days < 7 ? day : `em ${day}`}:`;
}
