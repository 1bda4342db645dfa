/* Browser half of unread_state: what has not been read yet, in title, icon, list and notifications;
 * when an open conversation counts as read; and which conversation is open.
 *
 * A page that includes unread_state/head.html starts by itself: watchMarks feeds UnreadState from the
 * marks in it, and `<unread-badge>` draws itself. An application with much script of its own calls
 * startUnread, and tells what it shows by the same verbs (learn, rendered). Both name the open
 * conversation in `data-live-thread`, and hear of everything by DOM events on `document`.
 *
 * Three numbers of a conversation only ever grow: incoming counted, incoming read, and how often
 * the mark "unread" was set or taken away. So two states of it merge by the maximum of each, and
 * events that come twice, late or out of order change nothing.
 */

import {
  Alarms, backoffDelay, browserEnvironment, liveOf, pageData, ready, remember, request, warnOnce,
} from "./realtime_events.js";

// Milliseconds where nothing else is said. What the server decides comes in `settings`.
const DIGEST_QUIET = 1_200; // events of a catch-up come in batches: one line for all of them
const TONE_SPACING = 1_000; // five messages at once are one sound
const ROW_LIMIT = 15_000; // after which a row that comes is not opened any more by itself
const MAX_SHOWN = 999; // more digits than this do not fit into a row
const KEPT_IN = ["sessionStorage", "localStorage"]; // what this tab, and what this browser remembers

// --- pure parts -----------------------------------------------------------------------------------

/** `(3) Name`; the plain name at 0. `more`: the server counted up to its limit, there may be more. */
export const titleText = (name, n, more = false) => (n > 0 ? `(${n}${more ? "+" : ""}) ${name}` : name);

/** Which icon the tab shows: "plain", "1" to "99", "mark" above, "offline". */
export function iconName(n, offline) {
  if (offline) return "offline";
  return n > 99 ? "mark" : n === 0 ? "plain" : String(n);
}

const counted = (n, one, many) => (n === 1 ? `1 ${one}` : `${n} ${many}`);

/** The words of a badge and of the divider. */
export const unreadLabel = (n) => counted(n, "mensagem não lida", "mensagens não lidas");

/** The quiet line after a catch-up. */
export const digestText = (messages, conversations) =>
  `${counted(messages, "mensagem nova", "mensagens novas")} em ${counted(conversations, "conversa", "conversas")}`;

const counts = (message) => message.direction === "in" && message.counts_unread !== false;
const byArrival = (a, b) => a.arrival - b.arrival;

/** The message that arrived last, of those the server has. */
export const lastArrived = (messages) =>
  messages.filter(({ arrival }) => Number.isInteger(arrival)).sort(byArrival).at(-1) ?? null;

/** Those of a conversation's messages that count and have not been read, in order of arrival.
 * `read`: how many of all that were counted have been. */
export const unreadAmong = (messages, read) =>
  messages.filter((message) => counts(message) && message.counted_at_arrival > read).sort(byArrival);

/** Up to which message an open thread was offered to somebody's eyes: {id, left, isNews, unseen}, where
 * `left` counts the unread ones that arrived after it, and `isNews` is whether it reads anything.
 *
 * At its end everything is read that follows the older messages. What came late stands above some
 * of them, where nothing at the end shows it: it is read once it has been on screen, and before
 * that nothing that arrived after it. `unseen` are those of them that have not been, from the top.
 *
 * `messages`: all that are shown, in that order; `read`: see unreadAmong; `seen`: ids of what has
 * been on screen; `atEnd`: the end of the thread is. */
export function readUpTo(messages, read, { seen, atEnd }) {
  const unread = unreadAmong(messages, read);
  const since = unread[0]?.arrival;
  const isOlder = ({ arrival, direction }) => (Number.isInteger(arrival) ? arrival < since : direction !== "out");
  const above = new Set(unreadAmong(messages.slice(0, Math.max(0, messages.findLastIndex(isOlder))), read));
  const isBarred = (message) => (above.has(message) ? !seen.has(message.id) : !atEnd);
  const barred = unread.find(isBarred);
  const last = lastArrived(messages.filter(({ arrival }) => !(arrival >= barred?.arrival)));
  const left = last ? unread.filter(({ arrival }) => arrival > last.arrival).length : unread.length;
  // With nothing unread among them there may be a mark, or messages that this page does not have.
  const isNews = last !== null && (unread.length ? left < unread.length : atEnd);
  const unseen = messages.filter((message) => above.has(message) && isBarred(message));
  return { id: last?.id ?? null, left, isNews, unseen };
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
    const next = { ...known };
    const grown = { counted: news.incoming_counted, read: news.incoming_read, flips: news.mark_flips };
    for (const [name, n] of Object.entries(grown)) next[name] = Math.max(next[name], n ?? 0);
    const { silent, version = 0 } = news;
    if (silent !== undefined && version >= known.version) Object.assign(next, { silent, version });
    if (known !== BLANK && Object.keys(next).every((key) => next[key] === known[key])) return false;
    this.#entries.set(String(id), next);
    return true;
  }

  /** `loser` was merged into another conversation, whose numbers come with its own events. */
  move(loser, winner) {
    this.#moved.set(String(loser), String(winner));
    this.remove(loser);
  }

  /** The id that stands for this one today, as text; null for none. */
  resolve(id) {
    const known = id === null ? null : String(id);
    return this.#moved.has(known) ? this.resolve(this.#moved.get(known)) : known;
  }

  remove = (id) => this.#entries.delete(String(id));
  /** As it is now, for `settle`: id → {counted, …}. */
  snapshot = () => new Map(this.#entries);

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
  endRead = (id) => this.#reading.delete(String(id));

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

  isSilent = (id) => this.#get(id).silent;
  /** {counted, read, flips} as the server told them, without what is under way; null when unknown. */
  numbers = (id) => this.#entries.get(String(id)) ?? null;

  /** {conversations, messages} over those that are not silent; one marked by hand is one. */
  totals() {
    const loud = [...this.#entries.keys()].filter((id) => this.isUnread(id) && !this.isSilent(id));
    const messages = loud.reduce((sum, id) => sum + Math.max(1, this.badge(id).count), 0);
    return { conversations: loud.length, messages };
  }

  #get = (id) => this.numbers(id) ?? BLANK;
}

// --- what the browser offers, and the tab shows ---------------------------------------------------

const environment = (replaced) => ({
  ...browserEnvironment(),
  request,
  hasFocus: () => document.hasFocus(),
  Notification: window.Notification,
  badgeApp: (n) => (n ? navigator.setAppBadge?.(n) : navigator.clearAppBadge?.()),
  playTone,
  ...replaced,
});

/** A short note, made here: no file to fetch. False where no page may play anything yet. */
function playTone() {
  if (!window.AudioContext || !navigator.userActivation?.hasBeenActive) return false;
  const context = new AudioContext();
  const [note, gain] = [new OscillatorNode(context, { frequency: 880 }), new GainNode(context, { gain: 0.18 })];
  gain.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.4);
  note.connect(gain).connect(context.destination);
  note.onended = () => context.close();
  note.start();
  note.stop(context.currentTime + 0.4);
  return true;
}

/** Tells the page by an event on `document`. True: no listener prevents what is done otherwise. */
const tell = (type, detail) => document.dispatchEvent(new CustomEvent(type, { detail, cancelable: true }));

const threadMark = () => document.querySelector("[data-live-thread]");

/** Makes the address name this conversation, or none. `how`: "pushState" or "replaceState". */
export function writeAddress(how, state, id) {
  const url = new URL(location.href);
  if (id === null) url.searchParams.delete("c");
  else url.searchParams.set("c", id);
  try {
    history[how](state, "", url);
  } catch {
    // Safari allows a hundred steps in half a minute: then the address stays behind for once.
  }
}

/** The number in the tab: gives what draws it. */
function tabFace(badgeApp) {
  let badge = null;
  const link = document.querySelector('link[rel~="icon"]') ?? document.head.appendChild(
    Object.assign(document.createElement("link"), { rel: "icon", href: "/favicon.ico" }), // as browsers do
  );
  const plain = { href: link.href, type: link.type };
  link.dataset.favicon = "plain";
  return (n, { more, offline }) => {
    const name = document.title.replace(/^\(\d+\+?\) /, ""); // which the host may have changed
    const [title, icon] = [titleText(name, n, more), iconName(n, offline)];
    if (document.title !== title) document.title = title;
    if (icon !== link.dataset.favicon) {
      link.dataset.favicon = icon;
      Object.assign(link, icon === "plain" ? plain : { href: drawIcon(icon), type: "image/svg+xml" });
    }
    if (n !== badge) badgeApp(n)?.catch(() => {}); // only an installed app has one
    badge = n;
  };
}

/** A number or sign in place of the host's icon: a tab shows it at 16 px. */
function drawIcon(name) {
  const [text, colour] = { offline: ["!", "#f2b01e"], mark: ["•"] }[name] ?? [name];
  const disc = `<circle cx="32" cy="32" r="32" fill="${colour ?? "#e02f2f"}"/>`;
  const style = 'font-family="Arial, sans-serif" font-weight="bold" font-size="40" fill="#fff" text-anchor="middle"';
  const words = `<text x="32" y="46" ${style}>${text}</text>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">${disc}${words}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

// --- notifications and sound ----------------------------------------------------------------------

/** Tells the person, by notification or sound, who looks at no tab of this browser. One tab does. */
function alerts(env, prefix, kept, onClick) {
  const locks = new Map(); // name → AbortController that releases it
  const shown = new Map(); // conversation id → {made: Notification, isSettled}
  let isNotifier = false;
  let lastTone = -Infinity;

  /** Where there are no locks each tab holds it: a notification's tag makes one of theirs. */
  const hold = (name, mode, onHeld) => {
    if (locks.has(name)) return;
    const session = new AbortController();
    const { signal } = session;
    const held = () => !signal.aborted && new Promise((release) => {
      signal.addEventListener("abort", release);
      onHeld?.();
    });
    locks.set(name, session);
    signal.addEventListener("abort", () => locks.delete(name));
    if (env.locks) env.locks.request(prefix + name, { mode, signal }, held).catch(held);
    else held();
  };

  return {
    begin() {
      hold("notifier", "exclusive", () => { isNotifier = true; });
      this.focusChanged();
    },

    end() {
      this.closeSettled(true);
      isNotifier = false;
      for (const session of [...locks.values()]) session.abort(); // they would keep the page out of the bfcache
    },

    focusChanged() {
      if (env.hasFocus()) hold("focused", "shared");
      else locks.get("focused")?.abort();
    },

    /** "default" (may be asked), "granted", "denied" or "unsupported". */
    get permission() {
      return env.Notification?.permission ?? "unsupported";
    },

    /** Whether this browser's user wants "sound" or "notifications"; both unless told otherwise. */
    wants: (name) => kept("localStorage", name) !== "off",

    setWanted(name, on) {
      kept("localStorage", name, on ? "on" : "off");
      if (!this.wants("notifications")) this.closeSettled(true);
      tell("unread:changed");
    },

    /** Whether the page should offer to notify: nobody has been asked, or has declined. */
    get asks() {
      return this.permission === "default" && this.wants("notifications");
    },

    /** From a click only: browsers refuse to be asked otherwise. */
    async askPermission() {
      await env.Notification?.requestPermission?.();
      tell("unread:changed");
    },

    /** Tells of something in a conversation, unless `isSettled()` by then, and until it is. `words()`:
     * {title, body, icon}. One that is muted is told of too: whether to is the caller's question.
     * `news` names it: where there are no locks, several tabs tell of it, and one of them rings. */
    async announce(id, isSettled, words, news) {
      const { held = [] } = (await env.locks?.query()) ?? {};
      const isLooking = env.hasFocus() || held.some(({ name }) => name === `${prefix}focused`);
      if (!isNotifier || isLooking || isSettled()) return;
      const isSpaced = env.now() - lastTone >= TONE_SPACING; // five at once are one
      const rings = this.wants("sound") && isSpaced && kept("localStorage", "rung") !== news;
      if (rings) {
        lastTone = env.now();
        kept("localStorage", "rung", news);
      }
      const tone = rings && env.playTone();
      if (!this.wants("notifications") || this.permission !== "granted") return;
      const { title, ...more } = words();
      try {
        const made = new env.Notification(title, { ...more, tag: id, renotify: true, silent: !rings || tone });
        made.onclick = () => {
          window.focus();
          made.close();
          onClick(id);
        };
        shown.set(id, { made, isSettled });
      } catch {
        env.Notification = null; // found out by trying: Android's Chrome throws
      }
    },

    /** Takes away what was told and is settled by now, or all of it. */
    closeSettled(all = false) {
      for (const [id, { made, isSettled }] of shown) {
        if ((all || isSettled()) && shown.delete(id)) made.close();
      }
    },
  };
}

// --- what is unread, and what is read of it -------------------------------------------------------

/** The conversation that is open in this tab, and all that ends with it. */
const opened = (id, more = {}) => ({
  id,
  gesture: false, // the person has touched it since it was opened
  flips: null, // a mark set after that is not cleared by looking on; null: not known yet
  messages: [], // what the thread shows,
  ready: false, // and that this can be read at all
  seen: new Set(), // ids of what has been on screen, or passed by there
  from: null, // the first on screen at the last look, where that was at the end; null: it was not
  failures: 0,
  nextRead: 0, // when to read again: never, while a read is under way
  lastRead: null, // so that a read that would change nothing is not made
  ...more,
});

class UnreadState extends UnreadMap {
  #env;
  #settings;
  #alarms;
  #drawTab;
  #prefix;
  #isForgotten = false;
  #ownsAddress = !threadMark()?.dataset.liveThread; // a page that comes open has one of its own for that
  #open = opened(null);
  #expected; // {id, how, at, byRow}: what the thread will show next; byRow: its row is to be clicked for that
  #limitReached = false;
  #startedAt;
  #focusedAt = -Infinity;
  #told = new Map(); // conversation id → how many of its counted messages are no news any more
  #missed = new Map(); // conversation id → how many there were before what a catch-up brought

  constructor({ userId, settings, env }) {
    super();
    this.#env = environment(env);
    this.#settings = settings;
    this.#alarms = new Alarms(this.#env);
    this.#startedAt = this.#env.now();
    this.#prefix = `unread_state:${userId}:`;
    this.#expected = JSON.parse(this.#kept("sessionStorage", "led")); // by a click on the page before this one
    this.#kept("sessionStorage", "led", null);
    this.#drawTab = tabFace(this.#env.badgeApp);
    /** What the person wants to be told of, and how: see `alerts` above. */
    this.alerts = alerts(this.#env, this.#prefix, this.#kept, (id) => this.select(id));
    this.#listen();
    this.alerts.begin();
  }

  #listen() {
    const on = (target, types, run) => {
      for (const type of types) target.addEventListener(type, run, { passive: true, capture: true });
    };
    on(document, ["realtime:event"], ({ detail }) => this.onEvent(detail));
    on(document, ["realtime:state"], () => this.#changed());
    on(document, ["realtime:reset"], () => this.load());
    on(window, ["focus", "blur", "visibilitychange"], ({ type, target }) => {
      if (type === "focus" && target === window) this.#focusedAt = this.#env.now();
      this.alerts.focusChanged();
      this.#consider();
    });
    on(window, ["scroll", "resize"], () => this.#consider());
    on(window, ["popstate"], () => {
      const id = this.#inAddress();
      if (id === this.#open.id || !this.#ownsAddress) return;
      if (id !== null && !this.numbers(id)) this.load(id);
      this.select(id, "back");
    });
    on(window, ["pagehide"], () => this.alerts.end());
    on(window, ["pageshow"], () => {
      this.alerts.begin();
      this.#changed();
    });
    on(window, ["pointerdown", "keydown", "wheel", "touchmove"], ({ target }) => {
      if (this.#open.gesture || !target.closest?.("[data-live-thread], [data-live-composer]")) return;
      this.#open.gesture = true;
      this.#consider();
    });
  }

  /** Logged out: nothing of this user stays in this browser. */
  forget() {
    this.#isForgotten = true; // nor what the page still does while it goes
    for (const name of ["selected", "led", "notifications", "sound", "rung"]) {
      for (const storage of KEPT_IN) this.#kept(storage, name);
    }
    this.alerts.closeSettled(true);
  }

  /** What this tab or this browser remembers for this user; with a value, from now on. */
  #kept = (storage, name, value) =>
    remember(storage, this.#prefix + name, this.#isForgotten ? null : value);

  // --- what is known ------------------------------------------------------------------------------

  /** One event of the stream. */
  onEvent(event) {
    const { type, conversation_id: id, data = {} } = event;
    if (type === "unread.changed") this.learn({ id, ...data });
    if (data.merged_into) this.merged(id, data.merged_into);
    else if (data.conversation) this.learn(data.conversation);
    if (type === "message.created" && counts(data.message)) this.#arrived(this.resolve(id), event);
  }

  /** Conversations that the page has read, in whatever answer. */
  learn = (...conversations) =>
    conversations.filter((each) => this.merge(each.id, each)).length && this.#changed();

  merged(loser, winner) {
    if (!loser || loser === winner) return;
    this.move(loser, winner);
    this.follow();
    this.#changed();
  }

  /** There is no such conversation (any more): out of address and memory. */
  removed(id) {
    this.remove(id);
    for (const storage of KEPT_IN) if (this.#kept(storage, "selected") === id) this.#kept(storage, "selected", "");
    if (this.#inAddress() === id) writeAddress("replaceState", history.state, null);
    if (this.#open.id === id) this.#open = opened(null);
    if (this.#expected?.id === id) this.#expected = null;
    this.#changed();
  }

  /** Reads what is unread, for a page that does not know it, or no longer. Again until there is an
   * answer. `chosen`: a conversation that may not exist; then `unread:unknown` says so. */
  async load(chosen = null, attempt = 1) {
    const before = this.snapshot();
    const path = chosen === null ? "/unread" : `/unread?c=${encodeURIComponent(chosen)}`;
    try {
      const { by_conversation: listed, limit_reached: cut, selected } = await this.#env.request("GET", path);
      this.#limitReached = cut;
      this.learn(...Object.entries(listed).map(([id, each]) => ({ id, ...each })), ...(selected ? [selected] : []));
      for (const [id, { counted: n }] of this.snapshot()) if (!this.#told.has(id)) this.#told.set(id, n);
      if (!cut) this.settle(before, listed);
      if (selected === null) {
        this.removed(chosen);
        if (tell("unread:unknown", { id: chosen })) notice("Esta conversa não existe, ou não existe mais.");
      }
      this.#changed();
    } catch {
      this.#alarms.set("load", backoffDelay(attempt, this.#env.random), () => this.load(chosen, attempt + 1));
    }
  }

  /** Draws badges, title, icon and app badge, all at once: so they never disagree. */
  show() {
    for (const badge of document.querySelectorAll("unread-badge")) badge.draw();
    const n = this.totals()[this.#settings.title_counts];
    const offline = document.documentElement.dataset.connection === "offline";
    this.#drawTab(n, { more: this.#limitReached, offline });
  }

  #changed() {
    this.alerts.closeSettled();
    tell("unread:changed");
    this.#consider();
  }

  // --- which conversation is open -----------------------------------------------------------------

  get selected() {
    return this.#open.id;
  }

  /** Opens what the address, this tab or this browser remembers, unless the page has opened one.
   * Nothing is read by that. Gives the id that it asked for, or null. */
  restore() {
    this.follow();
    if (this.#open.id !== null) return null;
    const [linked, own] = [this.#inAddress(), this.#kept("sessionStorage", "selected")];
    // "": this tab closed its conversation, and that was meant.
    const id = linked ?? own ?? this.#kept("localStorage", "selected");
    if (id && id === this.#expected?.id && this.#expected.led) {
      // Its row led to this page, which says nothing of it: not for ever.
      warnOnce("thread", `unread_state: nothing has data-live-thread="${id}" after its row was clicked; `
        + "the thread must name the conversation that is open");
    } else if (id) this.select(id, linked && linked !== own ? "link" : "restored");
    return id || null;
  }

  #inAddress = () => (this.#ownsAddress && new URL(location.href).searchParams.get("c")) || null;

  /** The screen goes to that conversation (null: to the list). An address that says so already is left
   * alone: the browser, or the page, was there first. */
  #go(id, how) {
    this.#kept("sessionStorage", "selected", (this.#ownsAddress && id) || "");
    if (id !== null) this.#kept("localStorage", "selected", id);
    if (!this.#ownsAddress || id === this.#inAddress()) return;
    if (how === "click") writeAddress("pushState", null, id);
    else writeAddress("replaceState", history.state, id);
  }

  /** Asks the page for a conversation (null: for none) by `unread:select`: who shows it names it in
   * `data-live-thread`. Unless a listener prevents that, its row is clicked, as soon as it is there.
   * `how`: "click", "back", "link" or "restored"; by the last two nothing is read. */
  select(id, how = "click") {
    const to = this.resolve(id);
    const expected = this.#expected = { id: to, how, at: this.#env.now() };
    const byDefault = tell("unread:select", { id: to, how });
    expected.byRow = byDefault && to !== null;
    this.follow();
    if (!byDefault || to !== null || !this.#expected) return;
    this.#go(null, how);
    location.reload(); // to the address without a conversation
  }

  /** The page may name another conversation in `data-live-thread` now. */
  follow() {
    const id = this.resolve(threadMark()?.dataset.liveThread || null);
    const isExpected = this.#expected?.id === id;
    const how = isExpected ? this.#expected.how : id === null ? "click" : "link";
    if (id !== this.#open.id) {
      const isMerged = this.resolve(this.#open.id) === id;
      this.#go(id, isMerged ? "link" : how);
      const gesture = isMerged ? this.#open.gesture : how === "click" || how === "back";
      this.#open = opened(id, { gesture, flips: this.#flips(id) });
      if (gesture) this.#focusedAt = -Infinity; // no doubt about the focus then
      this.#kept("sessionStorage", "led", null);
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
    this.#kept("sessionStorage", "led", JSON.stringify(this.#expected));
    if (id === this.#open.id) this.follow();
  }

  #clickRow() {
    const { id, how, at } = this.#expected;
    if (this.#env.now() - at > ROW_LIMIT) {
      this.#expected = null; // the person is at something else by now
      return warnOnce("row", `unread_state: "${id}" is not opened: it has no row; listen to unread:select`);
    }
    const row = document.querySelector(`[data-conversation-id="${CSS.escape(id)}"]`);
    if (!row) return;
    this.#expected.byRow = false;
    this.#kept("sessionStorage", "led", JSON.stringify({ id, how, led: true }));
    (row.matches("a[href]") ? row : row.querySelector("a[href]") ?? row).click();
  }

  #flips = (id) => this.numbers(id)?.flips ?? null;

  // --- the open thread: what is read of it --------------------------------------------------------

  /** The open thread was drawn. `messages`: what it shows, in that order, as the server's JSON;
   * `ready`: false while its newest messages are not among them, or where to stand is not decided. */
  rendered(id, messages, { ready = true } = {}) {
    this.follow();
    if (id !== this.#open.id) return;
    Object.assign(this.#open, { messages, ready });
    if (ready) this.#open.flips ??= this.#flips(id);
    const numbers = this.numbers(id) ?? BLANK;
    const isRead = numbers.read >= numbers.counted && numbers.flips % 2 === 0;
    // The next message may be counted before it is drawn: then these are not read once more.
    if (isRead && !unreadAmong(messages, numbers.read).length) {
      this.#open.lastRead = reading(lastArrived(messages)?.id, numbers);
    }
    this.#consider();
  }

  /** Ids of unread messages that came late and have not been on screen yet, from the top: nothing
   * that came after them is read before that, so the thread has to point there. */
  unseen = () => this.#offered(false).unseen.map(({ id }) => id);

  #offered(atEnd) {
    const { id, messages, seen } = this.#open;
    return readUpTo(messages, this.numbers(id)?.read ?? 0, { seen, atEnd });
  }

  /** An answer is sent from here, which reads what is shown: the id to send as `read_up_to`. */
  answered() {
    Object.assign(this.#open, { gesture: true, flips: this.#flips(this.#open.id) });
    this.#changed();
    return this.#offered(true).id;
  }

  /** By hand, from a menu: read up to this message, or "Marcar como não lida". Both reject when the
   * server did not do it. */
  markRead = (id, messageId) => this.#post(id, "read", { up_to: messageId });
  markUnread = (id) => this.#post(id, "unread", {});

  async #post(id, verb, body) {
    const path = `/api/conversations/${encodeURIComponent(id)}/${verb}`;
    const { conversation_id: now = id, ...numbers } = await this.#env.request("POST", path, body);
    this.learn({ id: now, ...numbers });
  }

  /** Reads the open conversation as far as its conditions hold, or looks again when they may. */
  #consider() {
    this.#alarms.clear("read");
    const open = this.#open;
    const isThere = open.gesture && open.ready && this.#env.hasFocus();
    const passing = this.#focusedAt + this.#settings.refocus_ms - this.#env.now();
    const atEnd = isThere && passing <= 0 && this.#look(open);
    if (!atEnd) open.from = null;
    if (!isThere || !this.isUnread(open.id)) return;
    const numbers = this.numbers(open.id);
    // Marked unread while it was open: it stays so until it is opened again or answered.
    if (open.flips !== null && numbers.flips > open.flips && numbers.flips % 2 === 1) return;
    const wait = Math.max(passing, open.nextRead - this.#env.now());
    if (wait > 0) return wait < Infinity && this.#alarms.set("read", wait, () => this.#consider());
    const { id, left, isNews } = this.#offered(atEnd);
    if (isNews && open.lastRead !== reading(id, numbers)) this.#read(open, id, left, reading(id, numbers));
  }

  /** Notes what has been on screen; whether the end of the thread is. While it is, what comes passes by
   * there: all that follows what was on screen at the look before. */
  #look(open) {
    const { messages, seen } = open;
    const bubbles = [...threadMark()?.querySelectorAll("[data-message-id]") ?? []].reverse(); // the outermost counts
    const byId = new Map(bubbles.map((each) => [each.dataset.messageId, each]));
    const boxOf = (message) => byId.get(String(message?.id))?.getBoundingClientRect();
    let [top, bottom] = [0, window.innerHeight];
    for (let node = bubbles[0]?.parentElement; node && node !== document.documentElement; node = node.parentElement) {
      if (getComputedStyle(node).overflowY === "visible") continue;
      const box = node.getBoundingClientRect();
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    const isShown = (message) => {
      const box = boxOf(message);
      const visible = box && Math.min(box.bottom, bottom) - Math.max(box.top, top);
      return visible > 0 && visible >= Math.min(box.height, bottom - top) / 2;
    };
    const end = boxOf(messages.at(-1));
    const atEnd = end?.height > 0 && end.bottom > top && end.bottom <= bottom + this.#settings.near_bottom_px;
    const unseen = this.isUnread(open.id) ? this.#offered(false).unseen : [];
    const from = messages.findIndex(({ id }) => atEnd && id === open.from);
    for (const { id } of [...unseen.filter(isShown), ...(from < 0 ? [] : messages.slice(from))]) seen.add(id);
    if (atEnd) open.from = messages[messages.findLastIndex((each) => !(boxOf(each)?.bottom > top)) + 1].id;
    if (unseen.some(({ id }) => seen.has(id))) tell("unread:changed"); // the thread need not point there any more
    return atEnd;
  }

  async #read(open, id, left, what) {
    open.nextRead = Infinity;
    this.beginRead(open.id, left);
    this.#changed();
    try {
      await this.#post(open.id, "read", { up_to: id });
      Object.assign(open, { lastRead: what, failures: 0, nextRead: 0 });
    } catch ({ status }) {
      open.failures += 1;
      open.nextRead = this.#env.now() + backoffDelay(open.failures, this.#env.random);
      // Refused for good: the next message that arrives makes it another question.
      if (status === 404 || status === 422) open.lastRead = what;
    }
    this.endRead(open.id); // the answer's numbers say it exactly; without one it is taken back
    this.#changed();
  }

  // --- who is told of what came -------------------------------------------------------------------

  /** A message that counts has come: told of once, unless the page began with it. */
  #arrived(id, event) {
    const { age, catchUp, data: { message, conversation } } = event;
    const n = message.counted_at_arrival ?? conversation.incoming_counted;
    if (n <= this.#told.get(id) || age > this.#env.now() - this.#startedAt || this.isSilent(id)) return;
    if (age === undefined ? catchUp : age > this.#settings.quiet_after_seconds * 1_000) return this.#miss(id, n);
    this.#told.set(id, n);
    this.alerts.announce(id, () => !this.isUnread(id) || this.isSilent(id), () => {
      const words = { title: conversation?.name || "Conversa", body: message.text || "Mensagem nova" };
      tell("unread:notify", { event, words });
      return words;
    }, event.id);
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

// --- in the page ------------------------------------------------------------------------------------

let running = null; // the page's UnreadState, which the badges draw from

/** `<unread-badge>`: what is unread of the conversation in whose row it stands. While something is, it
 * has `data-unread-count`; 0: marked by hand. */
class UnreadBadge extends HTMLElement {
  #said = null;

  connectedCallback() {
    this.draw();
  }

  draw() {
    const id = this.closest("[data-conversation-id]")?.dataset.conversationId;
    const { count, marked } = running?.badge(id) ?? { count: 0, marked: false };
    const silent = Boolean(running?.isSilent(id));
    const said = `${count} ${marked} ${silent}`;
    if (said === this.#said) return; // nothing is written that changes nothing
    this.#said = said;
    const shown = count > 0 || marked;
    this.textContent = count > MAX_SHOWN ? `${MAX_SHOWN}+` : count || "";
    this.role = "img";
    this.ariaLabel = count > 0 ? unreadLabel(count) : marked ? "Marcada como não lida" : null;
    this.hidden = !shown;
    this.classList.toggle("silent", silent);
    if (shown) this.dataset.unreadCount = count;
    else delete this.dataset.unreadCount;
  }
}

customElements.define("unread-badge", UnreadBadge);

/** A line over the page, until it is closed or another one comes. `offers`: [words, what they do]. */
function notice(text, onClose, ...offers) {
  const line = Object.assign(document.createElement("div"), { className: "unread-notice", role: "status" });
  line.dataset.liveKept = ""; // a region that is fetched again leaves it alone
  line.append(text);
  for (const [textContent, run] of [...offers, ["Fechar", onClose]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent });
    button.addEventListener("click", () => {
      line.remove();
      run?.();
    });
    line.append(button);
  }
  document.querySelector(".unread-notice")?.remove();
  document.body.append(line);
}

/** Feeds an UnreadState from the marks in a page without wiring. */
function watchMarks(unread) {
  const learned = new WeakMap(); // row → its data-live, which may be older than what is known by now
  let hasOffered = false;

  /** What the mark of a row or bubble says; null where that cannot be read. */
  const read = (node, ...needed) => {
    const live = liveOf(node, ...needed);
    return live && { ...live, id: node.dataset.messageId ?? node.dataset.conversationId };
  };

  const look = () => {
    const rows = [...document.querySelectorAll("[data-conversation-id]")];
    const news = rows.filter((row) => !learned.has(row) || learned.get(row) !== row.dataset.live);
    for (const row of news) learned.set(row, row.dataset.live);
    unread.learn(...news.map((row) => read(row, "incoming_counted")).filter(Boolean));
    unread.follow();
    unread.show();
    const bubbles = [...(threadMark() ?? document).querySelectorAll("[data-message-id]")];
    if (!threadMark() && bubbles.length) {
      warnOnce("no thread", "unread_state: nothing is read here, for there is no data-live-thread; give it to the "
        + "element around the messages, with the id of the conversation that is open");
    }
    const id = unread.selected;
    if (id === null) return;
    const [first, last] = [bubbles[0], bubbles.at(-1)].map((each) => each?.getBoundingClientRect().top);
    if (first > last) bubbles.reverse(); // turned round by the page's style
    const messages = bubbles.map((each) => read(each, "arrival", "direction"));
    // The bubbles may still be those of the conversation before.
    const own = messages.filter((each) => each && String(each.conversation_id ?? id) === id);
    const isUnknown = messages.length && !own.length && !unread.numbers(id);
    if (isUnknown) warnOnce("id", `unread_state: no conversation here has the id of data-live-thread="${id}"; it `
      + "wants what realtime_events.id_of(conversation) says");
    unread.rendered(id, own);
  };

  /** Gives the server, with an answer, up to where its author has read. */
  const sendReading = (form) => {
    if (!form.matches("[data-live-composer]") && !form.querySelector("[data-live-composer]")) return;
    form.querySelector("input[name=read_up_to]")?.remove();
    unread.clicked(unread.selected); // which the page after this one shows again
    const value = unread.answered();
    if (value === null) return;
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "read_up_to", value }));
    form.lastChild.dataset.liveKept = "";
  };

  const on = (type, run) => document.addEventListener(type, run, { capture: true });
  on("unread:changed", () => unread.show());
  on("submit", ({ target }) => sendReading(target));
  on("click", ({ target, isTrusted }) => {
    if (!isTrusted) return; // by a script, which may be this one
    if (unread.alerts.asks && !hasOffered) {
      hasOffered = true;
      notice("Quer ser avisado de mensagens novas?", () => unread.alerts.setWanted("notifications", false),
        ["Ativar notificações", () => unread.alerts.askPermission()]);
    }
    const id = target.closest("[data-conversation-id]")?.dataset.conversationId;
    if (id !== undefined) unread.clicked(id);
  });

  const attributeFilter = ["data-live", "data-conversation-id", "data-message-id", "data-live-thread"];
  const watched = { subtree: true, childList: true, attributes: true, attributeFilter };
  ready.then(() => { // all scripts of the page have run, and it hears what is asked of it
    new MutationObserver(look).observe(document.body, watched);
    look();
    unread.load(unread.restore());
  });
}

/** Start counting, reading and remembering.
 *
 * options: `userId` (names keys and locks); `settings`, as the server rendered them; `env` replaces
 * what the browser offers. The page calls `restore()` when it can show a conversation, `load()` as
 * soon as that delays nothing, `learn` and `rendered` with what it shows, and `show()` to draw.
 *
 * It hears on `document`, where the first three can be prevented: `unread:select` ({id, how}, see
 * `select`), `unread:unknown` ({id}: there is no such conversation), `unread:digest` ({text}: the
 * quiet line after a catch-up); `unread:notify` ({event, words: {title, body, icon}}: what a notification
 * will say, to be changed there); `unread:changed`: draw again.
 */
export function startUnread(options) {
  running = new UnreadState(options);
  running.show();
  return running;
}

/** What runs in this page, for a script of its own: `pageUnread().alerts.setWanted("sound", false)`. */
export const pageUnread = () => running;

const [given, page] = [pageData("unread-state"), pageData()];
if (given && page) watchMarks(startUnread({ userId: page.user, ...given }));
