/** "Fixar": asks for how long. */

import { clickButton, el } from "../parts/dom.js";

/** The server's DAYS, and WhatsApp's words for them. */
const CHOICES = [[1, "24 horas"], [7, "7 dias"], [30, "30 dias"]];
const USUAL = 7;

export class PinDialog {
  #dialog = el("dialog", "dialog pin-dialog");
  #form = el("form", "pin-form");
  #done = () => {};

  constructor() {
    const title = el("h2", "dialog-title", "Escolha por quanto tempo a mensagem ficará fixada");
    title.id = "pin-title";
    this.#form.method = "dialog";
    const choices = CHOICES.map(([days, words]) => {
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "days", value: days });
      return el("label", "pin-choice", input, words);
    });
    const cancel = clickButton("link-button", "Cancelar", () => this.#dialog.close());
    const pin = el("button", "main-button", "Fixar");
    const hint = el("p", "pin-hint", "Só a equipe vê. Você pode desafixar quando quiser.");
    this.#form.append(...choices, hint, el("div", "dialog-buttons", cancel, pin));
    this.#form.addEventListener("submit", () => this.#end(Number(new FormData(this.#form).get("days"))));
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#dialog.append(title, this.#form);
    this.#dialog.addEventListener("close", () => this.#end(null));
    document.body.append(this.#dialog);
  }

  /** Resolves to a number of days, or null. */
  ask() {
    this.#form.querySelector(`[value="${USUAL}"]`).checked = true;
    this.#dialog.showModal();
    this.#form.querySelector(":checked").focus();
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  #end(days) {
    this.#done(days);
  }
}
