/** "Fixar": asks for how long. */

import { answerIn } from "../parts/dialogs.js";
import { clickButton, el } from "../parts/dom.js";

/** The server's DAYS, and WhatsApp's words for them. */
const CHOICES = [[1, "24 horas"], [7, "7 dias"], [30, "30 dias"]];
const USUAL = 7;

export class PinDialog {
  #dialog = el("dialog", "dialog pin-dialog");
  #form = el("form", "pin-form");

  constructor() {
    const title = el("h2", "dialog-title", "Escolha por quanto tempo a mensagem ficará fixada");
    title.id = "pin-title";
    const choices = CHOICES.map(([days, words]) => {
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "days", value: days });
      return el("label", "pin-choice", input, words);
    });
    const cancel = clickButton("link-button", "Cancelar", () => this.#dialog.close());
    const pin = el("button", "main-button", "Fixar");
    const hint = el("p", "pin-hint", "Só a equipe vê. Você pode desafixar quando quiser.");
    this.#form.append(...choices, hint, el("div", "dialog-buttons", cancel, pin));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#dialog.close(new FormData(this.#form).get("days"));
    });
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#dialog.append(title, this.#form);
    document.body.append(this.#dialog);
  }

  /** Resolves to a number of days, or null. */
  async ask() {
    this.#form.querySelector(`[value="${USUAL}"]`).checked = true;
    const answer = answerIn(this.#dialog);
    this.#form.querySelector(":checked").focus();
    return Number(await answer) || null;
  }
}
