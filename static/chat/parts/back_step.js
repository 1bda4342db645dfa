/** What covers the screen (of some things: on a phone) is left by the browser's Back: a step of the
 * history stands for it while it is open. */

const covered = matchMedia("(max-width: 760px)"); // the same width as in layout.css

export class BackStep {
  #name;
  #always;
  #isOpen = false;
  #isLeaving = false; // on the way back to below the step, which takes a moment

  /** `name`: of the mark in the history's state; `onBack()`: it was left by Back; `isBelow()`: what
   * is on screen lies above it, so that it was not; `always`: it covers every screen. */
  constructor(name, onBack, isBelow = () => false, { always = false } = {}) {
    this.#name = name;
    this.#always = always;
    window.addEventListener("popstate", () => {
      const wasLeaving = this.#isLeaving;
      this.#isLeaving = false;
      if (wasLeaving && this.#isOpen) this.#step(); // opened again meanwhile
      if (!this.#isOpen || history.state?.[name] || isBelow()) return;
      this.#isOpen = false;
      onBack();
    });
  }

  opened() {
    if (!(covered.matches || this.#always) || this.#isOpen) return;
    this.#isOpen = true;
    this.#step();
  }

  /** It was closed by other means. `left`: because the page went on to something else, so that the
   * step is not the one to go back from. */
  closed({ left = false } = {}) {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (left || this.#isLeaving || !history.state?.[this.#name]) return;
    this.#isLeaving = true;
    history.back();
  }

  #step() {
    if (!history.state?.[this.#name]) history.pushState({ ...history.state, [this.#name]: true }, "");
  }
}
