/** "Atalhos do teclado": what the keys do, in a dialog. */

import { onClosed } from "../parts/dialogs.js";
import { clickButton, el } from "../parts/dom.js";
import { OTHER_KEYS, SHORTCUTS, keysOf } from "./shortcuts.js";

export class ShortcutsDialog {
  #dialog = el("dialog", "dialog shortcuts-dialog");
  #opener = null;

  constructor() {
    const title = el("h2", "dialog-title", "Atalhos do teclado");
    title.id = "shortcuts-title";
    const rows = [...SHORTCUTS.map((each) => ({ ...each, keys: keysOf(each) })), ...OTHER_KEYS];
    const done = clickButton("main-button", "OK", () => this.#dialog.close());
    done.autofocus = true;
    const list = el("dl", "shortcuts-list", ...rows.map(createRow));
    list.tabIndex = 0; // it scrolls
    list.setAttribute("aria-labelledby", title.id);
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#dialog.append(title, list, el("div", "dialog-buttons", done));
    onClosed(this.#dialog, () => this.#opener?.focus());
    document.body.append(this.#dialog);
  }

  /** `opener`: the element that gets the focus back. */
  open(opener) {
    this.#opener = opener;
    this.#dialog.showModal();
  }
}

function createRow({ label, keys }) {
  return el("div", "shortcut", el("dt", "", label), el("dd", "", ...keys.map((key) => el("kbd", "", key))));
}
