/** What was typed and not sent, per conversation: in every tab of the attendant, and after them. */
export class Drafts {
  #storage;
  #prefix;
  #timePrefix;
  #now;
  #known = new Map(); // read once from the storage: every drawing of the list asks for all of them
  #unkept = new Set(); // ids of those that the storage did not take
  #isClosed = false;

  /** `storage` is localStorage or alike; `userId` keeps two attendants' drafts apart; `what` is kept
   * beside them in the same way; `now()`: the milliseconds, where it is to be known when each was
   * written. */
  constructor(storage, userId, what = "draft", now = null) {
    this.#storage = storage;
    this.#now = now;
    this.#prefix = `chat.${what}.${encodeURIComponent(userId)}/`;
    this.#timePrefix = `chat.written-at.${what}.${encodeURIComponent(userId)}/`;
  }

  /** Whether closing the page would lose what was typed: the storage did not take it. */
  get isAtRisk() {
    return this.#unkept.size > 0;
  }

  get(conversationId) {
    if (!this.#known.has(conversationId)) {
      this.#known.set(conversationId, this.#storage.getItem(this.#prefix + conversationId) ?? "");
    }
    return this.#known.get(conversationId);
  }

  /** When the draft was written, in milliseconds; null: there is none. One of which that is not
   * known, as from before it was kept, was written long ago. */
  at(conversationId) {
    if (!this.get(conversationId)) return null;
    return Number(this.#storage.getItem(this.#timePrefix + conversationId)) || 0;
  }

  /** The conversations that have one. */
  get ids() {
    return this.#keys(this.#prefix).map((key) => key.slice(this.#prefix.length));
  }

  set(conversationId, text) {
    if (this.#isClosed) return;
    const key = this.#prefix + conversationId;
    this.#known.set(conversationId, text);
    this.#unkept.delete(conversationId);
    try {
      if (text) this.#storage.setItem(key, text);
      else this.#storage.removeItem(key);
      if (this.#now) this.#keepTime(conversationId, text);
    } catch {
      this.#unkept.add(conversationId); // full, or forbidden: only this page has it
    }
  }

  #keepTime(conversationId, text) {
    const key = this.#timePrefix + conversationId;
    if (text) this.#storage.setItem(key, String(this.#now()));
    else this.#storage.removeItem(key);
  }

  /** Another tab changed the storage, by typing or sending: the conversation's id, or null. */
  onStorage({ key, newValue }) {
    if (!key?.startsWith(this.#prefix)) return null;
    const id = key.slice(this.#prefix.length);
    this.#known.set(id, newValue ?? "");
    this.#unkept.delete(id);
    return id;
  }

  /** The conversation was merged into another one: what was typed follows. */
  move(from, to) {
    const text = this.get(from);
    if (!text) return;
    this.set(from, ""); // first, or a tab that hears of both would move it once more
    const there = this.get(to);
    this.set(to, there ? `${there}\n${text}` : text);
  }

  /** The attendant logs out: nothing stays in this browser. */
  forget() {
    this.#isClosed = true;
    this.#known.clear();
    this.#unkept.clear();
    for (const prefix of [this.#prefix, this.#timePrefix]) {
      for (const key of this.#keys(prefix)) this.#storage.removeItem(key);
    }
  }

  #keys(prefix) {
    const keys = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index));
    return keys.filter((key) => key?.startsWith(prefix));
  }
}

/** Storage for browsers that deny theirs: lasts as long as the page. */
export class MemoryStorage {
  #values = new Map();

  get length() {
    return this.#values.size;
  }

  key(index) {
    return [...this.#values.keys()][index] ?? null;
  }

  getItem(key) {
    return this.#values.get(key) ?? null;
  }

  setItem(key, value) {
    this.#values.set(key, value);
  }

  removeItem(key) {
    this.#values.delete(key);
  }
}

/** What a browser that denies its storage has instead: it takes nothing, so that the page knows. */
const DENIED = {
  length: 0,
  key: () => null,
  getItem: () => null,
  setItem() {
    throw new Error("no storage");
  },
  removeItem() {},
};

/** The tab's own storage, or memory where the browser forbids it (merely reading it may throw). */
export function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return new MemoryStorage();
  }
}

/** The storage that all tabs share; where the browser forbids it, one that takes nothing. */
export function browserStorage() {
  try {
    return window.localStorage ?? DENIED;
  } catch {
    return DENIED;
  }
}
