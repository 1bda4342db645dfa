/** The "+" of the composer: what can be sent besides what is typed. Features add their entries. */

import { setHidden } from "../parts/dom.js";
import { openMenu } from "../parts/menu.js";

const GAP_PX = 10;

export class PlusMenu {
  #button;
  #entries = [];

  /** `root`: where the button is. */
  constructor(root) {
    this.#button = root.querySelector(".plus-button");
    this.#button.addEventListener("click", () => this.#open());
  }

  /** One more entry, below those before: {label, sign, run(), isAvailable()}; `sign` is a name of
   * `ICONS`; without `isAvailable` it always is. */
  add(entry) {
    this.#entries.push(entry);
    this.render();
  }

  /** The button is there while it leads to something. */
  render() {
    setHidden(this.#button, this.#available.length === 0);
  }

  get #available() {
    return this.#entries.filter(({ isAvailable = () => true }) => isAvailable());
  }

  #open() {
    const { left, top } = this.#button.getBoundingClientRect();
    const at = { x: left, bottom: top - GAP_PX };
    openMenu({ label: "Anexar", items: this.#available, at, from: this.#button });
  }
}
