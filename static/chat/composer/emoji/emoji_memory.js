/** What this attendant last chose of the emoji, and the skin tone, in this browser. */

const MOST_RECENT = 32;

export class EmojiMemory {
  #storage;
  #key;
  #isClosed = false;

  /** `storage`: localStorage or alike; `userId`: two attendants at one computer have their own. */
  constructor(storage, userId) {
    this.#storage = storage;
    this.#key = `chat.emoji.${encodeURIComponent(userId)}`;
  }

  /** The last ones, the newest first. */
  get recent() {
    return this.#read().recent;
  }

  /** An index of `TONES`. */
  get tone() {
    return this.#read().tone;
  }

  set tone(tone) {
    this.#write({ ...this.#read(), tone });
  }

  chose(emoji) {
    const { recent, tone } = this.#read();
    this.#write({ recent: [emoji, ...recent.filter((each) => each !== emoji)].slice(0, MOST_RECENT), tone });
  }

  /** The attendant logs out: nothing stays in this browser. */
  forget() {
    this.#isClosed = true;
    this.#storage.removeItem(this.#key);
  }

  #read() {
    let known = null;
    try {
      known = JSON.parse(this.#storage.getItem(this.#key));
    } catch {
      // Not ours: as if there was none.
    }
    const recent = Array.isArray(known?.recent) ? known.recent.filter((each) => typeof each === "string") : [];
    const tone = Number.isInteger(known?.tone) && known.tone >= 0 && known.tone < 6 ? known.tone : 0;
    return { recent, tone };
  }

  #write(known) {
    if (this.#isClosed) return;
    try {
      this.#storage.setItem(this.#key, JSON.stringify(known));
    } catch {
      // Full, or forbidden: not remembered.
    }
  }
}
