/**
 * The words of a bubble: formatted, larger when they are a few emoji alone, and with "Ler mais" when
 * they are long. What is folded away is found by the browser's own search, which unfolds it.
 */

import { actionButton, el, setAttribute } from "../parts/dom.js";
import { emojiCount } from "../parts/format.js";
import { richTextNodes } from "../parts/rich_text.js";

/** So much of a text is shown at first. */
const SHOWN_CHARS = 768;
const SHOWN_LINES = 20;
/** To hide less than this would save no room: the text is shown whole. */
const WORTH_CHARS = 100;
const WORTH_LINES = 3;
/** A cut goes back to the end of a word, if that is no further away. */
const MAX_BACK = 40;
const FINDABLE = "onbeforematch" in document.documentElement ? "until-found" : "";

/** Shows `text` in a node of its own. Drawing the same again is skipped, and what was unfolded once
 * stays so. */
export function drawText(node, text) {
  if (node.dataset.source === text) return;
  node.dataset.source = text;
  node.replaceChildren(...richTextNodes(text));
  setAttribute(node, "data-emoji", emojiCount(text) || null);
  if (!node.classList.contains("unfolded")) fold(node);
}

/** Shows all of it. The keyboard goes on where the button was. */
export function unfold(node) {
  const rest = node.querySelector(":scope > .text-rest");
  if (!rest?.hasAttribute("hidden")) return;
  const [gap, button] = [node.querySelector(":scope > .text-gap"), node.querySelector(":scope > .read-more")];
  const hadFocus = document.activeElement === button;
  node.classList.add("unfolded");
  rest.removeAttribute("hidden");
  gap.remove();
  button.remove();
  if (!hadFocus) return;
  rest.tabIndex = -1;
  rest.focus({ preventScroll: true });
}

function fold(node) {
  const cut = placeOfCut(node);
  if (!cut) return;
  const range = document.createRange();
  range.setStart(...cut);
  range.setEnd(node, node.childNodes.length);
  // Of an item of a list that is cut in two the second half is no item of its own.
  const begun = elementOf(range.startContainer).closest("li");
  const rest = el("span", "text-rest", range.extractContents());
  if (begun && node.contains(begun)) rest.querySelector("li")?.classList.add("goes-on");
  rest.setAttribute("hidden", FINDABLE);
  rest.addEventListener("beforematch", () => unfold(node));
  const button = actionButton("read-more", "unfold", "Ler mais");
  node.append(el("span", "text-gap", "… "), button, rest);
}

/** [text node, offset] from which on a text is folded away, or null where it is short enough. */
function placeOfCut(node) {
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  let [chars, lines] = [0, 1];
  let place = null;
  let block = null;
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const at = text.parentElement.closest("li, blockquote");
    if (at !== block && chars > 0) lines += 1;
    block = at;
    for (let offset = 0; offset < text.data.length; offset += 1, chars += 1) {
      if (!place && (chars >= SHOWN_CHARS || lines > SHOWN_LINES)) place = { text, offset, chars, lines };
      if (text.data[offset] === "\n") lines += 1;
    }
  }
  if (!place || (chars - place.chars < WORTH_CHARS && lines - place.lines < WORTH_LINES)) return null;
  return endOfWord(place.text, place.offset);
}

const elementOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement);

function endOfWord(text, offset) {
  const link = text.parentElement.closest("a");
  if (link) return [link.parentNode, [...link.parentNode.childNodes].indexOf(link)];
  const { data } = text;
  const space = data.slice(Math.max(0, offset - MAX_BACK), offset).search(/\s\S*$/);
  if (space >= 0) return [text, Math.max(0, offset - MAX_BACK) + space];
  // Between two signs, and not inside one that is made of several.
  const whole = new Intl.Segmenter("pt-BR").segment(data).containing(offset);
  return [text, whole?.index ?? offset];
}
