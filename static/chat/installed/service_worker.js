/*
 * The service worker. It keeps the files of one version, of which no address ever changes, and one
 * small page for when there is no connection: nothing of what the pages show. And it shows
 * notifications, for pages that cannot (Android) and when there is no page.
 *
 * chat/screen/installed/worker.py serves it at the root, and writes GIVEN before it: {version, base (what
 * the addresses of this version's files begin with), checks (ask for each file again, in case it
 * was changed), offline: [the page, and its files], icon, badge}.
 */
/* global GIVEN */

const PREFIX = "files ";
const CACHE = PREFIX + GIVEN.version;
/** A page that lives answers within milliseconds; one that the system has frozen does not. */
const ANSWER_MS = 2_000;

self.addEventListener("install", (event) => {
  self.skipWaiting(); // pages of an older version get their files from the network
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(GIVEN.offline)));
});

self.addEventListener("activate", (event) => event.waitUntil(removeOthers()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const { origin, pathname } = new URL(request.url);
  const isFile = origin === location.origin && pathname.startsWith(GIVEN.base);
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => offlinePage()));
  else if (isFile && !request.headers.has("range")) event.respondWith(file(request));
});

async function removeOthers() {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
}

async function offlinePage() {
  return (await caches.match(GIVEN.offline[0])) ?? Response.error();
}

async function file(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known && !GIVEN.checks) return known;
  try {
    const answer = await fetch(request);
    if (answer.status === 200) cache.put(request, answer.clone()).catch(() => {}); // no room: no harm
    return answer;
  } catch (error) {
    if (known) return known;
    throw error;
  }
}

// --- notifications --------------------------------------------------------------------------------

const pages = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

self.addEventListener("push", (event) => event.waitUntil(tell(event.data?.json() ?? {})));

/** Tells of a chat that needs a person, unless a page of this browser has it already. */
async function tell({ conversation_id: tag, title, body }) {
  if (!tag || !title) return;
  const answers = (await pages()).map(hasIt);
  if ((await Promise.all(answers)).includes(true)) return;
  const { icon, badge } = GIVEN;
  await self.registration.showNotification(title, { body, tag, icon, badge, lang: "pt-BR", renotify: true });
}

/** Asks a page whether it is connected, and so knows what the server knows. */
function hasIt(page) {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data === true);
    setTimeout(() => resolve(false), ANSWER_MS);
    page.postMessage({ kind: "connected?" }, [port2]);
  });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.tag));
});

/** Brings the chat to the front, at this conversation; or opens it there. */
async function open(conversationId) {
  const page = (await pages()).find(({ url }) => new URL(url).pathname === "/");
  if (!page) return self.clients.openWindow(`/?c=${encodeURIComponent(conversationId)}`);
  page.postMessage({ kind: "open", conversationId });
  return page.focus();
}
