/** Who the open conversation is with, which is the button for their data; who answers it, and the
 * button that changes that. */

import { createChips, updateChips } from "../organizing/label_chips.js";
import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { ICONS, setAttribute, setHidden, setText } from "../parts/dom.js";
import { displayName } from "../parts/format.js";
import { onLongPress } from "../parts/long_press.js";

/** A menu of this width would hang over the right edge. */
const MENU_WIDTH_PX = 240;
const OWNERS = { claude: "Claude", team: "Equipe", needed: "Precisa de você" };

export class ThreadHeader {
  #root;
  #name;
  #owner;
  #detail;
  #button;
  #give = null; // to whom a click on the button gives the conversation
  #shown = null; // the conversation's id
  #giving = new Set(); // ids of those whose change is under way
  #onGive;
  #contact;
  #labels = createChips("header-labels");
  #avatar = createAvatar("small");

  /** Callbacks: onBack(), onMenu({at, from}), async onGive(owner): "human" or "claude", onContact():
   * whose data are wanted. */
  constructor(root, { onBack, onMenu, onGive, onContact }) {
    this.#root = root.querySelector(".thread-header");
    this.#name = root.querySelector(".header-name");
    this.#owner = root.querySelector(".header-owner");
    this.#detail = root.querySelector(".header-detail");
    this.#button = root.querySelector(".owner-button");
    this.#onGive = onGive;
    root.querySelector(".header-avatar").append(this.#avatar);
    this.#contact = root.querySelector(".header-contact");
    this.#contact?.addEventListener("click", () => onContact());
    this.#button.before(this.#labels);
    root.querySelector(".back-button").addEventListener("click", () => onBack());
    this.#button.addEventListener("click", (event) => this.#clicked(event));
    const menu = root.querySelector(".thread-menu");
    menu.addEventListener("click", () => {
      const { right, bottom } = menu.getBoundingClientRect();
      onMenu({ at: { x: right - MENU_WIDTH_PX, y: bottom + 4 }, from: menu });
    });
    onLongPress(this.#root, {
      find: (target) => (target.closest("button:not(.header-contact)") ? null : target),
      open: (_target, at) => onMenu({ at, from: menu }),
    });
  }

  /** The conversation is no more. */
  erased(id) {
    if (id !== this.#shown) return;
    for (const each of [this.#name, this.#detail]) setText(each, "");
    setAttribute(this.#contact, "aria-label", "Dados do contato");
  }

  /** `ownership`: see ownershipOf; `labels`: the conversation's, of the LabelBook. */
  render(conversation, ownership, labels = []) {
    const name = displayName(conversation);
    if (this.#contact) setAttribute(this.#contact, "aria-label", `Dados do contato: ${name}`);
    updateChips(this.#labels, labels);
    this.#shown = conversation.id;
    updateAvatar(this.#avatar, conversation);
    setText(this.#name, name);
    setText(this.#detail, detailOf(conversation, name));
    this.#renderOwner(ownership);
  }

  #renderOwner({ mark, reason, isReplying, replyingWords, canTake, canGive }) {
    const words = reason ? `${OWNERS[mark]}: ${reason}` : (OWNERS[mark] ?? "");
    setAttribute(this.#root, "data-owner", isReplying ? "replying" : mark);
    setText(this.#owner, isReplying ? replyingWords : words);
    setAttribute(this.#owner, "title", reason || null);
    this.#give = canTake ? "human" : canGive ? "claude" : null;
    setHidden(this.#button, this.#give === null);
    this.#renderGiving();
    if (this.#give === null) return;
    const label = this.#give === "human" ? "Assumir" : "Passar ao Claude";
    setAttribute(this.#button, "data-give", this.#give);
    setText(this.#button.querySelector("span"), label);
    setAttribute(this.#button, "aria-label", label);
    setAttribute(this.#button, "title", this.#give === "human" ? "Assumir a conversa" : label);
    setAttribute(this.#button.querySelector("path"), "d", ICONS[this.#give === "human" ? "person" : "claude"]);
  }

  #renderGiving() {
    setAttribute(this.#button, "aria-disabled", this.#giving.has(this.#shown) ? "true" : null);
  }

  /** The same button then gives it back: the second click of two is not meant for that. */
  async #clicked({ detail }) {
    const id = this.#shown;
    if (detail > 1 || this.#giving.has(id)) return;
    this.#giving.add(id);
    this.#renderGiving();
    try {
      await this.#onGive(this.#give);
    } finally {
      this.#giving.delete(id);
      this.#renderGiving();
    }
  }
}

function detailOf({ phone, is_group: isGroup }, name) {
  if (isGroup) return name === "Grupo" ? "" : "Grupo";
  return phone && phone !== name ? phone : "";
}
