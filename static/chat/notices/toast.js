/** A short word at the foot of the screen about what was just done, with a way to undo it. */

import { setHidden, setText } from "../parts/dom.js";

const SHOWN_MS = 6_000;

export class Toast {
  #root;
  #button;
  #timer = null;
  #run = null;

  constructor(root) {
    this.#root = root;
    this.#button = root.querySelector("button");
    this.#button.addEventListener("click", () => {
      const run = this.#run;
      this.hide();
      run?.();
    });
  }

  /** `action`: {label, run}, or null. */
  show(text, action = null) {
    clearTimeout(this.#timer);
    setText(this.#root.querySelector(".toast-text"), text);
    setHidden(this.#button, action === null);
    setText(this.#button, action?.label ?? "");
    this.#run = action?.run ?? null;
    setHidden(this.#root, false);
    this.#timer = setTimeout(() => this.hide(), SHOWN_MS);
  }

  hide() {
    clearTimeout(this.#timer);
    this.#run = null;
    setHidden(this.#root, true);
  }
}
