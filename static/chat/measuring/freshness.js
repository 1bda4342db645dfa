/**
 * Measures how long a customer's message took from the server's receipt until it stood on this
 * screen, and tells the server the milliseconds alone, once a minute at most.
 */

/** Between two requests with what was measured; the server takes no more in one than this. */
const SEND_EVERY_MS = 60_000;
const MAX_SAMPLES = 500;
/** A message is drawn with the next frame; what is not after so many is not on this screen. */
const FRAMES = 10;

export class Freshness {
  #now;
  #send;
  #samples = [];
  #timer = null;

  /** `now()`: milliseconds by the server's clock, null while that is not known; `send(samples)`: a
   * promise, which may reject. */
  constructor({ now, send }) {
    this.#now = now;
    this.#send = send;
    window.addEventListener("pagehide", () => this.#flush());
  }

  /** One event of the stream. What comes late, or where nobody can see it, is not measured. */
  onEvent(event) {
    const { message } = event.data ?? {};
    const isLive = event.type === "message.created" && message?.direction === "in" && !event.catchUp;
    if (!isLive || !message.received_at || document.hidden) return;
    const isDrawn = () => isOnScreen(message, event.conversation_id);
    this.#afterDrawing(isDrawn, FRAMES, () => this.#note(Date.parse(message.received_at)));
  }

  /** Runs `done` once a frame in which `isDrawn()` has been handed to the screen. */
  #afterDrawing(isDrawn, frames, done) {
    requestAnimationFrame(() => {
      if (document.hidden) return;
      if (isDrawn()) setTimeout(done); // the next task comes after this frame's painting
      else if (frames > 1) this.#afterDrawing(isDrawn, frames - 1, done);
    });
  }

  #note(receivedAt) {
    const now = this.#now();
    if (now === null || document.hidden) return;
    // Our idea of the server's clock is off by half a request: nothing was here before it came.
    this.#samples.push(Math.max(0, Math.round(now - receivedAt)));
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#timer ??= setTimeout(() => this.#flush(), SEND_EVERY_MS);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const samples = this.#samples.splice(0);
    if (samples.length) this.#send(samples).catch(() => {}); // a minute less is measured
  }
}

/** Whether its bubble can be seen, or a row of a list that shows it or something newer. */
function isOnScreen({ id, sent_at: sentAt }, conversationId) {
  const isNew = (row) => Date.parse(row.querySelector("time")?.dateTime ?? "") >= Date.parse(sentAt);
  const marked = (name, value) => [...document.querySelectorAll(`[${name}="${CSS.escape(value)}"]`)];
  return marked("data-message-id", id).some(isInView)
    || marked("data-conversation-id", conversationId).some((row) => isNew(row) && isInView(row));
}

function isInView(node) {
  const box = node.getBoundingClientRect();
  const scroller = node.closest(".thread-scroll, .list-scroll") ?? document.documentElement;
  const view = scroller.getBoundingClientRect();
  return box.height > 0 && box.bottom > view.top && box.top < view.bottom;
}
