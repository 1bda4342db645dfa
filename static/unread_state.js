/* Browser half of unread_state: what has not been read yet, in title, icon, list and notifications;
 * when an open conversation counts as read; and which conversation is open.
 *
 * A page that includes unread_state/head.html starts by itself: PageMarks feeds UnreadState from the
 * marks in it, and `<unread-badge>` draws itself. An application with much script of its own calls
 * startUnread, and tells what it shows by the same verbs (learn, rendered). Both name the open
 * conversation in `data-live-thread`, and hear of everything by DOM events on `document`.
 *
 * Three numbers of a conversation only ever grow: incoming counted, incoming read, and how often
 * the mark "unread" was set or taken away. So two states of it merge by the maximum of each, and
 * events that come twice, late or out of order change nothing.
 */

import { Alarms, backoffDelay, liveOf, pageData, request, warnOnce } from "./realtime_events.js";

// Milliseconds where nothing else is said. What the server decides comes in `settings`.
const DIGEST_QUIET = 1_200; // events of a catch-up come in batches: one line for all of them
const TONE_SPACING = 1_000; // five messages at once are one sound
const ICON_SIZE = 64;
const MAX_SHOWN = 999; // more digits than this do not fit into a row
const COVERED = "(max-width: 760px)"; // thread over list: the same width as in chat/'s layout.css

const defaultSettings = {
  title_counts: "conversations",
  quiet_after_seconds: 15,
  refocus_ms: 2_500,
  near_bottom_px: 120,
};

// --- pure parts -----------------------------------------------------------------------------------

/** `(3) Name`; the plain name at 0. `more`: the server counted up to its limit, there may be more. */
export function titleText(name, n, more = false) {
  return n > 0 ? `(${n}${more ? "+" : ""}) ${name}` : name;
}

const withoutNumber = (title) => title.replace(/^\(\d+\+?\) /, "");

/** Which icon the tab shows: "plain", "1" to "99", "mark" above, "offline". */
export function iconName(n, offline) {
  if (offline) return "offline";
  if (n === 0) return "plain";
  return n > 99 ? "mark" : String(n);
}

const counted = (n, one, many) => (n === 1 ? `1 ${one}` : `${n} ${many}`);

/** The words of a badge and of the divider. */
export const unreadLabel = (n) => counted(n, "mensagem não lida", "mensagens não lidas");

/** The quiet line after a catch-up. */
export function digestText(messages, conversations) {
  return `${counted(messages, "mensagem nova", "mensagens novas")} em ${counted(conversations, "conversa", "conversas")}`;
}

const counts = (message) => message.direction === "in" && message.counts_unread !== false;
const byArrival = (a, b) => a.arrival - b.arrival;

/** The message that arrived last, of those the server has. */
export function lastArrived(messages) {
  return messages.filter(({ arrival }) => Number.isInteger(arrival)).sort(byArrival).at(-1) ?? null;
}

/** Those of a conversation's messages that count and have not been read, in order of arrival.
 * `read`: how many of all that were counted have been. */
export function unreadAmong(messages, read) {
  return messages.filter((message) => counts(message) && message.counted_at_arrival > read).sort(byArrival);
}

/** Of these unread messages those that came late: they stand above an older one. `messages`: all, in
 * the order in which they are shown. */
export function lateAmong(messages, unread) {
  const since = unread[0]?.arrival;
  const isOlder = ({ arrival, direction }) => (Number.isInteger(arrival) ? arrival < since : direction !== "out");
  const above = new Set(messages.slice(0, Math.max(0, messages.findLastIndex(isOlder))));
  return unread.filter((message) => above.has(message));
}

/** Up to which message an open thread was offered to somebody's eyes: {id, left, isNews}, where
 * `left` counts the unread ones that arrived after it, and `isNews` is whether it reads anything.
 *
 * At its end everything is read that follows the older messages. What came late stands above some
 * of them, where nothing at the end shows it: it is read once it has been on screen, and before
 * that nothing that arrived after it.
 *
 * `messages`: all that are shown, in that order; `read`: see unreadAmong; `seen`: ids of what has
 * been on screen; `atEnd`: the end of the thread is. */
export function readUpTo(messages, read, { seen, atEnd }) {
  const unread = unreadAmong(messages, read);
  const late = new Set(lateAmong(messages, unread));
  const barred = unread.find((message) => (late.has(message) ? !seen.has(message.id) : !atEnd));
  const last = lastArrived(messages.filter(({ arrival }) => !(arrival >= barred?.arrival)));
  if (!last) return { id: null, left: unread.length, isNews: false };
  const left = unread.filter(({ arrival }) => arrival > last.arrival).length;
  // With nothing unread among them there may be a mark, or messages that this page does not have.
  return { id: last.id, left, isNews: unread.length ? left < unread.length : atEnd };
}

const BLANK = { counted: 0, read: 0, flips: 0, silent: false, version: 0 };

/** What every view draws from: per conversation the growing numbers, and one sum of them. Ids may be
 * numbers or texts: 7 and "7" are one conversation. */
export class UnreadMap {
  #entries = new Map(); // id → as BLANK; replaced, never changed
  #reading = new Map(); // id → {read, flips}, as they will be when the reading under way has succeeded
  #moved = new Map(); // id → that of the conversation it was merged into

  /** Takes in what some answer or event says of a conversation; true when that changed something.
   * `news`: {incoming_counted, incoming_read, mark_flips, silent, version}; what is absent says
   * nothing. */
  merge(id, news) {
    if (this.#moved.has(String(id))) return false; // late news of what no longer exists
    const known = this.#get(id);
    const next = {
      ...known,
      counted: Math.max(known.counted, news.incoming_counted ?? 0),
      read: Math.max(known.read, news.incoming_read ?? 0),
      flips: Math.max(known.flips, news.mark_flips ?? 0),
    };
    const { silent, version = 0 } = news;
    if (silent !== undefined && version >= known.version) Object.assign(next, { silent, version });
    if (known !== BLANK && Object.keys(next).every((key) => next[key] === known[key])) return false;
    this.#entries.set(String(id), next);
    return true;
  }

  remove(id) {
    this.#entries.delete(String(id));
  }

  /** `loser` was merged into another conversation, whose numbers come with its own events. */
  move(loser, winner) {
    this.#moved.set(String(loser), String(winner));
    this.remove(loser);
  }

  /** The id that stands for this one today, as text. */
  resolve(id) {
    let current = String(id);
    while (this.#moved.has(current)) current = this.#moved.get(current);
    return current;
  }

  /** As it is now, for `settle`: id → {counted, …}. */
  snapshot() {
    return new Map(this.#entries);
  }

  /** `listed` is all that is unread and loud on the server. What it lacks, and what has not changed
   * since the snapshot `before`, is read or gone, though no event will tell so any more. */
  settle(before, listed) {
    for (const [id, entry] of before) {
      const isDoubtful = this.isUnread(id) && !entry.silent && this.#get(id) === entry;
      if (isDoubtful && !(id in listed)) this.remove(id);
    }
  }

  /** A read is under way: until `endRead` all but `left` of what was counted shows as read. */
  beginRead(id, left = 0) {
    const { counted: all, flips } = this.#get(id);
    this.#reading.set(String(id), { read: all - left, flips: flips + (flips % 2) });
  }

  /** Its end: what the server has said until now holds. A read that failed is taken back by that. */
  endRead(id) {
    this.#reading.delete(String(id));
  }

  /** {count, marked}: what the badge says. Marked without a number is a badge without a number. */
  badge(id) {
    const { counted: all, read, flips } = this.#get(id);
    const reading = this.#reading.get(String(id)) ?? BLANK;
    const count = Math.max(0, all - Math.max(read, reading.read));
    return { count, marked: Math.max(flips, reading.flips) % 2 === 1 };
  }

  isUnread(id) {
    const { count, marked } = this.badge(id);
    return count > 0 || marked;
  }

  isSilent(id) {
    return this.#get(id).silent;
  }

  /** {counted, read, flips} as the server told them, without what is under way; null when unknown. */
  numbers(id) {
    return this.#entries.get(String(id)) ?? null;
  }

  /** {conversations, messages} over those that are not silent; one marked by hand is one. */
  totals() {
    const loud = [...this.#entries.keys()].filter((id) => this.isUnread(id) && !this.isSilent(id));
    const messages = loud.reduce((sum, id) => sum + Math.max(1, this.badge(id).count), 0);
    return { conversations: loud.length, messages };
  }

  #get(id) {
    return this.numbers(id) ?? BLANK;
  }
}

// --- what the browser offers, or not ------------------------------------------------------------

const browserEnvironment = () => ({
  request,
  now: () => Date.now(),
  setTimeout: (run, ms) => window.setTimeout(run, ms),
  clearTimeout: (timer) => window.clearTimeout(timer),
  random: Math.random,
  hasFocus: () => document.hasFocus(),
  locks: navigator.locks,
  Notification: window.Notification,
  tabStorage: () => window.sessionStorage, // merely reading it may throw
  browserStorage: () => window.localStorage,
  badgeApp: navigator.setAppBadge ? (n) => (n ? navigator.setAppBadge(n) : navigator.clearAppBadge()) : null,
  playTone,
});

/** Two short notes, made here: no file to fetch, and nothing that plays on. False where no page may
 * play anything yet. */
function playTone() {
  if (!window.AudioContext || !navigator.userActivation?.hasBeenActive) return false;
  const context = new AudioContext();
  const [note, gain, start] = [context.createOscillator(), context.createGain(), context.currentTime];
  note.frequency.setValueAtTime(880, start);
  note.frequency.setValueAtTime(1174.7, start + 0.12);
  gain.gain.setValueAtTime(0.18, start);
  gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.4);
  note.connect(gain).connect(context.destination);
  note.onended = () => context.close();
  note.start(start);
  note.stop(start + 0.4);
  context.resume().catch(() => {});
  return true;
}

const prefixOf = (userId) => `unread_state:${userId}:`;

/** What a tab or a browser remembers for this user. Storage may be forbidden or full: then it
 * remembers nothing, and nothing breaks. */
function memory(open, userId) {
  const prefix = prefixOf(userId);
  let closed = false;
  const attempt = (run) => {
    try {
      return run(open());
    } catch {
      return null;
    }
  };
  const put = (storage, name, value) => (value === null ? storage.removeItem(name) : storage.setItem(name, value));
  return {
    get: (key) => attempt((storage) => storage.getItem(prefix + key)),
    /** null takes it away. */
    set: (key, value) => closed || attempt((storage) => put(storage, prefix + key, value)),
    /** Forgets this user, for good: what the page still does while it goes is not kept. */
    clear() {
      closed = true;
      const own = attempt((storage) => Object.keys(storage).filter((key) => key.startsWith(prefix)));
      for (const key of own ?? []) attempt((storage) => storage.removeItem(key));
    },
  };
}

/** Tells the page by an event on `document`. True: no listener prevents what is done otherwise. */
const tell = (type, detail) => document.dispatchEvent(new CustomEvent(type, { detail, cancelable: true }));

const threadMark = () => document.querySelector("[data-live-thread]");
const rowOf = (id) => document.querySelector(`[data-conversation-id="${CSS.escape(id)}"]`);

// --- title, icon, app badge -----------------------------------------------------------------------

class TabFace {
  #env;
  #name = withoutNumber(document.title);
  #title = document.title;
  #link = document.querySelector('link[rel~="icon"]');
  #plain; // {href, type} of the host's own icon
  #icon = "plain";
  #appBadge = null;

  constructor(env) {
    this.#env = env;
    if (!this.#link) { // then browsers look there
      this.#link = Object.assign(document.createElement("link"), { rel: "icon", href: "/favicon.ico" });
      document.head.append(this.#link);
    }
    this.#plain = { href: this.#link.href, type: this.#link.type };
    this.#link.dataset.favicon = "plain";
  }

  show(n, { more, offline }) {
    if (document.title !== this.#title) this.#name = withoutNumber(document.title); // the host gave another
    this.#title = titleText(this.#name, n, more);
    if (document.title !== this.#title) document.title = this.#title;
    this.#showIcon(iconName(n, offline));
    if (n === this.#appBadge || !this.#env.badgeApp) return;
    this.#appBadge = n;
    Promise.resolve(this.#env.badgeApp(n)).catch(() => {}); // only an installed app has one
  }

  async #showIcon(name) {
    if (name === this.#icon) return;
    this.#icon = name;
    this.#link.dataset.favicon = name;
    const source = name === "plain" ? this.#plain : { href: await drawIcon(this.#plain.href, name), type: "image/png" };
    if (name === this.#icon) Object.assign(this.#link, source); // else another one was asked for meanwhile
  }
}

/** The host's icon with a number or sign on it. A tab shows it at 16 px: the mark takes two thirds. */
async function drawIcon(href, name) {
  const canvas = Object.assign(document.createElement("canvas"), { width: ICON_SIZE, height: ICON_SIZE });
  const pen = canvas.getContext("2d");
  const image = Object.assign(new Image(ICON_SIZE, ICON_SIZE), { src: href });
  await image.decode().then(() => pen.drawImage(image, 0, 0, ICON_SIZE, ICON_SIZE), () => {});
  const text = { offline: "!", mark: "•" }[name] ?? name;
  const radius = ICON_SIZE * 0.34;
  const width = text.length > 1 ? radius * 2.5 : radius * 2;
  const [left, top] = [ICON_SIZE - width, ICON_SIZE - radius * 2];
  pen.roundRect(left, top, width, radius * 2, radius);
  Object.assign(pen, { lineWidth: 5, strokeStyle: "#fff", fillStyle: name === "offline" ? "#f2b01e" : "#e02f2f" });
  pen.stroke();
  pen.fill();
  const font = `bold ${ICON_SIZE * 0.56}px Arial, sans-serif`;
  Object.assign(pen, { fillStyle: "#fff", font, textAlign: "center", textBaseline: "middle" });
  pen.fillText(text, left + width / 2, top + radius + 2);
  return canvas.toDataURL("image/png");
}

// --- which conversation is open -----------------------------------------------------------------

/** What address, tab and browser remember. A page that comes open has an address of its own for
 * that: then this one is left alone, and what a tab goes to is never changed by what it had open. */
class Selection {
  #tab;
  #browser;
  ownsAddress = !threadMark()?.dataset.liveThread;
  #covered = matchMedia(COVERED);

  constructor(tab, browser) {
    this.#tab = tab;
    this.#browser = browser;
  }

  get inAddress() {
    return (this.ownsAddress && new URL(location.href).searchParams.get("c")) || null;
  }

  /** What to open first: {id, how: "link" | "restored"}, or null. */
  first() {
    const [linked, kept] = [this.inAddress, this.#tab.get("selected")];
    if (linked) return { id: linked, how: linked === kept ? "restored" : "link" };
    if (kept === "") return null; // this tab closed its conversation: that was meant
    const id = kept ?? this.#browser.get("selected");
    return id ? { id, how: "restored" } : null;
  }

  /** The screen goes from one conversation to another (null: the list). */
  go(from, to, how) {
    this.#tab.set("selected", (this.ownsAddress && to) || "");
    if (to !== null) this.#browser.set("selected", to);
    if (how === "back" || !this.ownsAddress) return; // the browser is there already
    const [covered, onList] = [this.#covered.matches, history.state?.aboveList === true];
    if (how === "click" && to === null && covered && onList) {
      history.back(); // on a phone closing is going back to the list, when that lies below
    } else if (how === "click" && !(covered && from !== null)) {
      this.#write("pushState", to, from === null);
    } else if (how !== "click" && to !== null && covered && !onList) {
      this.#write("replaceState", null, false); // a link, or a kept one, has no list below it yet
      this.#write("pushState", to, true);
    } else {
      this.#write("replaceState", to, to !== null && onList);
    }
  }

  /** A conversation has another id now, or is no more: no step of the history. */
  replace(from, to) {
    if (this.#browser.get("selected") === from) this.#browser.set("selected", to);
    if (this.#tab.get("selected") === from) this.#tab.set("selected", to ?? "");
    if (this.inAddress === from) this.#write("replaceState", to, to !== null && history.state?.aboveList === true);
  }

  #write(how, id, aboveList) {
    const url = new URL(location.href);
    if (id === null) url.searchParams.delete("c");
    else url.searchParams.set("c", id);
    try {
      history[how]({ aboveList }, "", url);
    } catch {
      // Safari allows a hundred steps in half a minute: then the address stays behind for once.
    }
  }
}

// --- notifications and sound ----------------------------------------------------------------------

/** Tells the person, by notification or sound, who looks at no tab of this browser. One tab does. */
class Alerts {
  #env;
  #prefix;
  #browser;
  #onClick;
  #onChange;
  #isNotifier = false;
  #resign = null; // releases the lock of the tab that notifies,
  #leave = null; // and the shared one of a tab with focus
  #shown = new Map(); // conversation id → Notification
  #lastTone = -Infinity;
  #impossible = false; // found out by trying: Android's Chrome throws

  constructor(env, userId, browser, { onClick, onChange }) {
    this.#env = env;
    this.#prefix = prefixOf(userId);
    this.#browser = browser;
    this.#onClick = onClick;
    this.#onChange = onChange;
  }

  begin() {
    this.#resign = this.#hold("notifier", "exclusive", () => { this.#isNotifier = true; });
    this.setFocus(this.#env.hasFocus());
  }

  end() {
    this.closeAll();
    this.#resign(); // locks would keep the page out of the bfcache
    this.#isNotifier = false;
    this.setFocus(false);
  }

  setFocus(focused) {
    if (focused) {
      this.#leave ??= this.#hold("focused", "shared");
    } else {
      this.#leave?.();
      this.#leave = null;
    }
  }

  /** Holds a lock of this browser; returns what releases it. Where there are none each tab holds it:
   * a notification's tag makes one of theirs. */
  #hold(name, mode, onHeld = () => {}) {
    const session = new AbortController();
    const { signal } = session;
    const released = new Promise((release) => { signal.addEventListener("abort", release); });
    const hold = () => {
      if (!signal.aborted) onHeld();
      return released;
    };
    if (this.#env.locks) this.#env.locks.request(this.#prefix + name, { mode, signal }, hold).catch(hold);
    else hold();
    return () => session.abort();
  }

  async #isAnyFocused() {
    if (this.#env.hasFocus()) return true;
    const { held = [] } = (await this.#env.locks?.query()) ?? {};
    return held.some(({ name }) => name === `${this.#prefix}focused`);
  }

  /** "default" (may be asked), "granted", "denied" or "unsupported". */
  get permission() {
    return this.#impossible ? "unsupported" : (this.#env.Notification?.permission ?? "unsupported");
  }

  /** Whether this browser's user wants "sound" or "notifications"; both unless told otherwise. */
  wants(name) {
    return this.#browser.get(name) !== "off";
  }

  setWanted(name, on) {
    this.#browser.set(name, on ? "on" : "off");
    if (!this.wants("notifications")) this.closeAll();
    this.#onChange();
  }

  /** Whether the page should offer to notify. */
  get asks() {
    return this.permission === "default" && this.wants("notifications") && this.#browser.get("asked") === null;
  }

  /** The offer was closed: not again in this browser. */
  dismissAsk() {
    this.#browser.set("asked", "no");
    this.#onChange();
  }

  /** From a click only: browsers refuse to be asked otherwise. */
  async askPermission() {
    await this.#env.Notification?.requestPermission?.();
    this.#onChange();
  }

  /** Tells of one message, unless `isSettled()` by then. `words()`: {title, body, icon}. */
  async announce(id, isSettled, words) {
    if (!this.#isNotifier || (await this.#isAnyFocused()) || isSettled()) return;
    const rings = this.wants("sound") && this.#mayRing();
    const tone = rings && this.#env.playTone();
    if (!this.wants("notifications") || this.permission !== "granted") return;
    const { title, ...more } = words();
    try {
      const shown = new this.#env.Notification(title, { ...more, tag: id, renotify: true, silent: !rings || tone });
      shown.onclick = () => {
        window.focus();
        this.closeAll((each) => each === id);
        this.#onClick(id);
      };
      shown.onclose = () => { if (this.#shown.get(id) === shown) this.#shown.delete(id); };
      this.#shown.set(id, shown);
    } catch {
      this.#impossible = true;
    }
  }

  closeAll(when = () => true) {
    for (const [id, shown] of [...this.#shown]) if (when(id) && this.#shown.delete(id)) shown.close();
  }

  /** One sound for messages that come together. */
  #mayRing() {
    const now = this.#env.now();
    if (now - this.#lastTone < TONE_SPACING) return false;
    this.#lastTone = now;
    return true;
  }
}

// --- all together ---------------------------------------------------------------------------------

/** The conversation that is open in this tab, and all that ends with it. */
const opened = (id, more = {}) => ({
  id,
  gesture: false, // the person has touched it since it was opened
  flips: null, // a mark set after that is not cleared by looking on; null: not known yet
  messages: [], // what the thread shows,
  ready: false, // and that this can be read at all
  seen: new Set(), // ids of late messages that have been on screen
  busy: false, // a read is under way
  failures: 0,
  retryAt: 0,
  lastRead: null, // so that a read that would change nothing is not made
  ...more,
});

const isOnPurpose = (how) => how === "click" || how === "back";

class UnreadState {
  #env;
  #config;
  #alarms;
  #map = new UnreadMap();
  #face;
  #tab;
  #browser;
  #selection;
  #open = opened(null);
  #led; // {id, how}: by which click the tab came to this page, from the one before
  #expected; // {id, how, byRow}: what the thread will show next; byRow: its row is to be clicked for that
  #limitReached = false;
  #loads = 0; // that failed in a row
  #isOffline = false;
  #startedAt;
  #hadFocus;
  #focusedAt = -Infinity;
  #told = new Map(); // conversation id → how many of its counted messages are no news any more
  #missed = new Map(); // conversation id → how many there were before what a catch-up brought

  constructor({ userId, settings, env }) {
    this.#env = { ...browserEnvironment(), ...env };
    this.#config = { ...defaultSettings, ...settings };
    this.#alarms = new Alarms(this.#env);
    this.#startedAt = this.#env.now();
    this.#hadFocus = this.#env.hasFocus();
    this.#tab = memory(this.#env.tabStorage, userId);
    this.#browser = memory(this.#env.browserStorage, userId);
    this.#selection = new Selection(this.#tab, this.#browser);
    this.#led = this.#expected = JSON.parse(this.#tab.get("led"));
    this.#tab.set("led", null);
    this.#face = new TabFace(this.#env);
    const [onClick, onChange] = [(id) => this.select(id), () => this.#changed()];
    /** What the person wants to be told of, and how: see Alerts. */
    this.alerts = new Alerts(this.#env, userId, this.#browser, { onClick, onChange });
    this.#listen();
    this.alerts.begin();
  }

  #listen() {
    const on = (target, types, run) => {
      for (const type of types) target.addEventListener(type, run, { passive: true, capture: true });
    };
    on(document, ["realtime:event"], ({ detail }) => this.onEvent(detail));
    on(document, ["realtime:state"], ({ detail }) => this.connection(detail.state));
    on(document, ["realtime:reset"], () => this.load());
    on(window, ["focus", "blur", "visibilitychange"], () => this.#focusChanged());
    on(window, ["scroll", "resize"], () => this.#consider());
    on(window, ["popstate"], () => this.#stepped());
    on(window, ["pagehide"], () => this.#end());
    on(window, ["pageshow"], ({ persisted }) => persisted && this.#resume());
    on(window, ["pointerdown", "keydown", "wheel", "touchmove"], ({ target }) => {
      if (this.#open.gesture || !target.closest?.("[data-live-thread], [data-live-composer]")) return;
      this.#open.gesture = true;
      this.#consider();
    });
  }

  #resume() {
    this.#alarms.isOpen = true;
    for (const id of this.#map.snapshot().keys()) this.#map.endRead(id); // no answer comes any more
    this.alerts.begin();
    this.#changed();
  }

  #end() {
    this.alerts.end();
    this.#alarms.close();
  }

  #focusChanged() {
    const focused = this.#env.hasFocus();
    this.alerts.setFocus(focused);
    if (focused && !this.#hadFocus) this.#focusedAt = this.#env.now();
    this.#hadFocus = focused;
    this.#consider();
  }

  /** Logged out: nothing of this user stays in this browser. */
  forget() {
    this.#tab.clear();
    this.#browser.clear();
    this.alerts.closeAll();
  }

  // --- what is known ------------------------------------------------------------------------------

  /** One event of the stream. */
  onEvent(event) {
    const { type, conversation_id: id, data = {} } = event;
    if (type === "unread.changed") this.#merge([[id, data]]);
    if (data.merged_into) this.merged(id, data.merged_into);
    else if (data.conversation) this.learn(data.conversation);
    if (type === "message.created" && counts(data.message)) this.#arrived(this.#map.resolve(id), event);
  }

  /** Conversations that the page has read, in whatever answer. */
  learn(...conversations) {
    this.#merge(conversations.map((each) => [each.id, each]));
  }

  #merge(news) {
    if (news.filter(([id, each]) => this.#map.merge(id, each)).length) this.#changed();
  }

  merged(loser, winner) {
    if (!loser || loser === winner) return;
    this.#map.move(loser, winner);
    this.#selection.replace(loser, winner);
    const { id, gesture } = this.#open;
    if (id === loser) this.#open = opened(winner, { gesture, flips: this.#flips(winner) });
    this.#changed();
  }

  /** There is no such conversation (any more): out of address and memory. */
  removed(id) {
    this.#map.remove(id);
    this.#selection.replace(id, null);
    if (this.#open.id === id) this.#open = opened(null);
    this.#changed();
  }

  /** "connected" | "connecting" | "offline". */
  connection(state) {
    this.#isOffline = state === "offline";
    this.#changed();
  }

  /** Reads what is unread, for a page that does not know it, or no longer. Again until there is an
   * answer. `chosen`: a conversation that may not exist; then `unread:unknown` says so. */
  async load(chosen = null) {
    const before = this.#map.snapshot();
    const path = chosen === null ? "/unread" : `/unread?c=${encodeURIComponent(chosen)}`;
    try {
      const { by_conversation: listed, limit_reached: cut, selected } = await this.#env.request("GET", path);
      this.#limitReached = cut;
      this.#merge([...Object.entries(listed), ...(selected ? [[selected.id, selected]] : [])]);
      for (const [id, { counted: n }] of this.#map.snapshot()) if (!this.#told.has(id)) this.#told.set(id, n);
      if (!cut) this.#map.settle(before, listed);
      if (selected === null) this.#unknown(chosen);
      this.#loads = 0;
      this.#changed();
    } catch {
      this.#loads += 1;
      this.#alarms.set("load", this.#backoff(this.#loads), () => this.load(chosen));
    }
  }

  #unknown(id) {
    this.removed(id);
    if (this.#expected?.id === id) this.#expected = null;
    if (tell("unread:unknown", { id })) notice("Esta conversa não existe, ou não existe mais.");
  }

  #backoff(failures) {
    return backoffDelay(failures, this.#env.random);
  }

  badge = (id) => this.#map.badge(id);
  isUnread = (id) => this.#map.isUnread(id);
  isSilent = (id) => this.#map.isSilent(id);
  /** {counted, read, flips} as the server told them last; null when unknown. */
  numbers = (id) => this.#map.numbers(id);
  totals = () => this.#map.totals();

  /** Draws badges, title, icon and app badge, all at once: so they never disagree. */
  show() {
    for (const badge of document.querySelectorAll("unread-badge")) badge.draw();
    const n = this.totals()[this.#config.title_counts];
    const more = this.#limitReached && n >= this.#config.totals_limit;
    this.#face.show(n, { more, offline: this.#isOffline });
  }

  #changed() {
    this.alerts.closeAll((id) => this.#isSettled(id));
    tell("unread:changed");
    this.#consider();
  }

  #isSettled(id) {
    return !this.isUnread(id) || this.isSilent(id);
  }

  // --- which conversation is open -----------------------------------------------------------------

  get selected() {
    return this.#open.id;
  }

  /** Opens what the address, this tab or this browser remembers, unless the page has opened one.
   * Nothing is read by that. Gives the id that it asked for, or null. */
  restore() {
    this.follow();
    const first = this.#open.id === null ? this.#selection.first() : null;
    if (first) this.select(first.id, first.how);
    return first?.id ?? null;
  }

  /** Asks the page for a conversation (null: for none) by `unread:select`: who shows it names it in
   * `data-live-thread`. Unless a listener prevents that, its row is clicked, as soon as it is there.
   * `how`: "click", "back", "link" or "restored"; by the last two nothing is read. */
  select(id, how = "click") {
    const to = id === null ? null : this.#map.resolve(id);
    this.#expected = { id: to, how, byRow: false };
    const byDefault = tell("unread:select", { id: to, how });
    this.follow();
    if (!byDefault || !this.#expected) return;
    if (to !== null) {
      this.#expected.byRow = true;
      this.#clickRow();
    } else {
      this.#selection.go(this.#open.id, null, how);
      location.reload(); // to the address without a conversation
    }
  }

  /** The page may name another conversation in `data-live-thread` now. */
  follow() {
    const named = threadMark()?.dataset.liveThread || null;
    const id = named && this.#map.resolve(named);
    const isExpected = this.#expected?.id === id;
    const how = isExpected ? this.#expected.how : id === null ? "click" : "link";
    if (id !== this.#open.id) {
      this.#selection.go(this.#open.id, id, how);
      this.#open = opened(id, { gesture: isOnPurpose(how), flips: this.#flips(id) });
      if (isOnPurpose(how)) this.#focusedAt = -Infinity; // no doubt about the focus then
      this.#tab.set("led", null);
    } else if (isExpected) { // opened again
      if (how === "click") Object.assign(this.#open, { gesture: true, flips: this.#flips(id) });
    } else {
      if (this.#expected?.byRow) this.#clickRow();
      return;
    }
    this.#expected = null;
    this.#changed();
  }

  /** The person clicks on a row: that shows the conversation, or leads to a page that does. */
  clicked(id) {
    this.#expected = { id, how: "click" };
    this.#tab.set("led", JSON.stringify(this.#expected));
    if (id === this.#open.id) this.follow();
  }

  #clickRow() {
    const { id, how } = this.#expected;
    const row = rowOf(id);
    if (!row) return;
    this.#expected.byRow = false;
    if (id === this.#led?.id && how === this.#led.how) { // it led to a page which says nothing of it: not for ever
      warnOnce("thread", `unread_state: nothing has data-live-thread="${id}" after its row was clicked; `
        + "the thread must name the conversation that is open");
      return;
    }
    this.#tab.set("led", JSON.stringify({ id, how }));
    (row.matches("a[href]") ? row : row.querySelector("a[href]") ?? row).click();
  }

  /** The browser went back or forward. */
  #stepped() {
    const id = this.#selection.inAddress;
    if (id === this.#open.id || !this.#selection.ownsAddress) return;
    if (id !== null && !this.numbers(id)) this.load(id);
    this.select(id, "back");
  }

  #flips(id) {
    return this.numbers(id)?.flips ?? null;
  }

  // --- the open thread: what is read of it --------------------------------------------------------

  /** The open thread was drawn. `messages`: what it shows, in that order, as the server's JSON;
   * `ready`: false while its newest messages are not among them, or where to stand is not decided. */
  rendered(id, messages, { ready = true } = {}) {
    this.follow();
    if (id !== this.#open.id) return;
    Object.assign(this.#open, { messages, ready });
    const numbers = this.numbers(id);
    if (ready) this.#open.flips ??= this.#flips(id);
    const isRead = numbers?.read >= numbers?.counted && numbers.flips % 2 === 0;
    if (isRead && !unreadAmong(messages, numbers.read).length) {
      this.#open.lastRead = reading(lastArrived(messages)?.id, numbers); // the next may be counted before it is drawn
    }
    this.#consider();
  }

  /** Ids of unread messages that came late and have not been on screen yet, from the top: nothing
   * that came after them is read before that, so the thread has to point there. */
  unseen() {
    const { id, messages, seen } = this.#open;
    const late = new Set(lateAmong(messages, unreadAmong(messages, this.numbers(id)?.read ?? 0)));
    return messages.filter((each) => late.has(each) && !seen.has(each.id)).map((each) => each.id);
  }

  /** An answer is sent from here, which reads what is shown: the id to send as `read_up_to`. */
  answered() {
    const { id, messages, seen } = this.#open;
    Object.assign(this.#open, { gesture: true, flips: this.#flips(id) });
    this.#changed();
    return readUpTo(messages, this.numbers(id)?.read ?? 0, { seen, atEnd: true }).id;
  }

  /** A read by hand, from a menu: up to this message. Rejects when the server did not do it. */
  async markRead(id, messageId) {
    this.#merge([[id, await this.#post(id, "read", { up_to: messageId })]]);
  }

  /** "Marcar como não lida". Rejects when the server did not do it. */
  async markUnread(id) {
    this.#merge([[id, await this.#post(id, "unread", {})]]);
  }

  #post(id, verb, body) {
    return this.#env.request("POST", `/api/conversations/${encodeURIComponent(id)}/${verb}`, body);
  }

  /** Reads the open conversation as far as its conditions hold, or looks again when they may. */
  #consider() {
    this.#alarms.clear("read");
    const open = this.#open;
    if (!open.gesture || !open.ready || open.busy || !this.#env.hasFocus() || !this.isUnread(open.id)) return;
    const numbers = this.numbers(open.id);
    // Marked unread while it was open: it stays so until it is opened again or answered.
    if (open.flips !== null && numbers.flips > open.flips && numbers.flips % 2 === 1) return;
    const wait = Math.max(this.#focusedAt + this.#config.refocus_ms, open.retryAt) - this.#env.now();
    if (wait > 0) return this.#alarms.set("read", wait, () => this.#consider());
    const upTo = readUpTo(open.messages, numbers.read, { seen: open.seen, atEnd: this.#look(open) });
    const next = reading(upTo.id, numbers);
    if (upTo.isNews && open.lastRead !== next) this.#read(open, upTo, next);
  }

  /** Notes which late messages are on screen; whether the end of the thread is. */
  #look({ messages, seen }) {
    const bubbleOf = (id) => threadMark()?.querySelector(`[data-message-id="${CSS.escape(id)}"]`);
    const last = messages.length ? bubbleOf(messages.at(-1).id) : null;
    if (!last) return false;
    let [top, bottom] = [0, window.innerHeight];
    for (let node = last.parentElement; node !== document.documentElement; node = node.parentElement) {
      if (getComputedStyle(node).overflowY === "visible") continue;
      const box = node.getBoundingClientRect();
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    const isOnScreen = (id) => {
      const box = bubbleOf(id)?.getBoundingClientRect();
      const visible = box && Math.min(box.bottom, bottom) - Math.max(box.top, top);
      return visible > 0 && visible >= Math.min(box.height, bottom - top) / 2;
    };
    const found = this.unseen().filter(isOnScreen);
    for (const id of found) seen.add(id);
    if (found.length) tell("unread:changed"); // the thread need not point there any more
    const end = last.getBoundingClientRect();
    return end.height > 0 && end.bottom > top && end.bottom <= bottom + this.#config.near_bottom_px;
  }

  async #read(open, { id, left }, next) {
    open.busy = true;
    this.#map.beginRead(open.id, left);
    this.#changed();
    try {
      const answer = await this.#post(open.id, "read", { up_to: id });
      this.#map.merge(answer.conversation_id ?? open.id, answer);
      Object.assign(open, { lastRead: next, failures: 0 });
    } catch ({ status }) {
      open.failures += 1;
      open.retryAt = this.#env.now() + this.#backoff(open.failures);
      // Refused for good: the next message that arrives makes it another question.
      if (status === 404 || status === 422) open.lastRead = next;
    }
    open.busy = false;
    this.#map.endRead(open.id); // the answer's numbers say it exactly; without one it is taken back
    this.#changed();
  }

  // --- who is told of what came -------------------------------------------------------------------

  /** A message that counts has come: told of once, unless the page began with it. */
  #arrived(id, event) {
    const { age, catchUp, data: { message, conversation } } = event;
    const n = message.counted_at_arrival ?? conversation.incoming_counted;
    if (n <= this.#told.get(id) || age > this.#env.now() - this.#startedAt || this.isSilent(id)) return;
    if (age === undefined ? catchUp : age > this.#config.quiet_after_seconds * 1_000) return this.#miss(id, n);
    this.#told.set(id, n);
    this.alerts.announce(id, () => this.#isSettled(id), () => {
      const detail = { event, title: conversation?.name || rowText(id) || "Conversa", body: message.text || "Mensagem nova" };
      tell("unread:notify", detail);
      const { title, body, icon } = detail;
      return { title, body, icon };
    });
  }

  /** What came meanwhile is one quiet line: how much more is counted, and not read, than before. */
  #miss(id, n) {
    if (id === this.#open.id && this.#open.gesture && this.#env.hasFocus()) return; // it is on the screen
    this.#missed.set(id, Math.min(this.#missed.get(id) ?? Infinity, n - 1));
    this.#alarms.set("digest", DIGEST_QUIET, () => {
      const news = [...this.#missed].map(([each, before]) => {
        const { counted: all } = this.numbers(each) ?? BLANK;
        this.#told.set(each, all);
        return Math.min(this.badge(each).count, all - before);
      }).filter((n) => n > 0);
      this.#missed.clear();
      const text = digestText(news.reduce((sum, n) => sum + n, 0), news.length);
      if (news.length && tell("unread:digest", { text })) notice(text);
    });
  }
}

/** A reading as one word: doing the same again changes nothing. */
const reading = (id, { flips }) => `${id} ${flips}`;

/** What a row says, without its badge. */
function rowText(id) {
  const row = rowOf(id)?.cloneNode(true);
  for (const badge of row?.querySelectorAll("unread-badge") ?? []) badge.remove();
  return row?.textContent.trim().replace(/\s+/g, " ").slice(0, 80);
}

// --- in the page ------------------------------------------------------------------------------------

let running = null; // the page's UnreadState, which the badges draw from

/** Sets an attribute; null takes it away. Nothing is written that changes nothing. */
function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** `<unread-badge>`: what is unread of the conversation in whose row it stands, or of the one that its
 * attribute `conversation` names. While something is, it has `data-unread-count`; 0: marked by hand. */
export class UnreadBadge extends HTMLElement {
  static observedAttributes = ["conversation"];

  connectedCallback() {
    this.draw();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.draw();
  }

  draw() {
    const row = this.closest("[data-conversation-id]");
    const id = this.getAttribute("conversation") ?? row?.dataset.conversationId;
    const { count, marked } = running?.badge(id) ?? { count: 0, marked: false };
    const shown = count > 0 || marked;
    const label = count > 0 ? unreadLabel(count) : "Marcada como não lida";
    const text = count > MAX_SHOWN ? `${MAX_SHOWN}+` : count > 0 ? String(count) : "";
    if (this.textContent !== text) this.textContent = text;
    setAttribute(this, "role", "img");
    setAttribute(this, "aria-label", shown ? label : null);
    setAttribute(this, "data-unread-count", shown ? String(count) : null);
    setAttribute(this, "hidden", shown ? null : "");
    this.classList.toggle("silent", Boolean(running?.isSilent(id)));
  }
}

customElements.define("unread-badge", UnreadBadge);

/** A line over the page, until it is closed or another one comes. */
function notice(text, { label = null, run, onClose } = {}) {
  const line = document.createElement("div");
  const button = (words, act) => {
    const node = document.createElement("button");
    node.type = "button";
    node.textContent = words;
    node.addEventListener("click", () => {
      line.remove();
      act?.();
    });
    line.append(node);
  };
  line.className = "unread-notice";
  line.role = "status";
  line.dataset.liveKept = ""; // a region that is fetched again leaves it alone
  line.append(text);
  if (label) button(label, run);
  button("Fechar", onClose);
  for (const old of document.querySelectorAll(".unread-notice")) old.remove();
  document.body.append(line);
}

/** Feeds an UnreadState from the marks in a page without wiring. */
class PageMarks {
  #unread;
  #parsed = new WeakMap(); // row or bubble → {text, live}: its data-live, parsed once
  #hasBegun = false;
  #hasOffered = false;

  constructor(unread) {
    this.#unread = unread;
    const on = (type, run) => document.addEventListener(type, run, { capture: true });
    on("unread:changed", () => unread.show());
    on("click", ({ target, isTrusted }) => { if (isTrusted) this.#clicked(target); });
    on("submit", ({ target }) => this.#answering(target));
  }

  /** When all scripts of the page have run, so that it hears what is asked of it. */
  begin() {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const attributeFilter = ["data-live", "data-conversation-id", "data-message-id", "data-live-thread"];
    const watched = { subtree: true, childList: true, attributes: true, attributeFilter };
    new MutationObserver(() => this.#look()).observe(document.body, watched);
    this.#look();
    this.#unread.load(this.#unread.restore());
  }

  /** What the marks say now. */
  #look() {
    const rows = [...document.querySelectorAll("[data-conversation-id]")];
    const read = rows.filter((row) => !this.#known(row))
      .map((row) => this.#read(row, "UnreadConversationMixin", "incoming_counted"));
    this.#unread.learn(...read.filter(Boolean));
    this.#unread.follow();
    this.#readThread();
    this.#unread.show();
  }

  #readThread() {
    const bubbles = [...(threadMark() ?? document).querySelectorAll("[data-message-id]")];
    if (!threadMark() && bubbles.length) {
      warnOnce("no thread", "unread_state: nothing is read here, for there is no data-live-thread; give it to the "
        + "element around the messages, with the id of the conversation that is open");
    }
    const id = this.#unread.selected;
    if (id === null) return;
    const [first, last] = [bubbles[0], bubbles.at(-1)].map((each) => each?.getBoundingClientRect().top);
    if (first > last) bubbles.reverse(); // turned round by the page's style
    const messages = bubbles.map((each) => this.#read(each, "UnreadMessageMixin", "arrival", "direction"));
    // The bubbles may still be those of the conversation before.
    this.#unread.rendered(id, messages.filter((each) => each && String(each.conversation_id ?? id) === id));
  }

  /** What the mark of a row or bubble says; null where that cannot be read. */
  #read(node, mixin, ...needed) {
    const live = this.#known(node) ?? liveOf(node);
    if (!live || live === this.#known(node)) return live;
    const missing = needed.find((field) => live[field] === undefined); // null: from before the modules
    if (missing) {
      warnOnce(`${mixin} ${missing}`, `unread_state: a data-live has no ${missing}; give the model `
        + `unread_state.${mixin}, and let its live_json() add to what super().live_json() gives`);
    }
    live.id = node.dataset.messageId ?? node.dataset.conversationId;
    this.#parsed.set(node, { text: node.dataset.live, live });
    return live;
  }

  #known(node) {
    const { text, live } = this.#parsed.get(node) ?? {};
    return live && text === node.dataset.live ? live : null;
  }

  #clicked(target) {
    this.#offerToNotify();
    const id = target.closest("[data-conversation-id]")?.dataset.conversationId;
    if (id !== undefined) this.#unread.clicked(id);
  }

  #offerToNotify() {
    const { alerts } = this.#unread;
    if (!alerts.asks || this.#hasOffered) return;
    this.#hasOffered = true;
    const [run, onClose] = [() => alerts.askPermission(), () => alerts.dismissAsk()];
    notice("Quer ser avisado de mensagens novas?", { label: "Ativar notificações", run, onClose });
  }

  /** Gives the server, with an answer, up to where its author has read. */
  #answering(form) {
    if (!form.matches("[data-live-composer]") && !form.querySelector("[data-live-composer]")) return;
    form.querySelector("input[name=read_up_to]")?.remove();
    this.#unread.clicked(this.#unread.selected); // which the page after this one shows again
    const upTo = this.#unread.answered();
    if (upTo === null) return;
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "read_up_to", value: upTo });
    field.dataset.liveKept = "";
    form.append(field);
  }
}

// --- start ------------------------------------------------------------------------------------------

/** Start counting, reading and remembering.
 *
 * options: `userId` (names keys and locks); `settings`, as the server rendered them; `env` replaces
 * what the browser offers. The page calls `restore()` when it can show a conversation, `load()` as
 * soon as that delays nothing, `learn` and `rendered` with what it shows, and `show()` to draw.
 *
 * It hears on `document`, where the first four can be prevented: `unread:select` ({id, how}, see
 * `select`), `unread:unknown` ({id}: there is no such conversation), `unread:digest` ({text}: the
 * quiet line after a catch-up); `unread:notify` ({event, title, body, icon}: what a notification will
 * say, to be changed there); `unread:changed`: draw again.
 */
export function startUnread(options) {
  running = new UnreadState(options);
  running.show();
  return running;
}

/** What runs in this page, for a script of its own: `pageUnread().alerts.setWanted("sound", false)`. */
export const pageUnread = () => running;

function startByItself() {
  const given = document.getElementById("unread-state");
  const page = pageData();
  if (!given || !page) return;
  const marks = new PageMarks(startUnread({ userId: page.user, ...JSON.parse(given.textContent) }));
  if (document.readyState === "complete") marks.begin();
  for (const type of ["DOMContentLoaded", "load"]) window.addEventListener(type, () => marks.begin());
}

startByItself();
