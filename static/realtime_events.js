/* Browser half of realtime_events: every event once in every tab, over one connection a browser,
 * and the page kept up to date by them.
 *
 * A page that includes realtime_events/head.html starts by itself, any other by startPage. What
 * happens comes as DOM events on `document` (see startPage), and what the server rendered into
 * `[data-live-region]` is fetched again when there is news.
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
const OFFLINE_AFTER = 8_000; // a hiccup is "connecting", a failure this long is "offline"
const TICK = 1_000;
const PING_AFTER = 4_000; // a follower asks a leader that has been silent for so long
const PING_TIMEOUT = 6_000; // 4 + 6: after 10 s without a leader a tab connects for itself
const SLEPT_VISIBLE = 10_000; // a tick this late: the machine slept
const SLEPT_HIDDEN = 75_000; // browsers slow a hidden page's timers down to one a minute
const RECOVERY_WAIT = 100; // visible, online and wake come together: one recovery
const CHECK_SOON = 1_000; // after a recovery, or until there is a connection
const CHECK_EVERY = 60_000;
const CHECK_JITTER = 15_000;
const IN_FLIGHT = 5_000; // what the server's versions are ahead by may be on its way as an event
const RESET_JITTER = 3_000; // a reset hits every page at the same moment
const CATCH_UP_AGE = 15_000;
const RETRY_AFTER_CAP = 60; // seconds: a mistaken header must not park a page for hours
const HOLD_FIRST = 60_000; // a page that heard no stream holds so long at first: the server may only be busy
const HOLD_TRIAL = 600_000; // where the trial after that was not heard either
const REFRESH_WAIT = 30; // events come in batches: one reading for all of them
const REQUEST_LIMIT = 20_000;
const REFRESH_LIMIT = 60_000; // a reading that never ends must not be the last
const RELOAD_SPACING = 10_000; // a login that a reload does not bring must not become a loop
const AT_END = 40; // pixels from its end within which a thread is at its end
const SEEN_LIMIT = 10_000;
const COMPARED = 50; // conversations; realtime_events.py compares no more in a request (_VERSIONS)
const CLIENT_KEY = "realtime_events.client";
const RELOAD_KEY = "realtime_events.reloaded";
const REFRESHED_BY = new Set(["message.created", "message.updated", "conversation.updated"]);

// --- parts that know neither page nor network -----------------------------------------------------

/** Incremental parser of the SSE text as realtime_events.py writes it: returns `feed(bytes)` → complete
 * blocks `{id, event, data, retry}`; one without data only renews the cursor or the retry time. */
export function parseEventStream() {
  const decoder = new TextDecoder();
  let rest = "";
  return function feed(bytes) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop();
    const fields = (block) => block.split("\n").map((line) => line.split(/: ?(.*)/s, 2)); // s: U+2028
    return parts.map((block) => Object.fromEntries(fields(block)));
  };
}

/** Exponential back-off with full jitter, in ms, after `failures` (1, 2, …) in a row. */
export function backoffDelay(failures, random = Math.random) {
  const ceiling = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (failures - 1));
  return Math.max(MIN_SPACING, random() * ceiling);
}

/** Named timers. `runOverdue` lets another tab's message run what a throttled page is late with. */
export class Alarms {
  isOpen = true; // closed, it has none and takes none
  #env;
  #set = new Map();

  constructor(env) {
    this.#env = env;
  }

  set(name, ms, run) {
    this.clear(name);
    if (!this.isOpen) return;
    const fire = () => {
      this.clear(name);
      run();
    };
    this.#set.set(name, { due: this.#env.now() + ms, fire, timer: this.#env.setTimeout(fire, ms) });
  }

  has = (name) => this.#set.has(name);

  clear(name) {
    this.#env.clearTimeout(this.#set.get(name)?.timer);
    this.#set.delete(name);
  }

  close() {
    this.isOpen = false;
    for (const name of this.#set.keys()) this.clear(name);
  }

  runOverdue() {
    for (const { due, fire } of this.#set.values()) if (due <= this.#env.now()) fire();
  }
}

/** The page is read again after a wait: once for however many ask, never twice at once, until it
 * succeeds. */
function makeRefresh(env, alarms) {
  let due = null; // "shown": what the page shows; "everything": by all pages at the same moment
  let giveUp = null; // ends the reading under way; null: there is none
  let failures = 0;
  const arm = (least = 0) => {
    const wait = due === "everything" ? env.random() * RESET_JITTER : REFRESH_WAIT;
    if (!due || giveUp || alarms.has("refresh")) return;
    alarms.set("refresh", Math.max(wait, least), work);
  };
  /** What waits for another attempt, or was put away with the page, waits no longer than usual; a
   * reading that was put away has a limit again. */
  const resume = () => {
    if (giveUp && !alarms.has("refresh limit")) alarms.set("refresh limit", REFRESH_LIMIT, giveUp);
    alarms.clear("refresh");
    arm();
  };
  const ask = (what = "shown") => {
    if (due === "shown" && what === "everything") alarms.clear("refresh"); // which was to be at once
    if (due !== "everything") due = what;
    arm();
  };
  const work = async () => {
    const [began, asked] = [env.now(), due];
    due = null;
    try {
      const limit = new Promise((_, reject) => { giveUp = reject; });
      alarms.set("refresh limit", REFRESH_LIMIT, giveUp);
      const told = asked === "everything" ? announce("realtime:reset").waits : [];
      await Promise.race([Promise.all([...told, refreshPage()]), limit]);
      failures = 0;
    } catch {
      console.error("realtime_events: failed, and will be repeated: refresh");
      failures += 1;
      ask(asked);
    }
    giveUp = null;
    alarms.clear("refresh limit");
    const took = Math.min(REFRESH_LIMIT, env.now() - began); // a slow server has a rest
    arm(failures ? backoffDelay(failures, env.random) : took);
  };
  return { ask, resume };
}

// --- the connection -------------------------------------------------------------------------------

/** Reads from, or with a value writes into, a storage that may be forbidden or full; null: removes. */
export function remember(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else if (value !== undefined) window[storage].setItem(key, value);
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

/** What the browser offers, or not; tests replace some of it. */
export const browserEnvironment = () => ({
  fetch: (...request) => window.fetch(...request),
  now: () => Date.now(),
  setTimeout: (run, ms) => window.setTimeout(run, ms),
  clearTimeout: (timer) => window.clearTimeout(timer),
  random: Math.random,
  locks: navigator.locks,
  BroadcastChannel: window.BroadcastChannel,
  leave,
});

/** One for all tabs of this browser, as far as it can be remembered. */
const browserId = (first) => remember("localStorage", CLIENT_KEY)
  ?? remember("localStorage", CLIENT_KEY, first) ?? first;

/** Tells the page by a DOM event that whoever listens may prolong with `event.detail.waitUntil`. */
function announce(type, more) {
  const waits = [];
  const detail = { ...more, waitUntil: (promise) => waits.push(promise) };
  const handled = !document.dispatchEvent(new CustomEvent(type, { cancelable: true, detail }));
  return { waits, handled };
}

class RealtimeClient {
  #page;
  #env;
  #alarms;
  #offset = null; // ms that the server's clock is ahead of ours, which may be wrong
  #seen = new Set(); // of events the id, and "conversation version": the overlap cursor may bring one again
  #listeners = new AbortController();
  #tabId = crypto.getRandomValues(new Uint32Array(3)).join("-"); // randomUUID wants https

  #cursor;
  #state = null;
  #session; // AbortController, from page shown to page hidden
  #channel = null;
  #role; // "leader" with the lock, "follower" without, "solo" for itself alone; null: not known yet
  #synced = false; // a follower's own catch-up is complete: the leader's cursor is ours

  #turn = null; // AbortController of the request under way and the pause after it
  #failures = 0;
  #greet = true; // ask for an answer at once: we do not know whether the way is open
  #delivery; // "stream", "hold", or undefined: the server decides
  #unheard = 0; // streams in a row of which nothing was heard, though held answers came

  #refresh;

  constructor({ env, ...page }) {
    this.#page = page;
    this.#env = { ...browserEnvironment(), ...env };
    this.#alarms = new Alarms(this.#env);
    this.#cursor = page.cursor || null;
    this.#refresh = makeRefresh(this.#env, this.#alarms);
    const { signal } = this.#listeners;
    const on = (target, type, run) => target.addEventListener(type, run, { signal });
    on(window, "online", () => this.reconnect());
    on(window, "offline", () => this.#setState("offline"));
    on(window, "pagehide", () => this.#end()); // the lock would keep the page out of the bfcache
    on(window, "pageshow", (event) => { if (event.persisted) this.#begin(); });
    on(document, "resume", () => this.reconnect());
    on(document, "visibilitychange", () => { if (!document.hidden) this.reconnect(); });
    this.#begin();
  }

  close() {
    this.#listeners.abort();
    this.#end();
  }

  /** The time in ms by the server's clock; null before its first answer. */
  serverNow = () => (this.#offset === null ? null : this.#env.now() + this.#offset);

  // --- life of the page ---------------------------------------------------------------------

  #begin() {
    const { signal } = (this.#session = new AbortController());
    this.#alarms.isOpen = true;
    this.#become(null);
    this.#delivery = undefined;
    this.#check(this.#state === null ? undefined : CHECK_SOON); // shown again after the bfcache
    this.#setState(navigator.onLine === false ? "offline" : "connecting");
    this.#tick();
    this.#join(signal);
    this.#run(signal);
  }

  #end() {
    this.#session.abort();
    this.#alarms.close();
    this.#channel?.close();
    this.#channel = null;
    this.#turn.abort();
  }

  /** Subscribe first, then learn whether this tab leads, then connect or catch up. */
  async #join(signal) {
    const { locks, BroadcastChannel: Channel } = this.#env;
    const name = `realtime_events:${this.#page.user}`;
    const granted = (lock) => {
      if (signal.aborted) return null;
      this.#become(lock ? "leader" : "follower");
      if (!lock) return this.#watchLeader();
      this.#post("lead");
      return new Promise((release) => signal.addEventListener("abort", release));
    };
    try {
      this.#channel = new Channel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
      await locks.request(name, { ifAvailable: true }, granted);
      await locks.request(name, { signal }, granted);
    } catch {
      if (!signal.aborted) this.#become("solo"); // no Web Locks or no channel here
    }
  }

  #tick(last = this.#env.now()) {
    const now = this.#env.now();
    this.#alarms.set("tick", TICK, () => this.#tick(now));
    if (now - last > (document.hidden ? SLEPT_HIDDEN : SLEPT_VISIBLE)) this.#recover(); // timers may be slow here
  }

  /** Takes a role, perhaps the one it has, and begins anew with a request whose answer comes at once. */
  #become(role) {
    this.#role = role;
    this.#synced = false;
    this.#greet = true;
    this.#turn?.abort();
  }

  /** The one way back: after a sleep, shown again, online, or asked by the user. */
  reconnect() {
    if (!this.#alarms.isOpen || this.#alarms.has("recover")) return;
    if (this.#state === "offline" && navigator.onLine !== false) this.#setState("connecting");
    this.#alarms.set("recover", RECOVERY_WAIT, () => this.#recover());
  }

  #recover() {
    this.#alarms.clear("recover");
    this.#check(CHECK_SOON);
    this.#alarms.runOverdue(); // timers may not have counted the time asleep
    this.#failures = 0;
    this.#post("ping");
    this.#become(this.#role);
  }

  #setState(state) {
    const isKept = state !== "connecting" || this.#alarms.has("offline"); // gone after the bfcache
    if (state === this.#state && isKept) return;
    this.#state = state;
    document.documentElement.dataset.connection = state;
    this.#alarms.clear("offline");
    if (state === "connected") this.#refresh.resume();
    if (state === "connecting") {
      this.#alarms.set("offline", OFFLINE_AFTER, () => this.#setState("offline"));
    }
    announce("realtime:state", { state });
    if (this.#role === "leader") this.#post("beat");
  }

  // --- between tabs -------------------------------------------------------------------------

  #post(kind, events = []) {
    this.#channel?.postMessage({ kind, cursor: this.#cursor, state: this.#state, events });
  }

  #hear({ kind, cursor, state, events = [] }) {
    if (kind === "ping" && this.#role === "leader") {
      this.#alarms.runOverdue(); // hidden leaders have slow timers, messages are never throttled
      this.#post("beat");
    }
    if (kind === "ping" || this.#role === "leader") return; // two leaders: a lock that passed on just now
    this.#watchLeader();
    if (kind === "lead" || this.#role === "solo") this.#become("follower");
    this.#deliver(events);
    if (!this.#synced) return;
    this.#cursor = cursor ?? this.#cursor;
    this.#setState(state);
  }

  /** From its last word on; only silence after a question counts, for timers may be late here too. */
  #watchLeader() {
    this.#alarms.set("leader", PING_AFTER, () => {
      this.#post("ping");
      this.#alarms.set("leader", PING_TIMEOUT, () => { if (this.#role === "follower") this.#become("solo"); });
    });
  }

  // --- requests: one at a time --------------------------------------------------------------

  async #run(signal) {
    while (!signal.aborted) {
      const turn = (this.#turn = new AbortController()).signal;
      const isIdle = this.#role === null || this.#synced; // until it takes a role
      const wait = isIdle ? undefined : await this.#ask(turn);
      if (turn.aborted || wait === 0) continue;
      await new Promise((resolve) => {
        turn.addEventListener("abort", resolve);
        if (!isIdle) this.#alarms.set("pause", wait, resolve);
      });
    }
  }

  /** Asks once, and hands on what comes; gives the milliseconds to wait before the next request. */
  async #ask(turn) {
    const live = this.#role !== "follower";
    const delivery = live ? this.#delivery : "hold";
    const hello = this.#greet || !live || delivery !== "hold";
    this.#greet = true;
    const asked = { live, delivery, hello, at: this.#env.now(), retry: 0, bytes: 0, fresh: 0 };
    const address = this.#address(asked);
    const request = new AbortController();
    turn.addEventListener("abort", () => request.abort());
    const listen = (ms) => this.#alarms.set("silence", ms, () => request.abort("silence"));
    try {
      listen(delivery !== "hold" ? HELLO_WAIT : hello ? ANSWER_TIMEOUT : SILENCE_TIMEOUT);
      const headers = { Accept: "text/event-stream" };
      const response = await this.#env.fetch(address, { cache: "no-store", headers, signal: request.signal });
      if (isLogin(response, address)) {
        this.close();
        this.#env.leave();
      }
      asked.retry = 1_000 * Math.min(RETRY_AFTER_CAP, response.headers.get("Retry-After")); // or NaN
      const type = response.headers.get("Content-Type") ?? "";
      if (response.status !== 200 || !type.startsWith("text/event-stream")) throw new TypeError(type);
      const feed = parseEventStream();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        asked.ended = done;
        if (done || request.signal.aborted) break;
        asked.bytes += value.length;
        listen(SILENCE_TIMEOUT);
        this.#setState("connected");
        this.#apply(feed(value), asked);
      }
    } catch {
      // A cut, too, is an ordinary end: what it means is decided in #judge by what came before it.
    }
    if (turn.aborted) return 0;
    this.#alarms.clear("silence");
    asked.silent = request.signal.reason === "silence";
    request.abort("done"); // frees the connection of an answer we did not read
    return this.#judge(asked);
  }

  #address({ delivery, hello }) {
    // A browser has one leader: under one id its next leader, after a reload say, ends the request
    // that the server still holds for the last one.
    const client = this.#role === "leader" ? browserId(this.#tabId) : this.#tabId;
    const query = Object.entries({ after: this.#cursor, delivery, client, hello: hello && "1" });
    return `${this.#page.url}/events?${new URLSearchParams(query.filter(([, value]) => value))}`;
  }

  /** What the answer means for the next request: milliseconds to wait before it. */
  #judge(asked) {
    const lived = asked.bytes > 0 && this.#env.now() - asked.at >= LIVED;
    const proved = lived || asked.fresh > 0;
    if (proved) this.#failures = 0;
    if (asked.live && asked.silent && asked.bytes === 0) {
      // Perhaps a front end that buffers; but if not even a held answer comes, the server is away.
      this.#unheard = asked.delivery === "hold" ? 0 : this.#unheard + 1;
      this.#delivery = this.#unheard ? "hold" : undefined;
      const trial = this.#unheard > 1 ? HOLD_TRIAL : HOLD_FIRST;
      this.#alarms.set("stream", trial, () => { this.#delivery = undefined; });
      if (this.#delivery === "hold") return 0;
    }
    const complete = asked.ended && asked.bytes > 0;
    // An answer that brought something may be only the first page of it.
    if (complete && !asked.fresh && !asked.live) this.#synced = true;
    const greeted = asked.hello && asked.isHeld; // it ends at once, and is asked for once
    const paced = asked.retry >= MIN_SPACING;
    const retry = paced ? asked.retry * (1 + this.#env.random() / 2) : 0;
    if (complete && (greeted || proved || paced)) {
      this.#greet = false;
      return retry;
    }
    this.#failures += 1;
    if (navigator.onLine === false) this.#setState("offline");
    else if (this.#state !== "offline") this.#setState("connecting");
    return Math.max(backoffDelay(this.#failures, this.#env.random), retry);
  }

  // --- what came ----------------------------------------------------------------------------

  #apply(blocks, asked) {
    const events = [];
    let cursor = null;
    for (const block of blocks) {
      asked.retry = Number(block.retry) || asked.retry;
      const event = block.data === undefined ? null : this.#read(block);
      if (event?.type === "hello") {
        asked.isHeld = event.data.delivery === "hold";
        // The server reads before it stamps: of a long wait nearly all came before that. Later answers
        // move it only as far as they prove it wrong, as when a clock was set.
        const at = Date.parse(event.at);
        this.#offset = Math.min(Math.max(this.#offset ?? -Infinity, at - this.#env.now()), at - asked.at);
        // A catch-up asks for hold whatever the way can do.
        if (asked.live && asked.delivery !== "hold") {
          this.#delivery = event.data.delivery;
          this.#unheard = 0;
        }
        this.#cursor ??= event.data.cursor;
        continue; // its id is no progress: what was missed comes after it
      }
      cursor = (event?.type === "reset" && event.data?.cursor) || block.id || cursor;
      if (event) events.push(event);
    }
    if (cursor) this.#cursor = cursor;
    if (this.#role === "leader" && blocks.length) this.#post("events", events);
    asked.fresh += this.#deliver(events);
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

  #deliver(events) {
    let fresh = 0;
    for (const event of events) {
      if (event.type === "reset") this.#refresh.ask("everything");
      if (event.type === "reset" || (event.id && this.#seen.has(event.id))) continue;
      fresh += 1;
      this.#seen.add(event.id).add(`${event.conversation_id} ${event.version}`);
      while (this.#seen.size > SEEN_LIMIT) this.#seen.delete(this.#seen.values().next().value);
      const age = this.#env.now() + this.#offset - Date.parse(event.at);
      announce("realtime:event", { ...event, age, catchUp: age > CATCH_UP_AGE });
      if (REFRESHED_BY.has(event.type)) this.#refresh.ask();
    }
    return fresh;
  }

  // --- the safety net -----------------------------------------------------------------------

  /** Compares what the server has with what the page shows; what stays behind is told. */
  #check(ms = CHECK_EVERY + this.#env.random() * CHECK_JITTER) {
    this.#alarms.set("check", ms, async () => {
      const isConnected = this.#state === "connected";
      this.#check(isConnected ? undefined : CHECK_SOON);
      if (!isConnected || document.hidden) return;
      try {
        const ids = [...this.#page.shownVersions().keys()].slice(0, COMPARED);
        const versions = Object.entries(ids.length && await this.#page.fetchVersions(ids));
        this.#alarms.set("behind", IN_FLIGHT, () => this.#compare(versions));
      } catch {
        // No answer, or none to be read: the next minute asks again.
      }
    });
  }

  /** Tells where the page lacks something, after what it read and the events on that. */
  #compare(versions) {
    const shown = this.#page.shownVersions();
    const heard = (id, version) => this.#seen.has(`${id} ${version}`);
    for (const [id, newest] of versions) {
      let version = shown.get(id) ?? (heard(id, newest) ? newest : 0);
      while (heard(id, version + 1)) version += 1;
      if (!(version < newest)) continue;
      announce("realtime:behind", { id });
      this.#refresh.ask();
    }
  }
}

// --- what the page tells, and what its modules ask ------------------------------------------------

/** What a module's head.html says, realtime_events' own: `{url, user, cursor, csrf}`; null without it. */
export const pageData = (id = "realtime-events", page = document) =>
  JSON.parse(page.getElementById(id)?.textContent || "null");

let renewed = null; // the token, where the page's own was refused

/** The JSON that one of the server's routes answers.
 *
 * Rejects with an Error that has `status` (0: no answer), `code` and a `message` for people. */
export async function request(method, path, body, again = false) {
  const token = renewed ?? pageData()?.csrf ?? document.querySelector('meta[name="csrf-token"]')?.content ?? "";
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token };
  const signal = AbortSignal.timeout(REQUEST_LIMIT);
  const options = { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" };
  options.keepalive = method !== "GET"; // a change outlives the page that is being left
  const response = await fetch(path, options).catch(() => null);
  if (response && isLogin(response, path)) leave();
  const answer = await response?.json().catch(() => null);
  if (response?.ok && answer) return answer;
  const isRefused = pageData() && !again && method !== "GET" && [400, 403].includes(response?.status);
  if (isRefused && await renewToken(token)) return request(method, path, body, true);
  const status = !response || response.ok ? 0 : response.status;
  const { message = "O servidor não respondeu como esperado.", ...more } = answer?.error ?? {};
  throw Object.assign(new Error(message), { status, code: "unavailable", ...more });
}

/** Tokens end, Flask-WTF's after an hour: from now on the one that this page would be loaded with.
 * False where that is the same, or somebody else's. */
async function renewToken(refused) {
  const page = await freshPage().catch(() => null);
  const { user, csrf } = (page && pageData(undefined, page)) ?? {};
  if (user === pageData()?.user) renewed = csrf ?? null;
  return Boolean(renewed) && renewed !== refused;
}

const isLogin = (response, asked) => response.status === 401
  || (response.redirected && new URL(response.url).pathname !== new URL(asked, location.href).pathname);

let leaving = false;

/** The session is over: the host knows where one logs in, and leads there whoever asks for the page. */
function leave() {
  if (leaving) return;
  leaving = true;
  const again = Date.now() - Number(remember("sessionStorage", RELOAD_KEY)) < RELOAD_SPACING;
  if (again) console.error("realtime_events: a login is asked for even after the page was loaded anew");
  else location.reload();
  remember("sessionStorage", RELOAD_KEY, Date.now());
}

const warned = new Set();

/** For whoever writes the page: each kind of mistake once. */
export function warnOnce(kind, text) {
  if (!warned.has(kind)) console.warn(text);
  warned.add(kind);
}

/** What the mark on a row or bubble says (its `live_json`), or null.
 *
 * `needed`: the fields that the caller cannot do without. */
export function liveOf(element, ...needed) {
  const { live, conversationId } = element.dataset;
  const mark = conversationId === undefined ? "data-message-id" : "data-conversation-id";
  const tell = (problem) => warnOnce(`${mark} ${problem}`, `realtime_events: [${mark}] ${problem}; write `
    + "{{ entity|live }} in the template, or give the page's script realtime_events.live_data(entity) "
    + "and let it Object.assign(element.dataset, data); what the model's own live_json() gives is added "
    + "to super().live_json()");
  let known = null;
  try {
    known = JSON.parse(live);
  } catch {
    tell(live === undefined ? "has no data-live" : "has an unreadable data-live");
  }
  const missing = known && needed.find((field) => known[field] === undefined); // null: from before the modules
  if (missing) tell(`has no ${missing} in its data-live`);
  return known;
}

function shownVersions() {
  const rows = [...document.querySelectorAll("[data-conversation-id]")];
  const read = rows.map((row) => [row.dataset.conversationId, liveOf(row, "version")?.version]);
  return new Map(read.filter(([, version]) => version != null));
}

// --- the page is read again -----------------------------------------------------------------------

/** Tells the page to read again what it shows, and does that itself for its regions. */
async function refreshPage() {
  const { waits, handled } = announce("realtime:refresh");
  if (!handled && document.querySelector("[data-live-region]")) waits.push(refreshRegions());
  if (!waits.length && !handled) {
    warnOnce("refresh", "realtime_events: nothing here shows what is new; mark what the server renders with "
      + "data-live-region and an id, or document.addEventListener('realtime:refresh', "
      + "(event) => event.detail.waitUntil(promise of having read it again))");
  }
  await Promise.all(waits);
}

/** This page as the server says it is now; nothing where that asks for a login. */
async function freshPage() {
  const address = location.href;
  const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(REQUEST_LIMIT) });
  if (isLogin(response, address)) return leave();
  if (!response.ok) throw new Error(`status ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return location.href === address ? page : freshPage(); // another conversation was opened meanwhile
}

/** Makes every region of this page what the server says it is now. */
async function refreshRegions() {
  const page = await freshPage();
  if (!page) return;
  const pairs = [...document.querySelectorAll("[data-live-region]")]
    .map((region) => [region, page.getElementById(region.id)]);
  const unnamed = document.querySelector("[data-live-region]:is(:not([id]), [id=''])");
  if (unnamed) warnOnce("region", "realtime_events: [data-live-region] needs an id");
  if (!pairs.some(([, fresh]) => fresh)) throw new Error("no region in the answer");
  const settle = keepPlace();
  for (const [region, fresh] of pairs) if (fresh) morphChildren(region, fresh);
  settle();
}

/** Where the page is scrolled and who has the focus; returns what puts that back after a change. */
function keepPlace() {
  const focused = document.activeElement;
  const boxes = new Set();
  for (let box of document.querySelectorAll("[data-live-region], [data-live-thread]")) {
    for (; box; box = box.parentElement) boxes.add(box);
  }
  const ended = [...boxes].filter((box) => {
    const hasThread = box.closest("[data-live-thread]") ?? box.querySelector("[data-live-thread]");
    const left = box.scrollHeight - box.clientHeight - box.scrollTop;
    return left < AT_END && (box.scrollTop > 0 || hasThread);
  });
  return () => {
    for (const box of ended) box.scrollTop = box.scrollHeight;
    // What was moved has lost the focus; its selection it has kept.
    if (document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
  };
}

/** By what a node is the same as before, wherever it stands now. */
const keyOf = (node) => node.getAttribute?.("id") || node.dataset?.messageId
  || node.dataset?.conversationId || node.getAttribute?.("name");

/** What a script has put there itself: neither replaced nor removed. */
const isKept = (node) => node.dataset?.liveKept !== undefined;

/** Whether a node can become the other. A custom element draws itself: it stays, or is another one. */
function isAlike(node, fresh) {
  if (node.nodeName !== fresh.nodeName || keyOf(node) !== keyOf(fresh)) return false;
  if (!node.localName?.includes("-")) return true;
  return [...fresh.attributes].every(({ name, value }) => node.getAttribute(name) === value);
}

/** Changes only what differs, so that what is typed, selected, scrolled or drawn there stays. */
function morph(node, fresh) {
  if (node.nodeValue !== fresh.nodeValue) node.nodeValue = fresh.nodeValue; // that of an element is null
  if (!node.localName || node.localName.includes("-") || node.isContentEditable) return node;
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const name of node.getAttributeNames()) {
    if (!fresh.hasAttribute(name) && name !== "open") node.removeAttribute(name); // open: by the person
  }
  morphChildren(node, fresh);
  return node;
}

function morphChildren(node, fresh) {
  const old = [...node.childNodes].filter((child) => !isKept(child));
  const next = [...fresh.childNodes].map((child) => {
    const found = old.findIndex((one) => isAlike(one, child));
    return found < 0 ? document.importNode(child, true) : morph(old.splice(found, 1)[0], child);
  });
  for (const gone of old) gone.remove();
  let place = node.firstChild;
  for (const child of next) {
    while (place && isKept(place)) place = place.nextSibling;
    if (child === place) place = place.nextSibling;
    else node.insertBefore(child, place);
  }
}

// --- start ----------------------------------------------------------------------------------------

/** Starts a page; one with realtime_events/head.html does so by itself.
 *
 * options, each in place of what head.html or the marked rows say: `url` of the module's routes;
 * `user` (names lock and channel); `cursor` the page was rendered with; `shownVersions()`, a Map of
 * conversation id → the version that the page has read; `fetchVersions(ids)`, a promise of
 * `{id: version}` as the server has them, perhaps of more than those asked for. `env` replaces fetch,
 * clock, random, locks or channel in tests.
 *
 * DOM events on `document`:
 * `realtime:event`: `detail` is the parsed data plus `age` (ms when delivered, by the server's clock)
 * and `catchUp` (older than 15 s when delivered): each once, but perhaps late or out of order;
 * `realtime:state`: `detail.state` is "connected", "connecting" or "offline";
 * `realtime:reset`: read everything again; `detail.waitUntil(promise)`: told again when it rejects;
 * `realtime:behind`: the page lacks something of conversation `detail.id`; told every minute;
 * `realtime:refresh`: read again what is shown, in place of all these (`waitUntil` as above). Regions
 * are then fetched and replaced, unless a listener calls `preventDefault()`. */
export function startPage(options = {}) {
  const page = { ...pageData(), shownVersions, ...options };
  document.body.dataset.cursor ??= page.cursor;
  page.fetchVersions ??= async (ids) => {
    const query = new URLSearchParams(ids.map((id) => ["id", id]));
    return (await request("GET", `${page.url}/versions?${query}`)).versions;
  };
  return new RealtimeClient(page);
}

/** When every module of the page listens: the first event may come at once. */
export const ready = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  for (const type of ["DOMContentLoaded", "load"]) window.addEventListener(type, resolve);
});
ready.then(() => {
  if (pageData() && !("manual" in document.getElementById("realtime-events").dataset)) startPage();
});
