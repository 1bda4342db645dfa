/** What an attendant does with single messages: answers them, reacts, passes them on, selects them. */

import { MAX_TEXT_LENGTH } from "../composer/composer.js";
import { offersOf } from "../message/offers.js";
import { quoteWithOwnName } from "../data/own_name.js";
import { copyImage, saveFile } from "../media/saving.js";
import { displayName, isSeen, windowState } from "../parts/format.js";
import { MessageMenu } from "../thread/message_menu.js";
import { copiedText } from "./copying.js";
import { ForwardDialog } from "./forward_dialog.js";
import { openReactionRow, openReactors } from "./reaction_popups.js";
import { Reactions, ownReaction } from "./reactions.js";
import { QuoteBar, Replies, quoteOf } from "./replies.js";
import { Selection } from "./selection.js";
import { onSwipeRight } from "./swipe.js";
import { touch } from "../parts/dom.js";

const CLOSED = "Só depois que o cliente escrever de novo: faz mais de 24 horas";
const TOO_OLD = "Só em mensagens de até 30 dias";
const NOTHING_TO_FORWARD = "Só textos e arquivos podem ser encaminhados";
const NOT_HERE_YET = "O arquivo ainda está chegando";
const UNAVAILABLE = "O arquivo não está mais disponível";
const TOO_LONG = `Só textos de até ${MAX_TEXT_LENGTH.toLocaleString("pt-BR")} caracteres`;
const IN_A_GROUP = "Grupos não aceitam reações da empresa";
/** The server's MOST_DAYS. */
const REACTION_MS = 30 * 86_400_000;

export class MessageActions {
  #host;
  #replies;
  #reactions;
  #bar;
  #menu;
  #selection;
  #forwarding;

  /**
   * `pane`: the thread's; `state`, `api`, `loader`, `sender`, `composer`; `user`: {id, name};
   * `storage`: localStorage or alike; `now()`: the server's milliseconds; onDetails(messageId);
   * onPin(messageId, on): a message is to be pinned, or not any more;
   * onJump(messageId); onForwarded(conversationIds): messages are on their way there; onChange():
   * draw again; onNewest(): the newest message is to be drawn; onTold(words).
   */
  constructor({ pane, storage, ...host }) {
    this.#host = host;
    const { state, api, loader, user, now, onTold } = host;
    this.#replies = new Replies(storage, user.id);
    this.#reactions = new Reactions({ state, api, userName: user.name, onFailed: onTold });
    this.#bar = new QuoteBar(pane, { onDrop: () => this.#drop(), onJump: host.onJump });
    this.#forwarding = new ForwardDialog({ state, loader, now });
    this.#selection = new Selection(pane, {
      ordered: (id, ids) => state.thread(id).messages.filter((each) => ids.has(each.id) && !each.revoked_at),
      canForward: (messages) => messages.every((each) => !whyNoForwarding(each)),
      onCopy: (messages) => this.#copy(messages),
      onForward: (messages) => this.forward(messages),
      onEnd: () => !touch.matches && host.composer.focus(),
    });
    const content = pane.querySelector(".thread-content");
    this.#menu = new MessageMenu(content, {
      onAction: (name, messageId, bubble) => this.#act(name, messageId, bubble),
      whyNot: (name, messageId) => this.#whyNot(name, messageId),
      onLeave: () => host.composer.focus(),
    });
    content.addEventListener("click", (event) => this.#clicked(event));
    content.addEventListener("dblclick", (event) => this.#doubleClicked(event));
    onSwipeRight(content, {
      find: (target) => (this.#selection.isOn ? null : answerable(target)),
      run: (node) => this.#reply(node.dataset.messageId),
    });
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
    this.#bar.render(quoteWithOwnName(live && shown ? quoteOf(live) : shown, conversation), this.#who(conversation));
    this.#menu.setTabStop();
    this.#selection.render(id);
    this.#forwarding.render();
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

  /** Puts the keyboard on the newest message; whether there is one. */
  focusNewest() {
    this.#host.onNewest();
    return this.#menu.focusNewest();
  }

  /** The conversations in which an answer is begun. */
  get answeredIds() {
    return this.#replies.ids;
  }

  /** Escape was pressed: whether it ended something here. */
  escape() {
    if (this.#selection.end()) return true;
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
    this.#selection.merged(from, to);
  }

  /** Another conversation is on screen, or none. */
  left() {
    this.#selection.end();
  }

  erased(id) {
    this.#replies.set(id, null);
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
    if (name === "forward") return whyNoForwarding(this.#find(messageId));
    const age = this.#host.now() - Date.parse(this.#find(messageId)?.sent_at);
    return name === "react" && age > REACTION_MS ? TOO_OLD : null;
  }

  #act(name, messageId, node) {
    if (name === "details") this.#host.onDetails(messageId);
    if (name === "reply") this.#reply(messageId);
    if (name === "react") this.#react(messageId, node);
    if (name === "forward") this.forward([this.#find(messageId)]);
    if (name === "download") saveFile(this.#find(messageId));
    if (name === "copy-image") this.#copyImage(this.#find(messageId));
    if (name === "pin" || name === "unpin") this.#host.onPin(messageId, name === "pin");
    if (name === "select") this.#selection.begin(this.#open().id, messageId);
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
    const node = answerable(event.target);
    if (!node || event.target.closest("a, button")) return;
    getSelection()?.empty(); // the word that the two clicks have marked
    this.#reply(node.dataset.messageId);
  }

  #reply(messageId) {
    const { id } = this.#open();
    const message = this.#find(messageId);
    if (!message) return;
    const whyNot = this.#whyNot("reply", messageId);
    if (whyNot) {
      this.#host.onTold(whyNot);
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
      this.#host.onTold(whyNot);
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

  async #copy(messages) {
    const { conversation } = this.#open();
    const text = copiedText(messages, { customerName: displayName(conversation) });
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      this.#host.onTold("O navegador não deixou copiar.");
      return;
    }
    this.#selection.end();
    this.#host.onTold(messages.length === 1 ? "Mensagem copiada" : "Mensagens copiadas");
  }

  async #copyImage(message) {
    try {
      await copyImage(message);
      this.#host.onTold("Imagem copiada");
    } catch {
      this.#host.onTold("Não foi possível copiar a imagem.");
    }
  }

  /** Asks to which chats these go, and sends them there. */
  forward(messages) {
    const { sender, onForwarded } = this.#host;
    this.#forwarding.open((ids) => {
      for (const id of ids) {
        for (const message of messages) {
          sender.send(id, message.text, { forwarded: true, ...(message.media && { copied: copyOf(message) }) });
        }
      }
      this.#selection.end();
      onForwarded(ids);
    });
  }
}

/** The message there, if it is one that can be answered. */
function answerable(target) {
  const node = target.closest("[data-message-id]");
  const offers = node?.querySelector(".bubble-chevron")?.dataset.offers ?? "";
  return offers.split(" ").includes("reply") ? node : null;
}

/** Why it cannot be sent again as it is, in words; null for a text of at most what WhatsApp takes, and
 * for media that are here. */
function whyNoForwarding(message) {
  const offered = Boolean(message) && offersOf(message, { hasContent: true }).includes("forward");
  if (!offered) return NOTHING_TO_FORWARD;
  const { media, text, type } = message;
  if (media) return { pending: NOT_HERE_YET, unavailable: UNAVAILABLE }[media.state] ?? null;
  if (type !== "text" || !isSeen(text)) return NOTHING_TO_FORWARD;
  return [...text].length > MAX_TEXT_LENGTH ? TOO_LONG : null;
}

/** Of a message with media what is sent: it is shown from the original as long as it is on its way. */
const copyOf = ({ id, type, media }) => ({ forward_of: id, type, media });
