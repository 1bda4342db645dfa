/** "Dados do contato", beside the thread; on a phone all of the screen. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { BackStep } from "../parts/back_step.js";
import { ICONS, clickButton, el, setAttribute, setHidden, setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";
import { createChips, updateChips } from "../organizing/label_chips.js";
import { ContentsSection } from "./contents_section.js";
import { DeletionSection } from "./deletion_section.js";
import { windowWords } from "./moments.js";
import { NameEditor } from "./name_editor.js";
import { NotesSection } from "./notes_section.js";

const OWNERS = { claude: "Agora: Claude", team: "Agora: equipe", needed: "Agora: precisa de você" };
const SWITCHES = [
  ["muted", "Silenciar notificações", "mute"],
  ["pinned", "Fixar conversa", "pin"],
  ["archived", "Arquivar conversa", "archive"],
];

export class ContactPanel {
  isOpen = false;

  #host;
  #root;
  #id = null; // the conversation
  #step = new BackStep("panel", () => this.#hide());
  #avatar = createAvatar("large");
  #parts;
  #names;
  #notes;
  #contents;
  #deletion;

  /** `root`: the pane beside the list; `book`: the LabelBook; `organizer`; `onLabel(id)`: its labels
   * are to be chosen; `onClose()`: it was open; `deletion`: the address where
   * administrators delete a customer's data, for nobody else; and what its sections need. */
  constructor(root, { api, state, book, organizer, deletion, onLabel, onJump, onView, onClose, onChange }) {
    this.#host = { state, book, organizer, onClose };
    const close = clickButton("icon-button panel-close", "Fechar", () => this.close(), ICONS.close);
    this.#names = new NameEditor({ onRename: (id, name) => organizer.rename(id, name) });
    this.#notes = new NotesSection({ api, onChange });
    const thread = (id) => state.thread(id);
    this.#contents = new ContentsSection({ api, thread, onJump: (id) => this.#jump(id, onJump), onView, onChange });
    this.#deletion = deletion ? new DeletionSection(deletion) : null;
    this.#parts = {
      close,
      phone: el("p", "panel-phone"),
      labels: createChips("panel-labels"),
      windowTitle: el("p", "window-title"),
      windowText: el("p", "panel-soft"),
      switches: SWITCHES.map(([field, label, what]) => {
        const node = clickButton("menu-item menu-switch", label, () => organizer.toggle(what, this.#id));
        node.setAttribute("role", "switch");
        return { field, node };
      }),
    };
    const { phone, labels, windowTitle, windowText, switches } = this.#parts;
    const label = clickButton("link-button", "Etiquetar conversa", () => onLabel(this.#id));
    this.#parts.window = el("section", "panel-section", el("h3", "", "Janela de atendimento"), windowTitle, windowText);
    const title = el("h2", "", "Dados do contato");
    title.id = "contact-panel-title";
    this.#root = el(
      "aside",
      "contact-panel",
      el("header", "pane-header", close, title),
      el(
        "div",
        "panel-scroll",
        el("section", "panel-section panel-person", this.#avatar, this.#names.node, phone),
        el("section", "panel-section", el("h3", "", "Etiquetas"), labels, label),
        this.#parts.window,
        this.#contents.media,
        this.#notes.node,
        el("section", "panel-section panel-switches", ...switches.map(({ node }) => node)),
        this.#contents.lines,
        ...(this.#deletion ? [this.#deletion.node] : []),
      ),
      this.#contents.view.node,
    );
    this.#root.setAttribute("aria-labelledby", title.id);
    this.#root.hidden = true;
    root.append(this.#root);
  }

  /** Whether closing the page would lose what was typed. */
  get isAtRisk() {
    return this.#notes.isAtRisk;
  }

  /** At a logout: what was typed is gone, and holds up no page. */
  forget() {
    this.#notes.forget();
  }

  open(id) {
    if (this.isOpen && this.#id === id) return;
    this.#id = id;
    this.isOpen = true;
    this.#step.opened();
    setHidden(this.#root, false);
    this.#root.querySelector(".panel-scroll").scrollTop = 0;
    this.#parts.close.focus();
    this.#notes.read(id);
  }

  /** Whether it was open. `left`: the conversation was. */
  close({ left = false } = {}) {
    if (!this.isOpen) return false;
    this.#contents.view.close({ left: true });
    this.#step.closed({ left });
    this.#hide({ left });
    return true;
  }

  /** Escape was pressed: whether it ended something here. */
  escape() {
    return this.#contents.view.close() || this.close();
  }

  /** The stream lost its place: what it shows may be old. */
  refresh() {
    return this.isOpen ? this.#notes.read(this.#id) : null;
  }

  onEvent(event) {
    this.#notes.onEvent(event);
    this.#contents.onEvent(event);
  }

  merged(loser, winner) {
    this.#notes.move(loser, winner);
    if (this.#id === loser) this.#id = winner;
  }

  erased(id) {
    this.#notes.erased(id);
    this.#contents.erased(id);
  }

  /** `ownership`: see ownershipOf; `now`: by the server's clock. */
  render(conversation, ownership, now) {
    if (!this.isOpen) return;
    const { phone, labels, windowTitle, windowText, switches } = this.#parts;
    updateAvatar(this.#avatar, conversation);
    this.#names.render(conversation);
    const number = conversation.is_group ? "Grupo" : conversation.phone;
    setText(phone, number ?? "");
    setHidden(phone, !number || number === displayName(conversation));
    updateChips(labels, this.#host.book.of(conversation));
    const { isOpen, title, text } = windowWords(conversation, now);
    setHidden(this.#parts.window, conversation.is_group);
    setText(windowTitle, title);
    setText(windowText, text);
    windowTitle.classList.toggle("over", !isOpen);
    for (const { field, node } of switches) {
      setAttribute(node, "aria-checked", conversation[field] ? "true" : "false");
    }
    // An archived one cannot be pinned.
    setHidden(switches[1].node, Boolean(conversation.archived));
    this.#notes.render(conversation.id, now);
    this.#deletion?.render(conversation.id);
    this.#contents.render(conversation.id, OWNERS[ownership.mark] ?? "", now);
  }

  #hide({ left = false } = {}) {
    this.isOpen = false;
    this.#id = null;
    setHidden(this.#root, true);
    if (!left) this.#host.onClose();
  }

  /** Where the panel lies over the thread, it makes room for it. */
  #jump(messageId, onJump) {
    if (getComputedStyle(this.#root).position === "absolute") this.close();
    onJump(messageId);
  }
}
