/** The rail at the left: the way back to all conversations, with how many are unread, and who is here. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { setAttribute, setHidden, setText } from "../parts/dom.js";

/** More than that does not fit into the badge. */
const MOST_SHOWN = 99;

export class Rail {
  #button;
  #badge;

  /** `root`: the rail; `user`: {id, name}; onChats(): all conversations are wanted. */
  constructor(root, { user, onChats }) {
    this.#button = root.querySelector(".rail-chats");
    this.#badge = root.querySelector(".rail-badge");
    this.#button.addEventListener("click", () => onChats());
    const avatar = createAvatar("small");
    updateAvatar(avatar, user);
    root.querySelector(".rail-user").append(avatar);
  }

  /** `n`: conversations with something unread, as the tab's title counts them. */
  render(n) {
    setHidden(this.#badge, n === 0);
    setText(this.#badge, n > MOST_SHOWN ? `${MOST_SHOWN}+` : String(n));
    const unread = n === 1 ? "1 conversa não lida" : `${n} conversas não lidas`;
    setAttribute(this.#button, "aria-label", n ? `Conversas: ${unread}` : "Conversas");
  }
}
