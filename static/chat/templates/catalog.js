/** The business's templates, as the server lists them. */

/** Changed seldom, and the server keeps them as long: after this they are asked for again. */
const KEPT_MS = 5 * 60_000;

export class TemplateCatalog {
  templates = [];
  state = "idle"; // "idle" | "loading" | "error"
  /** What to tell: why there is no list, or that it is an older one. */
  notice = "";
  loaded = false;

  #api;
  #at = -Infinity;

  constructor({ api }) {
    this.#api = api;
  }

  /** Asks for the list unless it is here; `refresh`: whatever is here. Resolves when that is done,
   * also where it failed: see `state`. */
  async load({ refresh = false } = {}) {
    const isYoung = performance.now() - this.#at < KEPT_MS;
    if (this.state === "loading" || (!refresh && this.loaded && isYoung)) return;
    this.state = "loading";
    try {
      const answer = await this.#api.call("GET", `/api/templates${refresh ? "?refresh=1" : ""}`);
      this.templates = answer.templates;
      this.notice = answer.stale ? "O WhatsApp não respondeu: esta lista pode estar desatualizada." : "";
      this.loaded = true;
      this.#at = answer.stale ? -Infinity : performance.now();
      this.state = "idle";
    } catch (error) {
      this.state = "error";
      if (error.name !== "ApiError") throw error;
      this.notice = error.message;
    }
  }
}
