/** The business's own name for a customer, also over quotes: messages keep who was told as their
 * writer. */

const renamed = new WeakMap(); // message → the same, with that name over its quote

/** A message as it is to be drawn. `conversation`: it is in there; `find(id)`: a message of the
 * thread, or null. Of the same message the same object, so that drawing it again is skipped. */
export function withOwnName(message, { name, told_name: told, is_group: isGroup }, find) {
  const quote = message.reply_to;
  if (!told || isGroup || !quote?.author_name || message.revoked_at) return message;
  const quoted = find(quote.id);
  const isTheirs = quoted ? quoted.direction === "in" : quote.author_name === told;
  if (!isTheirs || quote.author_name === name) return message;
  if (renamed.get(message)?.reply_to.author_name !== name) {
    renamed.set(message, { ...message, reply_to: { ...quote, author_name: name } });
  }
  return renamed.get(message);
}
