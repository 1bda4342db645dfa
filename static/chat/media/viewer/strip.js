/** The small pictures below the large one: all of the chat's, as far as it is loaded. */

import { el, icon, reconcile, setAttribute, setHidden } from "../../parts/dom.js";
import { KIND_ICONS, mediaUrl } from "../../parts/media_format.js";
import { showWhenSeen } from "../pictures/seen.js";

export class Strip {
  node = el("div", "viewer-strip");

  #buttons = new Map(); // message id → button
  #current = null; // the id of the one that was scrolled to

  /** onPick(messageId). */
  constructor({ onPick }) {
    this.node.setAttribute("role", "toolbar");
    this.node.setAttribute("aria-label", "Mídia da conversa");
    this.node.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-picture]");
      if (button) onPick(button.dataset.picture);
    });
  }

  /** `messages`: in the thread's order; `current`: the id of the one that is shown. */
  render(messages, current) {
    const ids = new Set(messages.map(({ id }) => id));
    for (const id of this.#buttons.keys()) if (!ids.has(id)) this.#buttons.delete(id);
    reconcile(this.node, messages.map((message) => this.#button(message)));
    for (const [id, button] of this.#buttons) {
      setAttribute(button, "aria-current", id === current ? "true" : null);
      button.tabIndex = id === current ? 0 : -1; // the arrow keys go along them all
    }
    const button = this.#buttons.get(current);
    if (!button || current === this.#current) return; // somebody may have scrolled it since
    this.#current = current;
    const { offsetLeft, offsetWidth } = button;
    this.node.scrollLeft = offsetLeft + offsetWidth / 2 - this.node.clientWidth / 2;
  }

  clear() {
    this.#buttons.clear();
    this.#current = null;
    this.node.replaceChildren();
  }

  #button(message) {
    const { id, media } = message;
    if (this.#buttons.has(id)) return this.#buttons.get(id);
    const isVideo = media.kind === "video";
    const image = el("img", "");
    image.alt = "";
    image.decoding = "async";
    image.addEventListener("error", () => setHidden(image, true));
    if (media.thumb || !isVideo) showWhenSeen(image, mediaUrl(message, { thumb: true }));
    const button = el("button", "strip-picture", image, isVideo ? icon(KIND_ICONS.video) : null);
    button.type = "button";
    button.dataset.picture = id;
    button.setAttribute("aria-label", isVideo ? "Vídeo" : "Foto");
    this.#buttons.set(id, button);
    return button;
  }
}
