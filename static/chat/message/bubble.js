/** One message as a bubble. Parts are changed in place, so that selected text stays selected. */

import { problemOf as statusProblem, updateTicks } from "../../message_status.js";
import { statusOf } from "../data/thread_state.js";
import { createMediaBox } from "../media/media_box.js";
import { SIGNS } from "../organizing/signs.js";
import { ICONS, actionButton, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { clockTime, isSeen, toneOf } from "../parts/format.js";
import { previewText } from "../parts/media_format.js";
import {
  forwardedOf, linesOf, updateForwarded, updateLines, updateReactions, updateReferral, updateRevoked,
} from "./extras.js";
import { createFailureMark } from "./failure_mark.js";
import { offersOf } from "./offers.js";
import { createQuote, updateQuote } from "./quote.js";
import { drawText } from "./text.js";
import { createTemplateParts, updateTemplate } from "./template_parts.js";

/**
 * What went wrong, as shown under the bubble, or behind its "!": {text, failed, action, label}, or
 * null when nothing did. `failed` is false while it may still have reached the customer, or will; `action` is null
 * where there is nothing to do but wait.
 */
export function problemOf(message) {
  if (message.delivery === "waiting") {
    return { text: "Aguardando conexão", failed: false, action: null, label: "" };
  }
  if (message.delivery === "held") {
    return { text: "Aguardando sua confirmação", failed: false, action: null, label: "" };
  }
  if (message.delivery === "unsent") {
    return {
      text: "Não enviada: ficou tempo demais sem conexão.",
      failed: true,
      action: "retry",
      label: "Tentar novamente",
    };
  }
  if (message.delivery === "refused") {
    const reason = message.error?.message;
    const text = reason ? `Não enviada: ${reason}` : "Não enviada.";
    if (message.asked) return { text, failed: true, action: "template", label: "Escolher modelo" };
    if (message.upload) return { text, failed: true, action: "attach", label: "Abrir de novo" };
    if (message.media) return { text, failed: true, action: "discard", label: "Remover" };
    return { text, failed: true, action: "copy", label: "Copiar para o campo de mensagem" };
  }
  const problem = statusProblem(message);
  if (!problem || message.retried_as) return problem && { ...problem, label: "" };
  if (message.resending) return { ...problem, text: "Enviando novamente…", action: null, label: "" };
  const text = message.resend_error ? `${problem.text} ${message.resend_error}` : problem.text;
  return { ...problem, text, label: problem.action ? "Tentar novamente" : "" };
}

/** About as wide as the sign. */
const PIN_SPACE = "\u2007\u2007";

/** Makes the bubble of a thread item; `update` shows another state of the same message. */
export function createBubble() {
  const parts = {
    author: el("span", "bubble-author"),
    forwarded: el("span", "forwarded"),
    referral: el("div", "referral"),
    quote: actionButton("quote", "jump", ""),
    media: createMediaBox(),
    revoked: el("span", "bubble-revoked"),
    placeholder: el("span", "bubble-placeholder"),
    text: el("span", "bubble-text"),
    template: createTemplateParts(),
    lines: el("ul", "bubble-lines"),
    edited: el("span", "bubble-edited"),
    time: el("time", "bubble-time"),
    pinned: icon(SIGNS.pinned, "icon bubble-pinned"),
    ticks: document.createElement("message-ticks"),
    chevron: actionButton("bubble-chevron", "menu", ""),
    reactions: actionButton("reactions", "reactions", ""),
    react: actionButton("react-button", "react", ""),
    problemText: el("span", "problem-text"),
    problemAction: actionButton("link-button", "", ""),
  };
  for (const name of ["author", "placeholder", "text"]) parts[name].dir = "auto";
  parts.quoted = createQuote(parts.quote);
  const meta = el("span", "bubble-meta", parts.pinned, parts.edited, parts.time, parts.ticks);
  parts.chevron.append(icon(ICONS.chevron));
  parts.chevron.tabIndex = -1;
  parts.chevron.setAttribute("aria-haspopup", "menu");
  parts.chevron.setAttribute("aria-label", "Menu da mensagem");
  parts.reactions.setAttribute("aria-haspopup", "dialog");
  parts.react.append(icon(ICONS.react));
  parts.react.tabIndex = -1; // by keyboard it is in the menu
  parts.react.setAttribute("aria-label", "Reagir");
  parts.react.title = "Reagir";
  const { title, footer, buttons } = parts.template;
  parts.body = el("div", "bubble-body", parts.revoked, parts.placeholder, title, parts.text, footer, parts.lines);
  const above = [parts.author, parts.forwarded, parts.referral, parts.quote];
  const bubble = el("div", "bubble", ...above, parts.media.node, parts.body, meta, buttons, parts.chevron, parts.react);
  const words = el("span", "problem-words", parts.problemText, " ", parts.problemAction);
  parts.problem = el("div", "problem", icon(ICONS.alert), words);
  parts.failure = createFailureMark(parts.problem);
  bubble.append(parts.failure.node);
  const node = el("div", "message", bubble, parts.reactions, parts.problem);
  node.setAttribute("role", "group");
  let shown = null;
  return {
    node,
    update(item, customerName) {
      const same = ["message", "startsRun", "author", "speaker"].every((name) => shown?.item[name] === item[name]);
      if (same && shown?.customerName === customerName) return;
      updateBubble(node, parts, item, customerName);
      shown = { item, customerName };
    },
  };
}

function updateBubble(node, parts, { message, startsRun, author, speaker, viewer }, customerName) {
  const own = message.direction === "out";
  const time = clockTime(new Date(message.sent_at));
  const problem = problemOf(message);
  const pending = ["pending", "waiting", "held"].includes(message.delivery);
  const edited = Boolean(message.edited_at) && !message.revoked_at;
  node.dataset.messageId = message.id;
  setAttribute(node, "aria-label", `${speaker ?? customerName}, ${time}`);
  setAttribute(node, "aria-busy", pending ? "true" : null);
  node.classList.toggle("out", own);
  node.classList.toggle("in", !own);
  node.classList.toggle("starts-run", startsRun);
  node.classList.toggle("pending", pending);
  node.classList.toggle("failed", problem?.failed ?? false);

  setHidden(parts.author, !author);
  setText(parts.author, author ?? "");
  // In a group each has a colour; on our side all names have the same.
  const tone = author && !own ? ` tone-${toneOf(author)}` : "";
  if (parts.author.className !== `bubble-author${tone}`) parts.author.className = `bubble-author${tone}`;

  const kind = parts.media.update(message);
  setAttribute(node, "data-media", kind);
  const hasContent = updateContent(parts, message, { kind, viewer, customerName });
  node.classList.toggle("without-words", kind !== null && !isSeen(message.text));
  updateTemplate(node, parts.template, message.revoked_at ? null : message.template);
  setAttribute(parts.pinned, "hidden", !message.is_pinned);
  setHidden(parts.edited, !edited);
  setText(parts.edited, edited ? "Editada" : "");
  const before = (message.versions ?? []).map(({ text }) => text).filter(isSeen);
  setAttribute(parts.edited, "title", edited && before.length ? `Antes: ${before.join("\n")}` : null);
  updateTicks(parts.ticks, own ? statusOf(message) : null, message.error);
  setText(parts.time, time);
  setAttribute(parts.time, "datetime", message.sent_at);
  // The end of the last line is kept free for these: style.content repeats them, unseen.
  const words = edited ? `Editada ${time}` : time;
  setAttribute(parts.body, "data-meta", message.is_pinned ? `${PIN_SPACE}${words}` : words);

  // What the menu offers, for message_menu.js.
  const offers = offersOf(message, { hasContent });
  setAttribute(parts.chevron, "data-offers", offers.join(" "));
  setHidden(parts.chevron, offers.length === 0);
  setHidden(parts.react, !offers.includes("react"));

  parts.failure.update(problem);
  setText(parts.problemText, problem?.text ?? "");
  setHidden(parts.problemAction, !problem?.action);
  setText(parts.problemAction, problem?.label ?? "");
  setAttribute(parts.problemAction, "data-action", problem?.action ?? "");
}

/** The words of the bubble and what stands above and below it; true when there is what to copy.
 * `kind`: of its media, which are drawn and need no words then, but for a screen reader. */
function updateContent(parts, message, { kind, viewer, customerName }) {
  const revoked = Boolean(message.revoked_at);
  const text = !revoked && isSeen(message.text) ? message.text : "";
  updateRevoked(parts.revoked, revoked);
  updateForwarded(parts.forwarded, revoked ? null : forwardedOf(message));
  updateReferral(parts.referral, revoked ? null : message.referral);
  updateReactions(parts.reactions, revoked ? [] : message.reactions, viewer);
  updateQuote(parts.quoted, (!revoked && message.reply_to) || null, { viewer, customerName });
  const isCard = kind === "place" || kind === "contacts";
  const hasLines = updateLines(parts.lines, revoked || isCard ? [] : linesOf(message));

  const label = kind ? previewText({ ...message, text: "" }) : (isSeen(message.placeholder) ? message.placeholder : null);
  const blank = message.type === "text" ? "Mensagem vazia" : "Mensagem";
  const placeholder = revoked ? "" : (label ?? (text || hasLines ? "" : blank));
  setHidden(parts.placeholder, !placeholder);
  setText(parts.placeholder, placeholder);
  parts.placeholder.classList.toggle("with-caption", Boolean(text || hasLines));
  parts.placeholder.classList.toggle("visually-hidden", kind !== null);
  setHidden(parts.text, !text);
  drawText(parts.text, text);
  return Boolean(text || hasLines || isCard);
}
