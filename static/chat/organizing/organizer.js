/** Pin, archive, mute, label, rename: asks the server, shows what it says, offers the way back. */

const FAILED = "Não foi possível. Verifique a conexão e tente novamente.";

export class Organizer {
  #api;
  #state;
  #toast;

  constructor({ api, state, toast }) {
    this.#api = api;
    this.#state = state;
    this.#toast = toast;
  }

  pin(id, pinned) {
    const undo = { label: "Desfazer", run: () => this.pin(id, !pinned) };
    return this.#set(id, { pinned }, pinned ? "Conversa fixada" : "Conversa desafixada", undo);
  }

  /** Undoing it does not pin again what was pinned. */
  archive(id, archived) {
    const undo = { label: "Desfazer", run: () => this.archive(id, !archived) };
    return this.#set(id, { archived }, archived ? "Conversa arquivada" : "Conversa desarquivada", undo);
  }

  mute(id, muted) {
    const undo = { label: "Desfazer", run: () => this.mute(id, !muted) };
    return this.#set(id, { muted }, muted ? "Notificações silenciadas" : "Notificações reativadas", undo);
  }

  /** What is on goes off, and the other way round. `what`: "pin", "archive" or "mute". */
  toggle(what, id) {
    const conversation = this.#state.conversation(id);
    if (!conversation) return;
    const { pinned, archived, muted } = conversation;
    if (what === "pin") this.pin(id, !pinned);
    else if (what === "archive") this.archive(id, !archived);
    else this.mute(id, !muted);
  }

  /** Puts labels on a conversation and takes others off, by their ids. Rejects with an
   * ApiError for who asked. */
  label(id, { add = [], remove = [] }) {
    return this.#post(id, "labels", { add, remove });
  }

  /** An empty name: as WhatsApp tells it. Rejects with an ApiError for who asked. */
  rename(id, name) {
    return this.#post(id, "name", { name });
  }

  #set(id, change, words, undo) {
    const [what] = Object.keys(change);
    return this.#try(async () => {
      await this.#post(id, what, change);
      this.#toast.show(words, undo);
    });
  }

  async #post(id, what, body) {
    const path = `/api/conversations/${encodeURIComponent(this.#state.resolve(id))}/${what}`;
    this.#state.putConversation((await this.#api.call("POST", path, body)).conversation);
  }

  async #try(run) {
    try {
      await run();
      return true;
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#toast.show(error.unavailable ? FAILED : error.message);
      return false;
    }
  }
}
