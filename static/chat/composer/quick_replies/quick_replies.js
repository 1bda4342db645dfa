/** The answers that the business keeps, as this page knows them, and how they become a text. No DOM. */

import { knownName, plain } from "../../parts/format.js";

const PATH = "/api/quick-replies";

export class QuickReplies {
  /** [{id, shortcut, text, changed_by, changed_at}] by shortcut; null until they are asked for. */
  all = null;
  #api;
  #onChange;
  #asking = null;

  /** `onChange()`: they are other ones now. */
  constructor({ api, onChange }) {
    this.#api = api;
    this.#onChange = onChange;
  }

  /** Reads them, unless they are here or on their way. Rejects with an ApiError. */
  load() {
    return this.#asking ?? this.#ask();
  }

  /** An event of the stream: somebody has changed one. */
  onEvent({ type }) {
    if (type === "quick_replies.changed") this.refresh();
  }

  /** Reads them again, if they were asked for: what was missed may concern them. */
  async refresh() {
    if (!this.#asking) return;
    await this.#ask().catch((error) => {
      if (error.name !== "ApiError") throw error;
    });
  }

  /** Makes one (`id` is null) or changes it. Rejects with an ApiError that may name its `field`. */
  async save({ id, ...reply }) {
    await this.#api.call("POST", id === null ? PATH : `${PATH}/${encodeURIComponent(id)}`, reply);
    await this.refresh();
  }

  async remove(id) {
    await this.#api.call("DELETE", `${PATH}/${encodeURIComponent(id)}`);
    await this.refresh();
  }

  /** Those whose shortcut begins with this, then those that contain it. */
  matching(typed) {
    const wanted = plain(typed);
    const ranked = (this.all ?? []).map((reply) => [plain(reply.shortcut).indexOf(wanted), reply]);
    const found = ranked.filter(([at]) => at >= 0);
    return found.sort(([a], [b]) => Math.sign(a) - Math.sign(b)).map(([, reply]) => reply);
  }

  /** Of several answers under way the newest counts. After a failure they are asked for again when
   * they are needed. */
  #ask() {
    const mine = this.#api.call("GET", PATH).then(
      ({ quick_replies: all }) => {
        if (this.#asking !== mine) return;
        this.all = all.sort((a, b) => a.shortcut.localeCompare(b.shortcut, "pt-BR"));
        this.#onChange();
      },
      (error) => {
        if (this.#asking === mine) this.#asking = this.all = null;
        throw error;
      },
    );
    this.#asking = mine;
    return mine;
  }
}

/** Its text for this customer. A name that nobody knows stays a blank to be filled in by hand. */
export function filledIn(text, conversation) {
  const name = knownName(conversation);
  if (!name) return text;
  return text
    .replaceAll(/\{nome\}/gi, () => name)
    .replaceAll(/\{primeiro[_ ]nome\}/gi, () => name.split(/\s+/u)[0]);
}

/** Where a blank begins and ends in such a text, the first one; null without. */
export function blankOf(text) {
  const found = /\{(?:primeiro[_ ])?nome\}/i.exec(text);
  return found && [found.index, found.index + found[0].length];
}

/**
 * For `Completions`: "/" at the beginning of the field opens the list. `taken(reply)`: as there;
 * `onManage()`: the last line.
 */
export function quickReplyWords(quickReplies, { taken, onManage }) {
  let last = { typed: null, all: null, options: [] };
  return (before) => {
    const typed = /^\/([\p{L}\p{N}_-]*)$/u.exec(before)?.[1];
    if (typed === undefined) return null;
    quickReplies.load().catch((error) => {
      if (error.name !== "ApiError") throw error;
    });
    const { all } = quickReplies;
    if (!all) return null; // here in a moment: it is looked again then
    if (last.typed !== typed || last.all !== all) {
      const options = quickReplies.matching(typed).map((reply) => (
        { label: `/${reply.shortcut}`, detail: reply.text, taken: () => taken(reply) }
      ));
      last = { typed, all, options };
    }
    if (typed && !last.options.length) return null;
    const label = all.length ? "Gerenciar respostas rápidas" : "Criar uma resposta rápida";
    return { from: 0, label: "Respostas rápidas", options: last.options, more: { label, run: onManage } };
  };
}
