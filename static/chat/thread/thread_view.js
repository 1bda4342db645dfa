/** The open thread: days and bubbles, keyed, and where it is scrolled to. */

import { createBubble } from "../message/bubble.js";
import { createNotice } from "../message/notice.js";
import { unfold } from "../message/text.js";
import { el, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { restDayChips } from "./day_chips.js";
import { createDivider } from "./divider.js";

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
  #bubbles = new Map(); // message key -> bubble, or notice
  #days = new Map(); // day key -> {node, chip, list}
  #conversationId = null;
  #newest = ""; // position of the last message shown
  #newestSeen = ""; // the same, when the view was last at the end: what is above it is new
  #pinned = true; // the view follows the end of the thread
  #canLoadOlder = false;

  /** Callbacks: onNeedOlder(), onRetryLoad(), onAction(action, messageId), onJump(messageId).
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
    // The composer grows, the window is resized, a font arrives: stay at the end when there.
    const observer = new ResizeObserver(() => this.#pinned && this.#scrollToEnd());
    observer.observe(this.#scroller);
    observer.observe(this.#content);
  }

  /**
   * days: see thread_items.js; loadState: "idle" | "loading" | "older" | "error" | "older-error";
   * hasOlder: there are earlier messages on the server; loaded: the newest page is here; place:
   * where to scroll to, when that is new; settled: false while that is being looked for (see
   * `layout` in thread_placing.js): nothing is shown that would be thrown up a moment later.
   */
  render({ conversationId, customerName, days, loadState, hasOlder, loaded, place, settled = true }) {
    if (conversationId !== this.#conversationId) this.#open(conversationId);
    this.#content.classList.toggle("placing", !settled && (this.#pinned || Boolean(place)));
    const anchor = this.#pinned ? null : this.#anchor();
    this.#renderDays(days, customerName);
    this.#renderLoadState(loadState, loaded);
    this.#canLoadOlder = loaded && hasOlder && loadState === "idle";
    if (place) this.#goTo(place, days);
    else if (this.#pinned) this.#scrollToEnd();
    else if (anchor) this.#restore(anchor);
    this.#renderJump(days);
    this.#askForOlder();
  }

  /** The view follows the end from here on (an own message was sent, or the button pressed). */
  jumpToEnd() {
    this.#pinned = true;
    this.#newestSeen = this.#newest;
    this.#scrollToEnd();
    this.#updateJump(0);
  }

  /** The topmost message in view and how far below the view's top it begins: [id, px], or null. */
  place() {
    if (this.#scroller.clientHeight === 0) return null;
    const first = this.#anchor((node) => node.dataset.messageId !== undefined);
    if (!first) return null;
    const top = this.#scroller.getBoundingClientRect().top;
    return [first.node.dataset.messageId, Math.round(first.top - top)];
  }

  /** Scrolls to a message and flashes it. */
  reveal(messageId) {
    const node = this.#find(messageId);
    if (!node) return;
    this.#pinned = false;
    node.scrollIntoView({ block: "center" });
    node.classList.remove("flash");
    void node.offsetWidth; // restarts the animation when it is still running
    node.classList.add("flash");
    setTimeout(() => node.classList.remove("flash"), FLASH_MS);
  }

  #open(conversationId) {
    this.#conversationId = conversationId;
    this.#bubbles.clear();
    this.#days.clear();
    this.#content.replaceChildren();
    this.#pinned = true;
    this.#newestSeen = "";
  }

  /** Scrolls to where an opened conversation is to stand. */
  #goTo(place, days) {
    const node = place.divider ? this.#divider.node : place.messageId && this.#find(place.messageId);
    this.#pinned = !node;
    if (node) {
      const wanted = place.divider ? DIVIDER_TOP_PX : place.offset;
      const top = this.#scroller.getBoundingClientRect().top + wanted;
      this.#scroller.scrollTop += node.getBoundingClientRect().top - top;
      this.#pinned = this.#isNearEnd(); // the whole of it fits
      this.#newestSeen = lastBeforeDivider(days);
    }
    if (this.#pinned) this.#scrollToEnd();
  }

  #renderDays(days, customerName) {
    const keys = new Set();
    const nodes = days.map((day) => {
      const section = this.#days.get(day.key) ?? this.#createDay(day.key);
      setText(section.chip, day.label);
      reconcile(section.list, day.items.map((item) => {
        if (item.divider) return this.#divider.update(item.divider);
        keys.add(item.key);
        const bubble = this.#bubbles.get(item.key) ?? (item.notice ? createNotice() : createBubble());
        this.#bubbles.set(item.key, bubble);
        bubble.update(item, customerName);
        return bubble.node;
      }));
      return section.node;
    });
    const dayKeys = new Set(days.map((day) => day.key));
    for (const key of this.#days.keys()) if (!dayKeys.has(key)) this.#days.delete(key);
    for (const key of this.#bubbles.keys()) if (!keys.has(key)) this.#bubbles.delete(key);
    reconcile(this.#content, nodes);
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

  #renderJump(days) {
    const items = days.flatMap((day) => day.items).filter((item) => item.message);
    this.#newest = items.at(-1)?.message.position ?? "";
    if (this.#pinned) this.#newestSeen = this.#newest;
    // As the badge counts: neither notices nor what was counted before.
    const counts = ({ message }) => message.direction === "in" && message.counts_unread !== false;
    const isNew = (item) => counts(item) && !item.notice && item.message.position > this.#newestSeen;
    this.#updateJump(items.filter(isNew).length);
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
    for (const { list } of this.#days.values()) {
      if (list.getBoundingClientRect().bottom <= top) continue;
      for (const node of list.children) {
        const box = node.getBoundingClientRect();
        if (box.bottom > top && accepts(node)) return { node, top: box.top };
      }
    }
    return null;
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
    return scrollHeight - clientHeight - scrollTop < this.#nearBottom;
  }

  #scrolled() {
    const pinned = this.#isNearEnd();
    if (pinned !== this.#pinned) {
      this.#pinned = pinned;
      if (pinned) this.#newestSeen = this.#newest;
      this.#updateJump(0);
    }
    this.#askForOlder();
  }

  #askForOlder() {
    if (!this.#canLoadOlder || this.#scroller.scrollTop > NEAR_TOP_PX) return;
    this.#canLoadOlder = false; // asked once; the next render tells whether there is more
    this.#callbacks.onNeedOlder();
  }

  #clicked(event) {
    const button = event.target.closest("[data-action]");
    const message = button?.closest("[data-message-id]");
    if (!message) return;
    if (button.dataset.action === "unfold") this.#holdStill(() => unfold(button.parentElement));
    else if (button.dataset.action === "jump") this.#callbacks.onJump(button.dataset.quotedId);
    else this.#callbacks.onAction(button.dataset.action, message.dataset.messageId);
  }

  #find(messageId) {
    return this.#content.querySelector(`[data-message-id="${CSS.escape(messageId)}"]`);
  }
}

/** Position of the last message that is not new: before the divider, or the newest without one. */
function lastBeforeDivider(days) {
  const items = days.flatMap((day) => day.items);
  const divider = items.findIndex((item) => item.divider);
  return items[divider < 0 ? items.length - 1 : divider - 1]?.message.position ?? "";
}
