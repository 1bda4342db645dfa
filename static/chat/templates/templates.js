/** All that templates are for on this page: after the 24 hours, and to begin a conversation. */

import { ApiError } from "../data/api.js";
import { displayName, knownName } from "../parts/format.js";
import { TemplateCatalog } from "./catalog.js";
import { NewChat } from "./new_chat.js";
import { TemplateDialog } from "./template_dialog.js";

const BEGIN = "A primeira mensagem a um cliente tem que ser um modelo aprovado: é a regra do WhatsApp.";

export class Templates {
  #dialog;
  #newChatButton;
  #newChat;
  #state;
  #api;
  #newId;
  #onSend;
  #onSelect;
  #onBegun;

  /**
   * `app`: the page's frame, with a `.new-chat-button` and any number of `.template-open` in it.
   * onSend(id, {text, template, asked}): into this conversation; onSelect(id): one that was there;
   * onBegun(conversation): it has just been made. `newId()`: of a message.
   */
  constructor(app, { state, loader, api, newId, onSend, onSelect, onBegun }) {
    this.#state = state;
    this.#api = api;
    this.#newId = newId;
    this.#onSend = onSend;
    this.#onSelect = onSelect;
    this.#onBegun = onBegun;
    this.#dialog = new TemplateDialog({ catalog: new TemplateCatalog({ api }) });
    this.#newChat = new NewChat(app.querySelector(".list-pane"), {
      state, loader, api, onSelect, onNumber: (number) => this.#begin(number),
    });
    this.#newChatButton = app.querySelector(".new-chat-button");
    app.addEventListener("click", ({ target }) => {
      if (target.closest(".new-chat-button")) this.newChat();
      else if (target.closest(".template-open")) this.open(state.selectedId);
    });
  }

  /** Chooses a template for a conversation; `again`: a message whose template is to be sent anew. */
  open(id, again = null) {
    const conversation = this.#state.conversation(id);
    if (!conversation) return;
    this.#dialog.open({
      to: displayName(conversation),
      name: knownName(conversation),
      again,
      onSend: (filled) => this.#onSend(this.#state.resolve(conversation.id), filled),
    });
  }

  /** To whom a new conversation is to be. */
  newChat() {
    this.#newChat.open(this.#newChatButton);
  }

  /** Goes to the conversation with a number, of which the first message is a template where there is none
   * yet. Throws an ApiError in words where it is no number. */
  async talkTo(phone) {
    const { conversation, number, problem, ...found } = await this.#api.call("POST", "/api/contacts/number", { number: phone });
    if (conversation) {
      this.#state.putConversation(conversation);
      this.#onSelect(conversation.id);
    } else if (number) this.#begin({ number, phone: found.phone });
    else throw new ApiError(problem, { status: 422, code: "invalid" });
  }

  /** Whether that was open. */
  closeNewChat() {
    return this.#newChat.close();
  }

  render() {
    this.#newChat.render();
  }

  #begin({ number, phone }) {
    // Trying again with the same id reaches the customer once, whatever became of the first try.
    const ids = new Map(); // what is asked for -> client_id
    this.#dialog.open({
      to: phone,
      rule: BEGIN,
      onSend: async ({ asked }) => {
        const key = JSON.stringify(asked);
        if (!ids.has(key)) ids.set(key, this.#newId());
        const body = { client_id: ids.get(key), number, template: asked };
        const { conversation } = await this.#api.call("POST", "/api/conversations", body);
        this.#state.putConversation(conversation);
        return () => {
          this.#newChat.close();
          this.#onBegun(conversation);
        };
      },
    });
  }
}
