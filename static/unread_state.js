/* Browser half of unread_state: what has not been read yet, in title, icon, list and notifications;
 * when an open conversation counts as read; and which conversation is open.
 *
 * The host shows things; this module decides. It is given every event (onEvent), every conversation
 * the page reads (learn), and what the open thread shows (layout before it is drawn, rendered after).
 * It asks the host to show a conversation (onSelect) and to draw again (onChange). See startUnread.
 *
 * Three numbers of a conversation only ever grow: incoming counted, incoming read, and how often
 * the mark "unread" was set or taken away. So two states of it merge by the maximum of each, and
 * events that come twice, late or out of order change nothing.
 */

// Milliseconds where nothing else is said. What the server decides comes in `settings`.
const RETRY_BASE = 2_000; // a read that failed is tried again while its conditions hold
const RETRY_CAP = 60_000;
const ANSWER_GRACE = 10_000; // an answer reads on the server: its event is awaited this long
const CHECK_GRACE = 5_000; // what differs may only be an event on its way
const CHECK_SOON = 2_000; // after a wake the missed events come first
const CHECK_REPAIRS = 20; // conversations read again after one check
const DIGEST_QUIET = 1_200; // events of a catch-up come in batches: one line for all of them
const OLDER_PAGES = 20; // read to find the first unread or the kept place
const SCROLL_QUIET = 200;
const SCROLL_KEPT = 50; // conversations a tab remembers the place of
const TONE_SPACING = 1_000; // five messages at once are one sound
const ICON_SIZE = 64;
const COVERED = "(max-width: 760px)"; // thread over list: the same width as in the host's layout.css

const defaultSettings = {
  title_counts: "conversations",
  check_seconds: 60,
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

/** Where the first of the `n` newest counting messages stands: newest by arrival, first by position.
 * `complete` is false while not all of them are among `messages`. */
export function firstUnread(messages, n) {
  const newest = messages.filter(counts).sort((a, b) => b.arrival - a.arrival).slice(0, n);
  const first = newest.reduce((a, b) => (a && a.position < b.position ? a : b), null);
  return { messageId: first?.id ?? null, position: first?.position ?? "", complete: newest.length >= n };
}

/** The message that arrived last, of those the server has: reading up to it reads what is shown. */
export function lastArrived(messages) {
  return messages.reduce((last, message) => {
    if (!Number.isInteger(message.arrival)) return last;
    return last && last.arrival >= message.arrival ? last : message;
  }, null);
}

/** What every view draws from: per conversation the growing numbers, and one sum of them. */
export class UnreadMap {
  #entries = new Map(); // id → {counted, read, flips, silent, version, reading}
  #moved = new Set(); // ids that were merged into another conversation
  #totals = null;

  /** Takes in what some answer or event says of a conversation; true when that changed something.
   * `news`: {incoming_counted, incoming_read, mark_flips} and, for silence, `silent` or `muted` and
   * `archived` with `conversation_version` or `version`; whatever is absent says nothing. */
  merge(id, news) {
    if (this.#moved.has(id)) return false; // late news of what no longer exists
    const known = this.#entries.get(id);
    const next = { ...(known ?? blank()) };
    next.counted = Math.max(next.counted, news.incoming_counted ?? 0);
    next.read = Math.max(next.read, news.incoming_read ?? 0);
    next.flips = Math.max(next.flips, news.mark_flips ?? 0);
    const silent = news.silent ?? (news.muted === undefined ? undefined : Boolean(news.muted || news.archived));
    const version = news.conversation_version ?? news.version ?? 0;
    if (silent !== undefined && version >= next.version) Object.assign(next, { silent, version });
    return this.#put(id, next, known);
  }

  /** The server's numbers instead of ours: repairs an entry that merging cannot. */
  replace(id, news) {
    const known = this.#entries.get(id);
    this.#entries.delete(id);
    this.merge(id, news);
    const entry = this.#entries.get(id);
    if (entry && known) entry.reading = known.reading;
    this.#totals = null;
  }

  remove(id) {
    this.#totals = null;
    return this.#entries.delete(id);
  }

  /** `loser` was merged into `winner`, whose numbers come with its own events. */
  move(loser, winner) {
    if (loser === winner) return;
    this.#moved.add(loser);
    this.remove(loser);
  }

  /** A read is under way: everything counted so far shows as read until `endRead`. */
  beginRead(id) {
    const entry = this.#entries.get(id) ?? blank();
    const reading = { read: entry.counted, flips: entry.flips + (entry.flips % 2) };
    this.#put(id, { ...entry, reading }, this.#entries.get(id));
  }

  /** Its end: what the server has said until now holds. A read that failed is taken back by that. */
  endRead(id) {
    const entry = this.#entries.get(id);
    return Boolean(entry?.reading) && this.#put(id, { ...entry, reading: null }, entry);
  }

  /** The server has done all that the read under way is about. */
  isConfirmed(id) {
    const { read, flips, reading } = this.#entries.get(id) ?? blank();
    return Boolean(reading) && read >= reading.read && flips >= reading.flips;
  }

  /** {count, marked}: what the badge says. Marked without a number is a badge without a number. */
  badge(id) {
    const entry = this.#entries.get(id);
    if (!entry) return { count: 0, marked: false };
    const { read, flips } = seen(entry);
    return { count: Math.max(0, entry.counted - read), marked: flips % 2 === 1 };
  }

  isSilent(id) {
    return this.#entries.get(id)?.silent ?? false;
  }

  isUnread(id) {
    const { count, marked } = this.badge(id);
    return count > 0 || marked;
  }

  /** {counted, read, flips} as the server told them, without what is under way; null when unknown. */
  numbers(id) {
    const entry = this.#entries.get(id);
    return entry ? { counted: entry.counted, read: entry.read, flips: entry.flips } : null;
  }

  /** Nothing is under way any more: the page was away, and the answers with it. */
  endReads() {
    for (const id of this.#entries.keys()) this.endRead(id);
  }

  isReading(id) {
    return Boolean(this.#entries.get(id)?.reading);
  }

  /** {conversations, messages} over those neither muted nor archived; one marked by hand is one. */
  totals() {
    if (this.#totals) return this.#totals;
    const totals = { conversations: 0, messages: 0 };
    for (const [id, entry] of this.#entries) {
      if (entry.silent || !this.isUnread(id)) continue;
      totals.conversations += 1;
      totals.messages += Math.max(1, this.badge(id).count);
    }
    this.#totals = totals;
    return totals;
  }

  /** Ids on whose being unread (and not silent) the map and a snapshot of the server disagree. */
  differences({ by_conversation: snapshot, limit_reached: cut = false }) {
    const found = [];
    for (const [id, entry] of this.#entries) {
      if (entry.reading) continue;
      const here = !entry.silent && (entry.counted > entry.read || entry.flips % 2 === 1);
      const there = id in snapshot;
      if (here !== there && !(cut && !there)) found.push(id);
    }
    return found;
  }

  #put(id, next, known) {
    if (known && Object.keys(next).every((key) => next[key] === known[key])) return false;
    this.#entries.set(id, next);
    this.#totals = null;
    return true;
  }
}

const blank = () => ({ counted: 0, read: 0, flips: 0, silent: false, version: 0, reading: null });

function seen({ read, flips, reading }) {
  return { read: Math.max(read, reading?.read ?? 0), flips: Math.max(flips, reading?.flips ?? 0) };
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
  const gain = context.createGain();
  gain.connect(context.destination);
  gain.gain.setValueAtTime(0.0001, context.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.18, context.currentTime + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.38);
  const notes = [[880, 0], [1174.7, 0.12]].map(([frequency, after]) => {
    const note = context.createOscillator();
    note.type = "sine";
    note.frequency.value = frequency;
    note.connect(gain);
    note.start(context.currentTime + after);
    note.stop(context.currentTime + 0.4);
    return note;
  });
  notes.at(-1).onended = () => context.close();
  context.resume().catch(() => {});
}

/** Storage that may be forbidden or full: then it remembers nothing, and nothing breaks. */
class Memory {
  #open;
  #prefix;
  #closed = false;

  constructor(open, prefix) {
    this.#open = open;
    this.#prefix = prefix;
  }

  get(key) {
    return this.#try((storage) => storage.getItem(this.#prefix + key)) ?? null;
  }

  set(key, value) {
    if (this.#closed) return;
    this.#try((storage) => storage.setItem(this.#prefix + key, value));
  }

  remove(key) {
    this.#try((storage) => storage.removeItem(this.#prefix + key));
  }

  /** Forgets this user, for good: what the page still does while it goes is not kept. */
  clear() {
    this.#closed = true;
    this.#try((storage) => {
      const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n));
      for (const key of keys) if (key.startsWith(this.#prefix)) storage.removeItem(key);
    });
  }

  #try(run) {
    try {
      return run(this.#open());
    } catch {
      return null;
    }
  }
}

class Alarms {
  #env;
  #timers = new Map();

  constructor(env) {
    this.#env = env;
  }

  set(name, ms, run) {
    this.clear(name);
    this.#timers.set(name, this.#env.setTimeout(() => {
      this.#timers.delete(name);
      run();
    }, ms));
  }

  has(name) {
    return this.#timers.has(name);
  }

  clear(name) {
    this.#env.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  clearAll() {
    for (const name of [...this.#timers.keys()]) this.clear(name);
  }
}

// --- title, icon, app badge -----------------------------------------------------------------------

class TabFace {
  #name;
  #env;
  #link = document.querySelector('link[rel~="icon"]');
  #plain; // {href, type} of the host's own icon
  #drawing = null; // promise of the host's icon as an image
  #icon = "plain";
  #appBadge = null;

  constructor(name, env) {
    this.#name = name;
    this.#env = env;
    this.#plain = { href: this.#link?.href, type: this.#link?.type };
    if (this.#link) this.#link.dataset.favicon = "plain";
  }

  show(n, { more, offline }) {
    const title = titleText(this.#name, n, more);
    if (document.title !== title) document.title = title;
    this.#showIcon(iconName(n, offline));
    if (n === this.#appBadge || !this.#env.badgeApp) return;
    this.#appBadge = n;
    Promise.resolve(this.#env.badgeApp(n)).catch(() => {}); // only an installed app has one
  }

  async #showIcon(name) {
    if (!this.#link || name === this.#icon) return;
    this.#icon = name;
    this.#link.dataset.favicon = name;
    const source = name === "plain" ? this.#plain : { href: await this.#draw(name), type: "image/png" };
    if (name !== this.#icon || !source.href) return; // another one was asked for meanwhile
    this.#link.type = source.type;
    this.#link.href = source.href;
  }

  async #draw(name) {
    this.#drawing ??= loadImage(this.#plain.href);
    const image = await this.#drawing;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = ICON_SIZE;
    const pen = canvas.getContext("2d");
    if (!pen) return null;
    if (image) {
      pen.filter = name === "offline" ? "grayscale(1)" : "none";
      pen.drawImage(image, 0, 0, ICON_SIZE, ICON_SIZE);
      pen.filter = "none";
    }
    drawMark(pen, { offline: "!", mark: "•" }[name] ?? name, name === "offline" ? "#f2b01e" : "#e02f2f");
    return canvas.toDataURL("image/png");
  }
}

function loadImage(href) {
  return new Promise((resolve) => {
    const image = new Image(ICON_SIZE, ICON_SIZE);
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = href;
  });
}

/** A tab draws the icon at 16 px: the number takes two thirds of it, in a ring that parts it. */
function drawMark(pen, text, colour) {
  const radius = ICON_SIZE * 0.34;
  const width = text.length > 1 ? radius * 2.5 : radius * 2;
  const [left, top] = [ICON_SIZE - width, ICON_SIZE - radius * 2];
  pen.beginPath();
  pen.roundRect(left, top, width, radius * 2, radius);
  pen.lineWidth = 5;
  pen.strokeStyle = "#fff";
  pen.stroke();
  pen.fillStyle = colour;
  pen.fill();
  pen.fillStyle = "#fff";
  pen.font = `bold ${ICON_SIZE * 0.56}px Arial, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(text, left + width / 2, top + radius + 2);
}

// --- which conversation is open -----------------------------------------------------------------

class Selection {
  #tab;
  #browser;
  #covered = matchMedia(COVERED);

  constructor(tab, browser) {
    this.#tab = tab;
    this.#browser = browser;
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
    this.#remember(to);
    if (how === "back" || (from === to && this.inAddress === to)) return; // the browser is there already
    const covered = this.#covered.matches;
    if (how === "click" && !(covered && from !== null)) {
      this.#write("pushState", to, { aboveList: from === null });
    } else if (how !== "click" && to !== null && covered && !this.#isAboveList) {
      this.#write("replaceState", null, {}); // a link, or a kept one, has no list below it yet
      this.#write("pushState", to, { aboveList: true });
    } else {
      this.#write("replaceState", to, { aboveList: to !== null && this.#isAboveList });
    }
  }

  /** The same conversation has another id now, or none: no step of the history. */
  replace(from, to) {
    if (this.#browser.get("selected") === from) {
      if (to === null) this.#browser.remove("selected");
      else this.#browser.set("selected", to);
    }
    this.#remember(to);
    this.#write("replaceState", to, { aboveList: to !== null && this.#isAboveList });
  }

  /** On a phone closing is going back to the list, when that lies below. True when that will be. */
  leave() {
    if (!this.#covered.matches || !this.#isAboveList) return false;
    history.back();
    return true;
  }

  get #isAboveList() {
    return history.state?.aboveList === true;
  }

  #remember(id) {
    this.#tab.set("selected", id ?? "");
    if (id !== null) this.#browser.set("selected", id);
  }

  #write(how, id, state) {
    const url = new URL(location.href);
    if (id === null) url.searchParams.delete("c");
    else url.searchParams.set("c", id);
    try {
      history[how](state, "", url);
    } catch {
      // Safari allows a hundred steps in half a minute: then the address stays behind for once.
    }
  }
}

// --- notifications and sound ----------------------------------------------------------------------

/** Whether any tab of this browser and user has focus, and whether this one is to notify. */
class Presence {
  #locks;
  #prefix;
  #env;
  #session = null;
  #leave = null; // releases the shared lock of a tab with focus
  notifies = false;

  constructor(env, prefix) {
    this.#env = env;
    this.#locks = env.locks;
    this.#prefix = prefix;
  }

  begin() {
    this.#session = new AbortController();
    const { signal } = this.#session;
    if (!this.#locks) {
      this.notifies = true; // each tab: the tag makes one notification of theirs
      return;
    }
    const hold = () => !signal.aborted && new Promise((release) => {
      this.notifies = true;
      signal.addEventListener("abort", release);
    });
    this.#locks.request(`${this.#prefix}notifier`, { signal }, hold).catch(() => {
      if (!signal.aborted) this.notifies = true; // locks are forbidden here: as if there were none
    });
  }

  end() {
    this.#session?.abort(); // locks would keep the page out of the bfcache
    this.notifies = false;
    this.setFocus(false);
  }

  setFocus(focused) {
    if (!this.#locks || focused === (this.#leave !== null)) return;
    if (!focused) {
      this.#leave();
      this.#leave = null;
      return;
    }
    const gone = new Promise((release) => { this.#leave = release; });
    this.#locks.request(`${this.#prefix}focused`, { mode: "shared" }, () => gone).catch(() => {});
  }

  async anyFocus() {
    if (this.#env.hasFocus()) return true;
    if (!this.#locks) return false;
    const { held = [] } = await this.#locks.query();
    return held.some(({ name }) => name === `${this.#prefix}focused`);
  }
}

class Notifications {
  #env;
  #browser;
  #open = new Map(); // conversation id → Notification
  #lastTone = -Infinity;
  #onClick;
  #impossible = false; // found out by trying: Android's Chrome throws

  constructor(env, browser, onClick) {
    this.#env = env;
    this.#browser = browser;
    this.#onClick = onClick;
  }

  /** "default" | "granted" | "denied" | "unsupported" */
  get permission() {
    return this.#impossible ? "unsupported" : (this.#env.Notification?.permission ?? "unsupported");
  }

  /** Tells of one message, by notification, by sound, or by both. */
  tell(id, eventId, { title, body, icon }, { sound, notifications }) {
    const ring = sound && this.#mayRing(eventId);
    const tone = ring && this.#env.canPlay();
    if (notifications && this.permission === "granted") {
      this.#show(id, { title, body, icon, silent: !ring || tone });
    }
    if (tone) this.#env.playTone();
  }

  close(id) {
    this.#open.get(id)?.close();
    this.#open.delete(id);
  }

  closeAll(when = () => true) {
    for (const id of [...this.#open.keys()]) if (when(id)) this.close(id);
  }

  #show(id, { title, body, icon, silent }) {
    try {
      const shown = new this.#env.Notification(title, { body, icon, tag: id, renotify: true, silent });
      shown.onclick = () => {
        window.focus();
        this.close(id);
        this.#onClick(id);
      };
      shown.onclose = () => { if (this.#open.get(id) === shown) this.#open.delete(id); };
      this.#open.set(id, shown);
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
  resolve: (id) => id,
  onChange() {},
  onSelect() {},
  onDigest() {},
  loadOlder() {},
  preview: () => ({ title: "", body: "" }),
  placeOf: () => null,
  refreshConversation: async () => null,
};

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
  #limitReached = false;
  #loads = 0; // that failed
  #connection = "connecting";
  #checkAnyway = false;

  #open = null; // the conversation open in this tab, and all that ends with it:
  #opening = null; // {how, n, kept, pages, known}: where to place it is not decided yet
  #gesture = false; // the person has touched it since it was opened
  #flipsAtOpen = null; // a mark set after that is not cleared by looking on; null: not known yet
  #drawn = true; // what is shown holds all that was told so far
  #shown = null; // {messages, newest, hasOlder}: what the thread shows
  #search = { pages: 0, known: -1 }; // for a message that is unread and not among those shown
  #divider = null; // {messageId, position, count, growing}

  #hadFocus;
  #focusedAt = -Infinity;
  #failures = 0;
  #retryAt = 0;
  #underWay = false; // a read of the open conversation, or of the one before it
  #lastRead = null; // what was read up to, so that a read that changed nothing is not repeated
  #digest = new Map(); // conversation id → ids of messages missed

  constructor(options) {
    this.#host = { ...hostDefaults, ...options };
    this.#env = { ...browserEnvironment(), ...options.env };
    this.#config = { ...defaultSettings, ...options.settings };
    this.#alarms = new Alarms(this.#env);
    this.#hadFocus = this.#env.hasFocus();
    const prefix = `unread_state:${options.userId}:`;
    this.#tab = new Memory(this.#env.tabStorage, prefix);
    this.#browser = new Memory(this.#env.browserStorage, prefix);
    this.#selection = new Selection(this.#tab, this.#browser);
    this.#presence = new Presence(this.#env, prefix);
    this.#notifications = new Notifications(this.#env, this.#browser, (id) => this.select(id));
    this.#face = new TabFace(options.title ?? document.title, this.#env);
    this.settings = this.#settings();
    this.#takeSnapshot(options.initial ?? {});
    this.#listen();
    this.#begin();
    this.show();
  }

  // --- what the page tells ------------------------------------------------------------------------

  /** One event of the stream, after the host has applied it. */
  onEvent(event) {
    const data = event.data ?? {};
    if (event.type === "unread.changed") this.#merge(data.conversation_id, data);
    if (data.merged_into) this.merged(event.conversation_id, data.merged_into);
    else if (data.conversation) this.learn(data.conversation);
    if (event.type === "message.created" && counts(data.message)) this.#arrived(event);
  }

  /** A conversation that the page has read, in whatever answer. */
  learn(conversation) {
    this.#merge(conversation.id, conversation);
  }

  merged(loser, winner) {
    if (!loser || loser === winner) return;
    this.#map.move(loser, winner);
    this.#notifications.close(loser);
    const place = this.#places().get(loser);
    this.#keepPlace(loser, null);
    if (place) this.#keepPlace(winner, place);
    if (this.#open === loser) {
      this.#open = winner;
      this.#flipsAtOpen = this.#map.numbers(winner)?.flips ?? null;
      this.#shown = null;
      this.#selection.replace(loser, winner);
    }
    this.#changed();
  }

  /** There is no such conversation (any more): out of address and memory. */
  removed(id) {
    this.#map.remove(id);
    this.#notifications.close(id);
    this.#keepPlace(id, null);
    if (this.#open === id) {
      this.#leave();
      this.#selection.replace(id, null);
    }
    this.#changed();
  }

  /** "connected" | "connecting" | "offline", as the host learns it. */
  connection(state) {
    const woke = state === "connected" && this.#connection !== "connected";
    this.#connection = state;
    if (woke) this.check();
    this.#changed();
  }

  /** Reads what is unread, for a page that began without knowing. Again until there is an answer. */
  async load() {
    try {
      this.#takeSnapshot(await this.#host.request("GET", "/unread"));
      this.#changed();
    } catch {
      const backoff = Math.min(RETRY_CAP, RETRY_BASE * 2 ** this.#loads);
      this.#loads += 1;
      this.#alarms.set("load", backoff * (0.5 + this.#env.random() / 2), () => this.load());
    }
  }

  /** What is known may be old: compare with the server soon. One tab a browser does so, or each
   * one (`always`), where events were lost that no other tab will bring. */
  check({ always = false } = {}) {
    this.#checkAnyway ||= always;
    this.#alarms.set("check", CHECK_SOON, () => {
      this.#check(this.#checkAnyway);
      this.#checkAnyway = false;
    });
  }

  // --- what the views draw ------------------------------------------------------------------------

  badge(id) {
    return this.#map.badge(id);
  }

  isUnread(id) {
    return this.#map.isUnread(id);
  }

  totals() {
    return this.#map.totals();
  }

  /** Draws title, icon and app badge. Call it where the list is drawn: so they never disagree. */
  show() {
    const n = this.totals()[this.#config.title_counts];
    const more = this.#limitReached && n >= this.#config.totals_limit;
    this.#face.show(n, { more, offline: this.#connection === "offline" });
  }

  // --- which conversation is open -----------------------------------------------------------------

  get selected() {
    return this.#open;
  }

  /** Opens what the address, this tab or this browser remembers. Nothing is read by that. */
  restore() {
    const first = this.#selection.first();
    if (first) this.#select(first.id, first.how);
  }

  /** The person chose this conversation; null closes the open one. */
  select(id) {
    if (id === null && this.#selection.leave()) return; // the history brings us there
    this.#select(id === null ? null : this.#host.resolve(id), "click");
  }

  /** Logged out: nothing of this user stays in this browser. */
  forget() {
    this.#tab.clear();
    this.#browser.clear();
    this.#notifications.closeAll();
  }

  #select(id, how) {
    if (id === this.#open && id !== null) {
      if (how === "click") this.#approve();
      this.#host.onSelect(id, how);
      this.#changed();
      return;
    }
    this.#savePlace();
    this.#selection.go(this.#open, id, how);
    this.#leave();
    this.#open = id;
    if (id !== null) {
      this.#opening = { how, n: null, kept: null, pages: 0, known: -1 };
      this.#gesture = how === "click" || how === "back";
      if (this.#gesture) this.#focusedAt = -Infinity; // it was opened on purpose: no doubt about focus
      this.#flipsAtOpen = this.#map.numbers(id)?.flips ?? null;
    }
    this.#host.onSelect(id, how);
    this.#changed();
  }

  /** What the person does to the open conversation on purpose: it may be read, marked or not. */
  #approve() {
    this.#gesture = true;
    this.#flipsAtOpen = this.#map.numbers(this.#open)?.flips ?? null;
  }

  #leave() {
    this.#open = null;
    this.#opening = null;
    this.#shown = null;
    this.#divider = null;
    this.#failures = 0;
    this.#retryAt = 0;
    this.#lastRead = null;
    this.#search = { pages: 0, known: -1 };
    this.#alarms.clear("read");
  }

  // --- the open thread ----------------------------------------------------------------------------

  /** Before the open thread is drawn. `messages`: all it has; `newest`: its newest page is among
   * them; `hasOlder`: more can be loaded. → {divider: {messageId, count} | null, place}: where to
   * scroll to, once an opening: {messageId, offset} (pixels below the view's top), {messageId,
   * divider: true}, {end: true}, else null. */
  layout(id, messages, { newest, hasOlder }) {
    if (id !== this.#open) return { divider: null, place: null };
    this.#shown = { messages, newest, hasOlder };
    const place = this.#opening && newest ? this.#place(messages, hasOlder) : null;
    const { messageId, count } = this.#divider ?? {};
    return { divider: messageId ? { messageId, count } : null, place };
  }

  /** After it was drawn. */
  rendered() {
    this.#drawn = true;
    this.#consider();
  }

  /** An answer was sent from here: it reads what is shown. Returns the id to send as `read_up_to`. */
  answered() {
    const id = this.#open;
    this.#divider = null;
    this.#approve();
    const upTo = lastArrived(this.#shown?.messages ?? []);
    if (upTo && this.#map.isUnread(id) && !this.#map.isReading(id)) {
      this.#map.beginRead(id); // the answer's own event confirms it; without one it comes back
      this.#alarms.set(`answer ${id}`, ANSWER_GRACE, () => {
        if (this.#map.endRead(id)) this.#changed();
      });
    }
    this.#changed();
    return upTo?.id ?? null;
  }

  #place(messages, hasOlder) {
    const opening = this.#opening;
    opening.n ??= this.#map.badge(this.#open).count;
    if (opening.known < 0 && ["restored", "link", "back"].includes(opening.how)) {
      opening.kept = this.#places().get(this.#open) ?? null;
    }
    const first = opening.n > 0 ? firstUnread(messages, opening.n) : null;
    const keptHere = opening.kept && messages.some(({ id }) => id === opening.kept[0]);
    const missing = (opening.kept && !keptHere) || (first && !first.complete);
    if (messages.length !== opening.known) {
      opening.known = messages.length;
      opening.pages += 1;
    }
    if (missing && hasOlder && opening.pages <= OLDER_PAGES) {
      this.#host.loadOlder(this.#open);
      return null;
    }
    this.#opening = null;
    this.#flipsAtOpen ??= this.#map.numbers(this.#open)?.flips ?? null;
    if (first?.messageId) this.#divider = { ...first, count: opening.n, growing: false };
    if (opening.touched) return null; // the person has begun to scroll meanwhile
    if (keptHere) return { messageId: opening.kept[0], offset: opening.kept[1] };
    return first?.messageId ? { messageId: first.messageId, divider: true } : { end: true };
  }

  /** A message came into the open thread while nobody looked: the divider shows where that began. */
  #grow(message) {
    if (this.#opening || this.#env.hasFocus()) return;
    if (this.#divider?.growing) {
      this.#divider.count += 1;
      if (message.position < this.#divider.position) {
        Object.assign(this.#divider, { messageId: message.id, position: message.position });
      }
    } else if (!this.#divider) {
      const { id: messageId, position } = message;
      this.#divider = { messageId, position, count: 1, growing: true };
    }
  }

  // --- reading ------------------------------------------------------------------------------------

  /** Reads the open conversation when all conditions hold, or looks again when they may. */
  #consider() {
    this.#alarms.clear("read");
    const id = this.#open;
    if (!this.#drawn || this.#underWay || id === null) return; // asked again when it is drawn
    if (this.#opening || !this.#gesture || !this.#shown?.newest) return;
    if (!this.#map.isUnread(id) || this.#map.isReading(id) || this.#isHeld(id)) return;
    if (!this.#env.hasFocus() || !this.#isAtEnd()) return;
    const last = lastArrived(this.#shown.messages);
    const upTo = last && `${last.id} ${this.#map.numbers(id).flips}`;
    if (!last) return;
    if (this.#lastRead === upTo) return this.#searchAbove(id);
    const wait = Math.max(this.#focusedAt + this.#config.refocus_ms, this.#retryAt) - this.#env.now();
    if (wait > 0) this.#alarms.set("read", wait, () => this.#consider());
    else this.#read(id, last.id, upTo);
  }

  /** All that is shown was read and something still is not: it came late and stands further up,
   * where it was sent. Showing it makes it readable; otherwise it would stay unread for ever. */
  #searchAbove(id) {
    const { messages, hasOlder } = this.#shown;
    if (!hasOlder || this.#search.known === messages.length || this.#search.pages >= OLDER_PAGES) return;
    this.#search = { pages: this.#search.pages + 1, known: messages.length };
    this.#host.loadOlder(id);
  }

  /** Marked unread while it was open: it stays so until it is opened again or answered. */
  #isHeld(id) {
    if (this.#flipsAtOpen === null) return false;
    return this.#map.badge(id).marked && this.#map.numbers(id).flips > this.#flipsAtOpen;
  }

  #isAtEnd() {
    const { scrollHeight, clientHeight, scrollTop } = this.#host.thread;
    return clientHeight > 0 && scrollHeight - clientHeight - scrollTop <= this.#config.near_bottom_px;
  }

  async #read(id, messageId, upTo) {
    this.#underWay = true;
    try {
      await this.#post(id, "read", { up_to: messageId });
      if (this.#open === id) [this.#lastRead, this.#failures] = [upTo, 0];
    } catch (error) {
      if (this.#open === id) this.#readFailed(error, upTo);
    }
    this.#underWay = false;
    this.#consider();
  }

  #readFailed(error, upTo) {
    this.#failures += 1;
    const backoff = Math.min(RETRY_CAP, RETRY_BASE * 2 ** (this.#failures - 1));
    this.#retryAt = this.#env.now() + backoff * (0.5 + this.#env.random() / 2);
    // Refused for good: the next message that arrives makes it another question.
    if (error.status === 404 || error.status === 422) this.#lastRead = upTo;
  }

  /** A read by hand, from a menu: up to this message. Rejects when the server did not do it. */
  markRead(id, messageId) {
    return this.#post(id, "read", { up_to: messageId });
  }

  /** "Marcar como não lida". Rejects when the server did not do it. */
  async markUnread(id) {
    this.#merge(id, await this.#host.request("POST", `/api/conversations/${encodeURIComponent(id)}/unread`, {}));
  }

  async #post(id, verb, body) {
    this.#alarms.clear(`answer ${id}`);
    this.#map.beginRead(id);
    this.#changed();
    try {
      const path = `/api/conversations/${encodeURIComponent(id)}/${verb}`;
      const answer = await this.#host.request("POST", path, body);
      this.#map.merge(answer.conversation_id ?? id, answer);
    } finally {
      this.#map.endRead(id); // the answer's numbers say it exactly; without an answer it is taken back
      this.#changed();
    }
  }

  // --- notifications ------------------------------------------------------------------------------

  /** "default" (may be asked), "granted", "denied" or "unsupported". */
  get permission() {
    return this.#notifications.permission;
  }

  /** Whether the banner that asks should stand. */
  get asks() {
    return this.permission === "default" && this.settings.notifications && this.#browser.get("asked") === null;
  }

  /** The banner was closed: not again in this browser. */
  dismissAsk() {
    this.#browser.set("asked", "no");
    this.#changed();
  }

  /** From a click only: browsers refuse to be asked otherwise. */
  async askPermission() {
    await this.#env.Notification?.requestPermission?.();
    this.#changed();
  }

  #settings() {
    const set = (name, value) => {
      this.#browser.set(name, value ? "on" : "off");
      if (name === "notifications" && !value) this.#notifications.closeAll();
      this.#changed();
    };
    const browser = this.#browser;
    return {
      get sound() { return browser.get("sound") !== "off"; },
      set sound(value) { set("sound", value); },
      get notifications() { return browser.get("notifications") !== "off"; },
      set notifications(value) { set("notifications", value); },
    };
  }

  #arrived(event) {
    const id = this.#host.resolve(event.conversation_id);
    const { message } = event.data;
    if (id === this.#open) this.#grow(message);
    const quiet = this.#config.quiet_after_seconds * 1_000;
    const late = event.age === undefined ? event.catchUp : event.age > quiet;
    if (this.#map.isSilent(id)) return;
    if (late) this.#miss(id, message.id);
    else this.#announce(id, event);
  }

  async #announce(id, event) {
    if (!this.#presence.notifies || (await this.#presence.anyFocus())) return;
    if (!this.#map.isUnread(id) || this.#map.isSilent(id)) return; // read elsewhere meanwhile
    this.#notifications.tell(id, event.id, this.#host.preview(event), this.settings);
  }

  #miss(id, messageId) {
    if (id === this.#open && this.#gesture && this.#env.hasFocus()) return; // it is on the screen
    if (!this.#digest.has(id)) this.#digest.set(id, new Set());
    this.#digest.get(id).add(messageId);
    this.#alarms.set("digest", DIGEST_QUIET, () => {
      const unread = [...this.#digest].filter(([missed]) => this.#map.isUnread(missed));
      this.#digest.clear();
      const messages = unread.reduce((sum, [, ids]) => sum + ids.size, 0);
      if (messages) this.#host.onDigest(digestText(messages, unread.length));
    });
  }

  // --- self-check ---------------------------------------------------------------------------------

  #scheduleCheck() {
    this.#alarms.set("minute", this.#config.check_seconds * 1_000 * (1 + this.#env.random() / 4), () => {
      this.#scheduleCheck();
      this.#check();
    });
  }

  async #check(always = false) {
    if (this.#connection !== "connected" || !(always || this.#presence.notifies)) return;
    const suspects = await this.#compare();
    if (!suspects.length) return;
    const before = new Map(suspects.map((id) => [id, JSON.stringify(this.#map.numbers(id))]));
    this.#alarms.set("grace", CHECK_GRACE, async () => {
      const still = (await this.#compare()).filter((id) => before.get(id) === JSON.stringify(this.#map.numbers(id)));
      if (still.length) this.#repair(still);
    });
  }

  /** Takes the server's numbers in; ids on which it and this page still disagree. */
  async #compare() {
    try {
      const snapshot = await this.#host.request("GET", "/unread");
      this.#takeSnapshot(snapshot);
      this.#changed();
      return this.#map.differences(snapshot);
    } catch {
      return []; // the next minute asks again
    }
  }

  /** A defect somewhere: mend the page, and say so where somebody may find out why. */
  async #repair(ids) {
    console.warn("unread_state: page and server disagreed on", ids.slice(0, CHECK_REPAIRS));
    const { conversations, messages } = this.totals();
    this.#host.request("GET", `/unread?page=${conversations},${messages}`).catch(() => {});
    for (const id of ids.slice(0, CHECK_REPAIRS)) {
      try {
        const conversation = await this.#host.refreshConversation(id);
        if (conversation === null) this.#map.remove(id);
        else if (conversation) this.#map.replace(id, conversation);
      } catch {
        // The next check finds it again.
      }
    }
    this.#changed();
  }

  #takeSnapshot({ by_conversation: known = {}, limit_reached: cut = false }) {
    this.#limitReached = cut;
    for (const [id, numbers] of Object.entries(known)) this.#map.merge(id, numbers);
  }

  // --- life of the page ---------------------------------------------------------------------------

  #listen() {
    const { signal } = this.#listeners;
    const on = (target, types, run) => {
      for (const type of types) target.addEventListener(type, run, { signal, passive: true });
    };
    on(window, ["focus", "blur"], () => this.#focusChanged());
    on(document, ["visibilitychange"], () => this.#focusChanged());
    on(window, ["popstate"], () => this.#select(this.#fromHistory(), "back"));
    on(window, ["pagehide"], () => this.#end());
    on(window, ["pageshow"], (event) => {
      if (!event.persisted) return;
      this.#map.endReads();
      this.#begin();
      this.#changed();
    });
    on(this.#host.thread, ["scroll"], () => this.#scrolled());
    on(this.#host.pane ?? this.#host.thread, ["pointerdown", "keydown", "wheel", "touchmove"], (event) => this.#touched(event));
    navigator.permissions?.query({ name: "notifications" })
      .then((status) => { status.onchange = () => this.#changed(); }, () => {});
  }

  #fromHistory() {
    const id = this.#selection.inAddress;
    return id === null ? null : this.#host.resolve(id);
  }

  #begin() {
    this.#presence.begin();
    this.#presence.setFocus(this.#env.hasFocus());
    this.#scheduleCheck();
  }

  #end() {
    this.#savePlace();
    this.#notifications.closeAll();
    this.#presence.end();
    this.#alarms.clearAll();
  }

  close() {
    this.#end();
    this.#listeners.abort();
  }

  #focusChanged() {
    const focused = this.#env.hasFocus();
    this.#presence.setFocus(focused);
    if (focused) {
      if (!this.#hadFocus) this.#focusedAt = this.#env.now();
      if (this.#divider) this.#divider.growing = false;
    } else if (this.#divider && this.#open !== null && !this.#map.isUnread(this.#open)) {
      this.#divider = null;
      this.#host.onChange();
    }
    this.#hadFocus = focused;
    this.#consider();
  }

  #touched(event) {
    const scrolls = event.type === "wheel" || event.type === "touchmove";
    if (this.#opening && scrolls) this.#opening.touched = true;
    if (this.#gesture || this.#open === null) return;
    this.#gesture = true;
    this.#consider();
  }

  #scrolled() {
    if (this.#open === null) return;
    this.#consider();
    this.#alarms.set("place", SCROLL_QUIET, () => this.#savePlace());
  }

  // The place of each conversation: [message at the top of the view, its offset], newest last.
  #places() {
    try {
      return new Map(JSON.parse(this.#tab.get("places") ?? "[]"));
    } catch {
      return new Map(); // not ours
    }
  }

  #savePlace() {
    if (this.#open === null || this.#opening || !this.#shown?.newest) return;
    if (this.#host.thread.clientHeight === 0) return; // not on the screen: it has no place
    this.#keepPlace(this.#open, this.#isAtEnd() ? null : this.#host.placeOf());
  }

  #keepPlace(id, place) {
    const places = this.#places();
    if (!places.delete(id) && !place) return;
    if (place) places.set(id, place);
    this.#tab.set("places", JSON.stringify([...places].slice(-SCROLL_KEPT)));
  }

  #merge(id, news) {
    if (!this.#map.merge(id, news)) return;
    if (this.#alarms.has(`answer ${id}`) && this.#map.isConfirmed(id)) {
      this.#alarms.clear(`answer ${id}`);
      this.#map.endRead(id);
    }
    this.#changed();
  }

  #changed() {
    this.#notifications.closeAll((id) => !this.#map.isUnread(id) || this.#map.isSilent(id));
    this.#drawn = this.#open === null; // what has just come is not among what is shown
    this.#host.onChange();
    this.#consider();
  }
}

/** Start counting, reading and remembering.
 *
 * options: `userId` (names keys and locks); `title`, the page's name without a number; `settings`,
 * as the server rendered them; `initial`, the body of GET /unread where the page has it (else call
 * `load()` as soon as that delays nothing); `thread`, the element that scrolls, and `pane`, the one
 * in which a gesture counts; `request(method, path, body)`, a promise of the answer that rejects
 * with `status`; `resolve(id)`, following merges; `onChange()`, draw again, then `show()`;
 * `onSelect(id | null, how)`, show that conversation: "click", "back", "link" or "restored";
 * `onDigest(text)`, the quiet line after a catch-up; `preview(event)` → {title, body, icon};
 * `loadOlder(id)`, one more page of the open thread; `placeOf()` → [message id at the top of the
 * view, its offset in px]; `refreshConversation(id)`, a promise of that conversation, null when it
 * is gone, undefined without an answer. `env` replaces what the browser offers.
 */
export function startUnread(options) {
  return new UnreadState(options);
}
