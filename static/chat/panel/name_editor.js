/** What a contact is called, and "Editar contato": the business's own name for them. */

import { clickButton, el, setHidden, setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";
import { SIGNS } from "../organizing/signs.js";

const FAILED = "O nome não foi salvo. Verifique a conexão e tente novamente.";
/** As the server has it, see chat/screen/organizing.py. */
const MAX_CHARS = 100;

export class NameEditor {
  node;

  #parts;
  #shown = null; // the conversation
  #busy = false; // a name is being saved

  /** async `onRename(id, name)`: rejects with an ApiError. */
  constructor({ onRename }) {
    const name = el("h3", "panel-name");
    const told = el("p", "panel-soft");
    for (const each of [name, told]) each.dir = "auto";
    const edit = clickButton("icon-button panel-edit", "Editar contato", () => this.#open(), SIGNS.pencil);
    const field = el("input", "text-field");
    Object.assign(field, { type: "text", maxLength: MAX_CHARS, autocomplete: "off", dir: "auto" });
    const problem = el("p", "dialog-problem");
    problem.setAttribute("role", "alert");
    const cancel = clickButton("link-button", "Cancelar", () => this.#close());
    const form = el(
      "form",
      "name-form",
      el("label", "field-label", "Nome do contato", field),
      el("p", "panel-soft", "Em branco, vale o nome que o WhatsApp informa."),
      problem,
      el("div", "dialog-buttons", cancel, el("button", "main-button", "Salvar")),
    );
    form.hidden = true;
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // which would close the panel, too
      this.#close();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.#busy) return;
      this.#busy = true;
      setText(problem, "");
      const { id } = this.#shown;
      const isHere = () => this.#shown.id === id && !form.hidden; // another may be shown by then
      try {
        await onRename(id, field.value.trim());
        if (isHere()) this.#close();
      } catch (error) {
        if (error.name !== "ApiError") throw error;
        if (isHere()) setText(problem, error.unavailable ? FAILED : error.message);
      } finally {
        this.#busy = false;
      }
    });
    this.#parts = { name, told, edit, field, problem, form, shown: el("div", "panel-name-line", name, edit) };
    this.node = el("div", "panel-names", this.#parts.shown, told, form);
  }

  render(conversation) {
    if (this.#shown?.id !== conversation.id) setHidden(this.#parts.form, true);
    this.#shown = conversation;
    const { name, told, form, shown } = this.#parts;
    setText(name, displayName(conversation));
    setText(told, conversation.told_name ? `~${conversation.told_name}` : "");
    setHidden(shown, !form.hidden);
    setHidden(told, !conversation.told_name || !form.hidden);
  }

  #open() {
    const { field, form, problem } = this.#parts;
    setText(problem, "");
    field.value = displayName(this.#shown);
    field.placeholder = this.#shown.told_name ?? "";
    setHidden(form, false);
    this.render(this.#shown);
    field.select();
  }

  #close() {
    const { edit, form } = this.#parts;
    setHidden(form, true);
    this.render(this.#shown);
    edit.focus();
  }
}
