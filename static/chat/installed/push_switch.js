/**
 * "Notificações com o navegador fechado": this browser's subscription to its push service, by which
 * the server tells of a chat that needs a person when no page is open. It ends with the login.
 */

import { remember } from "../../realtime_events.js";
import { setAttribute, setHidden } from "../parts/dom.js";

const FAILED = "Não foi possível ativar as notificações com o navegador fechado.";

export class PushSwitch {
  #button; // null where the server has no keys
  #worker;
  #api;
  #kept; // for whom this browser subscribed: others may log in here
  #onFailed;
  #subscription = null;
  #isBusy = false;

  /** `worker`: what `startWorker` returned; `onFailed(words)`: it could not be switched. */
  constructor(button, { worker, api, userId, onFailed }) {
    this.#button = button;
    this.#worker = worker;
    this.#api = api;
    this.#kept = `push:${userId}`;
    this.#onFailed = onFailed;
    this.#button?.addEventListener("click", () => this.#toggle());
    this.#button?.closest("[popover]").addEventListener("beforetoggle", () => this.#render());
    this.#render();
  }

  /** The page has been loaded, and knows what the server knows. Once. */
  async start() {
    this.here();
    const known = await this.#known();
    if (!known) return;
    const isOurs = remember("localStorage", this.#kept) === "on" && hasKey(known, this.#key);
    try {
      if (isOurs) await this.#keep(known); // by this login from now on
      else await known.unsubscribe(); // whoever had it has left without a word
    } catch {
      // Shown as off, which it is as long as the server does not know it.
    }
    this.#render();
  }

  /** Says that an open page knows what was told until now: no phone need ring for that. */
  here() {
    if (this.#button) this.#api.call("POST", "/api/push/here").catch(() => {}); // then one rings
  }

  /** Logged out: this browser is told no more. The server ends its half with the login. */
  async forget() {
    remember("localStorage", this.#kept, null);
    await (await this.#known())?.unsubscribe().catch(() => {});
  }

  get #key() {
    return this.#button.dataset.key;
  }

  async #manager() {
    return this.#button ? (await this.#worker)?.pushManager : null;
  }

  /** The subscription that this browser has; null without one, and where there can be none. */
  async #known() {
    const manager = await this.#manager();
    return (await manager?.getSubscription().catch(() => null)) ?? null;
  }

  async #toggle() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await (this.#subscription ? this.#switchOff() : this.#switchOn());
    } catch (error) {
      this.#onFailed(error.name === "ApiError" ? error.message : FAILED);
    }
    this.#isBusy = false;
    this.#render();
  }

  async #switchOn() {
    if (await Notification.requestPermission() !== "granted") return;
    const manager = await this.#manager();
    if (!manager) throw new Error("no push");
    await (await this.#known())?.unsubscribe(); // perhaps made with another key
    const made = await manager.subscribe({ userVisibleOnly: true, applicationServerKey: this.#key });
    try {
      await this.#keep(made);
    } catch (error) {
      await made.unsubscribe();
      throw error;
    }
  }

  async #keep(subscription) {
    await this.#api.call("POST", "/api/push/subscriptions", subscription.toJSON());
    remember("localStorage", this.#kept, "on");
    this.#subscription = subscription;
  }

  async #switchOff() {
    const { endpoint } = this.#subscription;
    remember("localStorage", this.#kept, null);
    await this.#subscription.unsubscribe(); // here it is over, whatever the server says
    this.#subscription = null;
    await this.#api.call("POST", "/api/push/subscriptions/remove", { endpoint });
  }

  #render() {
    if (!this.#button) return;
    const isThere = Boolean(navigator.serviceWorker && window.PushManager && window.Notification);
    setHidden(this.#button, !isThere);
    if (!isThere) return;
    this.#button.disabled = Notification.permission === "denied";
    setAttribute(this.#button, "aria-checked", this.#subscription ? "true" : "false");
  }
}

/** Whether a subscription was made with this key: the server may have another by now. */
function hasKey(subscription, key) {
  const known = subscription.options?.applicationServerKey;
  if (!known) return true; // this browser does not say
  const text = btoa(String.fromCharCode(...new Uint8Array(known)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") === key;
}
