/** What is about to be sent, over the thread: one file large, all of them in a strip, a caption each. */

import { BackStep } from "../../parts/back_step.js";
import { ICONS, clickButton, el, icon, reconcile, setAttribute, setHidden, setText, touch } from "../../parts/dom.js";
import { fileFacts } from "../../parts/media_format.js";
import { focusAlong } from "../../parts/menu.js";
import { EmojiPicker } from "../emoji/emoji_picker.js";
import { Caption } from "./caption.js";
import { createStage, createThumb } from "./preview_parts.js";

const NO_CAPTION = "Áudios vão sem legenda.";

export class Preview {
  #pane;
  #host;
  #dialog = null; // made when it is first needed
  #parts;
  #thumbs = new WeakMap(); // item → what `createThumb` gave
  #batch = null; // what is shown: {items, chosen, told}
  #back;

  /**
   * `pane`: the thread's, which it covers; `emoji`, `memory`: the Emoji and the EmojiMemory. onMore():
   * files are to be added; onRemove(item); onSend(); onLeave(): it is to be closed, about which
   * somebody may be asked; onTyped().
   */
  constructor(pane, host) {
    this.#pane = pane;
    this.#host = host;
    this.#back = new BackStep("attachments", () => {
      this.#back.opened(); // it stays until the question is answered
      host.onLeave();
    });
  }

  get dialog() {
    return this.#dialog;
  }

  /** Shows a batch, {items, chosen, told}: its files, the one shown large, what is to be said; null
   * closes it. An item: {file, url, kind, note, caption, thumbUrl?, width?, duration?, isBroken?}. */
  show(batch) {
    if (!batch) {
      this.#close();
      return;
    }
    this.#dialog ?? this.#create();
    const isNew = !this.#dialog.open;
    this.#batch = batch;
    if (isNew) this.#open();
    this.#render();
    if (isNew && !touch.matches) this.#parts.caption.focus(this.#parts.send);
  }

  /** `whyNot`: why it cannot be sent now, in words, or null. */
  renderState({ whyNot }) {
    if (!this.#dialog?.open) return;
    const { caption, send, state } = this.#parts;
    setText(state, whyNot ?? "");
    const blocked = Boolean(whyNot) || caption.isTooLong;
    if (send.disabled !== blocked) send.disabled = blocked;
  }

  #open() {
    this.#dialog.showModal();
    this.#place();
    this.#back.opened();
  }

  #close() {
    if (!this.#dialog?.open) return;
    this.#batch = null;
    this.#parts.picker.close();
    this.#parts.stage.show(null);
    this.#dialog.close();
    this.#back.closed();
  }

  #create() {
    const { emoji, memory, onMore, onLeave, onTyped } = this.#host;
    const title = el("h2", "attach-title");
    Object.assign(title, { id: "attach-title", dir: "auto" });
    const facts = el("p", "attach-facts");
    const told = el("p", "attach-told");
    told.setAttribute("role", "alert");
    const state = el("p", "attach-told");
    state.setAttribute("role", "status");
    const note = el("p", "attach-note");
    note.setAttribute("role", "status");
    const close = clickButton("icon-button", "Fechar", () => onLeave(), ICONS.close);
    const stage = createStage();
    const caption = new Caption({
      onInput: (text) => {
        this.#batch.chosen.caption = text;
        onTyped();
      },
      onEnter: () => this.#send(),
    });
    const strip = el("ul", "attach-strip");
    strip.setAttribute("aria-label", "Arquivos");
    const more = clickButton("attach-more", "Adicionar arquivo", () => onMore(), ICONS.plus);
    const send = clickButton("attach-send send-button", "Enviar", () => this.#send(), ICONS.send);
    const count = el("span", "attach-count");
    count.setAttribute("aria-hidden", "true");
    send.append(count);
    const head = el("header", "attach-head", close, el("div", "attach-words", title, facts));
    const foot = el("footer", "attach-foot", el("div", "attach-files", strip, more), send);
    this.#dialog = el("dialog", "attach-preview", head, told, state, stage.node, note, caption.node, foot);
    this.#dialog.setAttribute("aria-labelledby", title.id);
    document.body.append(this.#dialog);
    const picker = new EmojiPicker(caption.node, {
      emoji,
      memory,
      onPick: (text, { byMouse }) => caption.insert(text, { focus: byMouse && !touch.matches }),
      onClose: () => caption.focus(),
    });
    this.#parts = { title, facts, told, state, note, stage, caption, strip, send, count, picker };
    strip.addEventListener("keydown", (event) => this.#alongStrip(event));
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
      event.preventDefault();
      this.#leave();
    });
    this.#dialog.addEventListener("cancel", (event) => {
      if (event.target !== this.#dialog) return;
      event.preventDefault();
      this.#leave();
    });
    // Beside it: the list is to be seen, and leads on only when this is over.
    this.#dialog.addEventListener("pointerdown", (event) => {
      if (event.target === this.#dialog && !isInside(this.#dialog, event)) onLeave();
    });
    const place = () => this.#dialog.open && this.#place();
    new ResizeObserver(place).observe(this.#pane);
    window.addEventListener("resize", place);
  }

  /** Over the thread, header included, wherever that stands. */
  #place() {
    const { left, top, width, height } = this.#pane.getBoundingClientRect();
    Object.assign(this.#dialog.style, {
      left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px`,
    });
  }

  #render() {
    const { title, facts, told, note, stage, caption, strip, count, send } = this.#parts;
    const { items, chosen } = this.#batch;
    setText(title, nameOf(chosen));
    setText(facts, fileFacts({ filename: chosen.file.name, mime_type: chosen.file.type, size: chosen.file.size }));
    setText(told, this.#batch.told ?? "");
    const takesCaption = !["audio", "voice"].includes(chosen.kind);
    setText(note, chosen.note || (takesCaption ? "" : NO_CAPTION));
    stage.show(chosen);
    setHidden(caption.node, !takesCaption);
    caption.show(chosen, chosen.caption);
    reconcile(strip, items.map((item) => this.#thumb(item)));
    setText(count, items.length > 1 ? String(items.length) : "");
    setAttribute(send, "aria-label", items.length > 1 ? `Enviar ${items.length} arquivos` : "Enviar");
  }

  #thumb(item) {
    if (!this.#thumbs.has(item)) {
      this.#thumbs.set(item, createThumb({
        onChoose: () => this.#choose(item),
        onRemove: () => this.#remove(item),
      }));
    }
    const { items, chosen } = this.#batch;
    const thumb = this.#thumbs.get(item);
    thumb.update(item, { name: nameOf(item), place: items.indexOf(item) + 1, of: items.length, isChosen: item === chosen });
    return thumb.node;
  }

  #choose(item) {
    this.#batch.chosen = item;
    this.#render();
    this.#thumbs.get(item).node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #remove(item) {
    const { strip, send } = this.#parts;
    const hadFocus = strip.contains(document.activeElement);
    this.#host.onRemove(item);
    if (hadFocus && this.#dialog.open) (strip.querySelector("[aria-current]") ?? send).focus();
  }

  #alongStrip(event) {
    const { strip } = this.#parts;
    if (event.key === "Delete" && event.target.matches(".attach-thumb")) {
      event.preventDefault();
      this.#remove(this.#batch.chosen);
      return;
    }
    focusAlong(event, [...strip.querySelectorAll(".attach-thumb")], ["ArrowRight", "ArrowLeft"]);
    if (event.defaultPrevented) document.activeElement.click();
  }

  #leave() {
    if (!this.#parts.picker.close()) this.#host.onLeave();
    else this.#parts.caption.focus();
  }

  #send() {
    if (!this.#parts.send.disabled) this.#host.onSend();
  }
}

const nameOf = ({ file, kind }) => (kind === "voice" ? "Mensagem de voz" : file.name || "Arquivo");

function isInside(node, { clientX: x, clientY: y }) {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return x >= left && x <= right && y >= top && y <= bottom;
}
