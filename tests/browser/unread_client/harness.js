// What the tests of unread_state.js need inside the page: its module, a host that notes, a thread to
// scroll, a server that is a function, and a clock to advance (the one of the stream's tests).
import "/tests/browser/realtime_client/harness.js";
import * as unreadModule from "/static/unread_state.js";

const thread = document.querySelector("#thread");
const content = document.querySelector("#content");

const numbers = (counted, read, flips = 0) => ({ incoming_counted: counted, incoming_read: read, mark_flips: flips });

/** An incoming message; position follows arrival unless told. */
const incoming = (arrival, more = {}) => ({
  id: `m${arrival}`, direction: "in", arrival, position: String(arrival).padStart(6, "0"), counts_unread: true, ...more,
});
const outgoing = (arrival, more = {}) => ({ ...incoming(arrival), direction: "out", ...more });

let eventNumber = 0;
let drawn = null; // what draw() was given last
const created = (id, message, conversation, more = {}) => ({
  id: `e${++eventNumber}`, type: "message.created", conversation_id: id, age: 0, catchUp: false,
  data: { message, conversation: { id, version: 1, muted: false, archived: false, ...conversation } }, ...more,
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

/** Starts one; `window.got` notes what it asks of the host, `window.world` is what it finds. */
function begin(options = {}) {
  const clock = new FakeClock();
  drawn = null;
  FakeNotification.made = [];
  FakeNotification.permission = "granted";
  const world = {
    clock, focused: true, tones: 0, older: [], badges: [],
    server: () => ({}), conversations: {},
  };
  window.world = world;
  window.got = { requests: [], selects: [], digests: [], changes: 0, refreshed: [] };
  const { got } = window;
  const env = {
    ...clock.env, random: () => 0.5, hasFocus: () => world.focused, locks: undefined, Notification: FakeNotification,
    canPlay: () => true, playTone: () => { world.tones += 1; }, badgeApp: (n) => { world.badges.push(n); },
    ...options.env,
  };
  window.unread = unreadModule.startUnread({
    userId: "ana", title: "Atendimento", thread, pane: document.querySelector("#pane"),
    settings: { title_counts: "conversations", check_seconds: 60, quiet_after_seconds: 15, refocus_ms: 2500, near_bottom_px: 120 },
    request: async (method, path, body) => {
      got.requests.push([method, path, body]);
      return await world.server(method, path, body);
    },
    resolve: (id) => world.merges?.[id] ?? id,
    onChange: () => {
      got.changes += 1;
      queueMicrotask(() => { if (drawn && drawn.id === unread.selected) draw(drawn.messages, drawn.options); });
    },
    onSelect: (id, how) => { got.selects.push([id, how]); },
    onDigest: (text) => { got.digests.push(text); },
    preview: (event) => ({ title: event.conversation_id, body: event.data.message.text ?? "texto" }),
    loadOlder: (id) => { world.older.push(id); },
    refreshConversation: async (id) => { got.refreshed.push(id); return world.conversations[id] ?? null; },
    ...options, env,
  });
  return window.unread;
}

/** Draws the open thread as a host does: 100 px a message, then where it is to be scrolled. Drawn
 * again whenever the module asks: `messages`, or what that function returns, is what it has then. */
function draw(messages, options = {}) {
  const { newest = true, hasOlder = false, height = 100 } = options;
  drawn = { id: unread.selected, messages, options };
  const shown = typeof messages === "function" ? messages() : messages;
  const laid = unread.layout(unread.selected, shown, { newest, hasOlder });
  content.style.height = `${shown.length * height}px`;
  if (laid.place?.end) thread.scrollTop = thread.scrollHeight;
  unread.rendered();
  return laid;
}

const focus = (focused) => {
  world.focused = focused;
  window.dispatchEvent(new Event(focused ? "focus" : "blur"));
};
const touch = (type = "pointerdown") => thread.dispatchEvent(new Event(type, { bubbles: true }));
const reads = () => got.requests.filter(([, path]) => path.endsWith("/read")).map(([, path, body]) => [path.split("/")[3], body.up_to]);
const icon = () => document.querySelector("link[rel=icon]").dataset.favicon;

Object.assign(window, {
  ...unreadModule, UnreadMap: unreadModule.UnreadMap, FakeNotification,
  numbers, incoming, outgoing, created, changed, begin, draw, focus, touch, reads, icon, threadNode: thread, unreadReady: true,
});
