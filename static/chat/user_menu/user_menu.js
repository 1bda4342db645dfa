/** The attendant's own menu, opened over the list and from the rail: the arrow keys go through it. */

import { focusAlong } from "../parts/menu.js";
import { ThemeChoice } from "./theme.js";

export class UserMenu {
  #menu;

  /** `root`: the document; `storage`: localStorage or alike; onShortcuts(opener): the list of the
   * shortcuts is wanted. */
  constructor(root, { storage, onShortcuts }) {
    this.#menu = root.querySelector("#user-menu");
    const openers = [...root.querySelectorAll('[popovertarget="user-menu"]')];
    new ThemeChoice(this.#menu, storage);
    for (const opener of openers) {
      // Before it opens, which comes of the same click: it stands beside what opens it.
      opener.addEventListener("click", () => {
        this.#menu.classList.toggle("from-rail", opener.matches(".rail *"));
      });
      opener.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowDown" || !this.#isOpen) return;
        event.preventDefault();
        this.#items[0].focus();
      });
    }
    this.#menu.addEventListener("toggle", () => {
      if (this.#isOpen && document.activeElement?.matches(":focus-visible")) this.#items[0].focus();
    });
    this.#menu.addEventListener("keydown", (event) => focusAlong(event, this.#items));
    this.#menu.querySelector(".menu-shortcuts").addEventListener("click", () => {
      const opener = this.#menu.classList.contains("from-rail") ? openers.at(0) : openers.at(-1);
      this.#menu.hidePopover();
      onShortcuts(opener);
    });
  }

  get #isOpen() {
    return this.#menu.matches(":popover-open");
  }

  get #items() {
    return [...this.#menu.querySelectorAll(".menu-item:not(:disabled)")].filter((each) => each.checkVisibility());
  }
}
