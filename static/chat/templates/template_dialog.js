/** The dialog in which a template is chosen, filled in and sent. */

import { onClosed } from "../parts/dialogs.js";
import { actionButton, el, icon, setHidden, setText, touch } from "../parts/dom.js";
import { TemplateForm } from "./template_form.js";
import { TemplateList } from "./template_list.js";
import { firstValues } from "./filling.js";

const CLOSE = "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4 6.4 5Z";
const BACK = "M20 11H7.8l5.6-5.6L12 4l-8 8 8 8 1.4-1.4L7.8 13H20v-2Z";

export class TemplateDialog {
  #dialog = el("dialog", "dialog template-dialog");
  #to = el("p", "template-to");
  #rule = el("p", "template-rule");
  #hint = el("p", "template-hint", "Escolha um modelo para ver como o cliente vai recebê-lo.");
  #list;
  #form;
  #back;
  #catalog;
  #name = null;
  #onSend = null;
  #opening = 0;

  constructor({ catalog }) {
    this.#catalog = catalog;
    this.#list = new TemplateList({ catalog, onChoose: (template) => this.#choose(template) });
    this.#form = new TemplateForm({ onSend: (filled) => this.#send(filled) });
    const title = el("h2", "", "Enviar modelo");
    title.id = "template-dialog-title";
    this.#back = roundButton("template-back", "Voltar aos modelos", BACK);
    const close = roundButton("template-close", "Fechar", CLOSE);
    const words = el("div", "template-words", title, this.#to);
    const body = el("div", "template-body", this.#list.node, el("div", "template-side", this.#hint, this.#form.node));
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#dialog.append(el("header", "template-header-bar", this.#back, words, close), this.#rule, body);
    this.#back.addEventListener("click", () => this.#choose(null));
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("pointerdown", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // beside it
    });
    onClosed(this.#dialog, () => {
      this.#opening += 1;
      this.#choose(null);
    });
    document.body.append(this.#dialog);
  }

  /**
   * `to`: how the customer is called; `name`: theirs, null where only a number is known; `rule`: why
   * only a template will do, where that has to be said; `again`: {asked}, what is to be sent once
   * more. `onSend({text, template, asked})`: when what it returns rejects with an ApiError, the
   * dialog stays and says so; a function that it resolves to runs unless the dialog was closed.
   */
  async open({ to, name = null, rule = "", again = null, onSend }) {
    this.#opening += 1;
    const opening = this.#opening;
    this.#setSending(false);
    this.#name = name;
    this.#onSend = onSend;
    setText(this.#to, `Para ${to}`);
    setText(this.#rule, rule);
    setHidden(this.#rule, !rule);
    this.#choose(null);
    this.#dialog.showModal();
    if (!touch.matches) this.#list.focus();
    await this.#list.open();
    if (!again || opening !== this.#opening) return;
    const { name: wanted, language, variables } = again.asked;
    const known = this.#catalog.templates.find((each) => each.name === wanted && each.language === language);
    if (known) this.#choose(known, variables);
  }

  #choose(template, values = template && firstValues(template, this.#name)) {
    this.#list.choose(template);
    this.#form.show(template, values ?? {});
    setHidden(this.#hint, Boolean(template));
    this.#dialog.classList.toggle("has-chosen", Boolean(template));
    if (touch.matches || !this.#dialog.open) return;
    if (template) this.#form.focus();
    else this.#list.focus();
  }

  async #send(filled) {
    const opening = this.#opening;
    this.#setSending(true);
    this.#form.tell("");
    try {
      const done = await this.#onSend(filled);
      if (opening === this.#opening) {
        this.#dialog.close();
        done?.();
      }
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (opening === this.#opening) this.#form.tell(error.message, error.field);
    } finally {
      if (opening === this.#opening) this.#setSending(false);
    }
  }

  /** Until there is an answer no other can be chosen: the customer would get both. */
  #setSending(on) {
    this.#form.busy(on);
    this.#list.node.inert = on;
    this.#back.disabled = on;
  }
}

function roundButton(className, label, sign) {
  const button = actionButton(`icon-button ${className}`, "", "");
  button.append(icon(sign));
  button.setAttribute("aria-label", label);
  button.title = label;
  return button;
}
