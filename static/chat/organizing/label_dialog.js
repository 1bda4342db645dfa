/** The dialog in which labels are put on a conversation, and made, renamed, recoloured and deleted. */

import { ICONS, clickButton, el, icon, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { COLOURS, MAX_LABEL_NAME } from "./label_book.js";
import { labelChip } from "./label_chips.js";
import { SIGNS } from "./signs.js";

const FAILED = "Não foi possível. Verifique a conexão e tente novamente.";

export class LabelDialog {
  #book;
  #host;
  #root;
  #title;
  #hint;
  #list;
  #add;
  #form;
  #name;
  #problem;
  #deleteButton;
  #rows = new Map(); // label id → {node, box, chip}
  #conversationId = null; // whose labels are chosen; null: the labels themselves are changed
  #editing = null; // the label's id, "" for a new one, null: the list is shown

  /** `book`: the LabelBook; `state`: the PageState; `organizer`: the Organizer; `ask(text)`: resolves
   * to whether the attendant is sure. */
  constructor({ book, state, organizer, ask }) {
    this.#book = book;
    this.#host = { state, organizer, ask };
    this.#title = el("h2", "dialog-title");
    this.#title.id = "label-dialog-title";
    const close = clickButton("icon-button", "Fechar", () => this.#root.close(), ICONS.close);
    this.#hint = el("p", "dialog-hint", "Nenhuma etiqueta ainda.");
    this.#list = el("ul", "label-list");
    this.#add = clickButton("label-add", "Nova etiqueta", () => this.#edit(""));
    this.#add.prepend(icon(ICONS.plus));
    this.#form = this.#createForm();
    this.#problem = el("p", "dialog-problem");
    this.#problem.setAttribute("role", "alert");
    this.#root = el("dialog", "dialog label-dialog", el("header", "dialog-header", close, this.#title));
    this.#root.append(this.#hint, this.#list, this.#add, this.#form, this.#problem);
    this.#root.setAttribute("aria-labelledby", this.#title.id);
    this.#root.addEventListener("click", ({ target }) => target === this.#root && this.#root.close());
    this.#root.addEventListener("cancel", (event) => {
      if (this.#editing === null) return;
      event.preventDefault(); // back to the list first
      this.#edit(null);
    });
    document.body.append(this.#root);
  }

  /** `conversationId`: whose labels are to be chosen; null: to change the labels themselves. */
  open(conversationId = null) {
    this.#conversationId = conversationId;
    this.#editing = null;
    this.#root.showModal();
    this.render();
  }

  render() {
    if (!this.#root.open) return;
    const isList = this.#editing === null;
    if (!isList && this.#editing !== "" && !this.#book.find(this.#editing)) this.#editing = null; // deleted
    const conversation = this.#conversationId && this.#host.state.conversation(this.#conversationId);
    const title = conversation ? "Etiquetar conversa" : "Etiquetas";
    setText(this.#title, isList ? title : this.#editing ? "Editar etiqueta" : "Nova etiqueta");
    setHidden(this.#hint, !isList || this.#book.labels.length > 0);
    setHidden(this.#list, !isList);
    setHidden(this.#add, !isList);
    setHidden(this.#form, isList);
    const chosen = new Set(conversation?.labels);
    reconcile(this.#list, this.#book.labels.map((label) => {
      const row = this.#rows.get(label.id) ?? this.#createRow(label.id);
      setHidden(row.box, !conversation);
      if (!row.busy) row.box.checked = chosen.has(label.id);
      if (row.shown !== JSON.stringify(label)) {
        row.shown = JSON.stringify(label);
        row.chip.replaceChildren(labelChip(label));
        setAttribute(row.edit, "aria-label", `Editar a etiqueta ${label.name}`);
      }
      return row.node;
    }));
    const known = new Set(this.#book.labels.map(({ id }) => id));
    for (const id of this.#rows.keys()) if (!known.has(id)) this.#rows.delete(id);
  }

  #createRow(id) {
    const box = el("input");
    box.type = "checkbox";
    const chip = el("span", "label-place");
    const edit = clickButton("icon-button", "Editar", () => this.#edit(id), SIGNS.pencil);
    const row = { box, chip, edit, busy: false, node: el("li", "", el("label", "", box, chip), edit) };
    box.addEventListener("change", async () => {
      row.busy = true;
      const change = box.checked ? { add: [id] } : { remove: [id] };
      const to = this.#conversationId;
      await this.#try(() => this.#host.organizer.label(to, change));
      row.busy = false;
      this.render();
    });
    this.#rows.set(id, row);
    return row;
  }

  #createForm() {
    this.#name = el("input", "text-field");
    Object.assign(this.#name, { type: "text", maxLength: MAX_LABEL_NAME, required: true, autocomplete: "off" });
    const colours = COLOURS.map((words, n) => {
      const box = el("input", `swatch tone-${n}`);
      Object.assign(box, { type: "radio", name: "label-colour", value: String(n), title: words });
      box.setAttribute("aria-label", words);
      return box;
    });
    this.#deleteButton = clickButton("link-button danger", "Apagar etiqueta", () => this.#delete());
    const save = el("button", "main-button", "Salvar");
    const form = el(
      "form",
      "label-form",
      el("label", "field-label", "Nome da etiqueta", this.#name),
      el("fieldset", "swatches", el("legend", "", "Cor"), ...colours),
      el("div", "dialog-buttons", this.#deleteButton, clickButton("link-button", "Cancelar", () => this.#edit(null)), save),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(Number(form.elements["label-colour"].value));
    });
    return form;
  }

  #edit(id) {
    const before = this.#editing;
    this.#editing = id;
    setText(this.#problem, "");
    this.render();
    if (id === null) {
      (this.#rows.get(before)?.edit ?? this.#add).focus();
      return;
    }
    const label = this.#book.find(id);
    this.#name.value = label?.name ?? "";
    this.#form.elements["label-colour"].value = String(label?.colour ?? this.#unusedColour());
    setHidden(this.#deleteButton, !label);
    this.#name.focus();
  }

  #unusedColour() {
    const used = new Set(this.#book.labels.map(({ colour }) => colour));
    return Math.max(0, COLOURS.findIndex((_, n) => !used.has(n)));
  }

  /** A new one is put on the conversation at once. */
  #save(colour) {
    const [id, name, to] = [this.#editing, this.#name.value.trim(), this.#conversationId];
    return this.#try(async () => {
      if (id) await this.#book.edit(id, { name, colour });
      else {
        const label = await this.#book.add(name, colour);
        if (to !== null) await this.#host.organizer.label(to, { add: [label.id] });
      }
      this.#edit(null);
    });
  }

  async #delete() {
    const label = this.#book.find(this.#editing);
    if (!label) return;
    const { id, name } = label;
    if (!(await this.#host.ask(`Apagar a etiqueta “${name}”? Ela sai de todas as conversas.`))) return;
    await this.#try(async () => {
      await this.#book.remove(id);
      this.#edit(null);
    });
  }

  async #try(run) {
    setText(this.#problem, "");
    try {
      await run();
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      setText(this.#problem, error.unavailable ? FAILED : error.message);
    }
  }
}
