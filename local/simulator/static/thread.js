// The conversation on the customer's phone. Whatever people wrote goes in by textContent only.

import { clock, element } from "./people.js";

const DAY = new Intl.DateTimeFormat("pt-BR", { day: "numeric", month: "long", year: "numeric" });
const TICKS = { sent: "✓", delivered: "✓✓", read: "✓✓" };
const TICK_LABELS = { sent: "Enviada", delivered: "Entregue", read: "Lida pela empresa" };
const STATES = {
  accepted: "aceita pela API",
  sent: "enviada, a caminho do celular",
  delivered: "entregue",
  read: "lida",
  failed: "não chegou",
};

/** A template: what was filled in, and its buttons, of which a quick reply answers. */
function templateParts({ text, id, body: { rendered } }, on) {
  const part = (className, words) => (words ? [element("span", { className, text: words })] : []);
  const buttons = rendered.buttons.map((button) => {
    const { url, code, phone_number: number } = button;
    if (url) return element("a", { className: "template-button", href: url, target: "_blank", rel: "noopener noreferrer", text: button.text });
    const made = element("button", { type: "button", className: "template-button", text: button.text, title: code ?? number });
    if (button.type === "QUICK_REPLY") made.addEventListener("click", () => on.press(id, button.text));
    return made;
  });
  return [...part("template-header", rendered.header), element("span", { className: "text", text }),
    ...part("template-footer", rendered.footer), ...buttons];
}

const caption = ({ caption: text }) => (text ? [element("span", { className: "text", text })] : []);

function content(message, on) {
  const { type, body } = message;
  if (type === "template" && body?.rendered) return templateParts(message, on);
  const text = element("span", { className: "text", text: message.text });
  if (type === "image" || type === "sticker") {
    if (!body.id) return [text];
    const picture = element("img", {
      className: type, src: `/phone/media/${body.id}`, alt: type === "image" ? "Foto" : "Figurinha",
    });
    return [picture, ...caption(body)];
  }
  if (type === "video" && body.id) {
    return [element("video", { controls: "", preload: "metadata", src: `/phone/media/${body.id}` }), ...caption(body)];
  }
  if (type === "audio" && body.id) {
    const player = element("audio", { controls: "", preload: "none", src: `/phone/media/${body.id}` });
    return body.voice ? [element("span", { className: "voice", text: "🎤 Mensagem de voz" }), player] : [player];
  }
  if (type === "document" && body.id) {
    const name = body.filename ? `📄 ${body.filename}` : message.text;
    return [element("a", { href: `/phone/media/${body.id}`, target: "_blank", rel: "noopener", text: name }), ...caption(body)];
  }
  return [text];
}

function quote(message, byId) {
  if (!message.reply_to) return [];
  const target = byId.get(message.reply_to);
  return [element("span", { className: "quote", text: target ? target.text : "Mensagem" })];
}

function meta(message) {
  if (message.author === "customer") {
    const ticks = element("span", {
      className: `ticks ${message.status}`, text: TICKS[message.status] ?? "", title: TICK_LABELS[message.status],
      "aria-label": TICK_LABELS[message.status],
    });
    return element("span", { className: "meta" }, element("time", { text: clock(message.at) }), ticks);
  }
  const state = message.error ? `${STATES.failed} (${message.error.code})` : STATES[message.status];
  return element("span", { className: "meta" },
    element("span", { className: "state", text: state }), element("time", { text: clock(message.at) }));
}

function actions(message, on) {
  const make = (text, label, act) => {
    const button = element("button", { type: "button", text, "aria-label": label, title: label });
    button.addEventListener("click", act);
    return button;
  };
  return element("span", { className: "actions" },
    make("↩", "Responder", () => on.reply(message)),
    make("👍", "Reagir com 👍", () => on.react(message, "👍")),
    make("❤️", "Reagir com ❤️", () => on.react(message, "❤️")));
}

function bubble(message, byId, on) {
  const reactions = Object.values(message.reactions);
  return element(
    "div",
    {
      className: `bubble ${message.author}${message.on_phone ? "" : " away"} ${message.type}`,
      "data-message-id": message.id,
      "data-state": message.status,
    },
    ...quote(message, byId), ...content(message, on), meta(message),
    ...(reactions.length ? [element("span", { className: "reactions", text: reactions.join("") })] : []),
    ...(message.on_phone ? [actions(message, on)] : []),
  );
}

export function drawThread(thread, messages, on) {
  const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 60;
  const byId = new Map(messages.map((message) => [message.id, message]));
  const parts = [];
  let day = "";
  for (const message of messages) {
    const itsDay = DAY.format(new Date(message.at * 1000));
    if (itsDay !== day) parts.push(element("div", { className: "day", text: itsDay }));
    day = itsDay;
    parts.push(bubble(message, byId, on));
  }
  if (!parts.length) parts.push(element("p", { className: "empty", text: "Escreva a primeira mensagem à empresa." }));
  thread.replaceChildren(...parts);
  if (atEnd) thread.scrollTop = thread.scrollHeight;
}
