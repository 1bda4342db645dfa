/** WhatsApp's shortcuts: which there are, and which of them a key is. Pure. */

/**
 * All with Ctrl+Alt, and with Shift where that is said; `key`: as it is called on the keyboard;
 * `code`: where it is on it; `ofChat`: only while a conversation is open.
 */
export const SHORTCUTS = [
  { id: "newChat", key: "N", code: "KeyN", label: "Nova conversa" },
  { id: "next", key: "Tab", code: "Tab", label: "Próxima conversa" },
  { id: "previous", key: "Tab", code: "Tab", shift: true, label: "Conversa anterior" },
  { id: "search", key: "/", code: "Slash", label: "Pesquisar" },
  { id: "searchThread", key: "F", code: "KeyF", shift: true, label: "Pesquisar na conversa", ofChat: true },
  { id: "unread", key: "U", code: "KeyU", shift: true, label: "Marcar como não lida", ofChat: true },
  { id: "archive", key: "E", code: "KeyE", label: "Arquivar conversa", ofChat: true },
  { id: "pin", key: "P", code: "KeyP", shift: true, label: "Fixar conversa", ofChat: true },
  { id: "mute", key: "M", code: "KeyM", shift: true, label: "Silenciar notificações", ofChat: true },
];

/** Keys that do something where the focus is, as the list of shortcuts tells them. */
export const OTHER_KEYS = [
  { keys: ["Esc"], label: "Fechar o que está aberto, por fim a conversa" },
  { keys: ["Enter"], label: "Enviar mensagem" },
  { keys: ["Shift", "Enter"], label: "Nova linha" },
  { keys: ["/"], label: "Respostas rápidas, no começo da mensagem" },
  { keys: [":"], label: "Emoji pelo nome" },
  { keys: ["↑"], label: "Ir às mensagens, com o campo vazio" },
  { keys: ["↑", "↓", "Home", "End"], label: "Andar pelas mensagens e pelas conversas" },
  { keys: ["Enter"], label: "Menu da mensagem" },
];

/** The keys that are pressed for a shortcut. */
export function keysOf({ key, shift }) {
  return ["Ctrl", "Alt", ...(shift ? ["Shift"] : []), key];
}

/** The shortcut that a keydown is, or null. */
export function shortcutOf(event) {
  // AltGr, which types signs, comes as Ctrl+Alt, too.
  if (!event.ctrlKey || !event.altKey || event.metaKey || event.getModifierState("AltGraph")) return null;
  const isKey = ({ key, code }) => event.code === code || event.key === key;
  return SHORTCUTS.find((each) => isKey(each) && event.shiftKey === Boolean(each.shift)) ?? null;
}
