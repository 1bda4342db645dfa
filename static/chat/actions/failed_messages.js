/** What can be done with a message that was not sent, or perhaps not sent: try again, change it, give
 * it up. */

export class FailedMessages {
  #host;

  /** `state`, `sender`, `ticks` (what startMessageStatus gave), `writing`; restoreReply(id, quoted):
   * what is written next answers that again; onTemplates(id, message): its template is to be filled
   * in anew. */
  constructor({ state, sender, ticks, writing, restoreReply, onTemplates }) {
    this.#host = { state, sender, ticks, writing, restoreReply, onTemplates };
  }

  /** A button of a message in the open conversation: "retry", "resend", "template", "copy", "attach",
   * "discard" or, of a file on its way, "cancel-upload". */
  act(action, messageId) {
    const { state, sender, writing, restoreReply, onTemplates } = this.#host;
    const id = state.selectedId;
    if (action === "retry") sender.retry(id);
    if (action === "resend") this.#resend(id, messageId);
    if (action === "cancel-upload" || action === "discard") this.#giveUp(id, messageId);
    if (action === "attach") {
      const old = sender.takeBack(id, state.thread(id).find(messageId)?.client_id);
      if (old) restoreReply(id, old.reply_to);
      if (old) writing.media.reopen(id, [old]);
    }
    if (action === "template") {
      const old = sender.discard(id, state.thread(id).find(messageId)?.client_id);
      if (old?.reply_to) restoreReply(id, old.reply_to);
      if (old) onTemplates(id, old);
    }
    if (action !== "copy") return;
    const message = state.thread(id).find(messageId);
    if (!message) return;
    writing.append(id, message.text);
    // Ours alone, never on the server: its text has gone back to where it can be mended.
    if (message.delivery) {
      sender.discard(id, message.client_id);
      restoreReply(id, message.reply_to);
    }
    writing.composer.focus();
  }

  /** Nothing comes in its place: the focus of the button that goes with it moves on. */
  #giveUp(id, messageId) {
    const { state, sender, writing } = this.#host;
    sender.discard(id, state.thread(id).find(messageId)?.client_id);
    writing.focusUnlessTouch();
  }

  /** A new attempt of a message that was refused, or perhaps not sent. */
  async #resend(id, messageId) {
    const { state, ticks, writing } = this.#host;
    const message = state.thread(id).find(messageId);
    if (!message || message.resending) return;
    const onStart = () => state.annotate(id, messageId, { resending: true, resend_error: null });
    let problem = null;
    try {
      await ticks.retry(message, { onStart });
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      // Somebody else was faster: their attempt and this message's mark are on their way here.
      problem = error.code === "already_retried" ? null : error.message;
    }
    state.annotate(id, messageId, { resending: false, resend_error: problem });
    // The button that was pressed is gone, and the focus with it.
    if (state.selectedId === id && document.activeElement === document.body) writing.focusUnlessTouch();
  }
}
