/**
 * The menu of a bubble: from its chevron, by right click, by a long press, and by keyboard. One
 * chevron is in the tab order; the arrow keys move between them.
 */

import { openMenu } from "../parts/menu.js";

export class MessageMenu {
  #content;
  #onDetails;

  /** `content`: where the bubbles are. onDetails(messageId). */
  constructor(content, { onDetails }) {
    this.#content = content;
    this.#onDetails = onDetails;
    content.addEventListener("click", (event) => {
      const chevron = event.target.closest(".bubble-chevron");
      if (chevron) this.#open(chevron, below(chevron));
    });
    content.addEventListener("contextmenu", (event) => this.#contextMenu(event));
    content.addEventListener("keydown", (event) => this.#keyDown(event));
    content.addEventListener("focusin", (event) => {
      if (event.target.matches(".bubble-chevron")) this.#setTabStop(event.target);
    });
  }

  /** The newest message's chevron is where Shift+Tab leads from the field. */
  setTabStop() {
    const chevrons = this.#chevrons();
    const focused = chevrons.includes(document.activeElement);
    if (!focused) this.#setTabStop(chevrons.at(-1) ?? null);
  }

  #chevrons() {
    return [...this.#content.querySelectorAll(".bubble-chevron:not([hidden])")];
  }

  #setTabStop(stop) {
    for (const button of this.#chevrons()) {
      const index = button === stop ? 0 : -1;
      if (button.tabIndex !== index) button.tabIndex = index;
    }
  }

  #contextMenu(event) {
    const chevron = event.target.closest(".bubble")?.querySelector(".bubble-chevron:not([hidden])");
    // Links and marked text keep the browser's own menu.
    const marked = String(getSelection() ?? "") !== "";
    if (!chevron || marked || event.target.closest("a")) return;
    event.preventDefault();
    const byKeyboard = event.clientX === 0 && event.clientY === 0;
    this.#open(chevron, byKeyboard ? below(chevron) : { x: event.clientX, y: event.clientY });
  }

  #keyDown(event) {
    if (!event.target.matches(".bubble-chevron")) return;
    const chevrons = this.#chevrons();
    const place = chevrons.indexOf(event.target);
    const target = {
      ArrowUp: chevrons[place - 1],
      ArrowDown: chevrons[place + 1],
      Home: chevrons[0],
      End: chevrons.at(-1),
    }[event.key];
    if (!target) return;
    event.preventDefault();
    target.focus();
  }

  #open(chevron, at) {
    const { messageId } = chevron.closest("[data-message-id]").dataset;
    const details = { label: "Dados da mensagem", run: () => this.#onDetails(messageId) };
    openMenu({ label: "Opções da mensagem", items: [details], at, from: chevron });
  }
}

function below(node) {
  const box = node.getBoundingClientRect();
  return { x: box.left, y: box.bottom };
}
