/** The switches of the user menu: sound and notifications, for this browser alone. */

import { setAttribute, setHidden, setText } from "../parts/dom.js";

const DENIED = "O navegador bloqueou as notificações deste site. Libere nas permissões do site, "
  + "ao lado do endereço.";
const UNSUPPORTED = "Este navegador não mostra notificações desta página.";

export class AlertSettings {
  #alerts;
  #sound;
  #notifications;
  #note;

  constructor(root, alerts) {
    this.#alerts = alerts;
    this.#sound = root.querySelector('[data-setting="sound"]');
    this.#notifications = root.querySelector('[data-setting="notifications"]');
    this.#note = root.querySelector(".menu-note");
    this.#sound.addEventListener("click", () => alerts.setWanted("sound", !alerts.wants("sound")));
    this.#notifications.addEventListener("click", () => this.#toggleNotifications());
  }

  render() {
    const { permission } = this.#alerts;
    const refused = permission === "denied" || permission === "unsupported";
    setAttribute(this.#sound, "aria-checked", this.#alerts.wants("sound") ? "true" : "false");
    const isOn = permission === "granted" && this.#alerts.wants("notifications"); // asked once: it takes time
    setAttribute(this.#notifications, "aria-checked", isOn ? "true" : "false");
    if (this.#notifications.disabled !== refused) this.#notifications.disabled = refused;
    setText(this.#note, permission === "denied" ? DENIED : refused ? UNSUPPORTED : "");
    setHidden(this.#note, !refused);
  }

  get #isOn() {
    return this.#alerts.wants("notifications") && this.#alerts.permission === "granted";
  }

  #toggleNotifications() {
    const on = !this.#isOn;
    this.#alerts.setWanted("notifications", on);
    if (on && this.#alerts.permission === "default") this.#alerts.askPermission();
  }
}
