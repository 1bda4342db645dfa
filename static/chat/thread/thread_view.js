/** The open thread: days and the bubbles near what is on screen, keyed, and where it is scrolled to. */

import { createBubble } from "../message/bubble.js";
import { createNotice } from "../message/notice.js";
import { createAlbum } from "../media/pictures/album.js";
import { unfold } from "../message/text.js";
import { el, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { restDayChips } from "./day_chips.js";
import { createDivider } from "./divider.js";
import { isNotice } from "./thread_items.js";
import { ThreadWindow } from "./thread_window.js";

/** The divider comes to stand this far below the top of the view, under the sticky day. */
const DIVIDER_TOP_PX = 52;
/** Earlier messages are fetched when this little is left above the view. */
const NEAR_TOP_PX = 500;
const FLASH_MS = 1500;

export class ThreadView {
  #scroller;
  #content;
  #older;
  #jumpButton;
  #callbacks;
  #nearBottom;
  #divider = createDivider();
  #given = { messages: [] }; // what is shown, as `render` had it
  #window = new ThreadWindow();
  #drawn = []; // [{node, message}] from the top; the divider has no message
  #bubbles = new Map(); // message key -> bubble, or notice; of an album its own key
  #unfolded = new Set(); // keys of texts that were unfolded, and are not drawn any more
  #days = new Map(); // day key -> {node, chip, list}
  #conversationId = null;
  #newest = ""; // position of the last message shown
  #newestSeen = ""; // the same, when the view was last at the end: what is above it is new
  #pinned = true; // the view follows the end of the thread
  #canLoadOlder = false;

  /** Callbacks: onNeedOlder(), onRetryLoad(), onAction(action, messageId, button), onJump(messageId); onMove():
   * other messages are on screen, or nearly: to be drawn again, before the next frame.
   * `nearBottom`: this close to the end (px) counts as at the end: new messages then keep scrolling. */
  constructor(root, { nearBottom, ...callbacks }) {
    this.#callbacks = callbacks;
    this.#nearBottom = nearBottom;
    this.#scroller = root.querySelector(".thread-scroll");
    this.#content = root.querySelector(".thread-content");
    this.#older = root.querySelector(".thread-older");
    this.#jumpButton = root.querySelector(".jump-button");
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    restDayChips(this.#scroller);
    this.#jumpButton.addEventListener("click", () => this.jumpToEnd());
    this.#older.querySelector("button").addEventListener("click", () => callbacks.onRetryLoad());
    this.#content.addEventListener("click", (event) => this.#clicked(event));
    // Before the browser, or who moves the focus, goes to the first or last that is drawn.
    this.#scroller.addEventListener("keydown", (event) => this.#keyDown(event), { capture: true });
    // The composer grows, the window is resized, a font arrives: stay at the end when there.
    const observer = new ResizeObserver(() => this.#pinned && this.#scrollToEnd());
    observer.observe(this.#scroller);
    observer.observe(this.#content);
  }

  /**
   * messages: all that are here, in their order; daysOf(from, to): those as days, see
   * thread_items.js; divider: as there; loadState: "idle" | "loading" | "older" | "error" |
   * "older-error"; hasOlder: there are earlier messages on the server; loaded: the newest page is
   * here; place: where to scroll to, when that is new; settled: false while that is being looked for
   * (see `layout` in thread_placing.js): nothing is shown that would be thrown up a moment later.
   */
  render({ conversationId, loadState, hasOlder, loaded, place, settled = true, ...given }) {
    if (conversationId !== this.#conversationId) this.#open(conversationId);
    this.#given = given;
    this.#content.classList.toggle("placing", !settled && (this.#pinned || Boolean(place)));
    const anchor = this.#pinned ? null : this.#anchor();
    this.#moveWindow(place);
    this.#draw();
    this.#renderLoadState(loadState, loaded);
    this.#canLoadOlder = loaded && hasOlder && loadState === "idle";
    if (place) this.#goTo(place);
    else if (this.#pinned) this.#scrollToEnd();
    else if (anchor) this.#restore(anchor);
    this.#renderJump();
    this.#askForMore();
  }

  /** The view follows the end from here on (an own message was sent, or the button pressed). */
  jumpToEnd() {
    this.#pinned = true;
    this.#newestSeen = this.#newest;
    if (!this.#window.isAtEnd) {
      this.#window.showEnd();
      this.#draw();
      this.#callbacks.onMove();
    }
    this.#scrollToEnd();
    this.#updateJump(0);
  }

  /** The conversation is no more: nothing of it stays, on the screen or off it. */
  erased(id) {
    if (id !== this.#conversationId) return;
    this.#given = { messages: [] };
    this.#open(null);
  }

  /** The topmost message in view and how far below the view's top it begins: [id, px], or null. */
  place() {
    if (this.#scroller.clientHeight === 0) return null;
    const first = this.#anchor(({ message }) => message);
    if (!first) return null;
    const top = this.#scroller.getBoundingClientRect().top;
    return [first.node.dataset.messageId, Math.round(first.top - top)];
  }

  /** Scrolls to a message and flashes it. */
  reveal(messageId) {
    const place = this.#given.messages.findIndex(({ id }) => id === messageId);
    if (place < 0) return;
    if (!this.#find(messageId)) {
      this.#window.showRound(place);
      this.#draw();
      this.#callbacks.onMove();
    }
    const node = this.#find(messageId);
    this.#pinned = false;
    node.scrollIntoView({ block: "center" });
    const flashed = node.matches(".album-grid > .album-rest") ? node.closest(".album") : node;
    flashed.classList.remove("flash");
    void flashed.offsetWidth; // restarts the animation when it is still running
    flashed.classList.add("flash");
    setTimeout(() => flashed.classList.remove("flash"), FLASH_MS);
  }

  #open(conversationId) {
    this.#conversationId = conversationId;
    this.#window.reset();
    this.#drawn = [];
    this.#bubbles.clear();
    this.#unfolded.clear();
    this.#days.clear();
    this.#content.replaceChildren();
    this.#pinned = true;
    this.#newestSeen = "";
  }

  /** Scrolls to where an opened conversation is to stand. */
  #goTo(place) {
    const node = place.divider ? this.#divider.node : place.messageId && this.#find(place.messageId);
    this.#pinned = !node;
    if (node) {
      const wanted = place.divider ? DIVIDER_TOP_PX : place.offset;
      const top = this.#scroller.getBoundingClientRect().top + wanted;
      this.#scroller.scrollTop += node.getBoundingClientRect().top - top;
      this.#pinned = this.#isNearEnd(); // the whole of it fits
      this.#newestSeen = lastBeforeDivider(this.#given);
    }
    if (this.#pinned) this.#scrollToEnd();
  }

  /** Which messages are drawn: round the place to go to, at the end, or round what is on screen. */
  #moveWindow(place) {
    const { messages } = this.#given;
    this.#window.take(messages);
    const at = place?.messageId ? messages.findIndex(({ id }) => id === place.messageId) : -1;
    const view = this.#inView();
    if (at >= 0) this.#window.showRound(at);
    else if (this.#drawn.length === 0 || place) this.#window.showEnd();
    else if (view) this.#window.keepRound(...view, this.#pinned);
    else if (this.#pinned) this.#window.showEnd(); // not on the screen
  }

  #draw() {
    const { from, to } = this.#window;
    const days = this.#given.daysOf(from, to);
    const focused = this.#content.contains(document.activeElement) ? document.activeElement : null;
    const keys = new Set();
    this.#drawn = [];
    const nodes = days.map((day) => {
      const section = this.#days.get(day.key) ?? this.#createDay(day.key);
      setText(section.chip, day.label);
      const place = (item) => {
        const node = item.divider ? this.#divider.update(item.divider) : this.#drawItem(item, place);
        if (!item.album) this.#drawn.push({ node, message: item.message });
        keys.add(item.key);
        return node;
      };
      reconcile(section.list, day.items.map(place));
      return section.node;
    });
    const dayKeys = new Set(days.map((day) => day.key));
    for (const key of this.#days.keys()) if (!dayKeys.has(key)) this.#days.delete(key);
    for (const key of this.#bubbles.keys()) if (!keys.has(key)) this.#forget(key);
    reconcile(this.#content, nodes);
    if (focused && !focused.isConnected) this.#scroller.focus({ preventScroll: true });
  }

  /** `place(item)`: draws one of an album's. */
  #drawItem(item, place) {
    let bubble = this.#bubbles.get(item.key);
    if (!bubble) {
      bubble = item.album ? createAlbum() : (item.notice ? createNotice() : createBubble());
      if (this.#unfolded.delete(item.key)) bubble.node.querySelector(".bubble-text")?.classList.add("unfolded");
      this.#bubbles.set(item.key, bubble);
    }
    if (item.album) bubble.update(item, item.album.map(place));
    else bubble.update(item, this.#given.customerName);
    return bubble.node;
  }

  #forget(key) {
    const { node } = this.#bubbles.get(key);
    if (node.querySelector(".bubble-text.unfolded")) this.#unfolded.add(key);
    this.#bubbles.delete(key);
  }

  #createDay(key) {
    const chip = el("span", "day-chip");
    const list = el("div", "day-messages");
    const node = el("section", "day", el("div", "day-sticky", chip), list);
    const section = { node, chip, list };
    this.#days.set(key, section);
    return section;
  }

  #renderLoadState(loadState, loaded) {
    const failed = loadState === "error" || loadState === "older-error";
    const loading = loadState === "older" || (loadState === "loading" && !loaded);
    const [text, button] = [this.#older.querySelector("p"), this.#older.querySelector("button")];
    setText(text, failed ? "Não foi possível carregar as mensagens." : "Carregando mensagens…");
    setHidden(button, !failed);
    this.#older.classList.toggle("shown", failed || loading);
    setAttribute(this.#scroller, "aria-busy", loading ? "true" : "false");
  }

  #renderJump() {
    const { messages } = this.#given;
    this.#newest = messages.at(-1)?.position ?? "";
    if (this.#pinned) this.#newestSeen = this.#newest;
    // As the badge counts: neither notices nor what was counted before.
    const counts = (message) => message.direction === "in" && message.counts_unread !== false;
    const firstNew = messages.findLastIndex(({ position }) => position <= this.#newestSeen) + 1;
    const isNew = (message) => counts(message) && !isNotice(message);
    this.#updateJump(messages.slice(firstNew).filter(isNew).length);
  }

  #updateJump(count) {
    setHidden(this.#jumpButton, this.#pinned);
    const counter = this.#jumpButton.querySelector(".jump-count");
    setText(counter, count ? String(count) : "");
    setHidden(counter, count === 0);
    const label = count === 1 ? "1 mensagem nova" : `${count} mensagens novas`;
    setAttribute(this.#jumpButton, "aria-label", `Ir para o fim${count ? `: ${label}` : ""}`);
  }

  /** What is first in view and where it stands, to put it back after rows came above it. */
  #anchor(accepts = () => true) {
    const top = this.#scroller.getBoundingClientRect().top;
    const each = this.#drawn.slice(this.#firstBelow(top)).find(accepts);
    return each ? { node: each.node, top: each.node.getBoundingClientRect().top } : null;
  }

  /** The first and the last message in view; null where none is. */
  #inView() {
    const { top, bottom, height } = this.#scroller.getBoundingClientRect();
    if (height === 0 || this.#drawn.length === 0) return null;
    const shown = this.#drawn.slice(this.#firstBelow(top), this.#firstBelow(bottom) + 1);
    const messages = shown.map(({ message }) => message).filter(Boolean);
    return messages.length ? [messages[0], messages.at(-1)] : null;
  }

  /** The place among what is drawn of the first that reaches below this line. */
  #firstBelow(line) {
    let [low, high] = [0, this.#drawn.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#drawn[middle].node.getBoundingClientRect().bottom <= line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #restore({ node, top }) {
    if (!node.isConnected) return;
    const moved = node.getBoundingClientRect().top - top;
    if (Math.abs(moved) >= 1) this.#scroller.scrollTop += moved;
  }

  /** Lets something in view grow: what is on screen stays, at the thread's end too. */
  #holdStill(grow) {
    const anchor = this.#anchor();
    grow();
    this.#pinned = false;
    if (anchor) this.#restore(anchor);
    this.#updateJump(0);
  }

  #scrollToEnd() {
    const end = this.#scroller.scrollHeight - this.#scroller.clientHeight;
    if (Math.abs(this.#scroller.scrollTop - end) >= 1) this.#scroller.scrollTop = end;
  }

  /** Whether the view is at the end of the thread; false where it is not on the screen. */
  isAtEnd() {
    return this.#scroller.clientHeight > 0 && this.#isNearEnd();
  }

  #isNearEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return this.#window.isAtEnd && scrollHeight - clientHeight - scrollTop < this.#nearBottom;
  }

  #scrolled() {
    const pinned = this.#isNearEnd();
    if (pinned !== this.#pinned) {
      this.#pinned = pinned;
      if (pinned) this.#newestSeen = this.#newest;
      this.#updateJump(0);
    }
    this.#askForMore();
  }

  /** What is here is drawn, and what is not is loaded, before one comes to it. */
  #askForMore() {
    const view = this.#inView();
    if (view && this.#window.isNear(...view)) this.#callbacks.onMove();
    if (!this.#canLoadOlder || this.#window.from > 0 || this.#scroller.scrollTop > NEAR_TOP_PX) return;
    this.#canLoadOlder = false; // asked once; the next render tells whether there is more
    this.#callbacks.onNeedOlder();
  }

  #clicked(event) {
    const button = event.target.closest("[data-action]");
    const message = button?.closest("[data-message-id]");
    if (!message) return;
    if (button.dataset.action === "unfold") this.#holdStill(() => unfold(button.parentElement));
    else if (button.dataset.action === "jump") this.#callbacks.onJump(button.dataset.quotedId);
    else this.#callbacks.onAction(button.dataset.action, message.dataset.messageId, button);
  }

  /** The keys for the beginning and the end mean those of all that is loaded. */
  #keyDown({ key, target }) {
    if (target.matches("input, textarea, select")) return;
    if (key === "End" && !this.#window.isAtEnd) this.jumpToEnd();
    if (key !== "Home" || this.#window.from === 0) return;
    this.#pinned = false;
    this.#window.showRound(0);
    this.#draw();
    this.#scroller.scrollTop = 0;
    this.#callbacks.onMove();
  }

  #find(messageId) {
    return this.#content.querySelector(`[data-message-id="${CSS.escape(messageId)}"]`);
  }
}

/** Position of the last message that is not new: before the divider, or the newest without one. */
function lastBeforeDivider({ messages, divider }) {
  const first = divider ? messages.findIndex(({ id }) => id === divider.messageId) : messages.length;
  return messages[first - 1]?.position ?? "";
}
