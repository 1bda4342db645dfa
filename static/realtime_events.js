/* Browser half of realtime_events: every event once in every tab, over one connection a browser.
 *
 * The host gives the address of the stream, the id of its user and the cursor its page was rendered
 * with (taken before the data were read). It gets parsed events, and is told when it has to read
 * again: everything (onReset) or one conversation (onHole). See startRealtime at the end.
 *
 * Who connects: one tab a browser and user holds a Web Lock (the leader) and passes on what it
 * receives. Every other tab (a follower) asks the server once for what it missed and then listens.
 * A follower that no leader answers connects for itself (solo) until one does.
 *
 * Why nothing is lost at a change of leader: a follower takes over the leader's cursor only after
 * a catch-up of its own that began after that leader began ("lead" makes it ask again), so all the
 * leader ever saw was either in that catch-up or heard on the channel.
 */

// Milliseconds. Where the server has its half of a number, the line names that setting.
const HELLO_WAIT = 3_000; // a stream says hello at once; silence: a front end that buffers answers
const ANSWER_TIMEOUT = 10_000; // a catch-up is answered at once; after a sleep the socket may be dead
const SILENCE_TIMEOUT = 25_000; // over REALTIME_EVENTS_HOLD_SECONDS (20), ..._HEARTBEAT_SECONDS (10)
const BACKOFF_BASE = 1_000;
const BACKOFF_CAP = 30_000;
const MIN_SPACING = 250; // between fruitless requests; a shorter `retry` is meant for EventSource
const LIVED = 1_000; // an answer that stayed open this long may be followed by the next at once
const RETRY_AFTER_CAP = 60_000; // a mistaken header must not park a page for hours
const OFFLINE_AFTER = 8_000; // a hiccup is "connecting", a failure this long is "offline"
const TICK = 1_000;
const BEAT = 3_000; // the leader's heartbeat
const PING_AFTER = 4_000; // without heartbeat a follower asks the leader, whose timers may be throttled
const PING_TIMEOUT = 6_000; // 4 + 6: after 10 s without a leader a tab connects for itself
const SLEPT_VISIBLE = 10_000; // a tick this late: the machine slept
const SLEPT_HIDDEN = 75_000; // browsers slow a hidden page's timers down to one a minute
const RECOVERY_SPACING = 1_000; // visible, online and wake come together: one recovery
const HOLE_GRACE = 1_500; // an event of another server process may be one poll late
const CHECK_EVERY = 60_000;
const CHECK_JITTER = 15_000;
const RESET_JITTER = 3_000; // a reset hits every page at the same moment
const CATCH_UP_AGE = 15_000;
const TRUSTED_ROUND_TRIP = 2_000;
const HOLD_MEMORY = 24 * 3_600_000; // front ends change: try streaming again after a day
const SEEN_LIMIT = 5_000;
const HOLD_KEY = "realtime_events.hold_until";
const CLIENT_KEY = "realtime_events.client";

/** Incremental parser of SSE text: returns `feed(bytes)` → complete blocks `{id, event, data, retry}`
 * (absent fields undefined; a block without data only renews the cursor or the retry time). */
export function parseEventStream() {
  const decoder = new TextDecoder();
  let rest = "";
  let afterCr = false;
  let block = {};
  return function feed(bytes) {
    let text = decoder.decode(bytes, { stream: true });
    if (!text) return [];
    if (afterCr && text[0] === "\n") text = text.slice(1); // a CRLF cut in two
    afterCr = text.endsWith("\r");
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    const blocks = [];
    for (const line of lines) {
      if (line === "") {
        if (Object.keys(block).length) blocks.push(block);
        block = {};
      } else {
        readField(block, line);
      }
    }
    return blocks;
  };
}

function readField(block, line) {
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
  if (field === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
  else if (field === "event") block.event = value;
  else if (field === "id" && !value.includes("\0")) block.id = value;
  else if (field === "retry" && /^\d+$/.test(value)) block.retry = Number(value);
}

/** Exponential back-off with full jitter, in ms, after `failures` (1, 2, …) in a row. */
export function backoffDelay(failures, random = Math.random) {
  const ceiling = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** Math.min(failures - 1, 16));
  return Math.max(MIN_SPACING, random() * ceiling);
}

/** The header Retry-After (seconds or a date) in ms, bounded; 0 where there is none. */
export function retryAfterDelay(header, now) {
  if (!header) return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Math.min(Math.max(ms || 0, 0), RETRY_AFTER_CAP);
}

/** The events with those of each conversation in order of version; all others keep their place. */
export function sortBatch(events) {
  const places = new Map();
  events.forEach((event, place) => {
    if (!hasVersion(event)) return;
    if (!places.has(event.conversation_id)) places.set(event.conversation_id, []);
    places.get(event.conversation_id).push(place);
  });
  const sorted = [...events];
  for (const own of places.values()) {
    const inOrder = own.map((place) => events[place]).sort((a, b) => a.version - b.version);
    own.forEach((place, n) => { sorted[place] = inOrder[n]; });
  }
  return sorted;
}

const hasVersion = (event) => event.conversation_id != null && Number.isInteger(event.version);

/** Knows each conversation's highest version without a gap below it, and finds gaps that stay. */
export class VersionTracker {
  #known = new Map(); // id → {version, ahead: Set, behindSince, reported}

  /** The page itself read or rendered the conversation at this version. */
  note(id, version) {
    if (!Number.isInteger(version)) return;
    const entry = this.#known.get(id);
    if (entry) {
      if (version > entry.version) this.#advance(entry, version, entry.behindSince);
    } else {
      this.#known.set(id, { version, ahead: new Set(), behindSince: null, reported: false });
    }
  }

  /** An event brought this version; the first one of an unknown conversation is its base. */
  see(id, version, now) {
    const entry = this.#known.get(id);
    if (!entry) return this.note(id, version);
    if (version === entry.version + 1) this.#advance(entry, version, now);
    else if (version > entry.version) this.#expect(entry, version, now);
  }

  /** What the server has. One unknown here, while others are known, was missed whole. */
  compare(versions, now) {
    const blank = this.#known.size === 0;
    for (const [id, version] of Object.entries(versions)) {
      if (!this.#known.has(id)) this.note(id, blank ? version : 0);
      const entry = this.#known.get(id);
      if (version <= entry.version) continue;
      if (entry.reported) entry.behindSince = now; // the host's reading failed: tell it again
      entry.reported = false;
      this.#expect(entry, version, now);
    }
  }

  /** Conversations whose gap outlived the grace, each once. */
  takeHoles(now) {
    const holes = [];
    for (const [id, entry] of this.#known) {
      if (!this.#open(entry) || now < entry.behindSince + HOLE_GRACE) continue;
      entry.reported = true;
      holes.push(id);
    }
    return holes;
  }

  /** When takeHoles has something to say, or null. */
  nextHoleAt() {
    const open = [...this.#known.values()].filter(this.#open);
    return open.length ? Math.min(...open.map((entry) => entry.behindSince)) + HOLE_GRACE : null;
  }

  forget() {
    this.#known.clear();
  }

  #open = (entry) => entry.behindSince !== null && !entry.reported;

  #expect(entry, version, now) {
    entry.ahead.add(version);
    entry.behindSince ??= now;
  }

  #advance(entry, version, now) {
    entry.version = version;
    while (entry.ahead.delete(entry.version + 1)) entry.version += 1;
    for (const ahead of entry.ahead) if (ahead <= entry.version) entry.ahead.delete(ahead);
    entry.behindSince = entry.ahead.size ? now : null; // what is still missing is another gap
    entry.reported = false;
  }
}

/** Age of an event by the server's clock (header Date): a wrong local clock does no harm. */
export class ServerClock {
  #offset = 0;
  #spread = Infinity;

  sample(header, sent, received) {
    const served = Date.parse(header ?? "");
    const spread = received - sent;
    // A held answer may carry the date of its beginning: only short round trips are worth anything.
    if (Number.isNaN(served) || spread < 0) return;
    if (spread > TRUSTED_ROUND_TRIP && spread > this.#spread) return;
    this.#offset = served + 500 - (sent + received) / 2; // Date is cut to whole seconds
    this.#spread = spread;
  }

  age(at, now) {
    return now + this.#offset - Date.parse(at);
  }
}

/** Ids already delivered in this tab: the overlap cursor may bring an event again. */
class SeenIds {
  #ids = new Set();

  add(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > SEEN_LIMIT) this.#ids.delete(this.#ids.values().next().value);
    return true;
  }
}

/** Named timers. `runOverdue` lets another tab's message run what a throttled page is late with. */
class Alarms {
  #env;
  #set = new Map();

  constructor(env) {
    this.#env = env;
  }

  set(name, ms, run) {
    this.clear(name);
    const timer = this.#env.setTimeout(() => this.#fire(name), ms);
    this.#set.set(name, { due: this.#env.now() + ms, run, timer });
  }

  has(name) {
    return this.#set.has(name);
  }

  clear(name) {
    this.#env.clearTimeout(this.#set.get(name)?.timer);
    this.#set.delete(name);
  }

  clearAll() {
    for (const name of [...this.#set.keys()]) this.clear(name);
  }

  runOverdue() {
    for (const [name, { due }] of [...this.#set]) if (due <= this.#env.now()) this.#fire(name);
  }

  #fire(name) {
    const alarm = this.#set.get(name);
    this.clear(name);
    alarm?.run();
  }
}

const browserEnvironment = () => ({
  fetch: (...request) => window.fetch(...request),
  now: () => Date.now(),
  setTimeout: (run, ms) => window.setTimeout(run, ms),
  clearTimeout: (timer) => window.clearTimeout(timer),
  random: Math.random,
  locks: navigator.locks,
  BroadcastChannel: window.BroadcastChannel,
});

const hostDefaults = {
  loginUrl: "/login",
  onEvent() {},
  onReset() {},
  onHole() {},
  onState() {},
  onBuild() {},
  onLogin() {
    const here = location.pathname + location.search;
    location.assign(`${this.loginUrl}?next=${encodeURIComponent(here)}`);
  },
};

const newClientId = () => crypto.getRandomValues(new Uint32Array(3)).join("-"); // randomUUID wants https

function browserClientId(fallback) {
  try {
    const known = localStorage.getItem(CLIENT_KEY) ?? fallback;
    localStorage.setItem(CLIENT_KEY, known);
    return known;
  } catch {
    return fallback; // storage may be forbidden
  }
}

class RealtimeClient {
  #host;
  #env;
  #alarms;
  #tracker = new VersionTracker();
  #clock = new ServerClock();
  #seen = new SeenIds();
  #listeners = new AbortController();
  #tabId = newClientId();

  #cursor;
  #build = null;
  #state = null;
  #session = null; // AbortController, from page shown to page hidden
  #channel = null;
  #role = "follower"; // "leader" with the lock, "solo" for itself alone
  #synced = false; // a follower's own catch-up is complete: the leader's cursor is ours
  #epoch = 0; // grows with every new leader

  #request = null; // AbortController of the request under way
  #wake = null; // ends the pause between two requests
  #woken = false;
  #failures = 0;
  #greet = true; // ask for an answer at once: we do not know whether the way is open
  #delivery; // "stream", "hold", or undefined: the server decides
  #streamed = false; // this page has seen a stream come through
  #unheard = 0; // streams in a row without a hello in time
  #probing = false;

  #lastTick;
  #lastPost = 0;
  #lastHeard = 0;
  #pingedAt = null;
  #checkSoon = false;
  #recoverAgain = false;
  #resetDue = false;

  constructor(options) {
    this.#host = { ...hostDefaults, ...options };
    this.#env = { ...browserEnvironment(), ...options.env };
    this.#alarms = new Alarms(this.#env);
    this.#cursor = options.cursor || null;
    this.#delivery = this.#recallHold() ? "hold" : undefined;
    const { signal } = this.#listeners;
    const on = (target, type, run) => target.addEventListener(type, run, { signal });
    on(window, "online", () => this.#recover());
    on(window, "offline", () => this.#setState("offline"));
    on(window, "pagehide", () => this.#end()); // the lock would keep the page out of the bfcache
    on(window, "pageshow", (event) => { if (event.persisted) this.#begin(); });
    on(document, "resume", () => this.#recover());
    on(document, "visibilitychange", () => { if (!document.hidden) this.#recover(); });
    this.#begin();
  }

  noteVersion(conversationId, version) {
    this.#tracker.note(conversationId, version);
    this.#armHoles();
  }

  reconnect() {
    this.#recover();
  }

  close() {
    this.#listeners.abort();
    this.#end();
  }

  // --- life of the page ---------------------------------------------------------------------

  #begin() {
    if (this.#session || this.#listeners.signal.aborted) return;
    this.#session = new AbortController();
    this.#role = "follower";
    this.#synced = false;
    this.#greet = true;
    this.#pingedAt = null;
    this.#lastTick = this.#lastHeard = this.#env.now();
    this.#checkSoon = this.#state !== null; // shown again after the bfcache
    this.#setState(navigator.onLine === false ? "offline" : "connecting");
    this.#tick();
    this.#scheduleCheck();
    this.#armHoles();
    if (this.#resetDue) this.#scheduleReset(); // the page was hidden before it could
    this.#join(this.#session.signal);
  }

  #end() {
    this.#session?.abort();
    this.#session = null;
    this.#alarms.clearAll();
    this.#channel?.close();
    this.#channel = null;
    this.#interrupt("end");
  }

  /** Subscribe first, then learn whether this tab leads, then connect or catch up. */
  async #join(signal) {
    const { locks, BroadcastChannel: Channel } = this.#env;
    const name = `realtime_events:${this.#host.userId}`;
    const lead = (lock) => lock && !signal.aborted && new Promise((release) => {
      signal.addEventListener("abort", release);
      this.#lead();
    });
    let running = false;
    try {
      this.#channel = new Channel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
      await locks.request(name, { ifAvailable: true }, (lock) => {
        const held = lead(lock);
        running = true;
        this.#run(signal);
        return held;
      });
      if (!signal.aborted) await locks.request(name, { signal }, lead);
    } catch {
      if (signal.aborted) return;
      this.#role = "solo"; // no Web Locks or no channel here
      if (running) this.#interrupt("solo");
      else this.#run(signal);
    }
  }

  #tick() {
    const now = this.#env.now();
    const late = now - this.#lastTick;
    this.#lastTick = now;
    this.#alarms.set("tick", TICK, () => this.#tick());
    if (late > (document.hidden ? SLEPT_HIDDEN : SLEPT_VISIBLE)) this.#recover();
    if (this.#role === "leader") {
      if (Math.abs(now - this.#lastPost) >= BEAT) this.#post("beat");
    } else if (this.#channel && Math.abs(now - this.#lastHeard) > PING_AFTER) {
      this.#pingedAt ??= now; // only silence after a question counts: our own timers may be late
      this.#post("ping");
      if (now - this.#pingedAt >= PING_TIMEOUT && this.#role === "follower") {
        this.#role = "solo";
        this.#greet = true;
        this.#interrupt("solo");
      }
    }
  }

  /** The one way back: after a sleep, shown again, online, or asked by the user. */
  #recover() {
    if (!this.#session) return;
    if (this.#alarms.has("recovered")) {
      this.#recoverAgain = true;
      return;
    }
    this.#recoverAgain = false;
    this.#alarms.set("recovered", RECOVERY_SPACING, () => {
      if (this.#recoverAgain && this.#greet) this.#recover();
    });
    this.#scheduleCheck();
    this.#alarms.runOverdue(); // timers may not have counted the time asleep
    this.#failures = 0;
    this.#greet = true;
    this.#checkSoon = true;
    this.#synced = false;
    if (this.#role !== "leader") this.#post("ping");
    if (this.#state === "offline" && navigator.onLine !== false) this.#setState("connecting");
    this.#interrupt("recover");
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    document.documentElement.dataset.connection = state;
    this.#alarms.clear("offline");
    if (state === "connecting") {
      this.#alarms.set("offline", OFFLINE_AFTER, () => this.#setState("offline"));
    }
    this.#guard(() => this.#host.onState(state), state);
    if (this.#role === "leader") this.#post("beat");
  }

  // --- between tabs -------------------------------------------------------------------------

  #lead() {
    this.#role = "leader";
    this.#greet = true;
    this.#post("lead");
    this.#wakeUp();
  }

  #post(kind, more = {}) {
    if (kind !== "ping") this.#lastPost = this.#env.now();
    const position = { cursor: this.#cursor, state: this.#state, build: this.#build };
    this.#channel?.postMessage({ kind, ...position, ...more });
  }

  #hear({ kind, cursor, state, build, events = [] }) {
    if (kind === "ping") {
      if (this.#role !== "leader") return;
      this.#alarms.runOverdue(); // hidden leaders have slow timers, messages are never throttled
      this.#post("beat");
      return;
    }
    this.#lastHeard = this.#env.now();
    this.#pingedAt = null;
    if (this.#role === "leader") return; // two leaders at once: a lock that passed on in this moment
    if (kind === "lead") {
      this.#epoch += 1;
      this.#synced = false;
    }
    if (this.#role === "solo") {
      this.#role = "follower";
      this.#synced = false;
      this.#interrupt("follow");
    }
    if (kind === "reset") this.#scheduleReset();
    this.#deliver(events);
    this.#noteBuild(build);
    if (this.#synced) {
      this.#cursor = cursor ?? this.#cursor;
      this.#setState(state);
    } else {
      this.#wakeUp();
    }
  }

  // --- requests: one at a time --------------------------------------------------------------

  async #run(signal) {
    while (!signal.aborted) {
      this.#woken = false;
      if (this.#role === "follower" && this.#synced) {
        await this.#pause();
        continue;
      }
      const live = this.#role !== "follower";
      const delivery = live ? this.#delivery : "hold";
      const hello = this.#greet || !live || delivery !== "hold";
      const ask = { live, delivery, hello, epoch: this.#epoch };
      const answer = await this.#ask(ask);
      if (signal.aborted) return;
      const wait = this.#judge(ask, answer);
      if (wait > 0) await this.#pause(wait);
    }
  }

  async #pause(ms) {
    if (this.#woken) return;
    await new Promise((resolve) => {
      this.#wake = resolve;
      if (ms !== undefined) this.#alarms.set("pause", ms, resolve);
    });
    this.#alarms.clear("pause");
    this.#wake = null;
  }

  #wakeUp() {
    // A follower that waits out a failure keeps waiting: a heartbeat is no reason to ask sooner.
    if (this.#alarms.has("pause")) return;
    this.#wake?.();
  }

  #interrupt(reason) {
    this.#woken = true;
    this.#request?.abort(reason);
    this.#wake?.();
  }

  async #ask(ask) {
    const { delivery, hello } = ask;
    const answer = { hello: null, login: false, retryAfter: 0, retry: 0 };
    Object.assign(answer, { bytes: 0, fresh: 0, ended: false, cut: null, lived: 0 });
    const request = new AbortController();
    this.#request = request;
    const listen = (ms) => this.#alarms.set("silence", ms, () => request.abort("silence"));
    const started = this.#env.now();
    try {
      listen(delivery !== "hold" ? HELLO_WAIT : hello ? ANSWER_TIMEOUT : SILENCE_TIMEOUT);
      const response = await this.#env.fetch(this.#address(delivery, hello), {
        credentials: "same-origin",
        cache: "no-store",
        headers: { Accept: "text/event-stream" },
        signal: request.signal,
      });
      this.#clock.sample(response.headers.get("Date"), started, this.#env.now());
      answer.login = response.status === 401 || this.#isLoginPage(response);
      answer.retryAfter = retryAfterDelay(response.headers.get("Retry-After"), this.#env.now());
      const type = response.headers.get("Content-Type") ?? "";
      if (response.status !== 200 || !type.startsWith("text/event-stream")) return answer;
      const feed = parseEventStream();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (request.signal.aborted) break;
        if (done) {
          answer.ended = true;
          break;
        }
        answer.bytes += value.length;
        listen(SILENCE_TIMEOUT);
        this.#setState("connected");
        this.#apply(feed(value), ask, answer);
        if (this.#checkSoon) this.#check();
      }
    } catch {
      // A cut is an ordinary end: what it means is decided in #judge by what came before it.
    } finally {
      answer.lived = this.#env.now() - started;
      answer.cut = request.signal.aborted ? request.signal.reason : null;
      if (this.#request === request) this.#alarms.clear("silence");
      request.abort("done"); // frees the connection of an answer we did not read
    }
    return answer;
  }

  #address(delivery, hello) {
    const address = new URL(this.#host.url, location.href);
    const set = (name, value) => value && address.searchParams.set(name, value);
    set("after", this.#cursor);
    set("delivery", delivery);
    // A browser has one leader: under one id its next leader, after a reload say, ends the request
    // that the server still holds for the last one.
    set("client", this.#role === "leader" ? browserClientId(this.#tabId) : this.#tabId);
    set("hello", hello && "1");
    return address.href;
  }

  #isLoginPage(response) {
    if (!response.redirected) return false;
    return new URL(response.url).pathname === new URL(this.#host.loginUrl, location.href).pathname;
  }

  /** What an answer means for the next request: milliseconds to wait before it. */
  #judge(ask, answer) {
    if (answer.login) {
      this.close();
      this.#guard(() => this.#host.onLogin(), "login");
      return 0;
    }
    if (["recover", "follow", "solo"].includes(answer.cut)) return 0; // we ended it ourselves
    const lived = answer.lived >= LIVED && (answer.ended || answer.bytes > 0);
    if (lived) this.#setState("connected");
    if (lived || answer.fresh > 0) this.#failures = 0;
    if (ask.live) {
      const unheard = answer.cut === "silence" && answer.bytes === 0;
      if (unheard && ask.delivery !== "hold") return this.#suspectBuffering();
      if (this.#probing) {
        this.#delivery = undefined; // not even a held answer: the server is away,
        this.#unheard = 0; // and that is why no stream was heard
      }
      this.#probing = false;
    }
    const complete = answer.ended && answer.bytes > 0;
    // An answer that brought something may be only the first page of it.
    if (complete && !answer.fresh && !ask.live && ask.epoch === this.#epoch) this.#synced = true;
    const held = answer.hello && (ask.delivery ?? answer.hello.delivery) === "hold";
    const greeted = complete && ask.hello && held; // such an answer ends at once, and is asked for once
    if (greeted || answer.fresh > 0 || lived) this.#greet = false;
    const paced = answer.retry >= MIN_SPACING;
    const retry = paced ? answer.retry * (1 + this.#env.random() / 2) : 0;
    const healthy = answer.ended && (greeted || answer.fresh > 0 || lived);
    if (healthy || (complete && paced)) return retry;
    this.#failures += 1;
    this.#greet = true;
    if (navigator.onLine === false) this.#setState("offline");
    else if (this.#state !== "offline") this.#setState("connecting");
    const later = answer.retryAfter * (1 + this.#env.random() / 4);
    return Math.max(backoffDelay(this.#failures, this.#env.random), later, retry);
  }

  // --- how the server may deliver -----------------------------------------------------------

  /** No hello in time. A front end that buffers, or only a dead socket: a held answer will show. */
  #suspectBuffering() {
    this.#unheard += 1;
    this.#delivery = "hold";
    this.#probing = true;
    this.#greet = true;
    return 0;
  }

  #learnDelivery(ask, hello) {
    if (!ask.live) return; // a catch-up asks for hold whatever the way can do
    if (ask.delivery !== "hold") {
      this.#delivery = hello.delivery === "hold" ? "hold" : "stream";
      this.#unheard = 0;
      this.#streamed ||= this.#delivery === "stream";
    } else if (this.#probing) {
      this.#probing = false;
      if (this.#unheard > (this.#streamed ? 1 : 0)) this.#rememberHold();
      else this.#delivery = undefined;
    }
  }

  #rememberHold() {
    try {
      localStorage.setItem(HOLD_KEY, String(this.#env.now() + HOLD_MEMORY));
    } catch {
      // Storage may be forbidden: the next page finds out again.
    }
  }

  #recallHold() {
    try {
      const left = Number(localStorage.getItem(HOLD_KEY)) - this.#env.now();
      return left > 0 && left <= HOLD_MEMORY;
    } catch {
      return false;
    }
  }

  // --- what came ----------------------------------------------------------------------------

  #apply(blocks, ask, answer) {
    const events = [];
    let cursor = null;
    for (const block of blocks) {
      answer.retry = block.retry ?? answer.retry;
      const event = block.data === undefined ? null : this.#read(block);
      if (event?.type === "hello") {
        answer.hello = this.#greeted(ask, event.data);
        continue; // its id is no progress: what was missed comes after it
      }
      if (block.id) cursor = block.id;
      if (event?.type === "reset") {
        cursor = event.data?.cursor || cursor;
        this.#scheduleReset();
        if (this.#role === "leader") this.#post("reset", { cursor });
      } else if (event) {
        events.push(event);
      }
    }
    if (cursor) this.#cursor = cursor;
    if (this.#role === "leader" && blocks.length) this.#post("events", { events });
    answer.fresh += this.#deliver(events);
  }

  #read({ id, event: type, data }) {
    try {
      const event = JSON.parse(data);
      return "type" in event ? event : { ...event, type }; // `in` refuses what is no object
    } catch {
      console.error("realtime_events: unreadable event at", String(id).slice(0, 80));
      return null;
    }
  }

  #greeted(ask, hello = {}) {
    this.#greet = false;
    this.#learnDelivery(ask, hello);
    this.#cursor ??= hello.cursor ?? null;
    this.#noteBuild(hello.build);
    return hello;
  }

  #noteBuild(build) {
    if (!build || build === this.#build) return;
    const first = this.#build === null;
    this.#build = build;
    if (!first) this.#guard(() => this.#host.onBuild(build), "build");
  }

  #deliver(events) {
    let fresh = 0;
    for (const event of sortBatch(events)) {
      if (event.id && !this.#seen.add(event.id)) continue;
      fresh += 1;
      const now = this.#env.now();
      if (hasVersion(event)) this.#tracker.see(event.conversation_id, event.version, now);
      const age = this.#clock.age(event.at, now);
      const catchUp = age > CATCH_UP_AGE;
      this.#guard(() => this.#host.onEvent({ ...event, age, catchUp }), event.id);
    }
    if (fresh) this.#armHoles();
    return fresh;
  }

  /** A host's mistake over one event must not cost the next one. Only the id is logged, never text. */
  #guard(run, id, failed = () => {}) {
    const report = () => {
      console.error("realtime_events: a handler failed at", id);
      failed();
    };
    try {
      Promise.resolve(run()).catch(report);
    } catch {
      report();
    }
  }

  #scheduleReset(failures = 0) {
    this.#tracker.forget();
    this.#resetDue = true;
    if (this.#alarms.has("reset")) return;
    const { random } = this.#env;
    const wait = failures ? backoffDelay(failures, random) : random() * RESET_JITTER;
    const refetch = async () => {
      await this.#host.onReset();
      this.#resetDue = false;
    };
    this.#alarms.set("reset", wait, () => {
      this.#guard(refetch, "reset", () => this.#session && this.#scheduleReset(failures + 1));
    });
  }

  // --- holes --------------------------------------------------------------------------------

  #armHoles() {
    const at = this.#session && this.#tracker.nextHoleAt();
    if (at === null) return this.#alarms.clear("holes");
    this.#alarms.set("holes", Math.max(0, at - this.#env.now()), () => {
      for (const id of this.#tracker.takeHoles(this.#env.now())) {
        this.#guard(() => this.#host.onHole(id), id);
      }
      this.#armHoles();
    });
  }

  #scheduleCheck() {
    this.#alarms.set("check", CHECK_EVERY + this.#env.random() * CHECK_JITTER, () => {
      this.#scheduleCheck();
      if (!document.hidden) this.#check();
    });
  }

  async #check() {
    this.#checkSoon = false;
    const session = this.#session;
    try {
      const versions = await this.#host.fetchVersions?.();
      if (!versions || session !== this.#session) return;
      this.#tracker.compare(versions, this.#env.now());
      this.#armHoles();
    } catch {
      // The next minute asks again.
    }
  }
}

/** Start receiving.
 *
 * options: `url`; `userId` (names lock and channel); `cursor` the page was rendered with;
 * `onEvent(event)`, the parsed data plus `age` (ms when delivered, by the server's clock) and
 * `catchUp` (older than 15 s when delivered);
 * `onReset()`, read everything again (repeated when it throws or rejects);
 * `onHole(conversationId)`, read that one again, then `noteVersion`; `fetchVersions()`, a promise of
 * `{conversationId: version}`; `onState("connected" | "connecting" | "offline")`;
 * `onBuild(build)`, the server was renewed; `onLogin()`, the session is over (called once).
 * Note every version the page renders: a conversation the server lists and nobody noted counts as
 * missed. `env` replaces fetch, clock, random, locks or channel in tests. */
export function startRealtime(options) {
  return new RealtimeClient(options);
}
