/**
 * The emoji to choose from, by category, by name, and those chosen last. It stays open for the next
 * one; arrows move, Enter takes, Escape closes.
 */

import { el, setAttribute, setHidden, setText, touch } from "../../parts/dom.js";
import { openMenu } from "../../parts/menu.js";
import { CATEGORIES, TONES } from "./emoji_data.js";

const RECENT = { id: "recent", label: "Recentes", sign: "🕘" };
const CELL_PX = 42;
const HEADING_PX = 36;
const HAND = "👋";
const FAILED = "Não foi possível carregar os emojis.";
const NONE = "Nenhum emoji encontrado";

export class EmojiPicker {
  #panel;
  #button;
  #emoji;
  #memory;
  #host;
  #parts;
  #sections = new Map(); // category id → {node, grid}
  #listeners = null; // while it is open
  #drawnTone = null;

  /**
   * `root`: where panel and button are; `emoji`: the Emoji; `memory`: the EmojiMemory; `onPick(text,
   * {byMouse})`: one was chosen; `onClose()`: by the keyboard.
   */
  constructor(root, { emoji, memory, onPick, onClose }) {
    this.#panel = root.querySelector(".emoji-panel");
    this.#button = root.querySelector(".emoji-button");
    this.#emoji = emoji;
    this.#memory = memory;
    this.#host = { onPick, onClose };
    this.#create();
    this.#button.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** The emoji as it is chosen now: in the tone that is remembered. */
  inTone({ emoji, tones }) {
    return tones?.[this.#memory.tone] ?? emoji;
  }

  open() {
    const { search } = this.#parts;
    search.value = "";
    setHidden(this.#panel, false);
    setAttribute(this.#button, "aria-expanded", "true");
    this.#listeners = new AbortController();
    const options = { capture: true, signal: this.#listeners.signal };
    document.addEventListener("pointerdown", ({ target }) => {
      if (!target.closest(".emoji-panel, .composer, .attach-caption, .context-menu")) this.close();
    }, options);
    if (!touch.matches) search.focus({ preventScroll: true });
    this.#fill();
  }

  /** Whether it was open. */
  close() {
    if (!this.isOpen) return false;
    this.#listeners.abort();
    setHidden(this.#panel, true);
    setAttribute(this.#button, "aria-expanded", "false");
    return true;
  }

  #create() {
    const tabs = el("div", "emoji-tabs");
    tabs.setAttribute("role", "group");
    tabs.setAttribute("aria-label", "Categorias");
    for (const { id, label, sign } of [RECENT, ...CATEGORIES]) {
      const tab = el("button", "emoji-tab", sign);
      Object.assign(tab, { type: "button", title: label });
      tab.dataset.category = id;
      tab.setAttribute("aria-label", label);
      tabs.append(tab);
    }
    const search = el("input", "emoji-search");
    Object.assign(search, { type: "search", placeholder: "Pesquisar emoji", autocomplete: "off", enterKeyHint: "done" });
    search.setAttribute("aria-label", "Pesquisar emoji");
    const tone = el("button", "emoji-tone");
    tone.type = "button";
    tone.setAttribute("aria-haspopup", "menu");
    const scroller = el("div", "emoji-scroll");
    const status = el("p", "emoji-status");
    status.setAttribute("role", "status");
    const again = el("button", "link-button emoji-again", "Tentar novamente");
    again.type = "button";
    this.#parts = { tabs, search, tone, scroller, status, again };
    this.#panel.append(tabs, el("div", "emoji-top", search, tone), status, again, scroller);
    tabs.addEventListener("click", ({ target }) => this.#goTo(target.closest("[data-category]")?.dataset.category));
    search.addEventListener("input", () => this.#renderFound());
    tone.addEventListener("click", () => this.#chooseTone());
    again.addEventListener("click", () => this.#fill());
    scroller.addEventListener("pointerdown", (event) => event.target.closest("button") && event.preventDefault());
    scroller.addEventListener("click", (event) => this.#pick(event.target.closest("[data-emoji]"), event.detail > 0));
    scroller.addEventListener("scroll", () => this.#markTab(), { passive: true });
    scroller.addEventListener("focusin", ({ target }) => this.#setStop(target));
    this.#panel.addEventListener("keydown", (event) => this.#keyDown(event));
  }

  async #fill() {
    const { status, again } = this.#parts;
    setHidden(again, true);
    setText(status, this.#emoji.all ? "" : "Carregando…");
    try {
      await this.#emoji.load();
    } catch {
      setText(status, FAILED);
      setHidden(again, false);
      return;
    }
    setText(status, "");
    this.#renderTone();
    this.#renderAll();
  }

  /** Every category, drawn once, and anew in another tone; the last chosen ones with each opening. */
  #renderAll() {
    const { scroller } = this.#parts;
    const { tone } = this.#memory;
    if (this.#drawnTone !== tone || this.#sections.size === 0) {
      this.#drawnTone = tone;
      for (const category of [RECENT, ...CATEGORIES]) {
        const members = this.#emoji.all.filter((each) => each.category === category.id);
        this.#draw(category, members.map((each) => [this.inTone(each), each.name]));
      }
    }
    const recent = this.#memory.recent.filter((each) => this.#emoji.find(each));
    this.#draw(RECENT, recent.map((each) => [each, this.#emoji.find(each).name]));
    setHidden(this.#sections.get(RECENT.id).node, recent.length === 0);
    setHidden(this.#parts.tabs.firstChild, recent.length === 0);
    scroller.replaceChildren(...[...this.#sections.values()].map(({ node }) => node));
    scroller.scrollTop = 0;
    this.#setHeights();
    this.#setStop(scroller.querySelector("section:not([hidden]) [data-emoji]"));
    this.#markTab();
  }

  #draw({ id, label }, shown) {
    if (!this.#sections.has(id)) {
      const grid = el("div", "emoji-grid");
      const heading = el("h3", "emoji-heading", label);
      const node = el("section", "emoji-category", heading, grid);
      node.dataset.category = id;
      node.setAttribute("role", "group");
      node.setAttribute("aria-label", label);
      this.#sections.set(id, { node, grid });
    }
    this.#sections.get(id).grid.replaceChildren(...shown.map(([emoji, name]) => createCell(emoji, name)));
  }

  #renderFound() {
    const { search, scroller, status, tabs } = this.#parts;
    if (!this.#emoji.all) return;
    const isSearching = search.value.trim() !== "";
    for (const tab of tabs.children) tab.removeAttribute("aria-current");
    if (!isSearching) {
      setText(status, "");
      this.#renderAll();
      return;
    }
    const cells = this.#emoji.search(search.value).map((each) => createCell(this.inTone(each), each.name));
    setText(status, cells.length ? "" : NONE);
    scroller.replaceChildren(el("div", "emoji-grid", ...cells));
    scroller.scrollTop = 0;
    this.#setStop(cells[0]);
  }

  /** What is not in view is not laid out: it gets the height that it will have. */
  #setHeights() {
    const columns = Math.max(1, this.#columns);
    for (const { node, grid } of this.#sections.values()) {
      const rows = Math.ceil(grid.childElementCount / columns);
      node.style.containIntrinsicBlockSize = `${HEADING_PX + rows * CELL_PX}px`;
    }
  }

  get #columns() {
    const { scroller } = this.#parts;
    const grid = scroller.querySelector("section:not([hidden]) .emoji-grid, :scope > .emoji-grid");
    return grid ? getComputedStyle(grid).gridTemplateColumns.split(" ").length : 0;
  }

  #renderTone() {
    const { tone } = this.#parts;
    const hand = this.#emoji.find(HAND);
    setText(tone, hand ? this.inTone(hand) : HAND);
    const label = `Tom de pele: ${TONES[this.#memory.tone]}`;
    setAttribute(tone, "aria-label", label);
    setAttribute(tone, "title", label);
  }

  #chooseTone() {
    const tones = this.#emoji.find(HAND)?.tones;
    if (!tones) return;
    const { left, bottom } = this.#parts.tone.getBoundingClientRect();
    const items = tones.map((hand, tone) => ({
      label: `${hand}  ${tone ? `Pele ${TONES[tone]}` : "Padrão"}`,
      run: () => {
        this.#memory.tone = tone;
        this.#renderTone();
        this.#renderAll();
        if (this.#parts.search.value.trim()) this.#renderFound();
      },
    }));
    openMenu({ label: "Tom de pele", items, at: { x: left, y: bottom + 4 }, from: this.#parts.tone });
  }

  #pick(cell, byMouse) {
    if (!cell) return;
    const { emoji } = cell.dataset;
    this.#memory.chose(emoji);
    this.#host.onPick(emoji, { byMouse });
  }

  #goTo(id) {
    if (!id || !this.#emoji.all) return;
    if (this.#parts.search.value) {
      this.#parts.search.value = "";
      this.#renderAll();
    }
    const { scroller } = this.#parts;
    const { node, grid } = this.#sections.get(id);
    scroller.scrollTop += node.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
    this.#setStop(grid.firstElementChild);
    this.#markTab();
  }

  /** Marks the category that is on top. */
  #markTab() {
    const { scroller, tabs } = this.#parts;
    const top = scroller.getBoundingClientRect().top + CELL_PX;
    const shown = [...scroller.querySelectorAll("section:not([hidden])")];
    const current = shown.findLast((node) => node.getBoundingClientRect().top <= top) ?? shown[0];
    for (const tab of tabs.children) {
      setAttribute(tab, "aria-current", tab.dataset.category === current?.dataset.category ? "true" : null);
    }
  }

  /** One emoji is in the tab order; the arrow keys move between them. */
  #setStop(cell) {
    if (!cell?.dataset.emoji) return;
    for (const node of this.#parts.scroller.querySelectorAll('[tabindex="0"]')) node.tabIndex = -1;
    cell.tabIndex = 0;
  }

  #keyDown(event) {
    if (event.isComposing || event.defaultPrevented) return;
    const { key } = event;
    const { search, scroller } = this.#parts;
    if (key === "Escape") {
      event.preventDefault(); // which would close the conversation
      this.close();
      this.#host.onClose();
    } else if (event.target === search && (key === "ArrowDown" || key === "Enter")) {
      event.preventDefault(); // Enter would send the message
      const first = scroller.querySelector("section:not([hidden]) [data-emoji], :scope > .emoji-grid [data-emoji]");
      if (key === "ArrowDown") first?.focus();
      else if (search.value.trim()) this.#pick(first, false);
    } else if (event.target.dataset.emoji) {
      this.#moveFrom(event.target, event);
    }
  }

  #moveFrom(cell, event) {
    const cells = [...this.#parts.scroller.querySelectorAll("section:not([hidden]) [data-emoji], :scope > .emoji-grid [data-emoji]")];
    const at = cells.indexOf(cell);
    const { key } = event;
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    let next = null;
    if (key in steps) next = cells[at + steps[key]];
    else if (key === "Home") next = cells[0];
    else if (key === "End") next = cells.at(-1);
    else if (key === "ArrowDown" || key === "ArrowUp") next = this.#inRow(cell, cells, key === "ArrowDown" ? 1 : -1);
    else if (key.length === 1 && key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      this.#parts.search.focus(); // the letter goes there
      return;
    } else return;
    event.preventDefault();
    if (next) next.focus();
    else if (key === "ArrowUp") this.#parts.search.focus();
  }

  /** The cell above or below, also in the next category. */
  #inRow(cell, cells, step) {
    const columns = this.#columns;
    const grid = cell.parentElement;
    const column = [...grid.children].indexOf(cell) % columns;
    const index = [...grid.children].indexOf(cell) + step * columns;
    if (grid.children[index]) return grid.children[index];
    const ends = cells.indexOf(step > 0 ? grid.lastElementChild : grid.firstElementChild);
    const other = cells[ends + step]?.parentElement;
    if (step > 0) {
      const lastRow = Math.floor((grid.childElementCount - 1) / columns);
      const isLast = Math.floor([...grid.children].indexOf(cell) / columns) === lastRow;
      if (!isLast) return grid.lastElementChild;
      return other?.children[Math.min(column, other.childElementCount - 1)];
    }
    if (!other) return null;
    const start = Math.floor((other.childElementCount - 1) / columns) * columns;
    return other.children[Math.min(start + column, other.childElementCount - 1)];
  }
}

function createCell(emoji, name) {
  const cell = el("button", "emoji-cell", emoji);
  Object.assign(cell, { type: "button", title: name, tabIndex: -1 });
  cell.dataset.emoji = emoji;
  cell.setAttribute("aria-label", name);
  return cell;
}
