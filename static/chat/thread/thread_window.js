/**
 * Which of a thread's messages are drawn: those on screen, and some on either side. It is counted in
 * messages, because nobody knows how tall those will be that were not drawn yet. Pure.
 */

import { messageKey } from "../data/thread_state.js";

/** So many stay drawn above and below what is on screen; */
const KEPT = 100;
/** when fewer than that are left, further ones are drawn, */
const NEAR = 70;
/** but so many at once: the frame must not be late. */
const STEP = 15;
/** Where nothing is drawn yet: they fill a screen. */
const FIRST = 30;
/** At the thread's end it grows with what comes, up to so many. */
const MOST = 240;

export class ThreadWindow {
  /** The messages from `from` to `to`, which is not drawn, of those that were given last. */
  from = 0;
  to = 0;

  #messages = [];
  #edges = null; // its first and last message, where the thread was not empty

  /** Another thread, or nothing of it is drawn. */
  reset() {
    this.#messages = [];
    this.#set(0, 0);
  }

  /** Whether the thread's last message is drawn. */
  get isAtEnd() {
    return this.to === this.#messages.length;
  }

  /** The thread's messages as they are now: the window stays where it was among them. */
  take(messages) {
    this.#messages = messages;
    if (!this.#edges) return;
    const [first, last] = this.#edges;
    this.#set(placeOf(messages, first), placeOf(messages, last) + 1);
  }

  /** Moves it where what is on screen, `first` to `last`, has come near an edge, by one step. `toEnd`:
   * it holds the thread's end, whatever comes. */
  keepRound(first, last, toEnd) {
    const all = this.#messages.length;
    if (toEnd && (all - this.to > FIRST || all - this.from > MOST)) return this.showEnd();
    if (toEnd) this.#set(this.from, all);
    if (!this.isNear(first, last)) return;
    const from = Math.max(placeOf(this.#messages, first) - KEPT, this.from - STEP);
    const to = Math.min(placeOf(this.#messages, last) + 1 + KEPT, this.to + STEP);
    this.#set(from, toEnd ? all : to);
  }

  /** Whether what is on screen is near an edge behind which there is more. */
  isNear(first, last) {
    const above = placeOf(this.#messages, first) - this.from;
    const below = this.to - 1 - placeOf(this.#messages, last);
    return (this.from > 0 && above < NEAR) || (!this.isAtEnd && below < NEAR);
  }

  /** The message at this place is to be on screen: enough for one, the others follow. */
  showRound(place) {
    this.#set(place - FIRST, place + 1 + FIRST);
  }

  showEnd() {
    this.#set(this.#messages.length - FIRST, this.#messages.length);
  }

  #set(from, to) {
    const all = this.#messages.length;
    this.to = Math.max(0, Math.min(to, all));
    this.from = Math.max(0, Math.min(from, this.to));
    this.#edges = this.to > this.from ? [this.#messages[this.from], this.#messages[this.to - 1]] : null;
  }
}

/** Where a message stands; where it would, if it is gone. */
function placeOf(messages, message) {
  const key = messageKey(message);
  const place = messages.findIndex((each) => each === message || messageKey(each) === key);
  if (place >= 0) return place;
  const after = messages.findIndex((each) => each.position > message.position);
  return after < 0 ? messages.length : after;
}
