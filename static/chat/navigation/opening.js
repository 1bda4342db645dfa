/** Which conversation stands on the screen, and what stands there when it cannot be shown. */

import { leaveForList, stepTo } from "../list/phone_history.js";
import { setAttribute, setHidden, setText } from "../parts/dom.js";

const FAILED = "Não foi possível abrir a conversa. Verifique a conexão e tente novamente.";
const GONE = "Esta conversa não existe, ou não existe mais.";

export class Opening {
  #app;
  #pane;
  #emptyPane;
  #host;
  #shownId = null; // the conversation on screen, to notice when the state moved on to another
  #notice = null; // why the conversation asked for is not shown

  /**
   * `app`: the page's frame; `pane`: the thread's; `emptyPane`: in its place while none is shown;
   * `state`, `loader`, `unread`, `placing`, `toast`, `list` (the ListPane), `writing`, `goingTo`;
   * onMoved({merged}): another conversation is on screen; `merged`: it is what the one before has
   * become; render(): draws now; onChange(): draw again.
   */
  constructor({ app, pane, emptyPane, ...host }) {
    this.#app = app;
    this.#pane = pane;
    this.#emptyPane = emptyPane;
    this.#host = host;
    document.addEventListener("unread:select", (event) => {
      event.preventDefault();
      const { id, how } = event.detail;
      stepTo(id, { from: host.unread.selected, how });
      pane.dataset.liveThread = id ?? "";
      host.placing.opened(id, how);
      this.#show(id, how);
    });
  }

  /** The open conversation is left for the list. */
  close() {
    if (!leaveForList()) this.#host.unread.select(null);
  }

  /** There is no such conversation, or not any more. */
  forget(id) {
    const { state, unread, placing } = this.#host;
    if (unread.selected === id) this.#pane.dataset.liveThread = "";
    unread.removed(id);
    placing.removed(id);
    if (state.selectedId !== id) return;
    this.#notice = GONE;
    state.select(null);
  }

  /** Before each drawing: the selection can change by the person, or because two conversations became
   * one. */
  follow() {
    const { state, loader, onMoved } = this.#host;
    const id = state.selectedId;
    if (id !== this.#shownId) {
      onMoved({ merged: this.#shownId !== null && state.resolve(this.#shownId) === id });
      this.#shownId = id;
      if (id !== null) loader.opened(id);
    }
    if (id !== null && state.conversation(id) && this.#needsReading(id)) loader.openThread(id);
  }

  /** The conversation that is to be drawn; null where a word stands in its place. */
  render() {
    const { state } = this.#host;
    const id = state.selectedId;
    const conversation = id === null ? null : state.conversation(id);
    setAttribute(this.#app, "data-open", id !== null);
    setAttribute(this.#app, "data-notice", this.#notice !== null);
    setHidden(this.#pane, !conversation);
    setHidden(this.#emptyPane, Boolean(conversation));
    if (!conversation) this.#renderEmpty(id);
    return conversation;
  }

  /** Shows the conversation that was selected; one that is not in the list yet is fetched. */
  async #show(id, how) {
    if (id === null) {
      this.#showList();
      return;
    }
    const { state, loader, list, writing, goingTo, toast, render, onChange } = this.#host;
    const brought = list.broughtMessage(id);
    this.#notice = null;
    toast.hide();
    state.select(id);
    render();
    if (how === "click") writing.focusUnlessTouch();
    if (how === "click" && brought) goingTo.message(brought.id);
    if (state.conversation(id)) return;
    try {
      await loader.loadConversation(id);
    } catch (error) {
      if (state.selectedId !== id) return;
      if (error.status === 404) this.forget(id);
      else {
        this.#notice = FAILED;
        state.select(null); // the address keeps it: to load the page again is to try again
      }
      onChange();
    }
  }

  #showList() {
    const { state, list, render } = this.#host;
    const closed = state.selectedId;
    this.#notice = null;
    state.select(null);
    render();
    list.focusRow(closed);
  }

  #needsReading(id) {
    const { state, loader } = this.#host;
    const thread = state.thread(id);
    return (!thread.loaded || thread.stale) && loader.threadState(id) === "idle";
  }

  #renderEmpty(id) {
    const text = this.#notice ?? (id === null
      ? "Escolha uma conversa à esquerda para ler e responder."
      : "Abrindo a conversa…");
    setText(this.#emptyPane.querySelector(".empty-text"), text);
  }
}
