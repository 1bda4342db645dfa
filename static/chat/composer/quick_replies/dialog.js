/** "Respostas rápidas": all of them, to use one, and to make, change and delete them. */

import { ICONS, el, icon, setHidden, setText } from "../../parts/dom.js";
import { clockTime, daysAgo } from "../../parts/format.js";
import { MAX_TEXT_LENGTH } from "../composer.js";

const MAX_SHORTCUT = 25;
const NEW = { id: null, shortcut: "", text: "" };
const HINT = "Use {nome} para o nome do cliente e {primeiro_nome} para o primeiro nome.";
const NONE = "Guarde aqui as respostas que a equipe mais usa. Para usar uma delas, digite / no começo da mensagem.";

export class QuickRepliesDialog {
  #dialog;
  #replies;
  #host;
  #parts;
  #editing = null; // the reply in the form: {id: null} is a new one
  #asking = null; // the id of the one that is about to be deleted

  /** `replies`: the QuickReplies; `onUse(reply)`: it was chosen. */
  constructor(replies, { onUse }) {
    this.#replies = replies;
    this.#host = { onUse };
    this.#dialog = this.#create();
    document.body.append(this.#dialog);
  }

  /** Opens it; `isNew`: with the form for another one. */
  async open({ isNew = false } = {}) {
    this.#editing = this.#asking = null;
    setText(this.#parts.error, "");
    this.#dialog.showModal();
    this.render();
    try {
      await this.#replies.load();
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      setText(this.#parts.note, "Não foi possível carregar. Verifique a conexão e tente novamente.");
    }
    if (isNew && this.#dialog.open && !this.#editing) this.#edit({ ...NEW });
  }

  /** Draws what has changed, if it is open. */
  render() {
    if (!this.#dialog.open) return;
    const { list, form, add, title, note } = this.#parts;
    const { all } = this.#replies;
    const isForm = this.#editing !== null;
    const titles = this.#editing?.id === null ? "Nova resposta rápida" : "Editar resposta rápida";
    setText(title, isForm ? titles : "Respostas rápidas");
    setHidden(list, isForm);
    setHidden(form, !isForm);
    setHidden(add, isForm);
    setHidden(note, isForm || Boolean(all?.length));
    setText(note, all ? NONE : "Carregando…");
    if (isForm) return;
    const focused = document.activeElement;
    const place = list.contains(focused) && {
      id: focused.closest("li").dataset.id,
      at: [...focused.closest("li").querySelectorAll("button")].indexOf(focused),
    };
    list.replaceChildren(...(all ?? []).map((reply) => this.#row(reply)));
    if (place) this.#focusIn(place.id, place.at);
  }

  #focusIn(id, at) {
    const row = this.#parts.list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    row?.querySelectorAll("button")[at]?.focus();
  }

  #create() {
    const title = el("h2", "quick-title");
    title.id = "quick-replies-title";
    const close = button("icon-button", icon(ICONS.close));
    close.setAttribute("aria-label", "Fechar");
    const note = el("p", "quick-note");
    const list = el("ul", "quick-list");
    const add = button("quick-add", "Nova resposta rápida");
    const form = this.#createForm();
    this.#parts = { ...this.#parts, title, note, list, add, form };
    const dialog = el("dialog", "dialog quick-dialog", el("header", "quick-header", title, close), note, list, form, this.#parts.error, add);
    dialog.setAttribute("aria-labelledby", title.id);
    close.addEventListener("click", () => dialog.close());
    add.addEventListener("click", () => this.#edit({ ...NEW }));
    dialog.addEventListener("cancel", (event) => {
      if (this.#editing === null) return;
      event.preventDefault(); // Escape leaves the form alone
      this.#leaveForm();
    });
    return dialog;
  }

  #createForm() {
    const shortcut = el("input", "quick-shortcut");
    Object.assign(shortcut, { maxLength: MAX_SHORTCUT, autocomplete: "off", spellcheck: false, required: true });
    const text = el("textarea", "quick-text");
    Object.assign(text, { rows: 6, maxLength: MAX_TEXT_LENGTH, required: true, dir: "auto" });
    const error = el("p", "quick-error");
    error.setAttribute("role", "alert");
    const save = button("quick-save", "Salvar");
    save.type = "submit";
    const cancel = button("quick-cancel", "Cancelar");
    cancel.addEventListener("click", () => this.#leaveForm());
    const hint = el("p", "quick-hint", HINT);
    hint.id = "quick-replies-hint";
    text.setAttribute("aria-describedby", hint.id);
    const form = el(
      "form",
      "quick-form",
      el("label", "quick-label", "Atalho", el("span", "quick-slash", shortcut)),
      el("label", "quick-label", "Mensagem", text),
      hint,
      el("div", "quick-buttons", cancel, save),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#parts = { shortcut, text, error, save };
    return form;
  }

  #row(reply) {
    const use = button(
      "quick-use",
      el("span", "quick-name", `/${reply.shortcut}`),
      el("span", "quick-words", reply.text),
      el("span", "quick-changed", changedWords(reply)),
    );
    use.querySelector(".quick-words").dir = "auto";
    use.addEventListener("click", () => {
      this.#dialog.close();
      this.#host.onUse(reply);
    });
    const isAsking = this.#asking === reply.id;
    const [first, second] = isAsking ? ["Apagar", "Manter"] : ["Editar", "Apagar"];
    const buttons = [button("link-button", first), button("link-button", second)];
    for (const [at, each] of buttons.entries()) {
      each.setAttribute("aria-label", `${each.textContent} /${reply.shortcut}${isAsking && at === 0 ? " de vez" : ""}`);
    }
    buttons[0].classList.toggle("danger", isAsking);
    buttons[0].addEventListener("click", () => (isAsking ? this.#remove(reply) : this.#edit(reply)));
    buttons[1].addEventListener("click", () => this.#ask(isAsking ? null : reply.id, reply.id));
    const question = isAsking ? el("span", "quick-question", "Apagar para toda a equipe?") : null;
    const row = el("li", "quick-row", use, el("div", "quick-actions", question, ...buttons));
    row.dataset.id = reply.id;
    return row;
  }

  #ask(id, rowId) {
    this.#asking = id;
    this.render();
    this.#focusIn(rowId, 2); // "Manter", or "Apagar"
  }

  #edit(reply) {
    this.#editing = reply;
    const { shortcut, text, error } = this.#parts;
    shortcut.value = reply.shortcut;
    text.value = reply.text;
    setText(error, "");
    this.render();
    shortcut.focus();
  }

  #leaveForm() {
    this.#editing = this.#asking = null;
    setText(this.#parts.error, "");
    this.render();
    this.#parts.add.focus();
  }

  #save() {
    const { shortcut, text } = this.#parts;
    const { id, changed_at: changedAt = null } = this.#editing;
    const reply = { id, shortcut: shortcut.value, text: text.value, changed_at: changedAt };
    return this.#try(() => this.#replies.save(reply), () => this.#leaveForm());
  }

  #remove({ id }) {
    return this.#try(() => this.#replies.remove(id), () => this.#leaveForm());
  }

  /** Does it once, whatever is clicked meanwhile; what went wrong is told where one looks. */
  async #try(run, done) {
    const { save, error, shortcut, text } = this.#parts;
    if (save.disabled) return;
    save.disabled = true;
    setText(error, "");
    try {
      await run();
      done();
    } catch (problem) {
      if (problem.name !== "ApiError") throw problem;
      setText(error, problem.message);
      if (this.#editing) ({ shortcut, text }[problem.field] ?? shortcut).focus();
    } finally {
      save.disabled = false;
    }
  }
}

function button(className, ...children) {
  const node = el("button", className, ...children);
  node.type = "button";
  return node;
}

function changedWords({ changed_by: name, changed_at: at }) {
  const [date, now] = [new Date(at), new Date()];
  const days = daysAgo(date, now);
  const day = days <= 0 ? "hoje" : days === 1 ? "ontem" : `em ${date.toLocaleDateString("pt-BR")}`;
  return `Alterada por ${name} ${day} às ${clockTime(date)}`;
}
