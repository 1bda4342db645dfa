/** What the thread shows, computed from its messages: days, runs, authors. Pure. */

import { messageKey } from "../data/thread_state.js";
import { dayKey, dayLabel } from "../parts/format.js";

/** Who wrote it, as one word that groups a run of bubbles. */
function writer(message) {
  return `${message.direction}|${message.author?.kind ?? ""}|${message.author?.name ?? ""}`;
}

/** The name over a bubble: only on our side, and only for somebody who is not this attendant. */
export function authorMark(message, userName) {
  if (message.direction !== "out") return null;
  const { kind, name } = message.author ?? {};
  if (kind === "claude") return name || "Claude";
  return name && name !== userName ? name : null;
}

/**
 * Days of the thread, oldest first: {key, label, items: [{key, message, startsRun, author}]}.
 * `startsRun` is true for the first bubble of a run by one writer (it gets the tail), `author` is
 * the name to show above it, or null. Before the message that `divider` names ({messageId, count})
 * stands an item {key, divider: count}.
 */
export function threadDays(messages, { now, userName, divider = null }) {
  const days = [];
  let previous = null;
  for (const message of messages) {
    const day = dayKey(new Date(message.sent_at));
    // A message may sort above one sent a little earlier: a day once left is not opened again.
    if (!days.length || day > days.at(-1).key) {
      days.push({ key: day, label: dayLabel(message.sent_at, now), items: [] });
      previous = null;
    }
    if (divider?.messageId === message.id) {
      days.at(-1).items.push({ key: "divider", divider: divider.count });
      previous = null;
    }
    const startsRun = writer(message) !== previous;
    previous = writer(message);
    days.at(-1).items.push({
      key: messageKey(message),
      message,
      startsRun,
      author: startsRun ? authorMark(message, userName) : null,
    });
  }
  return days;
}
