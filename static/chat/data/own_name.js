/** The business's own name for a customer, also over quotes: messages keep who was told as their
 * writer. */

const renamed = new WeakMap(); // message → the same, with that name over its quote

/** A quote of the customer with that name over it. `conversation`: it is shown in there. */
export function quoteWithOwnName(quote, { name, told_name: told, is_group: isGroup }) {
  return told && !isGroup && quote?.author_kind === "customer" ? { ...quote, author_name: name } : quote;
}

/** A message as it is to be drawn in a conversation; of the same message the same object, so that
 * drawing it again is skipped. `find(id)`: a message of the thread, or null. */
export function withOwnName(message, conversation, find) {
  const quote = message.reply_to;
  if (!quote || !conversation.told_name || message.revoked_at) return message;
  const named = quoteWithOwnName({ ...quote, author_kind: kindOf(quote, conversation, find) }, conversation);
  if (named.author_kind !== "customer" || named.author_name === quote.author_name) return message;
  if (renamed.get(message)?.reply_to.author_name !== named.author_name) {
    renamed.set(message, { ...message, reply_to: named });
  }
  return renamed.get(message);
}

/** Replies from before the kind was kept: by what they answer, or else by the name. */
function kindOf({ id, author_kind: kind, author_name: name }, { told_name: told }, find) {
  return kind ?? find(id)?.author?.kind ?? (name === told ? "customer" : null);
}
