/** What an attendant sends besides text: files and voice notes, from the open conversation's field. */

import { VoiceNotes } from "../voice/voice_notes.js";
import { Attachments } from "./attachments.js";
import { touch } from "../../parts/dom.js";

export class MediaWriting {
  #host;
  #attachments;
  #voice;

  /**
   * `pane`: the thread's; `state`, `api`, `sender`, `unread`, `toast`, `composer`, `drafts`,
   * `beginnings`; `emoji`, `memory`: the Emoji and the EmojiMemory; `now()`: the server's milliseconds.
   * confirm(text, yes); newestOf(id), takeReply(id), onSent(): as Writing has them; showDraft(id): the
   * field shows what is kept for it.
   */
  constructor(pane, { emoji, memory, ...host }) {
    this.#host = host;
    const { state, api, toast, now, confirm, unread, newestOf } = host;
    this.#attachments = new Attachments(pane, {
      state, toast, now, confirm, emoji, memory,
      fetchLimits: () => api.call("GET", "/api/media/limits"),
      takeText: (id, how) => this.#takeText(id, how),
      giveBackText: (id, text) => this.#giveBackText(id, text),
      onSend: (id, files, after) => this.#send(id, files, after),
    });
    this.#voice = new VoiceNotes(pane, {
      state, toast, confirm,
      whyNot: () => this.#attachments.whyNot(),
      begin: (id) => newestOf(id),
      onSend: (id, file, after) => this.#send(id, [file], after),
      onSelect: (id) => unread.select(id),
      onEnd: () => this.#focus(),
    });
  }

  /** What the server takes, as far as it is known here; null until then. */
  get limits() {
    return this.#attachments.limits;
  }

  /** Whether something was chosen or recorded, and not sent. */
  get isAtRisk() {
    return this.#attachments.isAtRisk || this.#voice.isAtRisk;
  }

  offerIn(menu, isAvailable) {
    this.#attachments.offerIn(menu, isAvailable);
  }

  render(conversation) {
    this.#attachments.render(conversation);
    this.#voice.render({ isOpen: this.#host.composer.isOpen });
  }

  escape() {
    return this.#voice.escape();
  }

  left() {
    this.#attachments.left();
    this.#voice.left();
  }

  /** Messages with files that did not go out, as `takeBack` of the Sender gives them: to be looked at
   * and sent anew. */
  reopen(id, messages) {
    if (messages.length) this.#attachments.reopen(id, messages);
  }

  merged(loser, winner) {
    this.#attachments.merged(loser, winner);
    this.#voice.merged(loser, winner);
  }

  /** The conversation is no more: nothing of it is kept. */
  erased(id) {
    this.#attachments.erased(id);
    this.#voice.erased(id);
  }

  forget() {
    this.#attachments.forget();
    this.#voice.forget();
  }

  #send(id, files, after) {
    const { state, sender, unread, takeReply, newestOf, onSent } = this.#host;
    const isHere = id === state.selectedId;
    let replyTo = takeReply(id);
    for (const { caption, attached } of files) {
      const readUpTo = isHere ? unread.answered() : null;
      sender.send(id, caption, { attached, readUpTo, replyTo, after: after ?? newestOf(id) });
      replyTo = null; // the first one answers
    }
    if (!isHere) return;
    onSent();
    this.#focus();
  }

  /** Where a keyboard does not come up over what was to be read. */
  #focus() {
    if (!touch.matches) this.#host.composer.focus();
  }

  /** What the field holds is the first caption; with `isKept` it stays there. */
  #takeText(id, { isKept }) {
    const { drafts, beginnings, newestOf, showDraft } = this.#host;
    const text = drafts.get(id).trim();
    if (isKept && text) return { text: "", after: newestOf(id) };
    const after = beginnings.take(id);
    if (text) {
      drafts.set(id, "");
      showDraft(id);
    }
    return { text, after };
  }

  #giveBackText(id, text) {
    const { drafts, showDraft, state } = this.#host;
    if (text) {
      drafts.set(id, [drafts.get(id), text].filter(Boolean).join("\n"));
      showDraft(id);
    }
    if (id === state.selectedId) this.#focus();
  }
}
