// What the tests of unread_state.js need inside the page: its module, a host that notes, a thread to
// scroll, a server that is a function, and a clock to advance (the one of the stream's tests).
import "/tests/browser/realtime_client/harness.js";
import * as placingModule from "/static/chat/thread/thread_placing.js";
import * as unreadModule from "/static/unread_state.js";

const pane = document.querySelector("#pane");
const thread = document.querySelector("#thread");
const content = document.querySelector("#content");

const numbers = (counted, read, flips = 0) => ({ incoming_counted: counted, incoming_read: read, mark_flips: flips });

/** An incoming message; position follows arrival unless told. */
const incoming = (arrival, more = {}) => ({
  id: `m${arrival}`, direction: "in", arrival, position: String(arrival).padStart(6, "0"), counts_unread: true,
  counted_at_arrival: arrival, ...more,
});
const outgoing = (arrival, more = {}) => ({ ...incoming(arrival), direction: "out", ...more });
/** Incoming ones, `from` to `to`. */
const many = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => incoming(from + n));

let listeners = new AbortController();
let eventNumber = 0;
let drawn = null; // what draw() was given last
let placing = null;
const created = (id, message, conversation, more = {}) => ({
  id: `e${++eventNumber}`, type: "message.created", conversation_id: id, age: 0, catchUp: false,
  data: { message, conversation: { id, version: 1, silent: false, ...conversation } }, ...more,
});
const changed = (id, news) => ({ type: "unread.changed", conversation_id: id, data: { conversation_id: id, ...news } });

class FakeNotification {
  static permission = "granted";
  static made = [];
  constructor(title, options) {
    Object.assign(this, { title, ...options, open: true });
    FakeNotification.made.push(this);
  }
  close() {
    this.open = false;
    this.onclose?.();
  }
  static get standing() {
    return FakeNotification.made.filter((each) => each.open).map((each) => each.tag);
  }
}

/** Starts one; `window.got` notes what it tells the page, `window.world` is what it finds. `known`:
 * {id: numbers} that the page has read; `comesOpen`: the conversation that the page names at first;
 * `shows`: whether it shows what it is asked for. */
function begin({ known = {}, focused = true, comesOpen = "", shows = true, ...options } = {}) {
  const clock = new FakeClock();
  drawn = placing = null;
  content.replaceChildren();
  FakeNotification.made = [];
  FakeNotification.permission = "granted";
  const nothing = { by_conversation: {}, limit_reached: true };
  const world = { clock, focused, tones: 0, older: [], badges: [], server: () => nothing };
  window.world = world;
  window.got = { requests: [], selects: [], digests: [], unknown: [], changes: 0 };
  const { got } = window;
  listeners.abort();
  listeners = new AbortController();
  const on = (type, run) => document.addEventListener(type, (event) => {
    event.preventDefault();
    run(event.detail);
  }, { signal: listeners.signal });
  on("unread:changed", () => {
    got.changes += 1;
    queueMicrotask(() => { if (drawn && drawn.id === window.unread.selected) draw(drawn.messages, drawn.options); });
  });
  on("unread:select", ({ id, how }) => {
    got.selects.push([id, how]);
    if (!shows) return;
    placing?.opened(id, how);
    pane.dataset.liveThread = id ?? "";
  });
  on("unread:unknown", ({ id }) => { got.unknown.push(id); });
  on("unread:digest", ({ text }) => { got.digests.push(text); });
  document.addEventListener("unread:notify", ({ detail }) => {
    const { conversation_id: id, data: { message } } = detail.event;
    Object.assign(detail.words, { title: id, body: message.text ?? "texto" });
  }, { signal: listeners.signal });
  const env = {
    ...clock.env, random: () => 0.5, hasFocus: () => world.focused, locks: undefined, Notification: FakeNotification,
    playTone: () => { world.tones += 1; return true; }, badgeApp: (n) => { world.badges.push(n); },
    request: async (method, path, body) => {
      got.requests.push([method, path, body]);
      return await world.server(method, path, body);
    },
    ...options.env,
  };
  pane.dataset.liveThread = comesOpen;
  window.unread = unreadModule.startUnread({
    userId: "ana",
    settings: { title_counts: "conversations", quiet_after_seconds: 15, refocus_ms: 2500, near_bottom_px: 120 },
    ...options, env,
  });
  for (const [id, each] of Object.entries(known)) window.unread.learn({ id, version: 0, silent: false, ...each });
  return window.unread;
}

/** The placing of the thread, as chat/ has it; then draw() gives what it says. */
function beginPlacing(options = {}) {
  placing = window.placing = new placingModule.ThreadPlacing({
    storage: sessionStorage, userId: "ana", unread: window.unread, scroller: thread,
    isAtEnd: () => thread.scrollHeight - thread.clientHeight - thread.scrollTop < 120,
    placeOf: () => null,
    loadOlder: (id) => { window.world.older.push(id); },
    hasFocus: () => window.world.focused,
    ...options,
  });
  return placing;
}

/** Draws the open thread as a host does, `height` px a message; where it was just opened at its end, or
 * at `top`, with `follow` at its end again. Drawn again whenever the module asks: `messages`, or what that function returns, is what
 * it has then. */
function draw(messages, options = {}) {
  const { ready = true, newest = true, hasOlder = false, height = 100, top = Infinity, follow } = options;
  const id = window.unread.selected;
  const isNew = drawn?.id !== id;
  drawn = { id, messages, options };
  const shown = typeof messages === "function" ? messages() : messages;
  const laid = placing?.layout(id, shown, { newest, hasOlder });
  content.replaceChildren(...shown.map((message) => {
    const bubble = document.createElement("div");
    bubble.dataset.messageId = message.id;
    bubble.style.height = `${height}px`;
    return bubble;
  }));
  if (isNew || follow || laid?.place?.end) thread.scrollTop = Math.min(top, thread.scrollHeight);
  window.unread.rendered(id, shown, { ready: laid ? laid.settled && newest : ready });
  return laid && { divider: laid.divider, place: laid.place };
}

/** As somebody scrolls, and the browser tells it. */
const scroll = (top) => {
  thread.scrollTop = top;
  thread.dispatchEvent(new Event("scroll"));
};
/** The stream's state, as realtime_events.js tells it. */
const connection = (state) => {
  document.documentElement.dataset.connection = state;
  document.dispatchEvent(new CustomEvent("realtime:state", { detail: { state } }));
};
const focus = (focused) => {
  window.world.focused = focused;
  window.dispatchEvent(new Event(focused ? "focus" : "blur"));
};
const touch = (type = "pointerdown") => thread.dispatchEvent(new Event(type, { bubbles: true }));
const reads = () => window.got.requests.filter(([, path]) => path.endsWith("/read"))
  .map(([, path, body]) => [path.split("/")[3], body.up_to]);
const icon = () => document.querySelector("link[rel=icon]").dataset.favicon;
/** What the rule says of these messages: [id, left, isNews]. */
const rule = (messages, read, { seen = [], atEnd = true } = {}) => {
  const { id, left, isNews } = unreadModule.readUpTo(messages, read, { seen: new Set(seen), atEnd });
  return [id, left, isNews];
};

Object.assign(window, {
  ...unreadModule, ...placingModule, FakeNotification, numbers, incoming, outgoing, many, created, changed, begin,
  beginPlacing, connection, draw, scroll, focus, touch, reads, icon, rule, threadNode: thread, unreadReady: true,
});
