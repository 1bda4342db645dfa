/** Which voice notes were played in this browser: the newest few hundred. WhatsApp lets a business
 * tell nobody, so it is this attendant's own mark. */

const MOST = 500;

export class Heard {
  #storage;
  #key;
  #ids;

  /** `storage`: localStorage or alike. */
  constructor(storage, userId) {
    this.#storage = storage;
    this.#key = `chat.heard.${encodeURIComponent(userId)}`;
    this.#ids = new Set(this.#read());
  }

  has(id) {
    return this.#ids.has(id);
  }

  add(id) {
    if (this.#ids.has(id)) return;
    // Another tab has heard others meanwhile.
    const all = [...new Set([...this.#read(), ...this.#ids, id])];
    this.#ids = new Set(all.slice(-MOST));
    try {
      this.#storage.setItem(this.#key, JSON.stringify([...this.#ids]));
    } catch {
      // full, or forbidden: it is known as long as the page is
    }
  }

  forget() {
    this.#ids.clear();
    this.#storage.removeItem(this.#key);
  }

  #read() {
    try {
      const ids = JSON.parse(this.#storage.getItem(this.#key) ?? "[]");
      return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
    } catch {
      return []; // not ours
    }
  }
}

/** The voice note that follows a message at once, notices aside, and is still to be heard; or null.
 * Pure. `messages`: the thread's, oldest first. */
export function nextVoice(messages, message, isHeard) {
  const place = messages.findIndex(({ id }) => id === message.id);
  if (place < 0) return null;
  const next = messages.slice(place + 1).find(({ type }) => type !== "system");
  const plays = next?.media?.kind === "voice" && next.media.state === "ready" && !next.revoked_at;
  return plays && next.direction === "in" && !isHeard(next) ? next : null;
}
