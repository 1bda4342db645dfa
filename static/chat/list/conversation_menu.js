/** What can be done with a conversation from the list or from its header: take, mark, read, silence. */

import { lastArrived } from "../../unread_state.js";
import { displayName } from "../parts/format.js";
import { openMenu } from "../parts/menu.js";

const FAILED = "Não foi possível. Verifique a conexão e tente de novo.";

export class ConversationMenu {
  #unread;
  #state;
  #loader;
  #api;
  #toast;
  #claude;

  constructor({ unread, state, loader, api, toast, claude }) {
    this.#claude = claude;
    this.#unread = unread;
    this.#state = state;
    this.#loader = loader;
    this.#api = api;
    this.#toast = toast;
  }

  /** `at`: a point of the window; `from`: what was clicked, or has the keyboard focus; `more`: what
   * else it offers there. */
  open(id, { at, from }, more = []) {
    const conversation = this.#state.conversation(id);
    if (!conversation) return;
    const { muted } = conversation;
    const reading = this.#unread.isUnread(conversation.id)
      ? { label: "Marcar como lida", run: () => this.markRead(conversation.id) }
      : { label: "Marcar como não lida", run: () => this.markUnread(conversation.id) };
    const silence = {
      label: muted ? "Reativar notificações" : "Silenciar notificações",
      run: () => this.#mute(conversation.id, !muted),
    };
    const items = [...this.#giving(conversation), ...more, reading, silence];
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

  #mute(id, muted) {
    return this.#try(async () => {
      this.#state.putConversation(await this.#api.mute(id, muted));
      const undo = { label: "Desfazer", run: () => this.#mute(id, !muted) };
      this.#toast.show(muted ? "Notificações silenciadas" : "Notificações reativadas", undo);
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
