// What the tests of the client need inside the page: its module, a host that notes, a clock to advance.
import * as realtime from "/static/realtime_events.js";

const settle = async () => {
  // Turns of the event loop by messages: the browser stretches nested timers to 4 ms each.
  const { port1, port2 } = new MessageChannel();
  for (let turn = 0; turn < 6; turn += 1) {
    await new Promise((resolve) => {
      port1.onmessage = resolve;
      port2.postMessage(null);
    });
  }
  port1.close();
};

class FakeClock {
  time = 1_893_456_000_000; // 2030-01-01, the day of the scripted events
  timers = new Map();
  #last = 0;

  env = {
    now: () => this.time,
    setTimeout: (run, ms) => {
      this.timers.set(++this.#last, { at: this.time + ms, run });
      return this.#last;
    },
    clearTimeout: (timer) => this.timers.delete(timer),
  };

  async advance(ms) {
    await settle();
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].run();
      await settle();
    }
    this.time = Math.max(this.time, end);
    await settle();
  }
}

/** `answers(call)` makes the response of each request; `call` is `{n, params, signal, at}`. */
function scriptedFetch(clock, answers) {
  const calls = [];
  const fetch = async (url, { signal }) => {
    const call = { n: calls.length + 1, params: Object.fromEntries(new URL(url, location.href).searchParams), at: clock.time };
    calls.push(call);
    return await Promise.race([
      answers({ ...call, signal }),
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ]);
  };
  return { calls, fetch };
}

const head = { "Content-Type": "text/event-stream" };
/** A response that says `text` and ends. */
const answer = (text, more = {}) => new Response(text, { headers: { ...head, ...more } });
/** A response that stays open: `push(text)`, `end()`, `break_()`. */
function open(signal, text = "") {
  let controller;
  const body = new ReadableStream({ start: (c) => { controller = c; } });
  signal?.addEventListener("abort", () => { try { controller.error(signal.reason); } catch { /* ended */ } });
  const response = new Response(body, { headers: head });
  response.push = (more) => controller.enqueue(new TextEncoder().encode(more));
  response.end = () => controller.close();
  response.break_ = () => controller.error(new Error("cut"));
  if (text) response.push(text);
  return response;
}
const silent = () => new Promise(() => {});

const event = (id, more = {}, cursor = id) =>
  `id: ${cursor}\nevent: message.created\ndata: ${JSON.stringify({ id, type: "message.created", conversation_id: null, version: null, at: "2030-01-01T00:00:00.000Z", data: {}, ...more })}\n\n`;
const hello = (delivery, more = {}) =>
  `id: start\nevent: hello\ndata: ${JSON.stringify({ id: "hello-1", type: "hello", at: "2030-01-01T00:00:00.000Z", data: { delivery, build: "1", cursor: "start", ...more } })}\n\n`;

let seed = 7;
/** Repeatable and evenly spread: no test depends on luck. */
const random = () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed / 2 ** 31;
};

let listeners = new AbortController();

/** Starts a client whose host notes everything in `window.got`; `on` takes other listeners' work. */
function begin({ on = {}, ...options } = {}) {
  window.got = { events: [], late: [], resets: 0, behind: [], refreshes: 0, states: [], logins: 0 };
  const { got } = window;
  listeners.abort();
  listeners = new AbortController();
  const listen = (type, run) => document.addEventListener(`realtime:${type}`, run, listeners);
  listen("event", ({ detail }) => {
    if (on.event) return on.event(detail);
    got.events.push(detail.id);
    if (detail.catchUp) got.late.push(detail.id);
  });
  listen("reset", ({ detail }) => {
    got.resets += 1;
    detail.waitUntil(on.reset?.());
  });
  listen("behind", ({ detail }) => { got.behind.push(detail.id); });
  listen("refresh", ({ detail }) => {
    got.refreshes += 1;
    detail.waitUntil((async () => on.refresh?.())());
  });
  listen("state", ({ detail }) => { got.states.push(detail.state); });
  const env = { leave: () => { got.logins += 1; }, ...options.env };
  const fetchVersions = async () => ({});
  const shownVersions = () => new Map();
  const page = { url: "/realtime", user: "ana", cursor: "0", shownVersions, fetchVersions };
  window.client = realtime.startPage({ ...page, ...options, env });
  return got;
}

/** A client for itself, on a fake clock, against `answers`. */
function beginScripted(answers, options = {}) {
  const clock = new FakeClock();
  const { calls, fetch } = scriptedFetch(clock, answers);
  const env = { ...clock.env, fetch, random, locks: undefined, BroadcastChannel: undefined, ...options.env };
  const got = begin({ ...options, env });
  return { clock, calls, got, state: () => document.documentElement.dataset.connection };
}

/**
 * A page with realtime_events/head.html whose body is `html`, on a fake clock, its stream always open:
 * `push(text)` sends. `web({url, method, headers, body, n})` answers what else the page asks for.
 */
async function beginPage(html, web = () => new Response("", { status: 404 }), options = {}) {
  show(html);
  const data = document.createElement("script");
  Object.assign(data, { type: "application/json", id: "realtime-events" });
  data.textContent = JSON.stringify({ url: "/realtime", user: "ana", cursor: "0", csrf: "of-the-page" });
  document.head.append(data);
  const asked = [];
  window.fetch = async (url, { method = "GET", headers = {}, body, keepalive } = {}) => {
    const { pathname, search } = new URL(url, location.href);
    asked.push({ url: pathname + search, method, headers, body, keepalive, n: asked.length + 1 });
    return await web(asked.at(-1));
  };
  const clock = new FakeClock();
  let stream;
  const fetch = async (_, { signal }) => (stream = open(signal, hello("stream")));
  const env = { ...clock.env, fetch, random: () => 0.5, locks: undefined, BroadcastChannel: undefined };
  window.client = realtime.startPage({ ...options, env });
  await clock.advance(0);
  return { clock, asked, push: (text) => stream.push(text), break_: () => stream.break_() };
}

const parse = (html) => new DOMParser().parseFromString(html, "text/html");
/** Shows `html` in the page's body. */
const show = (html) => document.body.replaceChildren(...parse(html).body.childNodes);
/** The server's answer of a whole page. */
const page = (html) => new Response(`<!doctype html><body>${html}`, { headers: { "Content-Type": "text/html" } });
const json = (data, status = 200) => new Response(JSON.stringify(data), { status });
const node = (selector) => document.querySelector(selector);

/** As when the page goes into the back/forward cache, and comes back out of it. */
const putAway = () => window.dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
const showAgain = () => window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));

Object.assign(window, {
  realtime, FakeClock, settle, answer, open, silent, event, hello, random, begin, beginScripted,
  beginPage, page, json, node, putAway, showAgain, ready: true,
});
