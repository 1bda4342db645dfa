/**
 * The list's filter "Aguardando envio", for list_filters.js: there only while something waits, and
 * each row shows its newest waiting message.
 */

import { previewText } from "../parts/media_format.js";

/** `messages()`: what waits, the newest first. */
export function awaitingFilter({ state, loader, messages }) {
  const fetched = new Set(); // conversations asked for; one that cannot be read is left out

  /** A conversation further down than the list has been read. */
  function fetchOnce(id) {
    if (fetched.has(id)) return;
    fetched.add(id);
    loader.loadConversation(id).catch(() => {});
  }

  function rows() {
    const found = new Map();
    for (const message of messages()) {
      const conversation = state.conversation(message.conversation_id);
      if (!conversation) fetchOnce(message.conversation_id);
      else if (!found.has(conversation.id)) {
        found.set(conversation.id, { conversation, last: { ...message, text: previewText(message) } });
      }
    }
    return [...found.values()];
  }

  return {
    id: "awaiting",
    label: "Aguardando envio",
    empty: "Nenhuma mensagem aguarda envio",
    count: () => rows().length,
    rows,
  };
}
