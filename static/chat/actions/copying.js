/** Several messages as one text, as WhatsApp copies them. Pure. */

import { clockTime, fullDate, isSeen } from "../parts/format.js";

/** What a message says, in words; media by their label. */
export function wordsOf({ placeholder, text, details }) {
  const lines = (Array.isArray(details) ? details : [])
    .map(({ label, value }) => [label, value].filter(isSeen).join(": "));
  return [placeholder, text, ...lines].filter(isSeen).join("\n");
}

/** "[14:03, 30/11/2026] Maria: texto", a message a line; a single one without that. */
export function copiedText(messages, { customerName }) {
  if (messages.length === 1) return wordsOf(messages[0]);
  return messages.map((message) => {
    const at = new Date(message.sent_at);
    const who = isSeen(message.author?.name) ? message.author.name : customerName;
    return `[${clockTime(at)}, ${fullDate(at)}] ${who}: ${wordsOf(message)}`;
  }).join("\n");
}
