/**
 * The open conversation in the address (`?c=`) and in the browser's history. Where list and thread
 * stand side by side the address only follows, as on WhatsApp Web. Where the thread covers the list
 * (layout.css) it is a step of its own, so that the browser's back button leads to the list and not
 * out of the chat.
 */

const COVERED = "(max-width: 760px)";

export class Address {
  #covered;

  /** `onChange(id)`: the browser's back or forward button was used; null is the list. */
  constructor(onChange) {
    this.#covered = matchMedia(COVERED);
    addEventListener("popstate", () => onChange(this.selected));
  }

  get selected() {
    return new URL(location.href).searchParams.get("c");
  }

  /** The screen went from one conversation to another; null is the list. */
  follow(from, to) {
    const steps = from === null && to !== null && this.#covered.matches && !this.#isAboveList;
    if (steps) {
      history.replaceState(history.state, "", addressOf(null)); // a link to it had no list below
      history.pushState({ aboveList: true }, "", addressOf(to));
    } else {
      history.replaceState(history.state, "", addressOf(to));
    }
  }

  /** Goes back to the list by the browser's history; false when the list is not below. */
  leave() {
    if (!this.#isAboveList) return false;
    history.back();
    return true;
  }

  get #isAboveList() {
    return history.state?.aboveList === true;
  }
}

function addressOf(id) {
  const url = new URL(location.href);
  if (id === null) url.searchParams.delete("c");
  else url.searchParams.set("c", id);
  return url;
}
