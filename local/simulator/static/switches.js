// The panel of faults, drawn from the simulator's own table of switches.

import { call } from "./api.js";
import { element } from "./people.js";

const FIELD_LABELS = {
  size: "tamanho", wait_ms: "espera (ms)", share: "parte (0 a 1)", next: "próximas", what: "quais",
  code: "código", times: "vezes", http_status: "HTTP", details: "detalhes", process: "processa",
  seconds: "segundos",
};
const VALUE_LABELS = {
  messages: "mensagens", statuses: "status", both: "ambos", natural: "natural", reversed: "invertida",
  as_given: "como veio", with: "com o 9", without: "sem o 9", other: "a outra forma",
  503: "responde 503", close: "fecha a conexão",
};

function input(schema, value, name, label) {
  if (schema.enum) {
    const options = schema.enum.map((one) =>
      element("option", { value: one ?? "", text: one === null ? "não" : VALUE_LABELS[one] ?? one }));
    const select = element("select", { name, "aria-label": label }, ...options);
    select.value = value ?? "";
    return select;
  }
  const type = [schema.type].flat()[0];
  if (type === "boolean") {
    const box = element("input", { type: "checkbox", name, "aria-label": label });
    box.checked = Boolean(value);
    return box;
  }
  const number = type === "integer" || type === "number";
  return element("input", {
    type: number ? "number" : "text", name, value: value ?? "", "aria-label": label,
    step: type === "number" ? "any" : null, list: name === "code" ? "codes" : null,
  });
}

function read(field, schema) {
  if (field.type === "checkbox") return field.checked;
  if (field.value === "") return null;
  const type = [schema.type].flat()[0];
  return !schema.enum && (type === "integer" || type === "number") ? Number(field.value) : field.value;
}

export class SwitchPanel {
  #root;
  #table = {};
  #drawn = "";
  #onProblem;

  constructor(root, onProblem) {
    this.#root = root;
    this.#onProblem = onProblem;
  }

  async start(codes) {
    const table = await call("GET", "/phone/switches.json");
    this.#table = table.switches;
    codes.replaceChildren(
      ...Object.entries(table.codes).map(([code, title]) => element("option", { value: code, text: title })));
    await this.refresh();
  }

  async refresh() {
    this.#draw(await call("GET", "/switches"));
  }

  async reset() {
    this.#draw(await call("DELETE", "/switches"));
  }

  #draw(values) {
    const drawn = JSON.stringify(values);
    if (drawn === this.#drawn) return;
    // Somebody is typing there: what they write must not be taken from under their hands.
    if (this.#root.contains(document.activeElement) && document.activeElement.type !== "checkbox") return;
    this.#drawn = drawn;
    this.#root.replaceChildren(
      ...Object.entries(this.#table).map(([name, row]) => this.#row(name, row, values[name])));
  }

  #row(name, row, value) {
    const on = JSON.stringify(value) !== JSON.stringify(row.default);
    const label = element("span", { className: "label", text: row.label });
    const line = element("div", { className: on ? "switch on" : "switch", "data-switch": name, title: row.description });
    const properties = row.schema.properties;
    if (!properties) {
      const field = input(row.schema, value, name, row.label);
      field.addEventListener("change", () => this.#set(name, read(field, row.schema) ?? row.default));
      line.append(element("label", {}, label, field));
      return line;
    }
    const box = element("input", { type: "checkbox", "aria-label": row.label });
    box.checked = value !== null;
    box.addEventListener("change", () => this.#set(name, box.checked ? row.example : null));
    line.append(element("label", {}, label, box));
    if (value === null) return line;
    const fields = Object.entries(properties)
      .filter(([key]) => key in row.example || (value[key] ?? null) !== null)
      .map(([key, schema]) => {
        const field = input(schema, value[key], key, FIELD_LABELS[key] ?? key);
        field.addEventListener("change", () => this.#set(name, { ...value, [key]: read(field, schema) }));
        return element("label", {}, element("span", { text: FIELD_LABELS[key] ?? key }), field);
      });
    line.append(element("div", { className: "fields" }, ...fields));
    return line;
  }

  async #set(name, value) {
    document.activeElement?.blur();
    try {
      this.#draw(await call("PATCH", "/switches", { [name]: value }));
    } catch (problem) {
      this.#onProblem(problem);
      this.#drawn = "";
      await this.refresh();
    }
  }
}
