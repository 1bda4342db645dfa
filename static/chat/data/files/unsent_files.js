/**
 * The bytes of what is being sent: kept until the server has them, found again after a reload, shown
 * from here meanwhile. The messages themselves stand in the outbox like any text.
 */

import { ApiError } from "../api.js";
import { isLocal } from "../thread_state.js";

/** The drawing follows in steps of this much. */
const STEP = 0.01;
const GONE = "O arquivo não está mais neste navegador. Escolha-o de novo.";

export class UnsentFiles {
  #store;
  #uploader;
  #onChange;
  #known = new Map(); // client_id → {file, url, thumbUrl, progress, isSent, isGone?}; file: null, it is in the store
  #running = new Map(); // client_id → what `transfer` gave
  #drawn = new WeakMap(); // message → what it was drawn from, and as: {progress, url, isGone, message}

  /** `store`: a FileStore; `uploader`: an Uploader; `onChange()`: draw again. */
  constructor({ store, uploader, onChange }) {
    this.#store = store;
    this.#uploader = uploader;
    this.#onChange = onChange;
    store.purge();
  }

  /** A new one; `thumb`: a smaller picture of it, or null. Resolves to whether the browser has taken
   * it, so that another tab, or the next page, finds it. */
  async add(key, file, thumb = null) {
    const url = URL.createObjectURL(file);
    const thumbUrl = thumb && URL.createObjectURL(thumb);
    const known = { file, url, thumbUrl, progress: null, isSent: false };
    this.#known.set(key, known);
    const isKept = await this.#store.put(key, file);
    // What is on the disk may be changed or deleted; the copy is not.
    if (isKept && this.#known.get(key) === known && !known.isSent) known.file = null;
    return isKept;
  }

  /** Sends a message with its bytes: {answer, quietSince(), abort()}, see `transfer`. */
  send(conversationId, message) {
    const key = message.client_id;
    const began = performance.now();
    let attempt = null;
    let isAborted = false;
    const work = async () => {
      const file = await this.#fileOf(key);
      if (!file) throw new ApiError(GONE, { status: 410, code: "file_gone" });
      if (isAborted) throw new ApiError("Envio cancelado.");
      attempt = this.#uploader.send(conversationId, message, file, (done) => this.#progressed(key, done));
      return attempt.answer;
    };
    const handle = {
      answer: work().finally(() => {
        if (this.#running.get(key) === handle) this.#running.delete(key);
        this.#progressed(key, null);
      }),
      quietSince: () => attempt?.quietSince() ?? began,
      abort: () => {
        isAborted = true;
        attempt?.abort();
      },
    };
    this.#running.set(key, handle);
    return handle;
  }

  /** The server has it (`isSent`), or nobody wants it any more. What is on screen stays there until
   * the conversation is left. */
  drop(key, { isSent }) {
    this.#running.get(key)?.abort();
    this.#uploader.forget(key);
    this.#store.delete(key);
    const known = this.#known.get(key);
    if (!known) return;
    if (isSent) Object.assign(known, { file: null, isSent });
    else this.#revoke(key);
  }

  /** The bytes, for whoever wants to send them anew; before `drop`. Null: they are gone. */
  fileOf(key) {
    return this.#fileOf(key);
  }

  /** Another conversation is open: what the server has is shown from there next time. */
  left() {
    for (const [key, { isSent }] of this.#known) if (isSent) this.#revoke(key);
  }

  /** A message as it is to be drawn: with what is here of its bytes, and how far they are. Of the
   * same message the same object, as long as that stays. */
  shown(message) {
    const key = message.client_id;
    const isOurs = message.upload && isLocal(message);
    if (isOurs) this.#find(key);
    const known = message.media && this.#known.get(key);
    if (!known || !(isOurs || known.url)) return message;
    const isOnItsWay = ["pending", "waiting"].includes(message.delivery);
    const progress = isOnItsWay ? known.progress : undefined;
    const drawn = this.#drawn.get(message);
    const { url, isGone } = known;
    if (drawn && drawn.progress === progress && drawn.url === url && drawn.isGone === isGone) return drawn.message;
    const media = { ...message.media, ...localParts(known), ...(progress !== undefined && { progress }) };
    const next = { ...message, media };
    this.#drawn.set(message, { progress, url, isGone, message: next });
    return next;
  }

  /** The attendant logs out: nothing stays in this browser. */
  forget() {
    for (const { abort } of this.#running.values()) abort();
    for (const key of [...this.#known.keys()]) this.#revoke(key);
    this.#store.clear();
  }

  async #fileOf(key) {
    return this.#known.get(key)?.file ?? (await this.#store.get(key));
  }

  /** Of an earlier page, or another tab: to be shown from the store. */
  async #find(key) {
    if (this.#known.has(key)) return;
    this.#known.set(key, { file: null, url: null, thumbUrl: null, progress: null, isSent: false });
    const file = await this.#store.get(key);
    const known = this.#known.get(key);
    if (!known) return;
    if (file) known.url = URL.createObjectURL(file);
    else known.isGone = true;
    this.#onChange();
  }

  #progressed(key, done) {
    const known = this.#known.get(key);
    if (!known || known.progress === done) return;
    const isStep = done === null || done === 1 || known.progress === null || done - known.progress >= STEP;
    if (!isStep) return;
    known.progress = done;
    this.#onChange();
  }

  #revoke(key) {
    const { url, thumbUrl } = this.#known.get(key);
    for (const each of [url, thumbUrl]) if (each) URL.revokeObjectURL(each);
    this.#known.delete(key);
  }
}

/** What of a message's media is here: an address, or as long as that is looked for, that it is coming. */
function localParts({ url, thumbUrl, isGone }) {
  if (isGone) return { state: "unavailable", explanation: GONE };
  if (!url) return { state: "pending" };
  return { local_url: url, ...(thumbUrl && { local_thumb_url: thumbUrl }) };
}
