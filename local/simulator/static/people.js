// The list of customers on the left.

const TIME = new Intl.DateTimeFormat("pt-BR", { hour: "2-digit", minute: "2-digit" });

export const clock = (seconds) => TIME.format(new Date(seconds * 1000));

export function element(tag, { className, text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function showNumber(customer) {
  if (!customer.phone) return customer.username ? `@${customer.username} · sem telefone` : "sem telefone";
  const found = /^55(\d{2})(\d{4,5})(\d{4})$/.exec(customer.phone);
  return found ? `+55 ${found[1]} ${found[2]}-${found[3]}` : `+${customer.phone}`;
}

const initial = (name) => [...name.trim()][0]?.toUpperCase() ?? "?";

function row(customer, selected, onSelect) {
  const last = customer.last_message;
  const preview = last ? (last.author === "customer" ? "Você: " : "") + last.text : showNumber(customer);
  const button = element(
    "button",
    {
      type: "button",
      className: "person",
      "data-customer-id": customer.id,
      "aria-current": customer.id === selected ? "true" : null,
    },
    element("span", { className: `avatar ${customer.online ? "on" : "off"}`, text: initial(customer.name), "aria-hidden": "true" }),
    element(
      "span",
      { className: "lines" },
      element("span", { className: "line" },
        element("span", { className: "name", text: customer.name }),
        element("time", { text: last ? clock(last.at) : "" })),
      element("span", { className: "line" },
        element("span", { className: "preview", text: preview }),
        ...(customer.online ? [] : [element("span", { className: "state", text: "offline" })]),
        ...(customer.unread ? [element("span", { className: "badge", text: customer.unread, "aria-label": `${customer.unread} não lidas` })] : [])),
    ),
  );
  button.addEventListener("click", () => onSelect(customer.id));
  return element("li", {}, button);
}

export function drawPeople(list, empty, customers, selected, onSelect) {
  const newest = (customer) => customer.last_message?.at ?? 0;
  const sorted = [...customers].sort((a, b) => newest(b) - newest(a));
  const focused = document.activeElement?.dataset?.customerId;
  list.replaceChildren(...sorted.map((customer) => row(customer, selected, onSelect)));
  empty.hidden = sorted.length > 0;
  if (focused) list.querySelector(`[data-customer-id="${CSS.escape(focused)}"]`)?.focus();
}
