/**
 * The messages of one conversation. Pure state: no DOM, no network.
 *
 * A message is known by its `client_id` (ours) or its `id`, so the bubble drawn while sending and
 * the server's message are one entry. Messages carry no version of their own: each is kept with
 * the version of the conversation it was seen at, and older news never replaces newer.
 *
 * A local message has `delivery`: "pending" (on its way to our server), "waiting" (our server did
 * not answer, and is asked again: the client_id makes that safe), "held" (somebody else answered
 * meanwhile, and the attendant has to confirm it), "unsent" (it waited so long that the attendant has
 * to decide) or "refused" (our server answered no). The server's message has none.
 */

import { isFurther, withStatus } from "../../message_status.js";

export const messageKey = (message) => message.client_id || message.id;

export const isLocal = (message) => message.delivery !== undefined;

/** The status to show: what our own server did not take was not sent either. */
export function statusOf(message) {
  return message.delivery === "unsent" || message.delivery === "refused" ? "failed" : message.status;
}

export function sameData(a, b) {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

export class Thread {
  /** The newest page has been fetched. */
  loaded = false;
  /** Something may be missing (the stream had a gap): fetch again before showing as complete. */
  stale = false;
  /** What to pass as `before` for the page above, null at the beginning of the conversation. */
  next = null;

  #entries = new Map(); // message key -> {message, version, told}; `told`: the moment of its status
  #keys = new Map(); // message id -> its key, where that is another
  #localKeys = new Set();
  #sorted = null;
  #isHandedOut = false; // somebody may hold `#sorted`: what changes is another array then
  #onChange;

  /** `onChange()`: some message is another, came or went. */
  constructor(onChange = () => {}) {
    this.#onChange = onChange;
  }

  /** All messages, oldest first; the same array until something changes. */
  get messages() {
    this.#sorted ??= [...this.#entries.values()].map((entry) => entry.message).sort(byPosition);
    this.#isHandedOut = true;
    return this.#sorted;
  }

  get newest() {
    return this.messages.at(-1) ?? null;
  }

  /** The oldest message that came from the server. */
  get oldest() {
    return this.messages.find((message) => !isLocal(message)) ?? null;
  }

  get locals() {
    return [...this.#localKeys].map((key) => this.#entries.get(key).message).sort(byPosition);
  }

  find(key) {
    return (this.#entries.get(key) ?? this.#entries.get(this.#keys.get(key)))?.message ?? null;
  }

  /** Whether there is a message with exactly this key. */
  has(key) {
    return this.#entries.has(key);
  }

  /**
   * A message from the server, seen at this conversation version. True when something changed.
   * `moment`: the state's before it was asked for; `at`: when the event that brought it was
   * published. A status that was told later than that is not undone.
   */
  put(message, version, { moment = Infinity, at = null } = {}) {
    const key = messageKey(message);
    const entry = this.#entries.get(key);
    if (!entry || isLocal(entry.message)) return this.#set(key, message, version);
    const known = entry.message;
    const [older, newer] = version >= entry.version ? [known, message] : [message, known];
    // The status moves by its own events, which have no version: keep the further one, and of two
    // that are as far the later one ("sending" becomes doubtful and certain again).
    const later = older === known && (entry.told > moment || Boolean(at && at < known.status_at));
    const keep = isFurther(older.status, newer.status) || (later && !isFurther(newer.status, older.status));
    const merged = keep ? withStatus(newer, { ...older, at: older.status_at }) : newer;
    return this.#set(key, merged, Math.max(version, entry.version));
  }

  /** A message of this page that the server has not confirmed. */
  putLocal(message) {
    const key = messageKey(message);
    const entry = this.#entries.get(key);
    if (entry && !isLocal(entry.message)) return false;
    return this.#set(key, message, -1);
  }

  /** Changes a local message; false when the server's message has already taken its place. */
  updateLocal(key, change) {
    const message = this.#entries.get(key)?.message;
    if (!message || !isLocal(message)) return false;
    return this.#set(key, { ...message, ...change }, -1);
  }

  /** Adds what only this page knows of a server's message; its next version does without. */
  annotate(key, notes) {
    const entry = this.#entries.get(key);
    return entry ? this.#set(key, { ...entry.message, ...notes }, entry.version) : false;
  }

  removeLocal(key) {
    const message = this.#entries.get(key)?.message;
    if (!message || !isLocal(message)) return null;
    this.#delete(key);
    this.#onChange();
    return message;
  }

  /** Whether something changed; null when the message is not known here. `moment`: the state's. */
  applyStatus(key, change, moment) {
    const message = this.find(key);
    if (!message || isLocal(message)) return null;
    const entryKey = messageKey(message);
    const { version } = this.#entries.get(entryKey);
    return this.#set(entryKey, withStatus(message, change), version, moment);
  }

  /** Keeps the newest messages alone, so many of the server's, and what is this page's; true when
   * there were more, which are fetched again when they are wanted. */
  trim(count) {
    const theirs = this.messages.filter((message) => !isLocal(message));
    if (theirs.length <= count) return false;
    for (const message of theirs.slice(0, -count)) this.#delete(messageKey(message));
    this.next = theirs.at(-count).position;
    this.#onChange();
    return true;
  }

  /** The server has nothing any more up to this position; true when something was here. */
  removeUpTo(position) {
    const gone = this.messages.filter((message) => !isLocal(message) && message.position <= position);
    for (const message of gone) this.#delete(messageKey(message));
    if (this.next !== null && this.next <= position) this.next = null;
    if (gone.length) this.#onChange();
    return gone.length > 0;
  }

  /** Takes over another thread's messages (its conversation was merged into this one). */
  absorb(other) {
    for (const { message } of other.#entries.values()) {
      if (isLocal(message)) this.putLocal(message);
      else this.put(message, 0); // the other conversation counted versions of its own
    }
  }

  #set(key, message, version, moment = 0) {
    const entry = this.#entries.get(key);
    const told = Math.max(moment, entry?.told ?? 0);
    if (entry && sameData(entry.message, message)) {
      Object.assign(entry, { version, told });
      return false;
    }
    this.#place(entry?.message ?? null, message);
    this.#entries.set(key, { message, version, told });
    if (message.id !== key) this.#keys.set(message.id, key);
    if (isLocal(message)) this.#localKeys.add(key);
    else this.#localKeys.delete(key);
    this.#onChange();
    return true;
  }

  #delete(key) {
    const { message } = this.#entries.get(key);
    this.#place(message, null);
    this.#entries.delete(key);
    this.#keys.delete(message.id);
    this.#localKeys.delete(key);
  }

  /** Puts one message in place of another (null: of none, or none), without sorting all anew. */
  #place(before, after) {
    if (!this.#sorted) return;
    if (this.#isHandedOut) this.#sorted = [...this.#sorted];
    this.#isHandedOut = false;
    const at = before ? placeOf(this.#sorted, before) : -1;
    if (before && this.#sorted[at] !== before) {
      this.#sorted = null; // of several at one position it is another: sorted when it is asked for
    } else if (before && after && before.position === after.position) {
      this.#sorted[at] = after;
    } else {
      if (before) this.#sorted.splice(at, 1);
      if (after) this.#sorted.splice(placeOf(this.#sorted, after), 0, after);
    }
  }
}

const byPosition = (a, b) => (a.position < b.position ? -1 : a.position > b.position ? 1 : 0);

/** The first place in a sorted array at which a message is not before this one. */
function placeOf(sorted, message) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byPosition(sorted[middle], message) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
