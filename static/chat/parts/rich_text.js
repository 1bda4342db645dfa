/**
 * WhatsApp's text formatting: *bold*, _italic_, ~strike~, `code`, ```mono``` and links.
 * `parseRichText` is pure; `richTextNodes` makes DOM nodes, text only through text nodes.
 *
 * No character gets lost: a marker that formats nothing is text. So is each of a run of equal ones
 * (***.456.789-**, ____, **), one inside a word, number or address, and one round mere punctuation.
 */

import { addressAt, hrefOf, linkNode } from "./links.js";

const MARKERS = { "*": "strong", _: "em", "~": "s" };
const WORD = /[\p{L}\p{N}]/u;
/** What there is to format: *.* and _-_ are no words in bold or italics. */
const CONTENT = /[\p{L}\p{N}\p{Sc}\p{So}\p{Extended_Pictographic}]/u;
const MONO = /(?<!`)```(?!`)([\s\S]+?)(?<!`)```(?!`)/g;
/** Markers inside markers: more than every kind once makes no sense, and depth must be bounded. */
const MAX_DEPTH = 4;

/** Text as a tree: {kind: "text"|"link"|"strong"|"em"|"s"|"code"|"pre", text?, href?, children?}. */
export function parseRichText(text) {
  const tokens = [];
  let from = 0;
  for (const match of text.matchAll(MONO)) {
    if (!/[^\s`]/.test(match[1])) continue;
    tokens.push(...parseLines(text.slice(from, match.index)));
    tokens.push({ kind: "pre", text: match[1] });
    from = match.index + match[0].length;
  }
  tokens.push(...parseLines(text.slice(from)));
  return tokens;
}

function parseLines(text) {
  const found = { text, atoms: new Map(), inside: new Uint8Array(text.length) };
  findAtoms(found);
  return parseInline(found, 0, text.length, 0);
}

/** What is whole, so that no marker in it counts: addresses and `code`. By where they begin. */
function findAtoms({ text, atoms, inside }) {
  let hopelessUntil = 0;
  for (let at = 0; at < text.length;) {
    let atom = addressAt(text, at);
    if (!atom && text[at] === "`" && at >= hopelessUntil && opens(text, at)) {
      const close = closingMarker({ text, inside }, at, text.length);
      if (close > 0) atom = { end: close + 1, code: true };
      else hopelessUntil = Math.max(hopelessUntil, -close);
    }
    if (!atom) {
      at += 1;
      continue;
    }
    atoms.set(at, atom);
    // An underscore at the end may be its own, or the partner of one before it.
    const last = text[atom.end - 1] === "_" && text[atom.end - 2] !== "_" ? atom.end - 1 : atom.end;
    inside.fill(1, at, last);
    at = atom.end;
  }
}

function parseInline(found, from, to, depth) {
  const { text, atoms } = found;
  const tokens = [];
  // A marker without a closing partner up to some place has none for a later opening either:
  // remembering it keeps hostile text ("*a *a *a …") linear.
  const hopelessUntil = {};
  let plainFrom = from;
  let at = from;
  const push = (token, end) => {
    if (at > plainFrom) tokens.push({ kind: "text", text: text.slice(plainFrom, at) });
    tokens.push(token);
    at = plainFrom = end;
  };
  while (at < to) {
    const atom = atoms.get(at);
    if (atom) {
      const end = Math.min(atom.end, to);
      if (atom.code) push({ kind: "code", text: text.slice(at + 1, end - 1) }, end);
      else if (atom.href) push({ kind: "link", text: text.slice(at, end), href: hrefOf(text.slice(at, end)) }, end);
      else at = end;
      continue;
    }
    const char = text[at];
    const kind = MARKERS[char];
    if (kind && depth < MAX_DEPTH && at >= (hopelessUntil[char] ?? 0) && opens(text, at)) {
      const close = closingMarker(found, at, to);
      if (close > 0 && CONTENT.test(text.slice(at + 1, close))) {
        push({ kind, children: parseInline(found, at + 1, close, depth + 1) }, close + 1);
        continue;
      }
      // Mere punctuation up to the partner: the same for every opening before it.
      hopelessUntil[char] = Math.abs(close);
    }
    at += 1;
  }
  if (plainFrom < to) tokens.push({ kind: "text", text: text.slice(plainFrom, to) });
  return tokens;
}

const inRun = (text, at) => text[at - 1] === text[at] || text[at + 1] === text[at];

function opens(text, at) {
  const before = text[at - 1] ?? " ";
  return !WORD.test(before) && before !== "\\" && !/\s/.test(text[at + 1] ?? " ") && !inRun(text, at);
}

/** Index of the closing marker; negative: none before that (negated) index. */
function closingMarker({ text, inside }, open, to) {
  const marker = text[open];
  const newline = text.indexOf("\n", open);
  const end = newline < 0 ? to : Math.min(newline, to);
  for (let at = text.indexOf(marker, open + 2); at > 0 && at < end; at = text.indexOf(marker, at + 1)) {
    const closes = !/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? " ");
    if (closes && !inside[at] && !inRun(text, at)) return at;
  }
  return -end;
}

/** The text without its markers: for one-line previews. */
export function plainText(text) {
  const flat = (tokens) => tokens.map((token) => token.text ?? flat(token.children)).join("");
  return flat(parseRichText(text ?? ""));
}

/** The same tree as DOM nodes. */
export function richTextNodes(text) {
  return parseRichText(text).map(toNode);
}

function toNode(token) {
  if (token.kind === "text") return document.createTextNode(token.text);
  if (token.kind === "link") return linkNode(token.href, token.text);
  const node = document.createElement(token.kind);
  if (token.children) node.append(...token.children.map(toNode));
  else node.textContent = token.text;
  return node;
}
