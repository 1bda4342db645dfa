/** Who the open conversation is with. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";
import { onLongPress } from "../parts/long_press.js";

/** A menu of this width would hang over the right edge. */
const MENU_WIDTH_PX = 220;

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
      onMenu({ at: { x: right - MENU_WIDTH_PX, y: bottom + 4 }, from: menu });
    });
    onLongPress(root.querySelector(".thread-header"), {
      find: (target) => (target.closest("button") ? null : target),
      open: (_target, at) => onMenu({ at, from: menu }),
    });
  }

  render(conversation) {
    const name = displayName(conversation);
    updateAvatar(this.#avatar, conversation);
    setText(this.#name, name);
    setText(this.#detail, detailOf(conversation, name));
  }
}

function detailOf({ phone, is_group: isGroup }, name) {
  if (isGroup) return name === "Grupo" ? "" : "Grupo";
  return phone && phone !== name ? phone : "";
}
