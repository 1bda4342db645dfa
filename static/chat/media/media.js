/** What a click on a bubble's media does: the viewer, or a conversation with a contact's number. */

import { Heard, nextVoice } from "./voice/heard.js";
import { player } from "./voice/player.js";
import { Viewer } from "./viewer/viewer.js";

export class Media {
  #state;
  #loader;
  #viewer;
  #heard;
  #onTalk;
  #playedIn = null; // the conversation in which something plays

  /**
   * `storage`: localStorage; `userId`; `state`, `loader`; shown(message): with what only this page has of
   * it; `now()`: the server's milliseconds; onForward(messages), onJump(messageId); onTalk(phone, name): a conversation with that number is wanted.
   */
  constructor({ storage, userId, state, loader, shown, now, onForward, onJump, onTalk }) {
    this.#state = state;
    this.#loader = loader;
    this.#onTalk = onTalk;
    this.#heard = new Heard(storage, userId);
    this.#viewer = new Viewer({
      state,
      shown,
      now,
      loadUntil: (...given) => loader.loadUntil(...given),
      onForward: (message) => onForward([message]),
      onJump,
    });
    player.configure({ heard: this.#heard, nextOf: (message) => this.#nextOf(message) });
  }

  /** Whether it was for this: `action` of a button in a message's bubble. */
  act(action, messageId, button) {
    if (action === "view") this.view(messageId);
    else if (action === "talk") this.#onTalk(button.dataset.phone);
    else return false;
    return true;
  }

  view(messageId) {
    this.#viewer.open(this.#state.selectedId, messageId);
  }

  /** One that may be further up than the thread is loaded: the viewer shows what is. */
  async viewFar({ id, position }) {
    const chat = this.#state.selectedId;
    const isWanted = () => this.#state.selectedId === chat;
    await this.#loader.loadDownTo(chat, position, isWanted);
    if (isWanted() && this.#state.thread(chat).find(id)) this.view(id);
  }

  /** With each drawing of the page. What plays belongs to the conversation it is in. */
  render() {
    const { selectedId } = this.#state;
    this.#viewer.render(selectedId);
    if (selectedId !== this.#playedIn) player.pause();
    this.#playedIn = selectedId;
  }

  /** The attendant logs out. */
  forget() {
    player.pause();
    this.#heard.forget();
  }

  #nextOf(message) {
    const { messages } = this.#state.thread(this.#state.selectedId);
    return nextVoice(messages, message, (each) => this.#heard.has(each.id));
  }
}
