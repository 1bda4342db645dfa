/**
 * What can be put in place of the word before the caret: a list above the field, moved in by the
 * arrow keys, while the focus stays in the field. Enter or Tab take, Escape does without.
 */

import { el, setAttribute, setHidden } from "../parts/dom.js";

const OPTION_ID = "completion-";

export class Completions {
  #input;
  #box;
  #list;
  #more;
  #providers = [];
  #shown = null; // what the provider found
  #active = 0;
  #dismissed = null; // the word that was decided against, where it begins: "3 :so"
  #onTake;

  /** `input`: the field; `box`: where the list is drawn; `onTake(taken, from, to)`: an option was
   * chosen, for this part of the text; `taken` is what it gives. */
  constructor(input, box, { onTake }) {
    this.#input = input;
    this.#box = box;
    this.#onTake = onTake;
    this.#list = el("ul", "completion-list");
    this.#list.id = `${OPTION_ID}list`;
    this.#list.setAttribute("role", "listbox");
    this.#list.tabIndex = 0; // it scrolls; Tab does not lead here, which takes what is chosen
    this.#more = el("button", "completion-more");
    this.#more.type = "button";
    box.append(this.#list, this.#more);
    input.setAttribute("aria-autocomplete", "list");
    for (const type of ["input", "click", "keyup"]) input.addEventListener(type, () => this.update());
    input.addEventListener("blur", () => this.close());
    box.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the field
    this.#list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#take([...this.#list.children].indexOf(option));
    });
    this.#more.addEventListener("click", () => {
      const { run } = this.#shown.more;
      this.close();
      run();
    });
  }

  /**
   * One more kind of words. `find(before, text)`: given the text before the caret and all of it, null
   * or {from, label, options, more}: where the word begins, what the list is called, what can be
   * taken ([{label, detail, taken()}], where `taken` gives {text, select}: what is put there, and the
   * part of it that is selected, [start, end] or null), and a last line that does something else
   * ({label, run}), or null.
   */
  add(find) {
    this.#providers.push(find);
  }

  /** Looks again: the text has changed, or the caret, or what is known. */
  update() {
    if (document.activeElement !== this.#input) return;
    const { value, selectionStart: caret, selectionEnd } = this.#input;
    const before = value.slice(0, caret);
    const found = caret === selectionEnd
      ? this.#providers.map((find) => find(before, value)).find(Boolean)
      : null;
    const word = found ? `${found.from} ${before.slice(found.from)}` : null;
    if (word !== this.#dismissed) this.#dismissed = null;
    if (!found || this.#dismissed || (!found.options.length && !found.more)) this.close();
    else this.#show({ ...found, to: caret, word });
  }

  close() {
    if (!this.#shown) return;
    this.#shown = null;
    setHidden(this.#box, true);
    for (const name of ["aria-controls", "aria-activedescendant"]) this.#input.removeAttribute(name);
  }

  /** Whether this key was for the list. */
  keyDown(event) {
    if (!this.#shown || event.isComposing || event.keyCode === 229) return false;
    const count = this.#shown.options.length;
    const { key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (key === "Escape") {
      this.#dismissed = this.#shown.word;
      this.close();
    } else if (!count || shiftKey || ctrlKey || altKey || metaKey) {
      return false;
    } else if (key === "ArrowDown" || key === "ArrowUp") {
      this.#activate((this.#active + (key === "ArrowDown" ? 1 : count - 1)) % count);
    } else if (key === "Enter" || key === "Tab") {
      this.#take(this.#active);
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  #show(found) {
    const same = this.#shown?.word === found.word && this.#shown.options === found.options;
    this.#shown = found;
    setAttribute(this.#list, "aria-label", found.label);
    if (!same) {
      this.#list.replaceChildren(...found.options.map(createOption));
      this.#list.scrollTop = 0;
      this.#active = 0;
    }
    setHidden(this.#list, found.options.length === 0);
    setHidden(this.#more, !found.more);
    this.#more.textContent = found.more?.label ?? "";
    setHidden(this.#box, false);
    setAttribute(this.#input, "aria-controls", this.#list.id);
    this.#activate(this.#active);
  }

  #activate(index) {
    this.#active = index;
    for (const [at, node] of [...this.#list.children].entries()) {
      setAttribute(node, "aria-selected", at === index ? "true" : "false");
    }
    const node = this.#list.children[index];
    node?.scrollIntoView({ block: "nearest" });
    setAttribute(this.#input, "aria-activedescendant", node?.id ?? null);
  }

  #take(index) {
    const { options, from, to } = this.#shown;
    this.close();
    this.#onTake(options[index].taken(), from, to);
  }
}

function createOption({ label, detail }, index) {
  const node = el("li", "completion", el("span", "completion-label", label), el("span", "completion-detail", detail));
  node.id = `${OPTION_ID}${index}`;
  node.setAttribute("role", "option");
  node.lastChild.dir = "auto";
  return node;
}
