/** What a reply answers, as a small block: in the bubble of the reply, and over the field. */

import { showWhenSeen } from "../media/pictures/seen.js";
import { el, setAttribute, setHidden, setText } from "../parts/dom.js";
import { isSeen, toneOf } from "../parts/format.js";
import { plainText } from "../parts/rich_text.js";

/**
 * How a quote is shown: {author, text, tone}. Pure. `quoted`: {id, text, author_name, author_kind, picture?};
 * `viewer` is "Você" where they wrote it; customers have a colour each, `tone`, ours is one (null).
 */
export function quoteWords(quoted, { viewer, customerName }) {
  const { author_name: name, author_kind: kind } = quoted;
  // Replies from before the kind was kept: nobody but the customer of the same name could be meant.
  const ours = kind ? kind !== "customer" : name === viewer && name !== customerName;
  const author = isSeen(name) ? name : "";
  const isMine = author === viewer && ours && (kind ?? "attendant") === "attendant";
  return {
    author: isMine ? "Você" : author,
    text: isSeen(quoted.text) ? plainText(quoted.text) : "Mensagem",
    tone: kind && !ours && author ? toneOf(author) : null,
  };
}

/** The parts of a quote inside `node`, for `updateQuote`. */
export function createQuote(node) {
  const author = el("span", "quote-author");
  const text = el("span", "quote-text");
  for (const part of [author, text]) part.dir = "auto";
  node.append(el("span", "quote-words", author, text));
  return { node, author, text, picture: null }; // made for the first quote that has one
}

/** `quoted`: null for none, of which nothing stays in the page; `who`: {viewer, customerName}, see
 * `quoteWords`. */
export function updateQuote(parts, quoted, who) {
  const { node } = parts;
  const { author, text, tone } = quoted ? quoteWords(quoted, who) : { author: "", text: "", tone: null };
  setHidden(node, !quoted);
  setAttribute(node, "data-quoted-id", quoted ? (quoted.id ?? "") : null);
  setText(parts.author, author);
  setHidden(parts.author, !author);
  setText(parts.text, text);
  updatePicture(parts, quoted?.picture);
  setAttribute(node, "aria-label", quoted ? `Resposta a ${author ? `${author}: ` : ""}${text}` : null);
  const wanted = tone === null ? "" : `tone-${tone}`;
  for (const name of [...node.classList]) if (name.startsWith("tone-") && name !== wanted) node.classList.remove(name);
  if (wanted) node.classList.add(wanted);
}

function updatePicture(parts, address) {
  if (!parts.picture && !address) return;
  if (!parts.picture) {
    const made = parts.picture = el("img", "quote-picture");
    made.alt = "";
    made.decoding = "async";
    made.addEventListener("error", () => setHidden(made, true));
    parts.node.append(made);
  }
  const { picture } = parts;
  if (picture.dataset.of !== address) setHidden(picture, !address);
  setAttribute(picture, "data-of", address);
  if (address) showWhenSeen(picture, address);
}
