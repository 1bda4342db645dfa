/** Who the open conversation is with. */

import { createAvatar, updateAvatar } from "./avatar.js";
import { setText } from "./dom.js";
import { displayName } from "./format.js";

export class ThreadHeader {
  #name;
  #detail;
  #avatar = createAvatar("small");

  constructor(root, { onBack }) {
    this.#name = root.querySelector(".header-name");
    this.#detail = root.querySelector(".header-detail");
    root.querySelector(".header-avatar").append(this.#avatar);
    root.querySelector(".back-button").addEventListener("click", () => onBack());
  }

  render(conversation) {
    const name = displayName(conversation);
    updateAvatar(this.#avatar, { id: conversation.id, name: conversation.name });
    setText(this.#name, name);
    setText(this.#detail, conversation.phone && conversation.phone !== name ? conversation.phone : "");
  }
}
