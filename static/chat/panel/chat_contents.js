/** What a chat's messages hold: photos and films, links, documents, and who had it when. Pure, but for what it is
 * given to read with. */

import { addressAt } from "../parts/links.js";
import { isReady, isVisual } from "../parts/media_format.js";

/** Messages read in one request. */
const PAGE = 100;

/** The http addresses in a text, in their order. */
export function linksIn(text) {
  const found = [];
  for (let at = 0; at < text.length;) {
    const address = addressAt(text, at);
    if (address?.href) found.push({ href: address.href, text: text.slice(at, address.end) });
    at = address?.end ?? at + 1;
  }
  return found;
}

/** {media, links, documents, lines} of messages, the newest first: {message}, {message, href, text},
 * {message, text} and {message, text}. */
export function contentsOf(messages) {
  const contents = { media: [], links: [], documents: [], lines: [] };
  for (const message of messages.toReversed()) {
    const { type, author, text = "", placeholder, details = [] } = message;
    if (message.revoked_at) continue;
    if (type === "system") {
      // Said by the chat itself; what WhatsApp says of a customer is no change of owner.
      if (author && author.kind !== "customer") contents.lines.push({ message, text });
      continue;
    }
    const links = [...linksIn(text), ...details.filter(({ href }) => href).map(({ href, value }) => ({ href, text: value }))];
    contents.links.push(...links.map((link) => ({ message, ...link })));
    if (isVisual(message) && isReady(message.media)) contents.media.push({ message });
    if (type === "document") contents.documents.push({ message, text: message.media?.filename || placeholder || text });
  }
  return contents;
}

/** The messages of one conversation as far as they were read: what the thread has, and what this
 * reads further down without drawing it there. */
export class ChatReader {
  state = "idle"; // "idle" | "loading" | "error"

  #id;
  #host;
  #older = new Map(); // message id → message
  #known = { own: null, older: 0, messages: [] }; // what `messages` was made from, and it
  #next; // where to go on; undefined: where the thread ends

  /** `api`; `thread()`: the conversation's thread today; `onChange()`: there is more, or it failed. */
  constructor(id, { api, thread, onChange }) {
    this.#id = id;
    this.#host = { api, thread, onChange };
  }

  /** The oldest first; the same array until one of them is another. */
  get messages() {
    const own = this.#host.thread().messages;
    if (this.#known.own === own && this.#known.older === this.#older.size) return this.#known.messages;
    const known = new Map(this.#older);
    for (const message of own) known.set(message.id, message);
    const messages = [...known.values()].sort((a, b) => (a.position < b.position ? -1 : 1));
    this.#known = { own, older: this.#older.size, messages };
    return messages;
  }

  /** A message is another one now: one of those that only this knows, maybe. */
  learn(message) {
    if (!this.#older.has(message.id)) return;
    this.#older.set(message.id, message);
    this.#known.own = null;
    this.#host.onChange();
  }

  /** Whether there may be more further down. */
  get hasMore() {
    return this.#from() !== null;
  }

  async readMore() {
    const before = this.#from();
    if (this.state === "loading" || before === null) return;
    this.#set("loading");
    const path = `/api/conversations/${encodeURIComponent(this.#id)}/messages`;
    try {
      const query = new URLSearchParams({ before, limit: PAGE });
      const page = await this.#host.api.call("GET", `${path}?${query}`);
      for (const message of page.messages) this.#older.set(message.id, message);
      this.#next = page.next;
      this.#set("idle");
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#set("error");
    }
  }

  /** The thread may have read further by itself. */
  #from() {
    const { loaded, next } = this.#host.thread();
    if (!loaded || next === null || this.#next === null) return null;
    return this.#next === undefined || next < this.#next ? next : this.#next;
  }

  #set(state) {
    this.state = state;
    this.#host.onChange();
  }
}
