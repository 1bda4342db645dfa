/** The service worker from a page's side: its registration, what it says, and notifications by it. */

/** As `service_worker.js`, which the server gives a place from which it sees every page. */
const ADDRESS = "/service-worker.js";
/** As deep as the page's script when it is one file: see `local/page_build.py`. */
const BADGE = new URL("../../chat/installed/icons/badge-96.png", import.meta.url).href;

/**
 * Registers the service worker. `onOpen(conversationId)`: the person clicked on a notification.
 * Resolves to the registration, active; to null where there is none (old browsers, private windows).
 */
export async function startWorker({ onOpen }) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return null;
  serviceWorker.addEventListener("message", ({ data, ports }) => {
    if (data.kind === "open") onOpen(data.conversationId);
    // Of what is pushed: a page that is connected has it, and tells of it itself.
    if (data.kind === "connected?") ports[0].postMessage(isConnected());
  });
  serviceWorker.startMessages(); // those that came while the page was being loaded
  try {
    await serviceWorker.register(ADDRESS);
    return await serviceWorker.ready;
  } catch {
    return null;
  }
}

/** Chromium forgets a notification that is being shown while somebody asks which there are. */
let turn = Promise.resolve();
const inTurn = (step) => (turn = turn.then(step, step));

const isConnected = () => document.documentElement.dataset.connection === "connected";

/**
 * What stands for the browser's `Notification` where alerts are made. Android has that class and
 * refuses to make one: there the service worker shows it, and tells of a click by `onOpen`.
 * `worker`: what `startWorker` returned.
 */
export function notificationsBy(worker) {
  if (!window.Notification) return undefined;
  return class {
    #tag;

    static get permission() {
      return window.Notification.permission;
    }

    static requestPermission() {
      return window.Notification.requestPermission();
    }

    constructor(title, options) {
      try {
        return new window.Notification(title, options);
      } catch (error) {
        if (!navigator.serviceWorker) throw error;
      }
      this.#tag = options.tag;
      inTurn(async () => {
        const registration = await worker;
        await registration?.showNotification(title, { ...options, badge: BADGE }).catch(() => {}); // no longer allowed
      });
    }

    close() {
      return inTurn(async () => {
        const registration = await worker;
        const shown = (await registration?.getNotifications({ tag: this.#tag })) ?? [];
        for (const each of shown) each.close();
      });
    }
  };
}
