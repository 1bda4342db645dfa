/** Who the open conversation is with. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";

export class ThreadHeader {
  #name;
  #detail;
  #avatar = createAvatar("small");

  /** Callbacks: onBack(), onMenu({at, from}). */
  constructor(root, { onBack, onMenu }) {
    this.#name = root.querySelector(".header-name");
    this.#detail = root.querySelector(".header-detail");
    root.querySelector(".header-avatar").append(this.#avatar);
    root.querySelector(".back-button").addEventListener("click", () => onBack());
    const menu = root.querySelector(".thread-menu");
    menu.addEventListener("click", () => {
      const { right, bottom } = menu.getBoundingClientRect();
      onMenu({ at: { x: right - 220, y: bottom + 4 }, from: menu });
    });
  }

  render(conversation) {
    const name = displayName(conversation);
    updateAvatar(this.#avatar, { id: conversation.id, name: conversation.name });
    setText(this.#name, name);
    setText(this.#detail, conversation.phone && conversation.phone !== name ? conversation.phone : "");
  }
}
