/** A chosen template: how it will look, and what is to be filled in. */

import { createBubble } from "../message/bubble.js";
import { el, setAttribute, setHidden, setText } from "../parts/dom.js";
import { askedFor, categoryName, filledIn, languageName, problemsOf, variableLabel } from "./filling.js";

let forms = 0; // for ids of their own

export class TemplateForm {
  node = el("form", "template-form");

  #bubble = null;
  #wall = el("div", "template-preview");
  #title = el("h3", "template-title");
  #kind = el("p", "template-kind");
  #fields = el("div", "template-fields");
  #problem = el("p", "template-problem");
  #send = el("button", "template-send", "Enviar");
  #inputs = new Map(); // key -> {input, problem}
  #template = null;
  #isBusy = false;
  #tried = false; // sending was asked for: from then on every field says what it lacks
  #id = (forms += 1);

  /** `onSend({text, template, asked})`: as `Sender.send` takes it. */
  constructor({ onSend }) {
    this.#wall.setAttribute("aria-label", "Como o cliente vai ver");
    this.#wall.setAttribute("role", "group");
    this.#wall.tabIndex = 0; // it may have to be scrolled
    this.#problem.setAttribute("role", "alert");
    this.#send.type = "submit";
    const head = el("div", "template-head", this.#title, this.#kind);
    const foot = el("div", "template-foot", this.#problem, this.#send);
    this.node.append(head, this.#wall, el("div", "template-scroll", this.#fields), foot);
    this.node.noValidate = true;
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#isBusy || !this.#template) return;
      this.#tried = true;
      const problems = this.#check();
      const first = Object.keys(problems)[0];
      if (first) this.#inputs.get(first).input.focus();
      else if (!this.#template.obstacle) onSend({ ...filledIn(this.#template, this.values), asked: this.asked });
    });
  }

  get asked() {
    return askedFor(this.#template, this.values);
  }

  get values() {
    return Object.fromEntries([...this.#inputs].map(([key, { input }]) => [key, input.value]));
  }

  /** `values`: what is filled in to begin with; null shows nothing. */
  show(template, values = {}) {
    this.#template = template;
    this.#tried = false;
    this.#inputs.clear();
    setHidden(this.node, !template);
    this.busy(false);
    this.#bubble = template && createBubble(); // of a page that shows none there is none to be found
    this.#wall.replaceChildren(...(template ? [this.#bubble.node] : []));
    if (!template) return;
    setText(this.#title, template.name);
    setText(this.#kind, `${languageName(template.language)} · ${categoryName(template.category)}`);
    const sendable = !template.obstacle;
    this.#fields.replaceChildren(...(sendable ? template.variables.map((each) => this.#field(each, values[each.key])) : []));
    setHidden(this.#send, !sendable);
    this.tell(sendable ? "" : `Não dá para enviar. ${template.obstacle}.`);
    this.node.querySelector(".template-scroll").scrollTop = 0;
    this.#draw();
  }

  /** To the first field that is empty, or else to the button. */
  focus() {
    const empty = [...this.#inputs.values()].find(({ input }) => !input.value);
    (empty?.input ?? this.#send).focus();
  }

  busy(isBusy) {
    this.#isBusy = isBusy;
    setAttribute(this.#send, "aria-disabled", isBusy ? "true" : null);
    setText(this.#send, isBusy ? "Enviando…" : "Enviar");
  }

  /** What went wrong; `field` as the API names it. */
  tell(words, field = null) {
    const key = field?.startsWith("template.variables.") ? field.slice("template.variables.".length) : null;
    const known = key && this.#inputs.get(key);
    if (known) {
      showProblem(known, words);
      known.input.focus();
    }
    setText(this.#problem, known ? "" : words);
  }

  #field(variable, value = "") {
    const id = `template-${this.#id}-${variable.key.replace(".", "-")}`;
    const label = el("label", "template-label", variableLabel(variable));
    label.htmlFor = id;
    const input = el("input", "template-input");
    Object.assign(input, { id, value, type: "text", autocomplete: "off" });
    input.setAttribute("aria-describedby", `${id}-problem`);
    input.dataset.variable = variable.key;
    if (variable.example) input.placeholder = `Ex.: ${variable.example}`;
    const problem = el("p", "template-field-problem");
    problem.id = `${id}-problem`;
    this.#inputs.set(variable.key, { input, problem });
    input.addEventListener("input", () => {
      this.tell("");
      this.#check();
      this.#draw();
    });
    return el("div", "template-field", label, input, problem);
  }

  /** What is wrong, told at the fields; what is merely empty not before it was to be sent. */
  #check() {
    const problems = problemsOf(this.#template, this.values);
    for (const [key, field] of this.#inputs) {
      const told = this.#tried || field.input.value.trim() ? problems[key] : null;
      showProblem(field, told ?? "");
    }
    return problems;
  }

  #draw() {
    const message = {
      id: "preview",
      direction: "out",
      author: { kind: "attendant", name: "" },
      type: "template",
      sent_at: new Date().toISOString(),
      ...filledIn(this.#template, this.values),
    };
    this.#bubble.update({ message, startsRun: true, author: null, speaker: "Prévia" }, "");
    delete this.#bubble.node.dataset.messageId; // it is none
  }
}

function showProblem({ input, problem }, words) {
  setText(problem, words);
  setAttribute(input, "aria-invalid", words ? "true" : null);
}
