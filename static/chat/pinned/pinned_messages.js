/** The messages that the team has pinned in a chat: the bar over the thread, pinning, letting go. */

import { displayName } from "../parts/format.js";
import { previewText } from "../parts/media_format.js";
import { PinDialog } from "./pin_dialog.js";
import { PinnedBar } from "./pinned_bar.js";

const FAILED = "Não foi possível. Verifique a conexão e tente novamente.";

export class PinnedMessages {
  #host;
  #bar;
  #dialog = new PinDialog();
  #found = new Map(); // id → message, of those that are pinned in the open conversation
  #asked = null; // the ids asked for last, as one text: not asked for twice
  #marked = new WeakMap(); // message → the same, marked as pinned

  /** `pane`: the thread's; `state`, `api`, `toast`; `viewer`: the attendant's name; confirm(text, yes);
   * `now()`: the server's milliseconds; onJump(messageId); onChange(): draw again. */
  constructor(pane, host) {
    this.#host = host;
    this.#bar = new PinnedBar(pane, {
      onJump: host.onJump,
      onUnpin: (messageId) => this.unpin(messageId),
    });
  }

  /** With each drawing of the open conversation. */
  render(conversation) {
    const ids = this.#ids(conversation);
    const messages = ids.map((id) => this.#message(conversation.id, id));
    if (messages.includes(null)) this.#fetch(conversation.id, ids);
    const customerName = displayName(conversation);
    this.#bar.render(conversation.id, messages.filter((each) => each && !each.revoked_at).map((each) => ({
      id: each.id,
      author: this.#authorOf(each, customerName),
      text: previewText(each),
    })));
  }

  /** A message as it is to be drawn: with `is_pinned` where it is; of the same one the same object. */
  mark(message, conversation) {
    if (!this.#ids(conversation).includes(message.id)) return message;
    if (!this.#marked.has(message)) this.#marked.set(message, { ...message, is_pinned: true });
    return this.#marked.get(message);
  }

  /** Asks for how long, and pins. */
  async pin(messageId) {
    const { state, confirm } = this.#host;
    const id = state.selectedId;
    const days = await this.#dialog.ask();
    if (days === null) return;
    const post = (replace) => this.#call("POST", id, messageId, { days, replace });
    await this.#try(() => post(false).catch(async (error) => {
      if (error.code !== "too_many_pins") throw error;
      return (await confirm(error.message, "Substituir")) && post(true);
    }), "Mensagem fixada");
  }

  unpin(messageId) {
    const id = this.#host.state.selectedId;
    return this.#try(() => this.#call("DELETE", id, messageId), "Mensagem desafixada");
  }

  /** An event of the stream: what is pinned may stand far above what is loaded. */
  onEvent({ type, data }) {
    if (type !== "message.updated" || !this.#found.has(data?.message?.id)) return;
    this.#found.set(data.message.id, data.message);
    this.#host.onChange();
  }

  /** The conversation is no more. */
  erased(id) {
    this.#found.clear();
    this.#bar.render(id, []);
  }

  /** After what was missed. */
  refresh() {
    this.#asked = null;
    this.#found.clear();
    this.#host.onChange();
  }

  #ids({ pinned_messages: pins = [] }) {
    return pins.filter(({ until }) => Date.parse(until) > this.#host.now()).map(({ id }) => id);
  }

  #message(conversationId, id) {
    return this.#host.state.knownThread(conversationId)?.find(id) ?? this.#found.get(id) ?? null;
  }

  #authorOf({ author, direction }, customerName) {
    if (direction === "in") return author?.name || customerName;
    return author?.kind === "attendant" && author.name === this.#host.viewer ? "Você" : author?.name;
  }

  async #fetch(id, ids) {
    const question = `${id} ${ids.join(" ")}`;
    if (question === this.#asked) return;
    this.#asked = question;
    try {
      const { messages } = await this.#host.api.call("GET", pathOf(id));
      this.#found = new Map(messages.map((each) => [each.id, each]));
      this.#host.onChange();
    } catch (error) {
      if (error.name !== "ApiError") throw error; // without an answer the bar lacks them, for once
    }
  }

  async #call(method, id, messageId, body) {
    const { api, state } = this.#host;
    const path = `${pathOf(state.resolve(id))}/${encodeURIComponent(messageId)}`;
    state.putConversation((await api.call(method, path, body)).conversation);
    return true;
  }

  async #try(run, words) {
    const { toast } = this.#host;
    try {
      if (await run()) toast.show(words);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      toast.show(error.unavailable ? FAILED : error.message);
    }
  }
}

const pathOf = (id) => `/api/conversations/${encodeURIComponent(id)}/pinned-messages`;
