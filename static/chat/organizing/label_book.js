/** The business's labels as this page knows them: the same in every attendant's browser. */

/** After a request that failed. */
const AGAIN_MS = 30_000;
/** As the server has it, see chat/people/labels.py. */
export const MAX_LABEL_NAME = 60;
/** The tones of base.css by their number, as a screen reader says them. */
export const COLOURS = ["Azul", "Verde", "Laranja", "Roxo", "Rosa", "Turquesa", "Amarelo", "Cinza"];

export class LabelBook {
  #api;
  #onChange;
  #labels = [];
  #version = -1;
  #timer = null;

  /** `onChange()`: the labels are others now. */
  constructor({ api, onChange }) {
    this.#api = api;
    this.#onChange = onChange;
  }

  /** [{id, name, colour}], in the order they were made. */
  get labels() {
    return this.#labels;
  }

  find(id) {
    return this.#labels.find((label) => label.id === id) ?? null;
  }

  /** Those of a conversation, which may have ids of labels that are no more. */
  of({ labels = [] }) {
    return labels.length ? this.#labels.filter(({ id }) => labels.includes(id)) : [];
  }

  /** Asks the server, until there is an answer. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      this.#learn(await this.#api.call("GET", "/api/labels"));
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#timer = setTimeout(() => this.refresh(), AGAIN_MS);
    }
  }

  onEvent({ type, data }) {
    if (type === "labels.changed") this.#learn(data);
  }

  /** Resolves to the label; rejects with an ApiError in words for the attendant, as `edit` does. */
  async add(name, colour) {
    const answer = await this.#api.call("POST", "/api/labels", { name, colour });
    this.#learn(answer);
    return answer.label;
  }

  async edit(id, change) {
    this.#learn(await this.#api.call("POST", pathOf(id), change));
  }

  async remove(id) {
    this.#learn(await this.#api.call("DELETE", pathOf(id)));
  }

  #learn({ labels, version }) {
    if (version < this.#version) return; // an answer that was overtaken by an event
    this.#version = version;
    this.#labels = labels;
    this.#onChange();
  }
}

const pathOf = (id) => `/api/labels/${encodeURIComponent(id)}`;
