/** Which sends wait too long: asked of the server, and kept up to date by the events. */

import { withStatus } from "../../message_status.js";

const AWAITING_MS = 60_000; // the server's, until its first answer tells
const SLACK_MS = 1_500; // asking again a little after a send became worth a look: clocks differ
const AGAIN_MS = 30_000; // after a failed request, or when the server has more than it listed

/**
 * Which sends have stayed without "sent" for too long. The server is asked once at the start, and
 * again only when a send seen here has waited that long, or when it has more than it listed: while
 * all goes well, nothing is asked.
 */
export class Awaiting {
  #host;
  #listed = new Map(); // message id → message, as the server listed them
  #watched = new Map(); // message id → when it was seen, ms
  #ms = AWAITING_MS;
  #told = null; // the events that came since the request that is under way began
  #askAt = Infinity; // even if no send has waited long by then
  #notBefore = 0;
  #timer = null;

  /** `fetch()`: the server's answer {messages, more, seconds}; `onChange()`: it is another list. */
  constructor({ fetch, onChange, now = Date.now }) {
    this.#host = { fetch, onChange, now };
  }

  /** The messages, the newest first. */
  get messages() {
    return [...this.#listed.values()];
  }

  /** Once more, when what was too young at the start has come of age. */
  start() {
    this.#watched.set("", this.#host.now());
    return this.refresh();
  }

  async refresh() {
    const asked = this.#host.now();
    const news = this.#told = [];
    const answer = await this.#host.fetch().catch(() => null);
    if (this.#told !== news) return; // the request that began later knows more
    this.#told = null;
    this.#askAt = !answer || answer.more ? this.#host.now() + AGAIN_MS : Infinity;
    this.#notBefore = answer ? 0 : this.#askAt;
    const before = this.messages;
    if (answer) {
      this.#ms = answer.seconds * 1000;
      this.#listed = new Map(answer.messages.map((message) => [message.id, message]));
      for (const [id, since] of this.#watched) if (asked - since > this.#ms) this.#watched.delete(id);
    }
    for (const event of news) this.onEvent(event); // the answer may be older than these
    if (JSON.stringify(this.messages) !== JSON.stringify(before)) this.#host.onChange();
    this.#plan();
  }

  onEvent(event) {
    const { type, data, at } = event;
    this.#told?.push(event);
    const message = type === "message.status_changed" ? { ...data, id: data.message_id } : data?.message;
    if (!message || message.direction === "in") return;
    const { id } = message;
    const before = this.#listed.get(id);
    if (message.status !== "sending" || message.retried_as) {
      this.#watched.delete(id);
      this.#listed.delete(id);
    } else if (before) this.#listed.set(id, withStatus(before, { ...message, at })); // in doubt, or certain again
    else if (!this.#watched.has(id)) this.#watched.set(id, this.#host.now());
    if (this.#listed.get(id) !== before) this.#host.onChange();
    this.#plan();
  }

  #plan() {
    clearTimeout(this.#timer);
    const due = Math.min(...this.#watched.values()) + this.#ms + SLACK_MS;
    const at = Math.max(this.#notBefore, Math.min(this.#askAt, due));
    if (at === Infinity || this.#told) return;
    this.#timer = setTimeout(() => this.refresh(), Math.max(0, at - this.#host.now()));
  }
}
