/** The team's notes of a contact: one text, which everybody may change. Whoever changes what somebody
 * else has changed meanwhile is shown both, and decides. */

import { clickButton, el, setHidden, setText } from "../parts/dom.js";
import { momentText } from "../parts/format.js";

const FAILED = "As anotações não foram salvas. Verifique a conexão e tente novamente.";
const UNREAD = "Não foi possível ler as anotações.";
/** As the server has it, see chat/people/notes.py. */
const MAX_CHARS = 4000;

export class NotesSection {
  node;

  #api;
  #onChange;
  #entries = new Map(); // conversation id → see `#entry`
  #shown = null; // the conversation's id
  #parts;

  /** `onChange()`: draw again. */
  constructor({ api, onChange }) {
    this.#api = api;
    this.#onChange = onChange;
    const field = el("textarea", "text-field notes-field");
    Object.assign(field, { maxLength: MAX_CHARS, rows: 3, placeholder: "Só a equipe vê estas anotações", dir: "auto" });
    field.setAttribute("aria-label", "Anotações da equipe");
    field.addEventListener("input", () => this.#type(field.value));
    const theirs = el("p", "notes-theirs");
    theirs.dir = "auto";
    this.#parts = {
      field,
      theirs,
      who: el("p", "notes-who"),
      by: el("p", "panel-soft"),
      problem: el("p", "dialog-problem"),
      conflict: el("div", "notes-conflict"),
      buttons: el("div", "dialog-buttons notes-buttons"),
    };
    const { who, by, problem, conflict, buttons } = this.#parts;
    problem.setAttribute("role", "alert");
    conflict.setAttribute("role", "alert");
    conflict.append(who, theirs, el(
      "div",
      "dialog-buttons",
      clickButton("link-button", "Ficar com esta", () => this.#takeTheirs()),
      clickButton("link-button", "Salvar a minha no lugar", () => this.#save({ over: true })),
    ));
    this.#parts.retry = clickButton("link-button", "Tentar novamente", () => this.read(this.#shown));
    this.#parts.save = clickButton("main-button", "Salvar", () => this.#save());
    buttons.append(clickButton("link-button", "Descartar", () => this.#drop()), this.#parts.save);
    this.node = el("section", "panel-section", el("h3", "", "Anotações da equipe"), field, conflict, buttons, by, problem);
    this.node.append(this.#parts.retry);
  }

  /** Whether closing the page would lose what was typed. */
  get isAtRisk() {
    return [...this.#entries.values()].some(isChanged);
  }

  forget() {
    this.#entries.clear();
  }

  async read(id) {
    const entry = this.#entry(id);
    entry.problem = "";
    try {
      this.#learn(id, (await this.#api.call("GET", pathOf(id))).notes);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (entry.saved === null) entry.problem = UNREAD;
    }
    this.#onChange();
  }

  onEvent({ type, data }) {
    if (type !== "notes.changed" || !this.#entries.has(data.conversation_id)) return;
    this.#learn(data.conversation_id, data.notes);
    this.#onChange();
  }

  /** Two conversations became one: what was typed follows. */
  move(loser, winner) {
    const typed = this.#entries.get(loser)?.typed ?? null;
    this.#entries.delete(loser);
    if (this.#shown === loser) this.#shown = winner;
    if (typed === null) return;
    const entry = this.#entry(winner);
    Object.assign(entry, { typed: entry.typed ?? typed, saved: null });
    this.read(winner);
  }

  /** The conversation is no more. */
  erased(id) {
    this.#entries.delete(id);
    if (this.#shown === id) this.#parts.field.value = "";
  }

  render(id, now) {
    const isOther = id !== this.#shown;
    this.#shown = id;
    const entry = this.#entry(id);
    const { saved, typed, sent, theirs, problem } = entry;
    const { field, by, who, conflict, buttons, save, retry } = this.#parts;
    const text = typed ?? saved?.text ?? "";
    if (field.value !== text && (isOther || document.activeElement !== field || typed === null)) field.value = text;
    field.disabled = saved === null && theirs === null;
    setHidden(conflict, theirs === null);
    if (theirs) {
      setText(who, `${theirs.changed_by ?? "Outra pessoa"} alterou as anotações ${momentText(theirs.changed_at, now)}:`);
      setText(this.#parts.theirs, theirs.text || "(apagou tudo)");
    }
    setHidden(buttons, !isChanged(entry) || theirs !== null);
    save.disabled = sent !== null;
    setText(by, saved?.changed_at ? `Alterado por ${saved.changed_by} ${momentText(saved.changed_at, now)}` : "");
    setHidden(by, !saved?.changed_at || theirs !== null);
    setText(this.#parts.problem, problem);
    setHidden(retry, problem !== UNREAD);
  }

  /** saved: what the typed text was made of, null until it was read; typed: what the person has
   * written, null: nothing new; sent: what of it is on its way to the server; theirs: what somebody
   * else has saved meanwhile, null: nothing. */
  #entry(id) {
    if (!this.#entries.has(id)) {
      this.#entries.set(id, { saved: null, typed: null, sent: null, theirs: null, problem: "" });
    }
    return this.#entries.get(id);
  }

  #learn(id, notes) {
    const entry = this.#entry(id);
    const known = entry.theirs ?? entry.saved;
    if (known && notes.version <= known.version) return;
    const typed = entry.typed?.trim();
    const isMine = [typed, entry.sent, entry.saved?.text].includes(notes.text);
    if (entry.typed !== null && !isMine && notes.version > 0) entry.theirs = notes;
    else {
      Object.assign(entry, { saved: notes, theirs: null, problem: "" });
      if (notes.text === typed) entry.typed = null;
    }
  }

  #type(text) {
    const entry = this.#entry(this.#shown);
    entry.typed = text === entry.saved?.text ? null : text;
    this.#onChange();
  }

  #drop() {
    this.#entry(this.#shown).typed = null;
    this.#onChange();
  }

  #takeTheirs() {
    const entry = this.#entry(this.#shown);
    Object.assign(entry, { saved: entry.theirs, theirs: null, typed: null });
    this.#onChange();
    this.#parts.field.focus();
  }

  /** `over`: although somebody else has saved other notes, which the person has seen. */
  async #save({ over = false } = {}) {
    const id = this.#shown;
    const entry = this.#entry(id);
    if (entry.sent !== null || entry.typed === null) return;
    if (over) Object.assign(entry, { saved: entry.theirs, theirs: null });
    Object.assign(entry, { sent: entry.typed.trim(), problem: "" });
    this.#onChange();
    const { sent: text, saved: { version } } = entry;
    try {
      const { notes } = await this.#api.call("POST", pathOf(id), { text, version });
      this.#learn(id, notes); // typed on meanwhile, it stays
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      entry.sent = null; // it is not what the others have
      if (error.code === "notes_changed") await this.read(id);
      if (!entry.theirs) entry.problem = error.unavailable ? FAILED : error.message;
    }
    entry.sent = null;
    this.#onChange();
  }
}

const isChanged = ({ typed, saved }) => typed !== null && typed !== (saved?.text ?? "");
const pathOf = (id) => `/api/conversations/${encodeURIComponent(id)}/notes`;
