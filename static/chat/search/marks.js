/** Marks in a text what a search has found: by <mark>, so that everybody's colours show it. */

import { el } from "../parts/dom.js";
import { placesOf } from "./words.js";

/** `text` as nodes, what the words begin in it marked. */
export function markedNodes(text, words) {
  const nodes = [];
  let at = 0;
  for (const [from, to] of placesOf(words, text)) {
    if (from > at) nodes.push(text.slice(at, from));
    nodes.push(el("mark", "hit", text.slice(from, to)));
    at = to;
  }
  return [...nodes, text.slice(at)];
}

/** Marks inside what is drawn already, across its formatting; gives the marks. */
export function markInside(root, words) {
  const pieces = [];
  let text = "";
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT, {
    acceptNode: ({ parentElement }) => (parentElement.closest(".text-gap, .read-more, [hidden='']")
      ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT),
  });
  let block = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const own = node.parentElement.closest("li, blockquote, .bubble-text, .bubble-placeholder");
    if (block !== null && own !== block) text += "\n"; // no word goes on from one block into the next
    block = own;
    pieces.push({ node, from: text.length });
    text += node.data;
  }
  const marks = [];
  // From the end: what is cut off behind leaves the places before it as they are.
  for (const [from, to] of placesOf(words, text).reverse()) {
    for (const piece of pieces.toReversed()) {
      const [begin, end] = [Math.max(from, piece.from), Math.min(to, piece.from + piece.node.length)];
      if (begin < end) marks.push(wrap(piece.node, begin - piece.from, end - piece.from));
    }
  }
  return marks.reverse();
}

/** Takes all marks away again. */
export function unmark(root) {
  for (const mark of root.querySelectorAll("mark.hit")) {
    const parent = mark.parentNode;
    mark.replaceWith(...mark.childNodes);
    parent.normalize();
  }
}

function wrap(node, from, to) {
  const found = node.splitText(from);
  found.splitText(to - from);
  const mark = el("mark", "hit");
  found.replaceWith(mark);
  mark.append(found);
  return mark;
}
