/** What WhatsApp says about the conversation ("Trocou de número: …"): a chip, and no bubble. */

import { el, setText } from "../parts/dom.js";
import { isSeen } from "../parts/format.js";

/** Makes the chip of a thread item; `update` shows another state of the same message. */
export function createNotice() {
  const text = el("span", "notice-text");
  text.dir = "auto";
  const node = el("div", "thread-notice", text);
  node.setAttribute("role", "note");
  return {
    node,
    update({ message }) {
      node.dataset.messageId = message.id;
      setText(text, [message.text, message.placeholder].find(isSeen) ?? "Aviso do WhatsApp");
    },
  };
}
