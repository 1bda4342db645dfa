/** What an attendant does with single messages: answers them, reacts, passes them on, selects them. */

import { displayName, windowState } from "../parts/format.js";
import { MessageMenu } from "../thread/message_menu.js";
import { openReactionRow, openReactors } from "./reaction_popups.js";
import { Reactions, ownReaction } from "./reactions.js";
import { QuoteBar, Replies, quoteOf } from "./replies.js";

const CLOSED = "Só depois que o cliente escrever de novo: faz mais de 24 horas";
const TOO_OLD = "Só em mensagens de até 30 dias";
const IN_A_GROUP = "Grupos não aceitam reações da empresa";
/** The server's MOST_DAYS. */
const REACTION_MS = 30 * 86_400_000;

export class MessageActions {
  #host;
  #replies;
  #reactions;
  #bar;
  #menu;

  /**
   * `pane`: the thread's; `state`, `api`, `composer`; `user`: {id, name}; `storage`: localStorage or
   * alike; `now()`: the server's milliseconds; onDetails(messageId); onJump(messageId); onChange():
   * draw again; onFailed(words).
   */
  constructor({ pane, storage, ...host }) {
    this.#host = host;
    const { state, api, user } = host;
    this.#replies = new Replies(storage, user.id);
    this.#reactions = new Reactions({ state, api, userName: user.name, onFailed: host.onFailed });
    this.#bar = new QuoteBar(pane, { onDrop: () => this.#drop(), onJump: host.onJump });
    const content = pane.querySelector(".thread-content");
    this.#menu = new MessageMenu(content, {
      onAction: (name, messageId, bubble) => this.#act(name, messageId, bubble),
      whyNot: (name, messageId) => this.#whyNot(name, messageId),
    });
    content.addEventListener("click", (event) => this.#clicked(event));
    content.addEventListener("dblclick", (event) => this.#doubleClicked(event));
  }

  /** With each drawing of the open conversation. */
  render(conversation) {
    const { id } = conversation;
    let quoted = this.#replies.get(id);
    const live = quoted && this.#host.state.thread(id).find(quoted.id);
    if (live?.revoked_at) {
      this.#replies.set(id, null);
      quoted = null;
    }
    const shown = this.#isClosed(conversation) ? null : quoted;
    this.#bar.render(live && shown ? quoteOf(live) : shown, this.#who(conversation));
    this.#menu.setTabStop();
  }

  /** What the message that goes out now answers; the next one answers nothing. */
  takeReply(id) {
    const quoted = this.#replies.get(id);
    if (quoted) this.#replies.set(id, null);
    return quoted;
  }

  /** A message that could not be sent goes back into the field, and what it answered with it. */
  restoreReply(id, quoted) {
    if (quoted && !this.#replies.get(id)) this.#replies.set(id, quoted);
  }

  /** Escape was pressed: whether it ended something here. */
  escape() {
    if (!this.#bar.isShown) return false;
    this.#drop();
    return true;
  }

  onEvent(event) {
    this.#reactions.onEvent(event);
  }

  onStorage(event) {
    if (this.#replies.onStorage(event)) this.#host.onChange();
  }

  merged(from, to) {
    this.#replies.move(from, to);
  }

  forget() {
    this.#replies.forget();
  }

  #who(conversation) {
    return { viewer: this.#host.user.name, customerName: displayName(conversation) };
  }

  #open() {
    const { state } = this.#host;
    return { id: state.selectedId, conversation: state.conversation(state.selectedId) };
  }

  #find(messageId) {
    const { state } = this.#host;
    return state.thread(state.selectedId).find(messageId) ?? null;
  }

  #isClosed(conversation) {
    return windowState(conversation, new Date(this.#host.now())).state === "closed";
  }

  /** Why something cannot be done with this message now; null when it can. */
  #whyNot(name, messageId) {
    const { conversation } = this.#open();
    if (name === "react" && conversation.is_group) return IN_A_GROUP;
    if (["reply", "react"].includes(name) && this.#isClosed(conversation)) return CLOSED;
    const age = this.#host.now() - Date.parse(this.#find(messageId)?.sent_at);
    return name === "react" && age > REACTION_MS ? TOO_OLD : null;
  }

  #act(name, messageId, node) {
    if (name === "details") this.#host.onDetails(messageId);
    if (name === "reply") this.#reply(messageId);
    if (name === "react") this.#react(messageId, node);
  }

  #clicked(event) {
    const button = event.target.closest(".react-button, .reactions");
    const node = button?.closest("[data-message-id]");
    if (!node) return;
    const { messageId } = node.dataset;
    if (button.matches(".reactions")) this.#showReactors(messageId, button);
    else this.#react(messageId, node);
  }

  /** As in WhatsApp Web: anywhere on a message but on what does something by itself. */
  #doubleClicked(event) {
    const node = event.target.closest("[data-message-id]");
    const offers = node?.querySelector(".bubble-chevron")?.dataset.offers ?? "";
    if (!offers.split(" ").includes("reply") || event.target.closest("a, button")) return;
    getSelection()?.empty(); // the word that the two clicks have marked
    this.#reply(node.dataset.messageId);
  }

  #reply(messageId) {
    const { id } = this.#open();
    const message = this.#find(messageId);
    if (!message) return;
    const whyNot = this.#whyNot("reply", messageId);
    if (whyNot) {
      this.#host.onFailed(whyNot);
      return;
    }
    this.#replies.set(id, quoteOf(message));
    this.#host.onChange();
    this.#host.composer.focus();
  }

  #drop() {
    this.#replies.set(this.#open().id, null);
    this.#host.onChange();
    this.#host.composer.focus();
  }

  #react(messageId, node) {
    const { id } = this.#open();
    const whyNot = this.#whyNot("react", messageId);
    if (whyNot) {
      this.#host.onFailed(whyNot);
      return;
    }
    openReactionRow(node.querySelector(".bubble"), {
      current: ownReaction(this.#find(messageId))?.emoji ?? null,
      from: node.querySelector(".bubble-chevron"),
      onPick: (emoji) => this.#reactions.give(id, messageId, emoji),
    });
  }

  #showReactors(messageId, pill) {
    const { id } = this.#open();
    const { reactions } = this.#find(messageId) ?? {};
    if (!reactions?.length) return;
    openReactors(pill, {
      reactions,
      viewer: this.#host.user.name,
      onRemove: this.#whyNot("react", messageId)
        ? null
        : (emoji) => this.#reactions.give(id, messageId, emoji),
    });
  }
}
