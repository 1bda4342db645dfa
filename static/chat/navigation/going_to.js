/** The ways to one message: to a quoted one, to what a search has found, to what came late, and to
 * where it was forwarded. */

import { unreadLabel } from "../../unread_state.js";
import { setHidden, setText } from "../parts/dom.js";

const NOT_HERE = "A mensagem original não está nesta conversa.";
const NOT_LOADED = "Não foi possível carregar a mensagem. Verifique a conexão e tente novamente.";

export class GoingTo {
  #lateButton;
  #host;

  /** `lateButton`: the way to what came late; `state`, `loader`, `unread`, `placing`, `toast`;
   * `view`: the ThreadView; render(): draws now; onChange(): draw again. */
  constructor(lateButton, { state, loader, unread, placing, view, toast, render, onChange }) {
    this.#lateButton = lateButton;
    this.#host = { state, loader, unread, placing, view, toast, render, onChange };
    lateButton.addEventListener("click", () => this.message(unread.unseen()[0]));
  }

  /** With each drawing of the open conversation; `settled`: it stands where it is to stand. What came
   * late stands above what is on screen, unread until it was seen: the way there. */
  render({ settled }) {
    const ids = settled ? this.#host.unread.unseen() : [];
    setHidden(this.#lateButton, ids.length === 0);
    setText(this.#lateButton.querySelector(".late-text"), unreadLabel(ids.length));
  }

  /** To a message of which only the id is known, however far up it is. */
  async message(messageId) {
    const { state, loader, toast } = this.#host;
    const id = state.selectedId;
    const isWanted = () => state.selectedId === state.resolve(id);
    // A quote without its text: the server has not got the original either.
    const isMissing = ({ messages }) => messages.some(({ reply_to: to }) => to?.id === messageId && to.text === null);
    const isDecided = (thread) => Boolean(thread.find(messageId)) || isMissing(thread);
    await loader.loadUntil(id, isDecided, isWanted);
    if (!isWanted()) return;
    const thread = state.thread(id);
    const found = thread.find(messageId);
    if (found) this.#reveal(found.id);
    else if (thread.loaded && (thread.next === null || isMissing(thread))) toast.show(NOT_HERE);
    else toast.show(NOT_LOADED);
  }

  /** To what a search has found. */
  async hit({ id: messageId, position }) {
    const { state, loader, toast } = this.#host;
    const id = state.selectedId;
    const isWanted = () => state.selectedId === state.resolve(id);
    const isThere = await loader.loadDownTo(id, position, isWanted);
    if (!isWanted()) return;
    if (isThere) this.#reveal(messageId);
    else toast.show(NOT_LOADED);
  }

  #reveal(messageId) {
    const { placing, view, render } = this.#host;
    placing.left();
    render();
    view.reveal(messageId);
  }

  /** Messages are on their way to these conversations. As WhatsApp does: to one chat, which is opened;
   * to several, and this one stays. */
  forwarded(ids) {
    const { state, unread, view, toast, onChange } = this.#host;
    if (ids.length === 1 && ids[0] !== state.selectedId) unread.select(ids[0]);
    else toast.show(ids.length === 1 ? "Mensagem encaminhada" : `Encaminhada para ${ids.length} conversas`);
    if (ids.includes(state.selectedId)) view.jumpToEnd();
    onChange();
  }
}
