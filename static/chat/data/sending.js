/**
 * Sending from this page. The bubble is in the state before the request leaves; the server's
 * message takes its place by `client_id`, whichever of answer and event comes first.
 *
 * What the server has not confirmed stands in the outbox, which all tabs of the attendant share.
 * Of each conversation one message is sent after the other, in the order they were typed, by one
 * tab at a time (a Web Lock); when that tab is closed, the next one goes on. What got no answer is
 * sent again, which is safe by the client_id, and nothing overtakes it. A file takes its place among
 * the texts; its bytes are kept beside the outbox: see files/unsent_files.js.
 */

import { isSeen } from "../parts/format.js";
import { KINDS } from "../parts/media_format.js";
import { Outbox } from "./outbox.js";
import { isLocal } from "./thread_state.js";

/** What waited longer for the connection is sent by a click only: an answer out of the blue, long
 * after the question, does more harm than good. The server does the same (GIVE_UP_MS). */
export const BY_ITSELF_MS = 15 * 60_000;
/** Between two attempts, doubled with each one that fails. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A request this old when the connection comes back hangs on the one that was lost. */
const HUNG_MS = 5_000;
/** A phone's browser may have put the tab with the lock to sleep: one that is seen goes ahead. Where
 * a file is to be sent, the other tab is more likely in the middle of that. */
const LOCK_PATIENCE_MS = 10_000;
const FILE_LOCK_PATIENCE_MS = 120_000;
/** What was typed while a file took so long begins to wait anew when it is sent. */
const LONG_UPLOAD_MS = 60_000;

/** A random UUID, also where crypto.randomUUID is missing (plain http on another machine). */
export function randomId(source = globalThis.crypto) {
  if (source.randomUUID) return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // RFC 4122 variant
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Milliseconds before the next attempt, after `failures` (1, 2, …) in a row. */
export function waitAfter(failures, random = Math.random) {
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 16));
  return wait * (0.75 + random() / 4); // not all pages in step when a server comes back
}

/** Whether it goes out by itself: neither refused, nor held, nor left to the attendant. */
const isQueued = ({ delivery }) => delivery === "pending" || delivery === "waiting";

export class Sender {
  #state;
  #api;
  #files;
  #outbox;
  #userName;
  #now;
  #locks;
  #lockName;
  #onHeld;
  #entries = new Map(); // client_id -> {id, message}, of this tab and of the others
  #running = new Map(); // conversation id -> whether there is more to do after this
  #wakes = new Map(); // conversation id -> ends the wait for an attempt, or for its answer
  #homeless = new Set(); // client_ids of files that only this page has
  #isClosed = false;

  /** `now`: milliseconds by the server's clock; `storage`: localStorage or alike; `locks`:
   * navigator.locks, null where there is none (two tabs may then send the same message, which the
   * server takes once); `onHeld(id, message)`: something waits for the attendant's word on what
   * somebody else sent; `files`: the UnsentFiles. Nothing is sent before `send` or `resume`. */
  constructor({
    state, api, storage, userId, userName, files = null, now = Date.now, locks = navigator.locks,
    onHeld = () => {},
  }) {
    this.#onHeld = onHeld;
    this.#state = state;
    this.#api = api;
    this.#files = files;
    this.#outbox = new Outbox(storage, userId);
    this.#userName = userName;
    this.#now = now;
    this.#locks = locks ?? null;
    this.#lockName = (id) => `chat.sending.${encodeURIComponent(userId)}/${id}`;
    this.#readOutbox();
  }

  /** Whether something is not confirmed. */
  get hasUnsent() {
    return this.#entries.size > 0;
  }

  /** Whether closing the page would lose a message: the storage did not take it. */
  get isAtRisk() {
    return this.#outbox.isAtRisk || this.#homeless.size > 0;
  }

  /** `readUpTo`: the message that had arrived last, on this screen, when this was written; `after`:
   * when its writing began (what others answered meanwhile is shown before it goes: see `held`);
   * `replyTo`: what it answers, {id, text, author_name, author_kind}; `forwarded`: it comes from
   * another chat; `filled`: {template, asked} where the text is a template's; `attached`: {file,
   * media, thumb} where it is a file's caption; `copied`: {forward_of, media, type} where it is another
   * message's media, with its caption for a text. */
  send(conversationId, text, options = {}) {
    const { readUpTo = null, after = null, replyTo = null, forwarded = false, filled = null } = options;
    const { attached = null, copied = null } = options;
    const id = randomId();
    const held = this.held(conversationId); // which it does not overtake
    const now = Math.round(this.#now());
    // Clocks are set back, and this one is reckoned anew now and then: the order is the typing's.
    const order = Math.max(now, ...this.#of(conversationId).map(({ message }) => message.order + 1));
    const message = {
      id,
      client_id: id,
      conversation_id: conversationId,
      direction: "out",
      author: { kind: "attendant", name: this.#userName },
      type: filled ? "template" : "text",
      text,
      ...(attached && { ...likeServers(attached.media), upload: true }),
      ...(replyTo && { reply_to: replyTo }),
      ...(forwarded && { forwarded }),
      ...(filled && { template: filled.template, asked: filled.asked }),
      ...copied,
      sent_at: new Date(now).toISOString(),
      position: this.#state.nextLocalPosition(order),
      status: "sending",
      delivery: held ? "held" : "pending",
      read_up_to: readUpTo,
      after,
      ...(held && { collision: held }),
      order,
      since: now,
    };
    const entry = { id: conversationId, message };
    this.#entries.set(id, entry);
    if (attached) this.#keepFile(entry, attached);
    else this.#outbox.keep(entry);
    this.#state.putLocal(conversationId, message);
    this.#sendNow(conversationId);
  }

  /** What somebody else sent meanwhile, while messages of this conversation wait for the attendant's
   * word on it; null when none does. */
  held(conversationId) {
    return this.#held(conversationId).at(-1)?.message.collision ?? null;
  }

  /** Sends what is held, all the same; what others send from now on is shown again. */
  release(conversationId) {
    const after = this.held(conversationId)?.id;
    const since = Math.round(this.#now());
    for (const entry of this.#held(conversationId)) {
      this.#change(entry, { delivery: "pending", after, since });
    }
    this.#sendNow(conversationId);
  }

  /** Takes what is held off the screen; nothing of it is sent. Returns these messages, in order. */
  recall(conversationId) {
    const held = this.#held(conversationId);
    return held.map(({ message }) => this.takeBack(conversationId, message.client_id)).filter(Boolean);
  }

  /** As `discard`, where it may be sent anew: a message with a file has its bytes as `file`, a promise
   * of them, or of null. */
  takeBack(conversationId, clientId) {
    const isFile = this.#entries.get(clientId)?.message.upload;
    const file = isFile ? this.#files.fileOf(clientId) : null;
    const removed = this.discard(conversationId, clientId);
    return removed && file ? { ...removed, file } : removed;
  }

  /** Sends everything of this conversation that was left to the attendant, in its order. */
  retry(conversationId) {
    for (const entry of this.#of(conversationId)) {
      if (entry.message.delivery !== "unsent") continue;
      this.#change(entry, { delivery: "pending", since: Math.round(this.#now()) });
    }
    this.#sendNow(conversationId);
  }

  /** The page begins, or the server is there again: what waits goes now. */
  resume() {
    const waiting = [...this.#entries.values()].filter(({ message }) => isQueued(message));
    for (const id of new Set(waiting.map((entry) => this.#state.resolve(entry.id)))) this.#sendNow(id, true);
  }

  /** Takes a message that did not go out off the screen; null when the server has it after all. */
  discard(conversationId, clientId) {
    const removed = this.#state.removeLocal(conversationId, clientId);
    const entry = this.#entries.get(clientId);
    if (entry) this.#drop(entry, removed ? null : this.#state.thread(conversationId).find(clientId));
    return removed;
  }

  /** The conversation is no more: nothing is sent to it, and nothing of it is kept. */
  erased(id) {
    for (const entry of this.#of(id)) this.#drop(entry, null);
  }

  /** Another tab changed the storage: a "storage" event. */
  onStorage(event) {
    const told = this.#isClosed ? null : this.#outbox.told(event);
    if (!told) return;
    if (told.gone) {
      this.#entries.delete(told.key);
      this.#files?.drop(told.key, { isSent: Boolean(told.message) });
      if (told.message) this.#state.putMessages(told.id, [told.message], 0, this.#state.moment);
      else if (told.message === null) this.#state.removeLocal(told.id, told.key);
    } else if (told.message?.client_id && this.#take(told) && this.#locks) {
      this.#sendNow(told.id); // behind the tab that wrote it, should that one be closed
    }
  }

  /** Forgets what the server has by now, from whatever brought it. */
  settle() {
    for (const [key, entry] of this.#entries) {
      const message = this.#state.knownThread(entry.id)?.find(key);
      if (message && !isLocal(message)) this.#drop(entry, message);
    }
  }

  /** The attendant logs out: nothing stays in this browser, and nothing is sent any more. */
  forget() {
    this.#isClosed = true;
    this.#entries.clear();
    this.#homeless.clear();
    this.#outbox.clear();
    this.#files?.forget();
  }

  /** The entries of a conversation, in the order they were typed. */
  #of(id) {
    const resolved = this.#state.resolve(id);
    return [...this.#entries.values()]
      .filter((entry) => this.#state.resolve(entry.id) === resolved)
      .sort((a, b) => a.message.order - b.message.order);
  }

  #queue(id) {
    return this.#of(id).filter(({ message }) => isQueued(message));
  }

  #held(id) {
    return this.#of(id).filter(({ message }) => message.delivery === "held");
  }

  /** Somebody else was faster: that is seen first, and nothing overtakes what waits for it. */
  #hold(id, collision, version, moment) {
    this.#state.putMessages(id, [collision], version, moment);
    for (const entry of this.#queue(id)) this.#change(entry, { delivery: "held", collision });
    this.#onHeld(this.#state.resolve(id), collision);
  }

  /** `isBack`: the connection is, so that what hangs on the lost one is not waited for. */
  async #sendNow(id, isBack = false) {
    const resolved = this.#state.resolve(id);
    if (this.#running.has(resolved)) {
      this.#running.set(resolved, true);
      this.#wakes.get(resolved)?.(isBack);
      return;
    }
    do {
      this.#running.set(resolved, false);
      try {
        await this.#alone(resolved, () => this.#work(resolved));
      } catch (error) {
        this.#running.delete(resolved);
        throw error;
      }
    } while (this.#running.get(resolved));
    this.#running.delete(resolved);
  }

  /** Runs `work` while no other tab works on this conversation. */
  async #alone(id, work) {
    while (this.#locks) {
      let begun = false;
      try {
        const hasFiles = this.#queue(id).some(({ message }) => message.upload);
        const signal = AbortSignal.timeout(hasFiles ? FILE_LOCK_PATIENCE_MS : LOCK_PATIENCE_MS);
        return await this.#locks.request(this.#lockName(id), { signal }, () => {
          begun = true;
          return work();
        });
      } catch (error) {
        if (begun) throw error;
        if (error.name !== "TimeoutError" || !document.hidden) break;
      }
    }
    return work();
  }

  async #work(id) {
    this.#readOutbox();
    let failures = 0;
    for (let head = this.#next(id); head; head = this.#next(id)) {
      const began = this.#now();
      const outcome = await this.#post(id, head);
      if (outcome === "answered") {
        failures = 0;
        if (head.message.upload && this.#now() - began > LONG_UPLOAD_MS) this.#waitAnew(id);
        continue;
      }
      if (outcome === "hung") continue;
      for (const entry of this.#queue(id)) this.#change(entry, { delivery: "waiting" });
      if (outcome === "login") return; // the page is about to leave; the next one goes on
      failures += 1;
      const woken = await this.#rest(id, waitAfter(failures));
      if (woken) failures = 0;
    }
  }

  /** What to send next; what waited too long, and all that is behind it, is left to the attendant. */
  #next(id) {
    this.settle();
    const queue = this.#isClosed ? [] : this.#queue(id);
    if (!queue.length || this.#now() - queue[0].message.since < BY_ITSELF_MS) return queue[0] ?? null;
    for (const entry of queue) this.#change(entry, { delivery: "unsent" });
    return null;
  }

  #waitAnew(id) {
    for (const entry of this.#queue(id)) this.#change(entry, { since: Math.round(this.#now()) });
  }

  /** One attempt: "answered", "lost" (nobody knows, nothing is decided), "hung" (the same, and the
   * connection is back) or "login". */
  async #post(id, entry) {
    const version = this.#state.versionOf(entry.id);
    const { moment } = this.#state;
    const attempt = this.#attempt(entry);
    const hung = new Promise((resolve) => {
      this.#wakes.set(id, (isBack) => isBack && performance.now() - attempt.quietSince() > HUNG_MS && resolve(null));
    });
    try {
      const answer = await Promise.race([attempt.answer, hung]);
      if (answer === null) {
        attempt.abort();
        return "hung";
      }
      this.#state.putMessages(entry.id, [answer], version, moment);
      this.#drop(entry, answer);
    } catch (error) {
      if (error.status === 401) return "login";
      if (!this.#entries.has(entry.message.client_id)) return "answered"; // it was given up meanwhile
      if (error.unavailable) return "lost";
      if (error.name !== "ApiError") throw error;
      if (error.collision) this.#hold(id, error.collision, version, moment);
      else this.#change(entry, { delivery: "refused", error: { code: error.code, message: error.message } });
    } finally {
      this.#wakes.delete(id);
    }
    return "answered";
  }

  /** {answer, quietSince(), abort()}, as `transfer` gives. */
  #attempt({ id, message }) {
    const resolved = this.#state.resolve(id);
    if (message.upload) return this.#files.send(resolved, message);
    const began = performance.now();
    return { answer: this.#api.send(resolved, message), quietSince: () => began, abort() {} };
  }

  /** Waits before the next attempt; true when something ended the wait. */
  async #rest(id, ms) {
    let timer;
    const woken = await new Promise((resolve) => {
      timer = setTimeout(resolve, ms, false);
      this.#wakes.set(id, () => resolve(true));
    });
    clearTimeout(timer);
    this.#wakes.delete(id);
    return woken;
  }

  #change(entry, change) {
    const { client_id: key } = entry.message;
    if (!this.#entries.has(key)) return;
    if (Object.entries(change).every(([name, value]) => entry.message[name] === value)) return;
    entry.message = { ...entry.message, ...change };
    if (!this.#homeless.has(key)) this.#outbox.keep(entry);
    this.#state.updateLocal(entry.id, key, change);
  }

  /** Done with it: `message` is the server's, null when it was discarded. */
  #drop(entry, message) {
    const { client_id: key, upload } = entry.message;
    this.#entries.delete(key);
    this.#homeless.delete(key);
    this.#outbox.remove(entry, message);
    if (upload) this.#files.drop(key, { isSent: Boolean(message) });
  }

  /** Its bytes come first: nobody finds a message in the outbox without them. */
  async #keepFile(entry, { file, thumb }) {
    const key = entry.message.client_id;
    this.#homeless.add(key);
    const isKept = await this.#files.add(key, file, thumb);
    if (!this.#entries.has(key)) this.#files.drop(key, { isSent: true }); // kept too late
    else if (isKept) {
      this.#homeless.delete(key);
      this.#outbox.keep(entry);
    }
  }

  #readOutbox() {
    if (this.#isClosed) return;
    for (const entry of this.#outbox.read()) this.#take(entry);
  }

  /** Takes over what the storage says of a message; true when there is something new to send. */
  #take({ id, message }) {
    const key = message.client_id;
    const known = this.#entries.get(key);
    const isNew = isQueued(message) && !(known && isQueued(known.message));
    if (known) known.message = message;
    else this.#entries.set(key, { id, message });
    if (known) this.#state.updateLocal(id, key, message);
    else this.#state.putLocal(id, message);
    return isNew;
  }
}

/** What the server will say of a message with these media, but for its own address of them. */
function likeServers(media) {
  const { sign, word } = KINDS[media.kind];
  const name = media.kind === "document" && isSeen(media.filename) ? media.filename : word;
  return { type: media.kind === "voice" ? "audio" : media.kind, media, placeholder: `${sign} ${name}` };
}
