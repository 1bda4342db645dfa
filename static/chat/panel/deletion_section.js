/** Where an administrator has a customer's data deleted: the way to the page that asks. */

import { el, setAttribute } from "../parts/dom.js";

export class DeletionSection {
  node;

  #address;
  #link = el("a", "menu-item panel-danger", "Apagar dados do cliente…");

  /** `address`: of the administrators' page. */
  constructor(address) {
    this.#address = address;
    this.node = el("section", "panel-section panel-switches", this.#link);
  }

  render(id) {
    setAttribute(this.#link, "href", `${this.#address}/conversations/${encodeURIComponent(id)}`);
  }
}
