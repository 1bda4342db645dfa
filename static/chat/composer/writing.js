/** Writing to the open conversation: the field and its draft, what is offered to fill it, and what
 * becomes of the text. */

import { displayName, windowState } from "../parts/format.js";
import { MediaWriting } from "./attachments/media_writing.js";
import { Beginnings, CollisionStrip } from "./collision.js";
import { Composer } from "./composer.js";
import { Drafts } from "./drafts.js";
import { Emoji, emojiWords } from "./emoji/emoji_data.js";
import { EmojiMemory } from "./emoji/emoji_memory.js";
import { EmojiPicker } from "./emoji/emoji_picker.js";
import { PlusMenu } from "./plus_menu.js";
import { QuickRepliesDialog } from "./quick_replies/dialog.js";
import { QuickReplies, blankOf, filledIn, quickReplyWords } from "./quick_replies/quick_replies.js";
import { SuggestionStrip, Suggestions } from "./suggestions.js";
import { Typing } from "./typing.js";
import { touch } from "../parts/dom.js";

/**
 * Fetched at set-up: see `fetch_vendor` in dev.py. As deep as the page's script when it is one file:
 * see `local/page_build.py`.
 */
const EMOJI_NAMES = new URL("../../vendor/emoji/pt.json", import.meta.url);

export class Writing {
  composer;
  drafts;
  media;

  #pane;
  #host;
  #beginnings;
  #typing;
  #suggestions;
  #suggestionStrip;
  #collisionStrip;
  #plusMenu;
  #quickReplies;
  #quickRepliesDialog;
  #emojiMemory;
  #emojiPicker;

  /**
   * `pane`: the thread's; `storage`: localStorage or alike; `state`, `api`, `sender`, `unread`,
   * `claude`, `toast`; `userId`; `now()`: the server's milliseconds. newestOf(id): the id of the
   * message that has arrived last there, or null; takeReply(id): what the next message answers, and
   * restoreReply(id, quoted): it is to answer that again; onTemplates(id): one is to be chosen;
   * onSent(): a message to the open conversation is on its way; onChange(): draw again; confirm(text,
   * yes).
   */
  constructor(pane, { storage, ...host }) {
    const { state, api, sender, toast, userId, now, onChange } = host;
    this.#pane = pane;
    this.#host = host;
    this.drafts = new Drafts(storage, userId, "draft", now);
    this.#beginnings = new Beginnings(host.newestOf);
    this.composer = new Composer(pane, {
      onInput: (text) => {
        this.drafts.set(state.selectedId, text);
        this.#suggestions.edited(state.selectedId, text);
        this.#beginnings.wrote(state.selectedId, text);
        this.#typing.wrote(state.selectedId, text);
      },
      onSend: (text) => this.#send(text),
    });
    this.#collisionStrip = new CollisionStrip(pane, {
      onSend: () => sender.release(state.selectedId),
      onCancel: () => this.#recallHeld(),
    });
    this.#typing = new Typing({
      tell: (id) => api.typing(id),
      resolve: (id) => state.resolve(id),
      userId,
      onChange,
    });
    this.#offerQuickReplies();
    const emoji = this.#offerEmoji(storage);
    this.media = new MediaWriting(pane, {
      ...host,
      emoji,
      memory: this.#emojiMemory,
      composer: this.composer,
      drafts: this.drafts,
      beginnings: this.#beginnings,
      showDraft: (id) => this.#showDraft(id),
    });
    this.#suggestions = new Suggestions({
      ask: (id, signal) => api.suggestion(id, signal),
      canTake: (id) => this.#canSuggest(id),
      draftOf: (id) => this.drafts.get(id),
      setDraft: (id, text) => this.#fillDraft(id, text),
      onChange,
      onFailed: (words) => toast.show(words),
    });
    this.#suggestionStrip = new SuggestionStrip(pane, {
      onAsk: () => this.#suggestions.ask(state.selectedId),
      onUse: () => this.#suggestions.use(state.selectedId),
      onDrop: () => this.#suggestions.drop(state.selectedId),
    });
    this.#offerInPlusMenu();
  }

  /** Whether closing the page would lose what was typed, chosen or recorded. */
  get isAtRisk() {
    return this.drafts.isAtRisk || this.hasUnsent;
  }

  /** Whether something was chosen or recorded, which no other page would find. */
  get hasUnsent() {
    return this.media.isAtRisk;
  }

  /** With each drawing of the open conversation. */
  render(conversation, now) {
    const { id } = conversation;
    const draft = this.drafts.get(id);
    this.composer.render({ conversationId: id, draft, window: windowState(conversation, now) });
    this.#plusMenu.render();
    this.media.render(conversation);
    this.#beginnings.wrote(id, draft);
    this.#collisionStrip.render({ message: this.#host.sender.held(id), now });
    this.#suggestionStrip.render({ available: this.#canSuggest(id), suggestion: this.#suggestions.of(id) });
  }

  /** Escape was pressed: whether it ended something here. */
  escape() {
    return this.#emojiPicker.close() || this.media.escape();
  }

  /** Another conversation is open. */
  left() {
    this.#emojiPicker.close();
    this.media.left();
  }

  /** Where a keyboard does not come up over what was to be read. */
  focusUnlessTouch() {
    if (!touch.matches) this.composer.focus();
  }

  /** A filled-in template goes out, to the open conversation or to another one. */
  sendTemplate(id, filled) {
    const { state, sender } = this.#host;
    if (id === state.selectedId) this.#send(filled.text, filled);
    else sender.send(id, filled.text, { filled });
  }

  /** A text to be mended and sent again: below what the field holds. */
  append(id, text) {
    const typed = this.composer.text.trim();
    this.composer.setText(typed ? `${this.composer.text}\n${text}` : text);
    this.drafts.set(id, this.composer.text);
  }

  /** Who answers a conversation, and who is about to: as Claude's `ownership`. */
  ownershipOf(conversation) {
    const words = this.#typing.words(conversation.id);
    const ownership = this.#host.claude.ownership(conversation);
    return words ? { ...ownership, isReplying: true, replyingWords: words } : ownership;
  }

  /** By the header's button: whoever takes the open conversation is about to write. */
  async giveOpen(owner) {
    const { state, claude } = this.#host;
    const id = state.selectedId;
    const done = await claude.give(id, owner);
    if (done && owner === "human" && id === state.selectedId) this.focusUnlessTouch();
  }

  /** A message waits for a word in a conversation that is not open. */
  tellHeld(id, { author }) {
    const { state, unread, toast } = this.#host;
    if (id === state.selectedId) return;
    const name = displayName(state.conversation(id));
    const words = `${author?.name ?? "Alguém"} respondeu a ${name} antes: sua mensagem aguarda confirmação`;
    toast.show(words, { label: "Abrir", run: () => unread.select(state.resolve(id)) });
  }

  onEvent(event) {
    this.#quickReplies.onEvent(event);
    this.#typing.onEvent(event);
  }

  /** The stream lost its place: what is known may be old. */
  refresh() {
    return this.#quickReplies.refresh();
  }

  /** Another tab of this attendant typed, or sent. */
  onStorage(event) {
    const id = this.drafts.onStorage(event);
    if (id === null) return;
    this.#suggestions.edited(id, this.drafts.get(id));
    this.#showDraft(id);
    this.#host.onChange();
  }

  merged(loser, winner) {
    this.drafts.move(loser, winner);
    this.#suggestions.move(loser, winner);
    this.#beginnings.move(loser, winner);
    this.media.merged(loser, winner);
    this.#showDraft(winner);
  }

  /** The conversation is no more: nothing of it is kept. */
  erased(id) {
    this.#suggestions.drop(id);
    this.media.erased(id);
    this.drafts.set(id, "");
  }

  forget() {
    this.drafts.forget();
    this.#emojiMemory.forget();
    this.media.forget();
  }

  #send(text, filled = null) {
    const { state, sender, unread, takeReply, onSent } = this.#host;
    const id = state.selectedId;
    const [replyTo, after] = [takeReply(id), this.#beginnings.take(id)];
    sender.send(id, text, { readUpTo: unread.answered(), replyTo, after, filled });
    onSent();
  }

  /** Not sent after what a colleague has answered: back where it can be changed. */
  #recallHeld() {
    const { state, sender, restoreReply } = this.#host;
    const id = state.selectedId;
    const recalled = sender.recall(id);
    const texts = recalled.filter(({ media }) => !media).map(({ text }) => text);
    this.#fillDraft(id, [...texts, this.drafts.get(id)].filter(Boolean).join("\n"));
    restoreReply(id, recalled.find(({ reply_to: quoted }) => quoted)?.reply_to);
    this.media.reopen(id, recalled.filter(({ file }) => file));
  }

  /** A draft changed by other means than typing here. */
  #showDraft(id) {
    const draft = this.drafts.get(id);
    if (id === this.#host.state.selectedId && this.composer.text !== draft) this.composer.setText(draft);
  }

  /** What the field holds, by other means than typing. */
  #fillDraft(id, text) {
    this.drafts.set(id, text);
    this.#showDraft(id);
    const isHere = id === this.#host.state.selectedId && this.#pane.contains(document.activeElement);
    if (isHere) this.focusUnlessTouch();
  }

  /** Whether Claude may draft an answer there: a person answers it, and something can be written. */
  #canSuggest(id) {
    const { state, claude, now } = this.#host;
    const conversation = state.conversation(id);
    if (!conversation || !claude.ownership(conversation).canGive) return false;
    return windowState(conversation, new Date(now())).state !== "closed";
  }

  #offerQuickReplies() {
    const { completions } = this.composer;
    this.#quickReplies = new QuickReplies({
      api: this.#host.api,
      onChange: () => {
        this.#quickRepliesDialog.render();
        completions.update();
      },
    });
    this.#quickRepliesDialog = new QuickRepliesDialog(this.#quickReplies, {
      onUse: (reply) => this.#insertReply(reply),
    });
    completions.add(quickReplyWords(this.#quickReplies, {
      taken: (reply) => this.#replyHere(reply),
      onManage: () => this.#quickRepliesDialog.open({ isNew: this.#quickReplies.all?.length === 0 }),
    }));
  }

  /** A kept answer for the open conversation's customer: the text, and the blank that is left in it. */
  #replyHere({ text }) {
    const { state } = this.#host;
    const filled = filledIn(text, state.conversation(state.selectedId));
    return { text: filled, select: blankOf(filled) };
  }

  #insertReply(reply) {
    const { text, select } = this.#replyHere(reply);
    this.composer.focus();
    this.composer.insert(text, { select });
  }

  #offerEmoji(storage) {
    const { completions } = this.composer;
    const emoji = new Emoji(EMOJI_NAMES);
    this.#emojiMemory = new EmojiMemory(storage, this.#host.userId);
    this.#emojiPicker = new EmojiPicker(this.#pane, {
      emoji,
      memory: this.#emojiMemory,
      onPick: (text, { byMouse }) => {
        this.composer.insert(text);
        if (byMouse) this.focusUnlessTouch();
      },
      onClose: () => this.composer.focus(),
    });
    completions.add(emojiWords(emoji, {
      shown: (found) => this.#emojiPicker.inTone(found),
      onTaken: (text) => this.#emojiMemory.chose(text),
      onLoad: () => completions.update(),
    }));
    return emoji;
  }

  /** What else can be sent: whoever offers something adds an entry. */
  #offerInPlusMenu() {
    const { state, onTemplates } = this.#host;
    const isAvailable = () => this.composer.isOpen;
    this.#plusMenu = new PlusMenu(this.#pane);
    this.media.offerIn(this.#plusMenu, isAvailable);
    this.#plusMenu.add({
      label: "Enviar modelo",
      sign: "template",
      run: () => onTemplates(state.selectedId),
      isAvailable,
    });
    this.#plusMenu.add({
      label: "Respostas rápidas",
      sign: "quick",
      run: () => this.#quickRepliesDialog.open(),
      isAvailable,
    });
  }
}
