/**
 * What the server has not confirmed, where every tab of this attendant sees it and the next one
 * finds it. One key a message: tabs that write at the same time do not overwrite each other.
 *
 * An entry is {id, message}: the conversation's id, and the message with its `client_id`.
 */
export class Outbox {
  #storage;
  #prefix;
  #unkept = new Set(); // client_ids whose newest state the storage did not take

  /** `storage` is localStorage or alike; `userId` keeps two attendants' messages apart. */
  constructor(storage, userId) {
    this.#storage = storage;
    this.#prefix = `chat.unsent.${encodeURIComponent(userId)}/`;
  }

  /** Whether something is nowhere but in this page. */
  get isAtRisk() {
    return [...this.#unkept].some((key) => this.#storage.getItem(this.#prefix + key) === null);
  }

  /** All entries, in no order, but those of which the page knows more than the storage took. */
  read() {
    const entries = this.#keys().map((key) => parse(this.#storage.getItem(key))).filter(isEntry);
    return entries.filter(({ message }) => !this.#unkept.has(message.client_id));
  }

  keep({ id, message }) {
    const taken = this.#write(message.client_id, { id, message });
    if (taken) this.#unkept.delete(message.client_id);
    else this.#unkept.add(message.client_id);
  }

  /** Takes it out, and tells the other tabs why: `message` is the server's, null when discarded. */
  remove({ id, message: { client_id: key } }, message) {
    this.#unkept.delete(key);
    if (this.#storage.getItem(this.#prefix + key) === null) return;
    // The answer may be longer than what it replaces, the bare mark is not.
    if (!this.#write(key, { id, key, gone: true, message })) this.#write(key, { id, key, gone: true });
    this.#storage.removeItem(this.#prefix + key);
  }

  /** What another tab wrote, by a "storage" event: an entry, or {id, key, gone, message}, or null. */
  told({ key, newValue }) {
    return key?.startsWith(this.#prefix) && newValue !== null ? parse(newValue) : null;
  }

  clear() {
    this.#unkept.clear();
    for (const key of this.#keys()) this.#storage.removeItem(key);
  }

  #keys() {
    const keys = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index));
    return keys.filter((key) => key?.startsWith(this.#prefix));
  }

  #write(key, value) {
    try {
      this.#storage.setItem(this.#prefix + key, JSON.stringify(value));
      return true;
    } catch {
      return false; // full, or forbidden
    }
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not ours
  }
}

/** Whether a stored value is a message that waits; a tab may have died between mark and removal. */
const isEntry = (value) => Boolean(value?.message?.client_id && !value.gone);
