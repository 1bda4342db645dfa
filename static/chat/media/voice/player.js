/**
 * What plays sounds: one at a time, whichever bubbles are drawn meanwhile. When a voice note has
 * ended, the one that follows it in the thread and was not heard yet begins by itself.
 */

import { mediaUrl } from "../../parts/media_format.js";

const RATES = [1, 1.5, 2];
/** Progress is told this often: a moving line that costs a frame each. */
const TELL_MS = 60;

/** It tells of itself by "change", whose `detail` is the id of the message that stands otherwise now. */
export class Player extends EventTarget {
  /** The message that is played, or was last; null where none was. */
  message = null;

  #audio = null;
  #rate = 1;
  #timer = null;
  #failed = null; // id of the message whose sound did not come
  #starts = new Map(); // message id → seconds: where one that does not play is to begin
  #heard = null;
  #nextOf = () => null;

  /** `heard`: see heard.js; `nextOf(message)`: the voice note that follows it, or null. */
  configure({ heard, nextOf }) {
    this.#heard = heard;
    this.#nextOf = nextOf;
  }

  get rate() {
    return this.#rate;
  }

  /** How a message's sound stands: {isCurrent, isPlaying, isWaiting, at (s), duration (s), failed}. */
  stateOf({ id, client_id: key, media }) {
    const isCurrent = this.message !== null && (this.message.id === id || this.message.id === key);
    const known = isCurrent && Number.isFinite(this.#audio?.duration) ? this.#audio.duration : null;
    return {
      isCurrent,
      isPlaying: isCurrent && !this.#audio.paused,
      isWaiting: isCurrent && !this.#audio.paused && this.#audio.readyState < 3,
      at: isCurrent ? this.#audio.currentTime : (this.#starts.get(id) ?? 0),
      duration: media.duration || known || 0,
      failed: this.#failed === id,
    };
  }

  /** Plays it, or pauses it where it plays. */
  toggle(message) {
    if (this.stateOf(message).isPlaying) this.pause();
    else this.play(message);
  }

  async play(message) {
    if (!this.stateOf(message).isCurrent || this.#failed === message.id) this.#take(message);
    this.#failed = null;
    this.#audio.playbackRate = this.#rate;
    this.#heard?.add(message.id);
    this.#tell(message);
    try {
      await this.#audio.play();
    } catch (error) {
      // Paused, or another one taken, before it began: nothing went wrong.
      if (error.name !== "AbortError" && this.message?.id === message.id) this.#fail();
    }
  }

  pause() {
    this.#audio?.pause();
  }

  /** `at`: seconds from its beginning. */
  seek(message, at) {
    const { isCurrent, duration } = this.stateOf(message);
    const to = Math.max(0, Math.min(at, duration));
    if (isCurrent) this.#audio.currentTime = to;
    else this.#starts.set(message.id, to);
    this.#tell(message);
  }

  /** The next of the rates. */
  faster() {
    this.#rate = RATES[(RATES.indexOf(this.#rate) + 1) % RATES.length];
    if (this.#audio) this.#audio.playbackRate = this.#rate;
    this.#tell();
  }

  wasHeard({ id }) {
    return this.#heard?.has(id) ?? true;
  }

  #take(message) {
    this.pause();
    const before = this.message;
    if (before && this.#audio.currentTime < (this.#audio.duration || 0)) {
      this.#starts.set(before.id, this.#audio.currentTime); // where it was left
    }
    this.#audio ??= this.#create();
    this.message = message;
    if (before) this.#tell(before);
    this.#audio.src = mediaUrl(message);
    const start = this.#starts.get(message.id) ?? 0;
    this.#starts.delete(message.id);
    if (start > 0 && start < (message.media.duration ?? Infinity) - 0.2) this.#audio.currentTime = start;
  }

  #create() {
    const audio = new Audio();
    audio.preload = "auto";
    const told = () => this.#tell();
    for (const type of ["play", "pause", "playing", "waiting", "durationchange", "seeked"]) {
      audio.addEventListener(type, told);
    }
    audio.addEventListener("play", () => {
      clearInterval(this.#timer);
      this.#timer = setInterval(told, TELL_MS);
    });
    audio.addEventListener("pause", () => clearInterval(this.#timer));
    audio.addEventListener("error", () => audio.src && this.#fail());
    audio.addEventListener("ended", () => this.#ended());
    return audio;
  }

  #ended() {
    const { message } = this;
    clearInterval(this.#timer);
    this.#audio.currentTime = 0;
    const next = message.media.kind === "voice" ? this.#nextOf(message) : null;
    if (next) this.play(next);
    else this.#tell();
  }

  #fail() {
    this.#failed = this.message?.id ?? null;
    this.pause();
    this.#tell();
  }

  #tell(message = this.message) {
    this.dispatchEvent(new CustomEvent("change", { detail: message?.id ?? null }));
  }
}

/** The page's. */
export const player = new Player();
