/**
 * The chips above the list, and which rows each lets through. A filter is {id, label, empty,
 * matches(conversation)}; `server` names it where the server can list what belongs to it. One with
 * `rows()` brings its rows itself, and with `count()` it is there only while that is not zero, or
 * while `stays()`. One with `choose(chip, take)` asks something first, may then have another label,
 * is there while `stays()`, and hears by `leave()` that another was chosen. `withArchived`: it lists
 * archived conversations, too.
 */

import { el, setAttribute, setHidden, setText } from "../parts/dom.js";

export class ListFilters {
  #filters;
  #scroller;
  #chips;
  #active;
  #stays = null; // the open conversation was listed: it stays until one leaves it

  /** `root`: where the chips stand, above the list that scrolls. The first filter is on at the
   * start. `onChange()`: another one was chosen. */
  constructor(root, filters, { onChange }) {
    this.#filters = filters;
    this.#scroller = root.parentElement.querySelector(".list-scroll");
    this.#active = filters[0];
    this.#chips = filters.map((filter) => {
      const chip = el("button", "filter-chip", filter.label);
      chip.type = "button";
      chip.dataset.filter = filter.id;
      chip.addEventListener("click", () => {
        if (filter === this.#active && !filter.choose) return;
        const take = () => {
          this.#stays = null;
          this.#choose(filter);
          onChange();
        };
        if (filter.choose) filter.choose(chip, take);
        else take();
      });
      setAttribute(chip, "aria-haspopup", filter.choose ? "menu" : null);
      return chip;
    });
    root.append(...this.#chips);
    root.addEventListener("wheel", (event) => { // most mice have one wheel, and it is a row
      if (event.deltaX || root.scrollWidth <= root.clientWidth) return;
      root.scrollLeft += event.deltaY;
      event.preventDefault();
    });
    this.#draw();
  }

  /** The chips that are there only at times, with their numbers. */
  update() {
    this.#filters.forEach((filter, n) => {
      const count = filter.count?.();
      if (count === undefined && !filter.choose) return;
      setText(this.#chips[n], count ? `${filter.label} ${count}` : filter.label);
      const shown = Boolean(count || filter.stays?.());
      setHidden(this.#chips[n], !shown);
      if (shown || filter !== this.#active) return;
      this.#choose(this.#filters[0]);
    });
  }

  get active() {
    return this.#active;
  }

  /** Back to the first one, which is on at the start; whether that changed anything. */
  reset() {
    if (this.#active === this.#filters[0]) return false;
    this.#stays = null;
    this.#choose(this.#filters[0]);
    return true;
  }

  /** The rows that the chosen filter lets through. */
  apply(rows, selectedId) {
    if (this.#active.rows) return this.#active.rows();
    if (selectedId !== this.#stays) this.#stays = null;
    return rows.filter(({ conversation }) => {
      const matches = this.#active.matches(conversation);
      if (matches && conversation.id === selectedId) this.#stays = selectedId;
      return matches || conversation.id === this.#stays;
    });
  }

  /** Other rows are another list: it begins at its top. */
  #choose(filter) {
    if (filter !== this.#active) this.#active.leave?.();
    this.#active = filter;
    this.#scroller.scrollTop = 0;
    this.#draw();
  }

  #draw() {
    this.#chips.forEach((chip, n) => {
      setAttribute(chip, "aria-pressed", this.#filters[n] === this.#active ? "true" : "false");
    });
  }
}
