/** Light, dark, or as the system has it: chosen in the menu, remembered in this browser. */

import { setAttribute } from "../parts/dom.js";

/** The same as in `theme_at_start.js`, which shows what is kept. */
const KEY = "chat.theme";

export class ThemeChoice {
  #buttons;
  #storage;

  /** `root`: where the radio buttons are, `data-theme-choice` of each "system", "light" or "dark";
   * `storage`: localStorage or alike. */
  constructor(root, storage) {
    this.#storage = storage;
    this.#buttons = [...root.querySelectorAll("[data-theme-choice]")];
    for (const button of this.#buttons) {
      button.addEventListener("click", () => this.#choose(button.dataset.themeChoice));
    }
    window.addEventListener("storage", () => this.#draw()); // after the page itself has heard it
    this.#draw();
  }

  #choose(theme) {
    document.dispatchEvent(new CustomEvent("theme:chosen", { detail: theme }));
    try {
      if (theme === "system") this.#storage.removeItem(KEY);
      else this.#storage.setItem(KEY, theme);
    } catch {
      // The storage is full or forbidden: it holds until the page is left.
    }
    this.#draw();
  }

  #draw() {
    const shown = document.documentElement.dataset.theme ?? "system";
    for (const button of this.#buttons) {
      setAttribute(button, "aria-checked", button.dataset.themeChoice === shown ? "true" : "false");
    }
  }
}
