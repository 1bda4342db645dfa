/** Typing goes into a field, wherever the focus is: mostly the composer's. */

/** Where what is typed there belongs into a field of its own. */
const OWN_FIELDS = [[".search-results", ".list-search-field"], [".new-chat", ".new-chat-search"]];
const FIELDS = "input, textarea, select, [contenteditable], .emoji-panel, dialog, :popover-open";

/**
 * What this keydown is to be typed into: something with `focus()`, which it gets before the browser
 * puts the letter there; null leaves the key where it is. `composer`: the Composer of the open
 * conversation, or null.
 */
export function fieldFor(event, { composer }) {
  const { target } = event;
  if (!isTyped(event) || target.closest(FIELDS)) return null;
  // Where the space bar presses a button or turns the page.
  if (event.key === " " && target !== document.body) return null;
  if (document.querySelector(":popover-open, dialog:modal, .selecting")) return null;
  const own = OWN_FIELDS.find(([place]) => target.closest(place));
  if (own) return document.querySelector(own[1]);
  return composer?.isOpen ? composer : null;
}

/** A letter or sign, the first half of an accented one, or what is pasted. */
function isTyped(event) {
  const { key, ctrlKey, metaKey, altKey } = event;
  if ((ctrlKey || metaKey) && !altKey) return key.toLowerCase() === "v";
  const isSign = [...key].length === 1 || key === "Dead";
  return isSign && (!(ctrlKey || metaKey || altKey) || event.getModifierState("AltGraph"));
}
