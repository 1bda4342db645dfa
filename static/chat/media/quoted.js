/** The small picture at the end of a quote, where the message that is quoted has one and is loaded. */

import { isReady, mediaUrl } from "../parts/media_format.js";

const completed = new WeakMap(); // message → the same, with the picture of what it answers

/** Where a message's small picture is; null where it has none. Pure. */
export function pictureOf(message) {
  const { media, revoked_at: revoked } = message;
  if (revoked || !isReady(media)) return null;
  const hasOne = ["image", "sticker"].includes(media.kind) || (media.kind === "video" && media.thumb);
  return hasOne ? mediaUrl(message, { thumb: true }) : null;
}

/** A message as it is to be drawn; of the same message the same object, so that drawing it again is
 * skipped. `find(id)`: a message of the thread, or null. */
export function withQuotedPicture(message, find) {
  const quoted = message.reply_to && !message.revoked_at ? find(message.reply_to.id) : null;
  const picture = quoted ? pictureOf(quoted) : null;
  if (!picture || message.reply_to.picture === picture) return message;
  if (completed.get(message)?.reply_to.picture !== picture) {
    completed.set(message, { ...message, reply_to: { ...message.reply_to, picture } });
  }
  return completed.get(message);
}
