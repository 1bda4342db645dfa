/** Where an opened thread comes to stand: at its divider, where it was left, or at its end. */

import { unreadAmong } from "../../unread_state.js";

/** Pages read to find the first unread message, the place kept, or what came late. */
const OLDER_PAGES = 20;
const SCROLL_QUIET_MS = 200;
/** Conversations that a tab remembers the place of. */
const PLACES_KEPT = 50;

/** The divider's message: the topmost of what was unread, in the order in which it is shown. `n`: how
 * many were; `complete` is false while not all of them are among `messages`. */
export function firstUnread(messages, { counted, n }) {
  const unread = new Set(unreadAmong(messages, counted - n));
  const first = messages.find((message) => unread.has(message));
  return { messageId: first?.id ?? null, position: first?.position ?? "", complete: unread.size >= n };
}

/** The places of the conversations that were left in the middle, in this tab. */
class KeptPlaces {
  #storage;
  #key;

  constructor(storage, userId) {
    this.#storage = storage;
    this.#key = `unread_state:${userId}:places`; // of this user alone
  }

  get(id) {
    return this.#all().get(id) ?? null;
  }

  /** `place`: [message at the top of the view, its offset in px]; null forgets it. */
  set(id, place) {
    const places = this.#all();
    if (!places.delete(id) && !place) return;
    if (place) places.set(id, place); // newest last
    try {
      this.#storage.setItem(this.#key, JSON.stringify([...places].slice(-PLACES_KEPT)));
    } catch {
      // The storage is full: then the thread opens at its end.
    }
  }

  forget() {
    try {
      this.#storage.removeItem(this.#key);
    } catch {
      // Forbidden: then there is none.
    }
  }

  #all() {
    try {
      return new Map(JSON.parse(this.#storage.getItem(this.#key) ?? "[]"));
    } catch {
      return new Map(); // not ours
    }
  }
}

export class ThreadPlacing {
  #unread;
  #isAtEnd;
  #placeOf;
  #loadOlder;
  #onChange;
  #hasFocus;
  #places;
  #timer = null;
  #closed = false;

  #id = null; // the open conversation, and all that ends with it:
  #opening = null; // {how, n, counted, kept, touched}: where to place it is not decided yet
  #search = { pages: 0, known: -1 }; // for what is unread, or was in view, and is not among those shown
  #newest = false; // the newest page is among those shown
  #divider = null; // {messageId, position, count, growing}

  /**
   * `storage`, sessionStorage or alike, and `userId`: where places are kept; `unread`: what
   * startUnread gave; `isAtEnd()`: the view is at the thread's end; `placeOf()`: [message id at the
   * top of the view, its offset in px] (of a thread that is not on the screen false and null); `loadOlder(id)`: one more page; `onChange()`: the divider is another; `scroller`: the
   * element that scrolls. `hasFocus` stands in for the document's in tests.
   */
  constructor({
    storage, userId, unread, scroller, isAtEnd, placeOf, loadOlder, onChange = () => {},
    hasFocus = () => document.hasFocus(),
  }) {
    this.#places = new KeptPlaces(storage, userId);
    this.#unread = unread;
    this.#isAtEnd = isAtEnd;
    this.#placeOf = placeOf;
    this.#loadOlder = loadOlder;
    this.#onChange = onChange;
    this.#hasFocus = hasFocus;
    const passive = { passive: true };
    scroller.addEventListener("scroll", () => this.#scrolled(), passive);
    for (const type of ["wheel", "touchmove"]) {
      scroller.addEventListener(type, () => { if (this.#opening) this.#opening.touched = true; }, passive);
    }
    for (const type of ["focus", "blur"]) window.addEventListener(type, () => this.#focusChanged());
    window.addEventListener("pagehide", () => this.#save());
  }

  /** The open conversation is another one, or the same was opened again; before it is drawn. `how`: see
   * `select` in unread_state.js. */
  opened(id, how) {
    if (id === this.#id && id !== null) return;
    this.#save();
    this.#leave();
    this.#id = id;
    if (id !== null) this.#opening = { how, n: null, counted: 0, kept: undefined, touched: false };
  }

  /**
   * Before the open thread is drawn. `messages`: all it has, in the order in which they are shown;
   * `newest`: its newest page is among them; `hasOlder`: more can be loaded.
   *
   * → {divider: {messageId, count} | null, place, settled}. `place`: where to scroll to, once an
   * opening: {messageId, offset} (pixels below the view's top), {messageId, divider: true},
   * {end: true}, else null. `settled` is false while older messages are being looked for: until then
   * nothing is to be read (`ready` of `rendered` in unread_state.js).
   */
  layout(id, messages, { newest, hasOlder }) {
    if (id !== this.#id) return { divider: null, place: null, settled: false };
    this.#newest = newest;
    const place = this.#opening && newest ? this.#place(messages, hasOlder) : null;
    const missing = !this.#opening && newest && this.#isMissing(messages);
    const settled = !this.#opening && !(missing && this.#lookFurther(messages, hasOlder));
    const { messageId, count } = this.#divider ?? {};
    return { divider: messageId ? { messageId, count } : null, place, settled };
  }

  /** A message that counts came into a conversation; it is among the next `layout`'s. While nobody
   * looks, the divider shows where that began. */
  arrived(id, message) {
    if (id !== this.#id || this.#opening || this.#hasFocus()) return;
    const { id: messageId, position } = message;
    if (!this.#divider) this.#divider = { messageId, position, count: 1, growing: true };
    else if (this.#divider.growing) {
      this.#divider.count += 1;
      if (position < this.#divider.position) Object.assign(this.#divider, { messageId, position });
    }
  }

  /** An answer was sent: the divider has served. */
  answered() {
    this.#divider = null;
  }

  /** The person goes somewhere else: where the thread is to begin is no question any more. */
  left() {
    if (this.#opening) this.#opening.touched = true;
  }

  merged(loser, winner) {
    const place = this.#places.get(loser);
    this.#places.set(loser, null);
    if (place) this.#places.set(winner, place);
    if (this.#id === loser) this.#id = winner;
  }

  /** There is no such conversation (any more). */
  removed(id) {
    this.#places.set(id, null);
    if (this.#id !== id) return;
    this.#leave();
    this.#id = null;
  }

  /** Logged out: what the page still does while it goes is not kept. */
  forget() {
    this.#closed = true;
    this.#places.forget();
  }

  #leave() {
    this.#opening = null;
    this.#divider = null;
    this.#newest = false;
    this.#search = { pages: 0, known: -1 };
  }

  #place(messages, hasOlder) {
    const opening = this.#opening;
    opening.n ??= this.#unread.badge(this.#id).count;
    opening.counted ||= this.#unread.numbers(this.#id)?.counted ?? opening.n;
    // Who clicks on a conversation wants what is new in it; who comes back, where he was.
    opening.kept ??= opening.how === "click" ? null : this.#places.get(this.#id);
    const first = opening.n > 0 ? firstUnread(messages, opening) : null;
    const keptHere = opening.kept && messages.some(({ id }) => id === opening.kept[0]);
    const missing = (opening.kept && !keptHere) || (first && !first.complete);
    if (missing && this.#lookFurther(messages, hasOlder)) return null;
    this.#opening = null;
    // Too far up to be found: no divider is better than one in the wrong place.
    const found = first?.messageId && (first.complete || !hasOlder);
    if (found) this.#divider = { ...first, count: opening.n, growing: false };
    if (opening.touched) return null; // the person has begun to scroll meanwhile
    if (keptHere) return { messageId: opening.kept[0], offset: opening.kept[1] };
    return found ? { messageId: first.messageId, divider: true } : { end: true };
  }

  /** Whether something unread stands above all that is shown. */
  #isMissing(messages) {
    const n = this.#unread.badge(this.#id).count;
    const counted = this.#unread.numbers(this.#id)?.counted;
    return n > 0 && unreadAmong(messages, counted - n).length < n;
  }

  /** Asks for one more page, where there is one and not too many were read; whether it is awaited. */
  #lookFurther(messages, hasOlder) {
    if (messages.length !== this.#search.known) {
      this.#search = { pages: this.#search.pages + 1, known: messages.length };
    }
    if (!hasOlder || this.#search.pages > OLDER_PAGES) return false;
    this.#loadOlder(this.#id);
    return true;
  }

  #focusChanged() {
    if (!this.#divider) return;
    if (this.#hasFocus()) {
      this.#divider.growing = false;
    } else if (!this.#unread.isUnread(this.#id)) {
      this.#divider = null;
      this.#onChange();
    }
  }

  #scrolled() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), SCROLL_QUIET_MS);
  }

  #save() {
    clearTimeout(this.#timer);
    if (this.#id === null || this.#opening || !this.#newest || this.#closed) return;
    if (this.#isAtEnd()) return this.#places.set(this.#id, null);
    const place = this.#placeOf();
    if (place) this.#places.set(this.#id, place);
  }
}
