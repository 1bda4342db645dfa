/** Asks the server what number was typed, and whose it is: once somebody stops typing. */

const WAIT_MS = 300;
/** With fewer digits it is no number yet, and may well be part of one that is known. */
const FEWEST_DIGITS = 8;

/** Whether a text may be a phone number, and nothing else. */
export function isNumber(text) {
  return /^[\d\s()+.\-/]+$/.test(text) && text.replace(/\D/g, "").length >= FEWEST_DIGITS;
}

export class NumberLookup {
  /** Of the text looked at last: null, or {state: "looking" | "found" | "wrong" | "failed", number,
   * phone, conversation, words}. */
  found = null;

  #api;
  #onChange;
  #text = "";
  #timer = null;

  /** `onChange()`: `found` is another one. */
  constructor({ api, onChange }) {
    this.#api = api;
    this.#onChange = onChange;
  }

  look(text, { wait = WAIT_MS } = {}) {
    const trimmed = text.trim();
    if (trimmed === this.#text && this.found?.state !== "failed") return;
    clearTimeout(this.#timer);
    this.#text = trimmed;
    this.found = isNumber(trimmed) ? { state: "looking" } : null;
    if (this.found) this.#timer = setTimeout(() => this.#ask(trimmed), wait);
  }

  async #ask(text) {
    let found;
    try {
      const answer = await this.#api.call("POST", "/api/contacts/number", { number: text });
      found = answer.number ? { state: "found", ...answer } : { state: "wrong", words: answer.problem };
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      found = { state: "failed", words: error.message };
    }
    if (text !== this.#text) return;
    this.found = found;
    this.#onChange();
  }
}
