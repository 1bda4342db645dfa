/**
 * What a template reads like once it is filled in, and what is wrong with what was written. Pure.
 * The server has the last word: chat/outgoing/templates.py.
 */

const VARIABLE = /\{\{\s*(\w+)\s*\}\}/g;
const MAX_HEADER = 60;
const MAX_BODY = 1024;
/** Meta refuses these in a variable. */
const REFUSED = /[\r\n\t\v\f\u0085\u2028\u2029]| {4,}/;
/** What variables for the customer's name are called. */
const NAME_VARIABLE = /^(nome|name|nombre|cliente|customer|(primeiro_?)?nome(_?(do_?)?cliente)?|(first|customer|client)_?name)$/i;
/** A variable without a name of its own is the customer's where somebody is greeted by it. */
const GREETING = /(?:^|[\s*_~!.,])(?:ol[áa]|oi|bom dia|boa tarde|boa noite|prezad[oa]|car[oa]|hola|hello|hi|dear|estimad[oa])[\s,!*_]*$/i;

const CATEGORIES = { UTILITY: "Utilidade", MARKETING: "Marketing", AUTHENTICATION: "Autenticação" };
let languages = null;

export const categoryName = (category) => CATEGORIES[category] ?? category;

/** "Português (Brasil)" of "pt_BR". */
export function languageName(code) {
  languages ??= new Intl.DisplayNames("pt-BR", { type: "language" });
  try {
    const name = languages.of(code.replace("_", "-"));
    return name[0].toLocaleUpperCase("pt-BR") + name.slice(1);
  } catch {
    return code; // no language that this browser knows the form of
  }
}

/** {text, template}: as a message has them. What is not filled in yet stands as `{{1}}`. */
export function filledIn(template, values) {
  const put = (text, prefix) => (text ?? "").replace(VARIABLE, (whole, name) => values[prefix + name]?.trim() || whole);
  const buttons = template.buttons.map(({ example: _, ...button }, index) => {
    const value = values[`button.${index}`]?.trim();
    if (!value) return button;
    return button.kind === "copy" ? { ...button, code: value } : { ...button, url: button.url.replace(VARIABLE, () => value) };
  });
  return {
    text: put(template.body, ""),
    template: {
      name: template.name,
      language: template.language,
      category: template.category,
      header: put(template.header, "header.") || null,
      footer: template.footer,
      buttons,
    },
  };
}

/** What the API is asked for. */
export function askedFor(template, values) {
  const given = template.variables.map(({ key }) => [key, (values[key] ?? "").trim()]);
  return { name: template.name, language: template.language, variables: Object.fromEntries(given) };
}

/** {key: why} of the variables that Meta would refuse; empty when it can be sent. */
export function problemsOf(template, values) {
  const problems = {};
  for (const { key, limit } of template.variables) {
    const value = (values[key] ?? "").trim();
    if (!value) problems[key] = "Preencha este campo.";
    else if (REFUSED.test(value)) {
      problems[key] = "O WhatsApp não aceita aqui quebra de linha, tabulação nem 4 espaços seguidos.";
    } else if ([...value].length > limit) problems[key] = `Passa de ${limit} caracteres.`;
  }
  const { text, template: { header } } = filledIn(template, values);
  for (const [part, whole, limit] of [["header", header ?? "", MAX_HEADER], ["body", text, MAX_BODY]]) {
    const last = template.variables.findLast((each) => each.part === part);
    if (last && [...whole].length > limit) {
      problems[last.key] ??= `O texto todo passa de ${limit.toLocaleString("pt-BR")} caracteres.`;
    }
  }
  return problems;
}

/** What is filled in to begin with; `name`: the customer's, null where it is not known. */
export function firstValues(template, name) {
  const values = Object.fromEntries(template.variables.map(({ key }) => [key, ""]));
  if (!name) return values;
  for (const { key, part, name: variable } of template.variables) {
    if (part === "button") continue;
    const text = (part === "header" ? template.header : template.body) ?? "";
    const before = text.split(new RegExp(`\\{\\{\\s*${variable}\\s*\\}\\}`))[0];
    if (NAME_VARIABLE.test(variable) || (/^\d+$/.test(variable) && GREETING.test(before))) values[key] = name;
  }
  return values;
}

/** What a variable is called in the form. */
export function variableLabel({ part, name }) {
  if (part === "button") return `Botão “${name}”`;
  const words = /^\d+$/.test(name) ? `Variável ${name}` : name.replaceAll("_", " ");
  return part === "header" ? `Título: ${words}` : words[0].toLocaleUpperCase("pt-BR") + words.slice(1);
}
