/** The strips above the list: the one that offers notifications, and the line after a catch-up. */

import { setHidden, setText } from "../parts/dom.js";

/** "Ativar notificações": browsers ask the person only after a click, and so do we. */
export class NotificationBanner {
  #root;

  constructor(root, { onAccept, onDismiss }) {
    this.#root = root;
    root.querySelector('[data-action="accept"]').addEventListener("click", () => onAccept());
    root.querySelector('[data-action="dismiss"]').addEventListener("click", () => onDismiss());
  }

  render(shown) {
    setHidden(this.#root, !shown);
  }
}

/** "12 mensagens novas em 4 conversas": instead of a storm, until it is closed or all is read. */
export class DigestLine {
  #root;

  constructor(root) {
    this.#root = root;
    root.querySelector("button").addEventListener("click", () => this.hide());
  }

  show(text) {
    setText(this.#root.querySelector(".digest-text"), text);
    setHidden(this.#root, false);
  }

  hide() {
    setHidden(this.#root, true);
  }
}
