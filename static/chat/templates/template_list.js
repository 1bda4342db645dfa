/** The templates to choose from: search, language, category; those that cannot be sent say why. */

import { el, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { plain } from "../parts/format.js";
import { plainText } from "../parts/rich_text.js";
import { categoryName, languageName } from "./filling.js";

const keyOf = ({ name, language }) => `${name}/${language}`;

export class TemplateList {
  node = el("div", "template-list");

  #search = el("input", "template-search");
  #language = el("select", "template-filter");
  #category = el("select", "template-filter");
  #refresh = el("button", "link-button template-refresh", "Atualizar");
  #notice = el("p", "template-notice");
  #rows = el("ul", "template-rows");
  #known = new Map(); // key -> row
  #catalog;
  #onChoose;
  #chosen = null;

  /** `onChoose(template)`. */
  constructor({ catalog, onChoose }) {
    this.#catalog = catalog;
    this.#onChoose = onChoose;
    Object.assign(this.#search, { type: "search", placeholder: "Pesquisar modelo", autocomplete: "off" });
    this.#search.setAttribute("aria-label", "Pesquisar modelo");
    this.#language.setAttribute("aria-label", "Idioma");
    this.#category.setAttribute("aria-label", "Categoria");
    this.#refresh.type = "button";
    this.#notice.setAttribute("role", "status");
    this.#rows.setAttribute("aria-label", "Modelos");
    const filters = el("div", "template-filters", this.#language, this.#category, this.#refresh);
    this.node.append(this.#search, filters, this.#notice, this.#rows);
    for (const field of [this.#search, this.#language, this.#category]) {
      field.addEventListener("input", () => this.render());
    }
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#rows.querySelector("button")?.focus();
    });
    this.#rows.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.#refresh.addEventListener("click", () => this.load({ refresh: true }));
  }

  /** Begins anew, with nothing chosen and no search. */
  open() {
    this.#search.value = "";
    this.choose(null);
    this.#rows.scrollTop = 0;
    return this.load();
  }

  async load(how) {
    const done = this.#catalog.load(how);
    this.render();
    await done;
    this.render();
  }

  focus() {
    this.#search.focus();
  }

  choose(template) {
    this.#chosen = template && keyOf(template);
    this.render();
  }

  render() {
    const { templates, state, notice, loaded } = this.#catalog;
    fillSelect(this.#language, "Idioma", templates.map(({ language }) => language), languageName);
    fillSelect(this.#category, "Categoria", templates.map(({ category }) => category), categoryName);
    const found = templates.filter((each) => this.#matches(each));
    found.sort((a, b) => Boolean(a.obstacle) - Boolean(b.obstacle)); // else by name, as they came
    reconcile(this.#rows, found.map((each) => this.#row(each)));
    const loading = state === "loading";
    if (this.#refresh.disabled !== loading) this.#refresh.disabled = loading;
    const none = !found.length && (templates.length
      ? "Nenhum modelo encontrado."
      : "A conta ainda não tem modelos. Eles são criados no Gerenciador do WhatsApp.");
    const words = loading && !loaded ? "Carregando modelos…" : notice || (state === "idle" && none) || "";
    setText(this.#notice, words);
    setHidden(this.#notice, !words);
  }

  #matches({ name, language, category, header, body }) {
    if (this.#language.value && this.#language.value !== language) return false;
    if (this.#category.value && this.#category.value !== category) return false;
    const where = plain([name.replaceAll("_", " "), name, header, body].join(" "));
    return plain(this.#search.value).split(/\s+/).every((word) => where.includes(word));
  }

  #row(template) {
    const key = keyOf(template);
    const row = this.#known.get(key) ?? this.#createRow(key);
    row.template = template;
    setText(row.name, template.name);
    setText(row.kind, `${languageName(template.language)} · ${categoryName(template.category)}`);
    setText(row.text, plainText(template.body));
    setHidden(row.obstacle, !template.obstacle);
    setText(row.obstacle, template.obstacle ?? "");
    row.node.classList.toggle("unsendable", Boolean(template.obstacle));
    setAttribute(row.button, "aria-current", key === this.#chosen ? "true" : null);
    return row.node;
  }

  #createRow(key) {
    const [name, kind, text, obstacle] = ["name", "kind", "text", "obstacle"].map((part) => el("span", `template-${part}`));
    const button = el("button", "template-row", name, kind, text, obstacle);
    button.type = "button";
    const row = { node: el("li", "", button), button, name, kind, text, obstacle };
    text.dir = "auto";
    button.addEventListener("click", () => this.#onChoose(row.template));
    this.#known.set(key, row);
    return row;
  }

  #moveFocus(event) {
    const row = event.target.closest("li");
    const target = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
    if (!target && event.key !== "ArrowUp") return;
    event.preventDefault();
    (target?.firstChild ?? this.#search).focus();
  }
}

/** The choices are what there is; what was chosen stays while it is there. */
function fillSelect(select, all, values, words) {
  const wanted = [...new Set(values)].sort();
  if (select.options.length === wanted.length + 1
    && wanted.every((value, n) => select.options[n + 1].value === value)) return;
  const { value } = select;
  select.replaceChildren(new Option(all, ""), ...wanted.map((each) => new Option(words(each), each)));
  select.value = wanted.includes(value) ? value : "";
}
