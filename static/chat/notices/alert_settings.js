/** The switches of the user menu: sound and notifications, for this browser alone. */

import { setAttribute, setHidden, setText } from "../parts/dom.js";

const DENIED = "O navegador bloqueou as notificações deste site. Libere nas permissões do site, "
  + "ao lado do endereço.";
const UNSUPPORTED = "Este navegador não mostra notificações desta página.";

export class AlertSettings {
  #unread;
  #sound;
  #notifications;
  #note;

  constructor(root, unread) {
    this.#unread = unread;
    this.#sound = root.querySelector('[data-setting="sound"]');
    this.#notifications = root.querySelector('[data-setting="notifications"]');
    this.#note = root.querySelector(".menu-note");
    this.#sound.addEventListener("click", () => { unread.settings.sound = !unread.settings.sound; });
    this.#notifications.addEventListener("click", () => this.#toggleNotifications());
  }

  render() {
    const { permission, settings } = this.#unread;
    const refused = permission === "denied" || permission === "unsupported";
    setAttribute(this.#sound, "aria-checked", settings.sound ? "true" : "false");
    const on = settings.notifications && permission === "granted";
    setAttribute(this.#notifications, "aria-checked", on ? "true" : "false");
    if (this.#notifications.disabled !== refused) this.#notifications.disabled = refused;
    setText(this.#note, permission === "denied" ? DENIED : refused ? UNSUPPORTED : "");
    setHidden(this.#note, !refused);
  }

  #toggleNotifications() {
    const { permission, settings } = this.#unread;
    const on = settings.notifications && permission === "granted";
    settings.notifications = !on;
    if (!on && permission === "default") this.#unread.askPermission();
  }
}
