/** What can be done with a conversation from the list or from its header, in WhatsApp's order. */

import { lastArrived } from "../../unread_state.js";
import { displayName } from "../parts/format.js";
import { openMenu } from "../parts/menu.js";

const FAILED = "Não foi possível. Verifique a conexão e tente novamente.";

export class ConversationMenu {
  #unread;
  #state;
  #loader;
  #toast;
  #claude;
  #organizer;
  #onLabel;

  /** `organizer`: the Organizer; `onLabel(id)`: the attendant wants to choose its labels. */
  constructor({ unread, state, loader, toast, claude, organizer, onLabel }) {
    this.#claude = claude;
    this.#unread = unread;
    this.#state = state;
    this.#loader = loader;
    this.#toast = toast;
    this.#organizer = organizer;
    this.#onLabel = onLabel;
  }

  /** `at`: a point of the window; `from`: what was clicked, or has the keyboard focus; `first`:
   * items that stand above the others. */
  open(id, { at, from, first = [] }) {
    const conversation = this.#state.conversation(id);
    if (!conversation) return;
    const items = [...first, ...this.#giving(conversation), ...this.#organizing(conversation)];
    openMenu({ label: `Opções de ${displayName(conversation)}`, items, at, from });
  }

  #giving(conversation) {
    const { canTake, canGive } = this.#claude.ownership(conversation);
    const giveTo = (owner) => () => this.#claude.give(conversation.id, owner);
    return [
      canTake && { label: "Assumir a conversa", run: giveTo("human") },
      canGive && { label: "Passar ao Claude", run: giveTo("claude") },
    ].filter(Boolean);
  }

  #organizing({ id, archived, muted, pinned }) {
    const organizer = this.#organizer;
    return [
      {
        label: archived ? "Desarquivar conversa" : "Arquivar conversa",
        run: () => organizer.archive(id, !archived),
      },
      {
        label: muted ? "Reativar notificações" : "Silenciar notificações",
        run: () => organizer.mute(id, !muted),
      },
      !archived && {
        label: pinned ? "Desafixar conversa" : "Fixar conversa",
        run: () => organizer.pin(id, !pinned),
      },
      this.#unread.isUnread(id)
        ? { label: "Marcar como lida", run: () => this.markRead(id) }
        : { label: "Marcar como não lida", run: () => this.markUnread(id) },
      { label: "Etiquetar conversa", run: () => this.#onLabel(id) },
    ].filter(Boolean);
  }

  /** Undoing takes only the mark away: it reads up to a message that was read before, and what
   * arrived since stays unread. Where something is unread already, no reading would do just that. */
  markUnread(id) {
    const readUpTo = this.#unread.badge(id).count === 0 && this.#state.conversation(id)?.last_message?.id;
    return this.#try(async () => {
      await this.#unread.markUnread(id);
      const run = () => this.#try(() => this.#unread.markRead(this.#state.resolve(id), readUpTo));
      this.#toast.show("Conversa marcada como não lida", readUpTo ? { label: "Desfazer", run } : null);
    });
  }

  /** Up to the message that arrived last: of the thread, which is fetched where it is not open. */
  markRead(id) {
    return this.#try(async () => {
      await this.#loader.openThread(id);
      const last = lastArrived(this.#state.thread(id).messages);
      if (!last) throw Object.assign(new Error("nothing to read up to"), { status: 0 });
      await this.#unread.markRead(id, last.id);
    });
  }

  async #try(run) {
    try {
      await run();
    } catch (error) {
      if (error.status === undefined) throw error;
      this.#toast.show(FAILED);
    }
  }
}
