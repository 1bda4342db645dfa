/** What can be done with a message, as far as it alone decides that. */

import { isLocal } from "../data/thread_state.js";

/** WhatsApp has it, and so has a name for it that an answer or a reaction can give. */
const TAKEN = new Set(["sent", "delivered", "read", "played"]);

/** Said by WhatsApp, by nobody in the chat. */
const NOTICES = new Set(["system", "request_welcome"]);

/**
 * Names, as thread/message_menu.js has them. Pure. `hasContent`: there are words to copy.
 *
 * What is deleted offers nothing, what only this page has only its words.
 */
export function offersOf(message, { hasContent }) {
  const { direction, is_pinned: isPinned, revoked_at: revoked, status, type } = message;
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
    stands && !NOTICES.has(type) && "forward",
    taken && (isPinned ? "unpin" : "pin"),
    stands && "select",
  ].filter(Boolean);
}
