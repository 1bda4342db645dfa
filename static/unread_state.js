/* Browser half of unread_state: what has not been read yet, in title, icon, list and notifications;
 * when an open conversation counts as read; and which conversation is open.
 *
 * A page that includes unread_state/head.html starts by itself: HostPage feeds UnreadState from the
 * marks in it, and `<unread-badge>` draws itself. An application with much script of its own calls
 * startUnread instead, and tells by itself what it shows (learn, onEvent, select, rendered).
 *
 * Three numbers of a conversation only ever grow: incoming counted, incoming read, and how often
 * the mark "unread" was set or taken away. So two states of it merge by the maximum of each, and
 * events that come twice, late or out of order change nothing.
 */

import { Alarms, liveOf, pageData, request, warnOnce } from "./realtime_events.js";

// Milliseconds where nothing else is said. What the server decides comes in `settings`.
const RETRY_BASE = 2_000; // a read that failed is tried again while its conditions hold
const RETRY_CAP = 60_000;
const TOLD = 1_000; // messages remembered
const DIGEST_QUIET = 1_200; // events of a catch-up come in batches: one line for all of them
const TONE_SPACING = 1_000; // five messages at once are one sound
const REDRAW_WAIT = 300; // a page that hears of a message draws it within this
const CLOSED_WITHIN = 5_000; // the next page of a tab, so soon: somebody followed a link
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

/** The message that arrived last, of those the server has. */
export function lastArrived(messages) {
  return messages.reduce((last, message) => {
    if (!Number.isInteger(message.arrival)) return last;
    return last && last.arrival >= message.arrival ? last : message;
  }, null);
}

/** Those of a conversation's messages that count and have not been read, in order of arrival.
 * `numbers`: {counted, read}. A message says how many had been counted when it came; those that do
 * not say so are taken for the newest. */
export function unreadAmong(messages, numbers) {
  const all = messages.filter(counts).sort((a, b) => a.arrival - b.arrival);
  const rank = (message, n) => message.counted_at_arrival ?? numbers.counted - (all.length - 1 - n);
  return all.filter((message, n) => rank(message, n) > numbers.read);
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
 * `messages`: all that are shown, in that order; `numbers`: {counted, read}; `seen`: ids of what
 * has been on screen; `atEnd`: the end of the thread is. */
export function readUpTo(messages, numbers, { seen, atEnd }) {
  const unread = unreadAmong(messages, numbers);
  const late = new Set(lateAmong(messages, unread));
  const barred = unread.find((message) => (late.has(message) ? !seen.has(message.id) : !atEnd));
  const last = lastArrived(messages.filter(({ arrival }) => !(arrival >= barred?.arrival)));
  if (!last) return { id: null, left: unread.length, isNews: false };
  const left = unread.filter(({ arrival }) => arrival > last.arrival).length;
  // With nothing unread among them there may be a mark, or messages that this page does not have.
  return { id: last.id, left, isNews: unread.length ? left < unread.length : atEnd };
}

const BLANK = { counted: 0, read: 0, flips: 0, silent: false, version: 0, reading: null };

/** What every view draws from: per conversation the growing numbers, and one sum of them. Ids may be
 * numbers or texts: 7 and "7" are one conversation. */
export class UnreadMap {
  #entries = new Map(); // id → as BLANK; replaced, never changed
  #moved = new Set(); // ids that were merged into another conversation
  #totals = null;

  /** Takes in what some answer or event says of a conversation; true when that changed something.
   * `news`: {incoming_counted, incoming_read, mark_flips, silent, version}; what is absent says
   * nothing. */
  merge(id, news) {
    if (this.#moved.has(String(id))) return false; // late news of what no longer exists
    const known = this.#get(id);
    const next = {
      counted: Math.max(known.counted, news.incoming_counted ?? 0),
      read: Math.max(known.read, news.incoming_read ?? 0),
      flips: Math.max(known.flips, news.mark_flips ?? 0),
    };
    const { silent, version = 0 } = news;
    if (silent !== undefined && version >= known.version) Object.assign(next, { silent, version });
    return this.#put(id, next);
  }

  remove(id) {
    this.#totals = null;
    this.#entries.delete(String(id));
  }

  /** `loser` was merged into another conversation, whose numbers come with its own events. */
  move(loser) {
    this.#moved.add(String(loser));
    this.remove(loser);
  }

  /** As it is now, for `settle`. */
  snapshot() {
    return new Map(this.#entries);
  }

  /** `listed` is all that is unread and loud on the server. What it lacks, and what has not changed
   * since the snapshot `before`, is read or gone, though no event will tell so any more. */
  settle(before, listed) {
    for (const [id, entry] of before) {
      const isDoubtful = this.isUnread(id) && !entry.silent && !entry.reading && this.#get(id) === entry;
      if (isDoubtful && !(id in listed)) this.remove(id);
    }
  }

  /** A read is under way: until `endRead` all but `left` of what was counted shows as read. */
  beginRead(id, left = 0) {
    const { counted: all, flips } = this.#get(id);
    this.#put(id, { reading: { read: all - left, flips: flips + (flips % 2) } });
  }

  /** Its end: what the server has said until now holds. A read that failed is taken back by that. */
  endRead(id) {
    if (this.isReading(id)) this.#put(id, { reading: null });
  }

  isReading(id) {
    return this.#get(id).reading !== null;
  }

  /** {count, marked}: what the badge says. Marked without a number is a badge without a number. */
  badge(id) {
    const { counted: all, read, flips, reading } = this.#get(id);
    const count = Math.max(0, all - Math.max(read, reading?.read ?? 0));
    return { count, marked: Math.max(flips, reading?.flips ?? 0) % 2 === 1 };
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
    const entry = this.#get(id);
    return entry === BLANK ? null : { counted: entry.counted, read: entry.read, flips: entry.flips };
  }

  /** {conversations, messages} over those that are not silent; one marked by hand is one. */
  totals() {
    if (this.#totals) return this.#totals;
    const loud = [...this.#entries.keys()].filter((id) => this.isUnread(id) && !this.isSilent(id));
    const messages = loud.reduce((sum, id) => sum + Math.max(1, this.badge(id).count), 0);
    this.#totals = { conversations: loud.length, messages };
    return this.#totals;
  }

  #get(id) {
    return this.#entries.get(String(id)) ?? BLANK;
  }

  #put(id, change) {
    const known = this.#get(id);
    const next = { ...known, ...change };
    if (known !== BLANK && Object.keys(next).every((key) => next[key] === known[key])) return false;
    this.#entries.set(String(id), next);
    this.#totals = null;
    return true;
  }
}

// --- what the browser offers, or not ------------------------------------------------------------

const browserEnvironment = () => ({
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
  canPlay: () => Boolean(window.AudioContext && navigator.userActivation?.hasBeenActive),
  playTone,
});

/** Two short notes, made here: no file to fetch, and nothing that plays on. */
function playTone() {
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
  const set = (storage, name, value) => (value === null ? storage.removeItem(name) : storage.setItem(name, value));
  return {
    get: (key) => attempt((storage) => storage.getItem(prefix + key)),
    /** null takes it away. */
    set: (key, value) => closed || attempt((storage) => set(storage, prefix + key, value)),
    /** Forgets this user, for good: what the page still does while it goes is not kept. */
    clear() {
      closed = true;
      const own = attempt((storage) => Object.keys(storage).filter((key) => key.startsWith(prefix)));
      for (const key of own ?? []) attempt((storage) => storage.removeItem(key));
    },
  };
}

// --- title, icon, app badge -----------------------------------------------------------------------

const withoutNumber = (title) => title.replace(/^\(\d+\+?\) /, "");

class TabFace {
  #name;
  #env;
  #link = document.querySelector('link[rel~="icon"]');
  #plain; // {href, type} of the host's own icon
  #title = document.title;
  #icon = "plain";
  #appBadge = null;

  constructor(name, env) {
    this.#name = name;
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

/** What address, tab and browser remember. `ownsAddress`: false where the host's addresses tell it. */
class Selection {
  #tab;
  #browser;
  #ownsAddress;
  #covered = matchMedia(COVERED);

  constructor(tab, browser, ownsAddress) {
    this.#tab = tab;
    this.#browser = browser;
    this.#ownsAddress = ownsAddress;
  }

  get inAddress() {
    return new URL(location.href).searchParams.get("c") || null;
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
    this.#tab.set("selected", to ?? "");
    if (to !== null) this.#browser.set("selected", to);
    if (how === "back") return; // the browser is there already
    const covered = this.#covered.matches;
    if (how === "click" && !(covered && from !== null)) {
      this.#write("pushState", to, from === null);
    } else if (how !== "click" && to !== null && covered && !this.#isAboveList) {
      this.#write("replaceState", null); // a link, or a kept one, has no list below it yet
      this.#write("pushState", to, true);
    } else {
      this.#write("replaceState", to);
    }
  }

  /** A conversation has another id now, or is no more: no step of the history. */
  replace(from, to) {
    if (this.#browser.get("selected") === from) this.#browser.set("selected", to);
    if (this.#tab.get("selected") === from) this.#tab.set("selected", to ?? "");
    if (this.inAddress === from) this.#write("replaceState", to);
  }

  /** On a phone closing is going back to the list, when that lies below. True when that will be. */
  leave() {
    const isBelow = this.#ownsAddress && this.#covered.matches && this.#isAboveList;
    if (isBelow) history.back();
    return isBelow;
  }

  get #isAboveList() {
    return history.state?.aboveList === true;
  }

  #write(how, id, aboveList = id !== null && this.#isAboveList) {
    if (!this.#ownsAddress) return;
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

/** Whether any tab of this browser and user has focus, and whether this one is to notify. */
class Presence {
  notifies = false;
  #env;
  #prefix;
  #session = null;
  #leave = null; // releases the shared lock of a tab with focus

  constructor(env, userId) {
    this.#env = env;
    this.#prefix = prefixOf(userId);
  }

  begin() {
    this.#session = new AbortController();
    const { signal } = this.#session;
    const hold = () => {
      this.notifies = !signal.aborted;
      return this.notifies && new Promise((release) => { signal.addEventListener("abort", release); });
    };
    // Where there are no locks each tab does: the tag makes one notification of theirs.
    if (!this.#env.locks) hold();
    else this.#env.locks.request(`${this.#prefix}notifier`, { signal }, hold).catch(hold);
    this.setFocus(this.#env.hasFocus());
  }

  end() {
    this.#session?.abort(); // locks would keep the page out of the bfcache
    this.notifies = false;
    this.setFocus(false);
  }

  setFocus(focused) {
    if (!this.#env.locks || focused === (this.#leave !== null)) return;
    this.#leave?.();
    this.#leave = null;
    if (!focused) return;
    const gone = new Promise((release) => { this.#leave = release; });
    this.#env.locks.request(`${this.#prefix}focused`, { mode: "shared" }, () => gone).catch(() => {});
  }

  async anyFocus() {
    if (this.#env.hasFocus()) return true;
    const { held = [] } = (await this.#env.locks?.query()) ?? {};
    return held.some(({ name }) => name === `${this.#prefix}focused`);
  }
}

class Notifications {
  #env;
  #browser;
  #onClick;
  #shown = new Map(); // conversation id → Notification
  #lastTone = -Infinity;
  #impossible = false; // found out by trying: Android's Chrome throws

  constructor(env, browser, onClick) {
    this.#env = env;
    this.#browser = browser;
    this.#onClick = onClick;
  }

  get permission() {
    return this.#impossible ? "unsupported" : (this.#env.Notification?.permission ?? "unsupported");
  }

  /** Tells of one message, by notification, by sound, or by both. */
  tell(id, eventId, { title, body, icon }, { sound, notifications }) {
    const ring = sound && this.#mayRing(eventId);
    const tone = ring && this.#env.canPlay();
    if (notifications && this.permission === "granted") {
      this.#show(id, title, { body, icon, tag: id, renotify: true, silent: !ring || tone });
    }
    if (tone) this.#env.playTone();
  }

  closeAll(when = () => true) {
    for (const [id, shown] of [...this.#shown]) if (when(id) && this.#shown.delete(id)) shown.close();
  }

  #show(id, title, options) {
    try {
      const shown = new this.#env.Notification(title, options);
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

  /** One sound for messages that come together, and one for an event that several tabs tell of. */
  #mayRing(eventId) {
    const now = this.#env.now();
    if (now - this.#lastTone < TONE_SPACING || this.#browser.get("rung") === eventId) return false;
    this.#lastTone = now;
    this.#browser.set("rung", eventId);
    return true;
  }
}

// --- all together ---------------------------------------------------------------------------------

const hostDefaults = {
  title: null, ownsAddress: true, request, resolve: (id) => id, thread: () => null, touches: () => true,
  onChange() {}, onSelect() {}, onAsk: null, onUnknown() {}, onDigest() {}, preview: () => ({ title: "" }),
};

/** The conversation that is open in this tab, and all that ends with it. */
const opened = (id, more = {}) => ({
  id,
  gesture: false, // the person has touched it since it was opened
  flips: null, // a mark set after that is not cleared by looking on; null: not known yet
  messages: [], // what the thread shows,
  ready: false, // that this can be read at all,
  drawn: true, // and that it holds all that was told so far
  seen: new Set(), // ids of late messages that have been on screen
  busy: false, // a read is under way
  failures: 0,
  retryAt: 0,
  lastRead: null, // so that a read that changed nothing is not repeated
  ...more,
});

class UnreadState {
  #host;
  #env;
  #config;
  #alarms;
  #map = new UnreadMap();
  #face;
  #tab;
  #browser;
  #selection;
  #presence;
  #notifications;
  #listeners = new AbortController();
  #open = opened(null);
  #limitReached = false;
  #loads = 0; // that failed in a row
  #isOffline = false;
  #startedAt;
  #hadFocus;
  #focusedAt = -Infinity;
  #begunWith = new Map(); // conversation id → how many were counted when the page learned of it
  #newest = new Map(); // conversation id → the number of the newest message announced
  #told = new Set(); // messages told of: events come in any order, and twice
  #missed = new Map(); // conversation id → ids of messages

  constructor(options) {
    const { userId, settings } = options;
    this.#host = { ...hostDefaults, ...options };
    this.#env = { ...browserEnvironment(), ...options.env };
    this.#config = { ...defaultSettings, ...settings };
    this.#alarms = new Alarms(this.#env);
    this.#startedAt = this.#env.now();
    this.#hadFocus = this.#env.hasFocus();
    this.#tab = memory(this.#env.tabStorage, userId);
    this.#browser = memory(this.#env.browserStorage, userId);
    this.#selection = new Selection(this.#tab, this.#browser, this.#host.ownsAddress);
    this.#presence = new Presence(this.#env, userId);
    this.#notifications = new Notifications(this.#env, this.#browser, (id) => this.#ask(id, "click"));
    this.#face = new TabFace(this.#host.title ?? withoutNumber(document.title), this.#env);
    this.#listen();
    this.#presence.begin();
  }

  // --- what the page tells ------------------------------------------------------------------------

  /** One event of the stream. */
  onEvent(event) {
    const { type, conversation_id: id, data = {} } = event;
    if (type === "unread.changed") this.#merge([[id, data]]);
    if (data.merged_into) this.merged(id, data.merged_into);
    else if (data.conversation) this.learn(data.conversation);
    if (type === "message.created" && counts(data.message)) this.#arrived(this.#host.resolve(id), event);
  }

  /** Conversations that the page has read, in whatever answer. */
  learn(...conversations) {
    this.#merge(conversations.map((each) => [each.id, each]));
  }

  merged(loser, winner) {
    if (!loser || loser === winner) return;
    this.#map.move(loser);
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

  /** "connected" | "connecting" | "offline", as the host learns it. */
  connection(state) {
    this.#isOffline = state === "offline";
    this.#changed();
  }

  /** Reads what is unread, for a page that does not know it, or no longer. Again until there is an
   * answer. `chosen`: a conversation that may not exist, see `onUnknown`. */
  async load(chosen = null) {
    const before = this.#map.snapshot();
    const path = chosen === null ? "/unread" : `/unread?c=${encodeURIComponent(chosen)}`;
    try {
      const { by_conversation: listed, limit_reached: cut, selected } = await this.#host.request("GET", path);
      this.#limitReached = cut;
      this.#merge([...Object.entries(listed), ...(selected ? [[selected.id, selected]] : [])]);
      // What was there already is no news.
      for (const [id, { counted: n }] of this.#map.snapshot()) if (!this.#begunWith.has(id)) this.#begunWith.set(id, n);
      if (!cut) this.#map.settle(before, listed);
      if (selected === null) {
        this.removed(chosen);
        this.#host.onUnknown(chosen);
      }
      this.#loads = 0;
      this.#changed();
    } catch {
      this.#loads += 1;
      this.#alarms.set("load", this.#backoff(this.#loads), () => this.load(chosen));
    }
  }

  #merge(news) {
    if (news.filter(([id, each]) => this.#map.merge(id, each)).length) this.#changed();
  }

  // --- what the views draw ------------------------------------------------------------------------

  badge = (id) => this.#map.badge(id);
  isUnread = (id) => this.#map.isUnread(id);
  isSilent = (id) => this.#map.isSilent(id);
  /** {counted, read, flips} as the server told them last; null when unknown. */
  numbers = (id) => this.#map.numbers(id);
  totals = () => this.#map.totals();

  /** Draws badges, title, icon and app badge, all at once: so they never disagree. */
  show() {
    for (const badge of badges) badge.draw();
    const n = this.totals()[this.#config.title_counts];
    const more = this.#limitReached && n >= this.#config.totals_limit;
    this.#face.show(n, { more, offline: this.#isOffline });
  }

  #changed() {
    this.#notifications.closeAll((id) => !this.isUnread(id) || this.isSilent(id));
    this.#open.drawn = this.#open.id === null; // what has just come is not among what is shown
    this.#host.onChange();
    this.#consider();
  }

  // --- which conversation is open -----------------------------------------------------------------

  get selected() {
    return this.#open.id;
  }

  /** Opens what the address, this tab or this browser remembers. Nothing is read by that. */
  restore() {
    const first = this.#selection.first();
    if (first) this.#ask(first.id, first.how);
  }

  /** This conversation is open now, by a click or as `how` says (see `onSelect`); null: none is. */
  select(id, how = "click") {
    if (id === null && how === "click" && this.#selection.leave()) return; // the history brings us there
    const to = id === null ? null : this.#host.resolve(String(id));
    const [onPurpose, flips] = [how === "click" || how === "back", this.#flips(to)];
    if (to === null || to !== this.#open.id) {
      this.#selection.go(this.#open.id, to, how);
      this.#open = opened(to, { gesture: onPurpose, flips });
      if (onPurpose) this.#focusedAt = -Infinity; // no doubt about the focus then
    } else if (how === "click") {
      Object.assign(this.#open, { gesture: true, flips });
    }
    this.#host.onSelect(to, how);
    this.#changed();
  }

  /** Logged out: nothing of this user stays in this browser. */
  forget() {
    this.#tab.clear();
    this.#browser.clear();
    this.#notifications.closeAll();
  }

  /** Asked for by the address, the history or a notification, not by the page. */
  #ask(id, how) {
    const resolved = id === null ? null : this.#host.resolve(id);
    if (this.#host.onAsk) this.#host.onAsk(resolved, how);
    else this.select(resolved, how);
  }

  #flips(id) {
    return this.numbers(id)?.flips ?? null;
  }

  // --- the open thread: what is read of it --------------------------------------------------------

  /** The open thread was drawn. `messages`: what it shows, in that order, as the server's JSON;
   * `ready`: false while its newest messages are not among them, or where to stand is not decided. */
  rendered(id, messages, { ready = true } = {}) {
    if (id !== this.#open.id) return;
    Object.assign(this.#open, { messages, ready, drawn: true });
    if (ready) this.#open.flips ??= this.#flips(id);
    this.#consider();
  }

  /** Ids of unread messages that came late and have not been on screen yet, from the top: nothing
   * that came after them is read before that, so the thread has to point there. */
  unseen() {
    const { id, messages, seen } = this.#open;
    const late = new Set(lateAmong(messages, unreadAmong(messages, this.numbers(id) ?? BLANK)));
    return messages.filter((each) => late.has(each) && !seen.has(each.id)).map((each) => each.id);
  }

  /** An answer is sent from here, which reads what is shown: the id to send as `read_up_to`. */
  answered() {
    const { id, messages, seen } = this.#open;
    Object.assign(this.#open, { gesture: true, flips: this.#flips(id) });
    this.#changed();
    return readUpTo(messages, this.numbers(id) ?? BLANK, { seen, atEnd: true }).id;
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
    return this.#host.request("POST", `/api/conversations/${encodeURIComponent(id)}/${verb}`, body);
  }

  /** Reads the open conversation as far as its conditions hold, or looks again when they may. */
  #consider() {
    this.#alarms.clear("read");
    const open = this.#open;
    if (!open.gesture || !open.ready || !open.drawn || open.busy || !this.#env.hasFocus()) return;
    if (!this.isUnread(open.id)) return;
    const numbers = this.numbers(open.id);
    // Marked unread while it was open: it stays so until it is opened again or answered.
    if (open.flips !== null && numbers.flips > open.flips && numbers.flips % 2 === 1) return;
    const wait = Math.max(this.#focusedAt + this.#config.refocus_ms, open.retryAt) - this.#env.now();
    if (wait > 0) return this.#alarms.set("read", wait, () => this.#consider());
    const upTo = readUpTo(open.messages, numbers, { seen: open.seen, atEnd: this.#look(open) });
    const reading = `${upTo.id} ${numbers.flips}`;
    if (upTo.isNews && open.lastRead !== reading) this.#read(open, upTo, reading);
  }

  /** Notes which late messages are on screen; whether the end of the thread is. */
  #look({ messages, seen }) {
    const thread = this.#host.thread();
    const boxOf = (id) => thread?.querySelector(`[data-message-id="${CSS.escape(id)}"]`)?.getBoundingClientRect();
    let [top, bottom] = [0, window.innerHeight];
    for (let node = thread; node && node !== document.documentElement; node = node.parentElement) {
      if (getComputedStyle(node).overflowY === "visible") continue;
      const box = node.getBoundingClientRect();
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    const isOnScreen = (box) => {
      const visible = Math.min(box.bottom, bottom) - Math.max(box.top, top);
      return visible > 0 && visible >= Math.min(box.height, bottom - top) / 2;
    };
    const found = this.unseen().filter((id) => boxOf(id) && isOnScreen(boxOf(id)));
    for (const id of found) seen.add(id);
    if (found.length) this.#host.onChange(); // the thread need not point there any more
    const last = messages.length && boxOf(messages.at(-1).id);
    return Boolean(last?.height) && last.bottom > top && last.bottom <= bottom + this.#config.near_bottom_px;
  }

  async #read(open, { id, left }, reading) {
    open.busy = true;
    this.#map.beginRead(open.id, left);
    this.#changed();
    try {
      const answer = await this.#post(open.id, "read", { up_to: id });
      this.#map.merge(answer.conversation_id ?? open.id, answer);
      Object.assign(open, { lastRead: reading, failures: 0 });
    } catch ({ status }) {
      open.failures += 1;
      open.retryAt = this.#env.now() + this.#backoff(open.failures);
      // Refused for good: the next message that arrives makes it another question.
      if (status === 404 || status === 422) open.lastRead = reading;
    }
    open.busy = false;
    this.#map.endRead(open.id); // the answer's numbers say it exactly; without one it is taken back
    this.#changed();
  }

  #backoff(failures) {
    return Math.min(RETRY_CAP, RETRY_BASE * 2 ** (failures - 1)) * (0.5 + this.#env.random() / 2);
  }

  // --- who is told of what came -------------------------------------------------------------------

  /** "default" (may be asked), "granted", "denied" or "unsupported". */
  get permission() {
    return this.#notifications.permission;
  }

  /** Whether the page should offer to notify. */
  get asks() {
    return this.permission === "default" && this.settings.notifications && this.#browser.get("asked") === null;
  }

  /** The offer was closed: not again in this browser. */
  dismissAsk() {
    this.#browser.set("asked", "no");
    this.#changed();
  }

  /** From a click only: browsers refuse to be asked otherwise. */
  async askPermission() {
    await this.#env.Notification?.requestPermission?.();
    this.#changed();
  }

  /** {sound, notifications}: what this browser's user wants; can be set, too. */
  settings = Object.defineProperties({}, { sound: this.#setting("sound"), notifications: this.#setting("notifications") });

  #setting(name) {
    const get = () => this.#browser.get(name) !== "off";
    const set = (value) => {
      this.#browser.set(name, value ? "on" : "off");
      if (name === "notifications" && !value) this.#notifications.closeAll();
      this.#changed();
    };
    return { get, set };
  }

  /** A message that counts has come: told once, unless the page began with it. */
  #arrived(id, event) {
    const { message, conversation } = event.data;
    const n = message.counted_at_arrival ?? conversation?.incoming_counted;
    const name = `${id} ${n ?? message.id}`; // one number a message that counts
    if (n <= this.#begunWith.get(id) || this.#told.has(name)) return;
    this.#told.add(name);
    if (this.#told.size > TOLD) this.#told.delete(this.#told.values().next().value);
    if (event.age > this.#env.now() - this.#startedAt || this.isSilent(id)) return;
    const quiet = this.#config.quiet_after_seconds * 1_000;
    const late = event.age === undefined ? event.catchUp : event.age > quiet;
    if (late) return this.#miss(id, message.id);
    if (n < this.#newest.get(id)) return; // overtaken by one that was told of
    this.#newest.set(id, n);
    this.#announce(id, event);
  }

  async #announce(id, event) {
    if (!this.#presence.notifies || (await this.#presence.anyFocus())) return;
    if (!this.isUnread(id) || this.isSilent(id)) return; // read elsewhere meanwhile
    this.#notifications.tell(id, event.id, this.#host.preview(event), this.settings);
  }

  #miss(id, messageId) {
    if (id === this.#open.id && this.#open.gesture && this.#env.hasFocus()) return; // it is on the screen
    this.#missed.set(id, (this.#missed.get(id) ?? new Set()).add(messageId));
    this.#alarms.set("digest", DIGEST_QUIET, () => {
      const unread = [...this.#missed].filter(([missed]) => this.isUnread(missed));
      this.#missed.clear();
      const messages = unread.reduce((sum, [, ids]) => sum + ids.size, 0);
      if (messages) this.#host.onDigest(digestText(messages, unread.length));
    });
  }

  // --- life of the page ---------------------------------------------------------------------------

  #listen() {
    const { signal } = this.#listeners;
    const on = (target, types, run) => {
      for (const type of types) target.addEventListener(type, run, { signal, passive: true, capture: true });
    };
    on(window, ["focus", "blur", "visibilitychange"], () => this.#focusChanged());
    on(window, ["scroll", "resize"], () => this.#consider());
    on(window, ["popstate"], () => { if (this.#host.ownsAddress) this.#ask(this.#selection.inAddress, "back"); });
    on(window, ["pagehide"], () => this.#end());
    on(window, ["pageshow"], ({ persisted }) => persisted && this.#resume());
    on(window, ["pointerdown", "keydown", "wheel", "touchmove"], ({ target }) => {
      if (this.#open.gesture || !this.#host.touches(target)) return;
      this.#open.gesture = true;
      this.#consider();
    });
    navigator.permissions?.query({ name: "notifications" })
      .then((status) => { status.onchange = () => this.#changed(); }, () => {});
  }

  #resume() {
    this.#alarms.isOpen = true;
    for (const id of this.#map.snapshot().keys()) this.#map.endRead(id); // no answer comes any more
    this.#presence.begin();
    this.#changed();
  }

  #end() {
    this.#notifications.closeAll();
    this.#presence.end();
    this.#alarms.close();
  }

  close() {
    this.#end();
    this.#listeners.abort();
  }

  #focusChanged() {
    const focused = this.#env.hasFocus();
    this.#presence.setFocus(focused);
    if (focused && !this.#hadFocus) this.#focusedAt = this.#env.now();
    this.#hadFocus = focused;
    this.#consider();
  }
}

// --- what a page without wiring needs -------------------------------------------------------------

let running = null; // the page's UnreadState, which the badges draw from
const badges = new Set();

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
    badges.add(this);
    this.draw();
  }

  disconnectedCallback() {
    badges.delete(this);
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

const rowOf = (id) => document.querySelector(`[data-conversation-id="${CSS.escape(id)}"]`);
const threadMark = () => document.querySelector("[data-live-thread]");

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

/** Feeds an UnreadState from the marks of a page, and does for that page what it asks of a host. */
class HostPage {
  #unread;
  #tab;
  #parsed = new WeakMap(); // row or bubble → {text, live}: its data-live, parsed once
  #shownId = null; // what `data-live-thread` said last
  #clicked = null; // id of the row that was clicked last
  #asked = null; // what the page is to open: {id, how, byRow: its row is to be clicked}
  #clicking = false; // by us
  #offered = false; // to notify

  constructor({ user: userId }, { settings }) {
    this.#tab = memory(() => window.sessionStorage, userId);
    this.#unread = startUnread({
      userId,
      settings,
      ownsAddress: !threadMark()?.dataset.liveThread, // a page that comes open has an address for that
      thread: threadMark,
      touches: (node) => Boolean(node.closest?.("[data-live-thread], [data-live-composer]")),
      onChange: () => this.#changed(),
      onAsk: (id, how) => this.#ask(id, how),
      onUnknown: (id) => this.#unknown(id),
      onDigest: (text) => notice(text),
      preview: previewOf,
    });
    document.addEventListener("realtime:event", ({ detail }) => this.#unread.onEvent(detail));
    document.addEventListener("realtime:state", ({ detail }) => this.#unread.connection(detail.state));
    document.addEventListener("realtime:reset", () => this.#unread.load());
    document.addEventListener("click", (event) => this.#noteClick(event), { capture: true });
    document.addEventListener("submit", (event) => this.#answering(event.target), { capture: true });
    window.addEventListener("pagehide", () => {
      if (this.#shownId) this.#tab.set("left", String(Date.now()));
    });
  }

  /** When all scripts of the page have run, so that it hears what is asked of it. */
  begin() {
    const watched = ["data-live", "data-conversation-id", "data-message-id", "data-live-thread"];
    const observer = new MutationObserver(() => this.#look());
    observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: watched });
    this.#clicked = this.#tab.get("clicked"); // in the page before this one
    const left = this.#tab.get("left");
    for (const key of ["clicked", "left"]) this.#tab.set(key, null);
    this.#look();
    if (this.#shownId === null) {
      if (Date.now() - Number(left) < CLOSED_WITHIN) this.#tab.set("selected", "");
      this.#unread.restore();
    }
    if (this.#asked === null) this.#unread.load();
  }

  /** What the marks say now. */
  #look() {
    const rows = [...document.querySelectorAll("[data-conversation-id]")];
    const read = rows.map((row) => this.#read(row, "UnreadConversationMixin", "incoming_counted"));
    this.#unread.learn(...read.filter((each) => each?.isNew).map(({ live }) => live));
    this.#follow();
    if (this.#asked?.byRow) this.#clickRow();
    for (const badge of badges) badge.draw();
  }

  /** The open thread, as the page shows it now. */
  #follow() {
    const thread = threadMark();
    const id = thread?.dataset.liveThread || null;
    if (!thread && document.querySelector("[data-message-id]")) {
      warnOnce("no thread", "unread_state: nothing is read here, for there is no data-live-thread; give it to the "
        + "element around the messages, with the id of the conversation that is open");
    }
    if (id !== this.#shownId) {
      const byPerson = id === null || id === this.#clicked;
      const how = id === this.#asked?.id ? this.#asked.how : byPerson ? "click" : "link";
      this.#shownId = id;
      this.#asked = this.#clicked = null;
      this.#tab.set("asked", null);
      this.#unread.select(id, how);
    }
    if (id === null) return;
    const bubbles = [...thread.querySelectorAll("[data-message-id]")];
    const tops = new Map(bubbles.map((each) => [each, each.getBoundingClientRect().top]));
    const read = bubbles.sort((a, b) => tops.get(a) - tops.get(b))
      .map((each) => this.#read(each, "UnreadMessageMixin", "arrival", "direction")?.live);
    // The bubbles may still be those of the conversation before.
    this.#unread.rendered(id, read.filter((each) => each && String(each.conversation_id ?? id) === id));
  }

  /** {live, isNew} of a row or bubble; null without a mark that can be read. */
  #read(node, mixin, ...needed) {
    const known = this.#parsed.get(node);
    const text = node.dataset.live;
    if (known && known.text === text) return { live: known.live, isNew: false };
    const live = liveOf(node);
    if (!live) return null;
    const missing = needed.find((field) => live[field] === undefined); // null: from before the modules
    if (missing) {
      warnOnce(`${mixin} ${missing}`, `unread_state: a data-live has no ${missing}; give the model `
        + `unread_state.${mixin}, and let its live_json() add to what super().live_json() gives`);
    }
    live.id = node.dataset.messageId ?? node.dataset.conversationId;
    this.#parsed.set(node, { text, live });
    return { live, isNew: true };
  }

  #changed() {
    this.#unread.show();
    setTimeout(() => this.#follow(), REDRAW_WAIT);
  }

  #noteClick({ target }) {
    if (this.#clicking) return;
    this.#offerToNotify();
    const id = target.closest?.("[data-conversation-id]")?.dataset.conversationId;
    if (id === undefined) return;
    this.#clicked = id;
    this.#asked = null;
    this.#tab.set("clicked", id); // for the page that it may lead to
    if (id === this.#shownId) this.#unread.select(id);
  }

  #offerToNotify() {
    if (!this.#unread.asks || this.#offered) return;
    this.#offered = true;
    const run = () => this.#unread.askPermission();
    const onClose = () => this.#unread.dismissAsk();
    notice("Quer ser avisado de mensagens novas?", { label: "Ativar notificações", run, onClose });
  }

  /** Gives the server, with an answer, up to where its author has read. */
  #answering(form) {
    if (!form.matches("[data-live-composer]") && !form.querySelector("[data-live-composer]")) return;
    form.querySelector("input[name=read_up_to]")?.remove();
    this.#tab.set("clicked", this.#shownId);
    const upTo = this.#unread.answered();
    if (upTo === null) return;
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "read_up_to", value: upTo });
    field.dataset.liveKept = "";
    form.append(field);
  }

  /** Asks the page to show a conversation (null: none), and does it by a click where it does not. */
  #ask(id, how) {
    if (id === this.#shownId) return this.#unread.select(id, how);
    this.#asked = { id, how, byRow: false };
    if (id !== null) this.#unread.load(id);
    const event = new CustomEvent("unread:select", { detail: { id }, cancelable: true });
    if (!document.dispatchEvent(event)) return;
    if (id === null) {
      this.#unread.select(null, "back");
      location.reload(); // to the address without a conversation
    } else {
      this.#asked.byRow = true;
      this.#clickRow();
    }
  }

  #clickRow() {
    const { id } = this.#asked;
    const row = rowOf(id);
    if (!row) return;
    this.#asked.byRow = false;
    if (this.#tab.get("asked") === id) { // a row that leads to a page which says nothing of it: not for ever
      warnOnce("thread", `unread_state: nothing has data-live-thread="${id}" after its row was clicked; `
        + "the thread must name the conversation that is open");
      return;
    }
    this.#tab.set("asked", id);
    this.#clicking = true;
    (row.matches("a[href]") ? row : row.querySelector("a[href]") ?? row).click();
    this.#clicking = false;
  }

  #unknown(id) {
    if (this.#asked?.id === id) this.#asked = null;
    const event = new CustomEvent("unread:unknown", { detail: { id }, cancelable: true });
    if (document.dispatchEvent(event)) notice("Esta conversa não existe, ou não existe mais.");
  }
}

/** What a notification says, where no script of the page's own does. */
function previewOf({ conversation_id: id, data: { conversation, message } }) {
  const row = rowOf(id)?.cloneNode(true);
  for (const badge of row?.querySelectorAll("unread-badge") ?? []) badge.remove();
  const text = row?.textContent.trim().replace(/\s+/g, " ").slice(0, 80);
  return { title: conversation?.name || text || "Conversa", body: message.text || "Mensagem nova" };
}

// --- start ------------------------------------------------------------------------------------------

/** Start counting, reading and remembering.
 *
 * options: `userId` (names keys and locks); `title`, the page's name without a number; `settings`,
 * as the server rendered them; `thread()`, the element in which the bubbles of the open conversation
 * are (`data-message-id`); `touches(node)`, whether a gesture on that node concerns the open
 * conversation; `request(method, path, body)`, a promise of the answer that rejects with `status`;
 * `resolve(id)`, following merges; `onChange()`, draw again, then `show()` and `rendered(…)`;
 * `onSelect(id | null, how)`, show that conversation: "click", "back", "link" or "restored";
 * `onAsk(id | null, how)`, in its place for what does not come from the page: it calls `select` when
 * it has shown it; `ownsAddress`, false where the host's own addresses say what is open;
 * `onUnknown(id)`, `load(id)` found that there is no such conversation; `onDigest(text)`, the quiet
 * line after a catch-up; `preview(event)` → {title, body, icon}. `env` replaces what the browser
 * offers. Call `load()` as soon as that delays nothing.
 */
export function startUnread(options) {
  running = new UnreadState(options);
  running.show();
  return running;
}

/** What runs in this page, for a script of its own: `pageUnread().settings.sound = false`. */
export const pageUnread = () => running;

function startByItself() {
  const given = document.getElementById("unread-state");
  const page = pageData();
  if (!given || "manual" in given.dataset || !page) return;
  const host = new HostPage(page, JSON.parse(given.textContent));
  let begun = false;
  const begin = () => {
    if (!begun) host.begin();
    begun = true;
  };
  if (document.readyState === "complete") begin();
  document.addEventListener("DOMContentLoaded", begin);
  window.addEventListener("load", begin);
}

startByItself();
