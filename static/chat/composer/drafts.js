/** What was typed and not sent, per conversation, kept for this tab (survives a reload). */
export class Drafts {
  #storage;
  #prefix;
  #known = new Map(); // read once from the storage: every drawing of the list asks for all of them

  /** `storage` is sessionStorage or alike; `userId` keeps two attendants' drafts apart. */
  constructor(storage, userId) {
    this.#storage = storage;
    this.#prefix = `chat.draft.${userId}.`;
  }

  get(conversationId) {
    if (!this.#known.has(conversationId)) {
      this.#known.set(conversationId, this.#storage.getItem(this.#prefix + conversationId) ?? "");
    }
    return this.#known.get(conversationId);
  }

  set(conversationId, text) {
    const key = this.#prefix + conversationId;
    this.#known.set(conversationId, text);
    try {
      if (text) this.#storage.setItem(key, text);
      else this.#storage.removeItem(key);
    } catch {
      // The storage is full: it is kept in memory, only a reload would lose it.
    }
  }

  /** The conversation was merged into another one: what was typed follows. */
  move(from, to) {
    const text = this.get(from);
    if (!text) return;
    const there = this.get(to);
    this.set(to, there ? `${there}\n${text}` : text);
    this.set(from, "");
  }
}

/** Storage for browsers that deny sessionStorage: lasts as long as the page. */
export class MemoryStorage {
  #values = new Map();

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

/** The tab's own storage, or memory where the browser forbids it (merely reading it may throw). */
export function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return new MemoryStorage();
  }
}
