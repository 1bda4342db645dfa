/** What can be done with a message, as far as it alone decides that. */

import { isLocal } from "../data/thread_state.js";
import { isSeen } from "../parts/format.js";

/** WhatsApp has it, and so has a name for it that an answer or a reaction can give. */
const TAKEN = new Set(["sent", "delivered", "read", "played"]);

/**
 * Names, as thread/message_menu.js has them. Pure. `hasContent`: there are words to copy.
 *
 * What is deleted offers nothing, what only this page has only its words. Texts are passed on, and
 * media that are here.
 */
export function offersOf(message, { hasContent }) {
  const { direction, revoked_at: revoked, status, text, type } = message;
  const own = direction === "out";
  const stands = !isLocal(message) && !revoked;
  const ready = stands && message.media?.state === "ready";
  const taken = stands && (!own || TAKEN.has(status));
  return [
    own && !isLocal(message) && "details",
    taken && "reply",
    hasContent && "copy",
    ready && message.media.kind === "image" && "copy-image",
    taken && "react",
    ready && "download",
    (ready || (stands && type === "text" && isSeen(text))) && "forward",
    stands && "select",
  ].filter(Boolean);
}
