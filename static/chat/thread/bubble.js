/** One message as a bubble. Parts are changed in place, so that selected text stays selected. */

import { problemOf as statusProblem, updateTicks } from "../../message_status.js";
import { isLocal, statusOf } from "../data/thread_state.js";
import { ICONS, actionButton, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { clockTime, isOnlyEmoji } from "../parts/format.js";
import { plainText, richTextNodes } from "../parts/rich_text.js";

/**
 * What went wrong, as shown under the bubble: {text, failed, action, label}, or null when nothing
 * did. `failed` is false while it may still have reached the customer, or will; `action` is null
 * where there is nothing to do but wait.
 */
export function problemOf(message) {
  if (message.delivery === "unsent") {
    return {
      text: "Não enviada: sem resposta do servidor.",
      failed: true,
      action: "retry",
      label: "Tentar de novo",
    };
  }
  if (message.delivery === "refused") {
    const reason = message.error?.message;
    const text = reason ? `Não enviada: ${reason}` : "Não enviada.";
    return { text, failed: true, action: "copy", label: "Copiar para o campo de mensagem" };
  }
  const problem = statusProblem(message);
  if (!problem || message.retried_as) return problem && { ...problem, label: "" };
  if (message.resending) return { ...problem, text: "Enviando de novo…", action: null, label: "" };
  const text = message.resend_error ? `${problem.text} ${message.resend_error}` : problem.text;
  return { ...problem, text, label: problem.action ? "Tentar de novo" : "" };
}

/** Makes the bubble of a thread item; `update` shows another state of the same message. */
export function createBubble() {
  const parts = {
    author: el("span", "bubble-author"),
    quote: actionButton("quote", "jump", ""),
    quoteAuthor: el("span", "quote-author"),
    quoteText: el("span", "quote-text"),
    placeholder: el("span", "bubble-placeholder"),
    text: el("span", "bubble-text"),
    time: el("time", "bubble-time"),
    ticks: document.createElement("message-ticks"),
    chevron: actionButton("bubble-chevron", "menu", ""),
    problemText: el("span", "problem-text"),
    problemAction: actionButton("link-button", "", ""),
  };
  parts.text.dir = "auto";
  parts.quote.append(parts.quoteAuthor, parts.quoteText);
  const meta = el("span", "bubble-meta", parts.time, parts.ticks);
  parts.chevron.append(icon(ICONS.chevron));
  parts.chevron.tabIndex = -1;
  parts.chevron.setAttribute("aria-haspopup", "menu");
  parts.chevron.setAttribute("aria-label", "Menu da mensagem");
  const body = el("div", "bubble-body", parts.placeholder, parts.text);
  const bubble = el("div", "bubble", parts.author, parts.quote, body, meta, parts.chevron);
  const words = el("span", "problem-words", parts.problemText, " ", parts.problemAction);
  parts.problem = el("div", "problem", icon(ICONS.alert), words);
  const node = el("div", "message", bubble, parts.problem);
  node.setAttribute("role", "group");
  let shown = null;
  return {
    node,
    update(item, customerName) {
      if (shown?.item.message === item.message && shown.item.startsRun === item.startsRun
          && shown.item.author === item.author && shown.customerName === customerName) return;
      updateBubble(node, parts, item, customerName);
      shown = { item, customerName };
    },
  };
}

function updateBubble(node, parts, { message, startsRun, author }, customerName) {
  const own = message.direction === "out";
  const sentAt = new Date(message.sent_at);
  const problem = problemOf(message);
  const pending = message.delivery === "pending";
  node.dataset.messageId = message.id;
  setAttribute(node, "aria-label", label(message, own, sentAt, customerName));
  setAttribute(node, "aria-busy", pending ? "true" : null);
  node.classList.toggle("out", own);
  node.classList.toggle("in", !own);
  node.classList.toggle("starts-run", startsRun);
  node.classList.toggle("pending", pending);
  node.classList.toggle("failed", problem?.failed ?? false);

  setHidden(parts.author, !author);
  setText(parts.author, author ?? "");
  updateQuote(parts, message.reply_to);

  const text = message.text ?? "";
  const placeholder = message.placeholder || (text ? "" : "Mensagem");
  setHidden(parts.placeholder, !placeholder);
  setText(parts.placeholder, placeholder);
  parts.placeholder.classList.toggle("with-caption", Boolean(text));
  setHidden(parts.text, !text);
  if (parts.text.dataset.source !== text) {
    parts.text.dataset.source = text; // what is drawn, so that drawing the same again is skipped
    parts.text.replaceChildren(...richTextNodes(text));
    parts.text.classList.toggle("only-emoji", isOnlyEmoji(text));
  }
  updateTicks(parts.ticks, own ? statusOf(message) : null, message.error);
  setHidden(parts.chevron, !own || isLocal(message));
  setText(parts.time, clockTime(sentAt));
  setAttribute(parts.time, "datetime", message.sent_at);

  setHidden(parts.problem, problem === null);
  if (problem) {
    setText(parts.problemText, problem.text);
    setHidden(parts.problemAction, problem.action === null);
    setText(parts.problemAction, problem.label);
    parts.problemAction.dataset.action = problem.action ?? "";
  }
}

function updateQuote(parts, quoted) {
  setHidden(parts.quote, !quoted);
  if (!quoted) return;
  parts.quote.dataset.quotedId = quoted.id ?? "";
  setText(parts.quoteAuthor, quoted.author_name ?? "");
  setHidden(parts.quoteAuthor, !quoted.author_name);
  setText(parts.quoteText, plainText(quoted.text) || "Mensagem");
  setAttribute(parts.quote, "aria-label", `Resposta a: ${quoted.text || "mensagem"}`);
}

function label(message, own, sentAt, customerName) {
  const who = own ? (message.author?.name ?? "Você") : customerName;
  return `${who}, ${clockTime(sentAt)}`;
}
