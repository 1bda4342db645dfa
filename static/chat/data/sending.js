/**
 * Sending from this page. The bubble is in the state before the request leaves; the server's
 * message takes its place by `client_id`, whichever of answer and event comes first. What the
 * server did not confirm survives a reload of the tab. Requests of one conversation go one after
 * the other, so that the server gets the messages in the order they were typed.
 */

import { isLocal } from "./thread_state.js";

/** What waited longer for the connection is sent by a click only: an answer out of the blue, long
 * after the question, does more harm than good. The server does the same (GIVE_UP_MS). */
const BY_ITSELF_MS = 15 * 60_000;

/** A random UUID, also where crypto.randomUUID is missing (plain http on another machine). */
export function randomId(source = globalThis.crypto) {
  if (source.randomUUID) return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // RFC 4122 variant
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Sender {
  #state;
  #api;
  #storage;
  #storageKey;
  #userName;
  #running = new Set(); // conversation ids with a request under way

  constructor({ state, api, storage, userId, userName }) {
    this.#state = state;
    this.#api = api;
    this.#storage = storage;
    this.#storageKey = `chat.unsent.${userId}`;
    this.#userName = userName;
    this.#restore();
  }

  /** `readUpTo`: the message that had arrived last, on this screen, when this was written. */
  send(conversationId, text, { readUpTo = null, now = new Date() } = {}) {
    const id = randomId();
    this.#state.putLocal(conversationId, {
      id,
      client_id: id,
      conversation_id: conversationId,
      direction: "out",
      author: { kind: "attendant", name: this.#userName },
      type: "text",
      text,
      sent_at: now.toISOString(),
      position: this.#state.nextLocalPosition(now),
      status: "sending",
      delivery: "pending",
      read_up_to: readUpTo,
    });
    this.#drain(conversationId);
  }

  /** Tries again everything of this conversation that got no answer, in its order. */
  retry(conversationId) {
    for (const message of this.#state.thread(conversationId).locals) {
      if (message.delivery === "unsent") {
        this.#state.updateLocal(conversationId, message.client_id, { delivery: "pending" });
      }
    }
    this.#drain(conversationId);
  }

  /** The server is there again: what got no answer lately goes out by itself, once (client_id). */
  retryLately(now = new Date()) {
    const young = ({ delivery, sent_at: at }) => delivery === "unsent" && now - new Date(at) < BY_ITSELF_MS;
    const waiting = this.#state.locals.filter(([, message]) => young(message)).map(([id]) => id);
    for (const id of new Set(waiting)) this.retry(id);
  }

  /** Takes a message that did not go out off the screen; null when the server has it after all. */
  discard(conversationId, clientId) {
    const removed = this.#state.removeLocal(conversationId, clientId);
    this.#save();
    return removed;
  }

  async #drain(id) {
    this.#save();
    if (this.#running.has(id)) return;
    this.#running.add(id);
    try {
      for (let message = this.#nextPending(id); message; message = this.#nextPending(id)) {
        await this.#post(id, message);
        this.#save();
      }
    } finally {
      this.#running.delete(id);
    }
  }

  #nextPending(id) {
    return this.#state.thread(id).locals.find((message) => message.delivery === "pending");
  }

  async #post(id, message) {
    const key = message.client_id;
    const version = this.#state.versionOf(id);
    const { moment } = this.#state;
    try {
      const answer = await this.#api.send(this.#state.resolve(id), message);
      this.#state.putMessages(id, [answer], version, moment);
    } catch (error) {
      if (error.unavailable || error.status === 401) this.#hold(id);
      else if (error.name === "ApiError") {
        const refusal = { code: error.code, message: error.message };
        this.#state.updateLocal(id, key, { delivery: "refused", error: refusal });
      } else throw error;
    }
  }

  /** No answer: what comes after must not overtake it, so everything waits for "try again". */
  #hold(id) {
    for (const message of this.#state.thread(id).locals) {
      if (message.delivery === "pending") {
        this.#state.updateLocal(id, message.client_id, { delivery: "unsent" });
      }
    }
  }

  #save() {
    const waiting = this.#state.locals.filter(([, message]) => isLocal(message));
    try {
      if (waiting.length) this.#storage.setItem(this.#storageKey, JSON.stringify(waiting));
      else this.#storage.removeItem(this.#storageKey);
    } catch {
      // The storage is full: the bubbles are still on screen, only a reload would lose them.
    }
  }

  #restore() {
    let waiting;
    try {
      waiting = JSON.parse(this.#storage.getItem(this.#storageKey) ?? "[]");
    } catch {
      waiting = []; // not ours: nothing to bring back
    }
    for (const [id, message] of waiting) {
      const delivery = message.delivery === "refused" ? "refused" : "unsent";
      this.#state.putLocal(id, { ...message, delivery });
    }
  }
}
