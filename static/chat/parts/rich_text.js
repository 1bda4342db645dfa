/**
 * WhatsApp's text formatting: *bold*, _italic_, ~strike~, `code`, ```mono```, lists ("- ", "* ",
 * "1. "), quotes ("> ") and links. `parseRichText` is pure; `richTextNodes` makes DOM nodes, text
 * only through text nodes.
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
/** What begins a line of a list or a quote; four digits are a year at the end of a sentence. */
const BULLET = /[*-] /y;
const NUMBER = /(\d{1,3})\. /y;
const QUOTE = /> /y;
/** Markers inside markers: more than every kind once makes no sense, and depth must be bounded. */
const MAX_DEPTH = 4;

/**
 * Text as a tree: {kind, text?, href?, value?, children?}. `kind` is "text", "link" or the element
 * to draw: strong, em, s, code, pre, blockquote, ul, ol, li (`value`: its number).
 */
export function parseRichText(text) {
  const found = { text, atoms: new Map(), inside: new Uint8Array(text.length) };
  let from = 0;
  for (const match of text.matchAll(MONO)) {
    if (!/[^\s`]/.test(match[1])) continue;
    const end = match.index + match[0].length;
    findAtoms(found, from, match.index);
    found.atoms.set(match.index, { end, mono: match[1] });
    found.inside.fill(1, match.index, end);
    from = end;
  }
  findAtoms(found, from, text.length);
  return parseBlocks(found, linesOf(found));
}

/** [{from, to}]: a newline inside ```mono``` ends no line. */
function linesOf({ text, inside }) {
  const lines = [];
  let from = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (inside[at]) continue;
    lines.push({ from, to: at });
    from = at + 1;
  }
  return [...lines, { from, to: text.length }];
}

/** Lists and quotes, and the lines between them. A quote may hold lists, but no quote. */
function parseBlocks(found, lines, { quoted = false } = {}) {
  const tokens = [];
  for (let n = 0; n < lines.length;) {
    const kind = kindOf(found, lines[n], quoted);
    let end = n + 1;
    while (end < lines.length && kindOf(found, lines[end], quoted) === kind) end += 1;
    const run = lines.slice(n, end);
    if (kind === null) addPlain(tokens, found, run, end < lines.length);
    else if (kind === "blockquote") {
      const inner = run.map(({ from, to }) => ({ from: from + 2, to }));
      tokens.push({ kind, children: parseBlocks(found, inner, { quoted: true }) });
    } else tokens.push({ kind, children: run.map((line) => itemOf(found, line, kind)) });
    n = end;
  }
  return tokens;
}

/** What a line belongs to: "ul", "ol", "blockquote", or null. */
function kindOf({ text }, { from, to }, quoted) {
  const begins = (pattern) => {
    pattern.lastIndex = from;
    const length = pattern.exec(text)?.[0].length ?? 0;
    return length > 0 && CONTENT.test(text.slice(from + length, to));
  };
  if (!quoted && begins(QUOTE)) return "blockquote";
  if (begins(BULLET)) return "ul";
  return begins(NUMBER) ? "ol" : null;
}

function itemOf(found, { from, to }, kind) {
  const begin = found.text.indexOf(" ", from) + 1;
  const children = parseInline(found, begin, to, 0);
  // Its own number, also where the writer has left one out.
  return kind === "ol" ? { kind: "li", value: parseInt(found.text.slice(from), 10), children } : { kind: "li", children };
}

/** Lines of no block; one that stands before a block keeps its end. */
function addPlain(tokens, found, lines, goesOn) {
  lines.forEach(({ from, to }, n) => {
    for (const token of parseInline(found, from, to, 0)) addToken(tokens, token);
    if (n < lines.length - 1 || goesOn) addToken(tokens, { kind: "text", text: "\n" });
  });
}

function addToken(tokens, token) {
  const last = tokens.at(-1);
  if (token.kind === "text" && last?.kind === "text") last.text += token.text;
  else tokens.push(token);
}

/** What is whole, so that no marker in it counts: addresses and `code`. By where they begin. */
function findAtoms(found, from, to) {
  const text = found.text.slice(from, to);
  const inside = found.inside.subarray(from, to);
  let hopelessUntil = 0;
  for (let at = 0; at < text.length;) {
    let atom = addressAt(text, at);
    if (!atom && text[at] === "`" && at >= hopelessUntil && opens(text, at)) {
      const newline = text.indexOf("\n", at);
      const close = closingMarker({ text, inside }, at, newline < 0 ? text.length : newline);
      if (close > 0) atom = { end: close + 1, code: true };
      else hopelessUntil = Math.max(hopelessUntil, -close);
    }
    if (!atom) {
      at += 1;
      continue;
    }
    found.atoms.set(from + at, { ...atom, end: from + atom.end });
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
      if (atom.mono !== undefined) push({ kind: "pre", text: atom.mono }, end);
      else if (atom.code) push({ kind: "code", text: text.slice(at + 1, end - 1) }, end);
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
  for (let at = text.indexOf(marker, open + 2); at > 0 && at < to; at = text.indexOf(marker, at + 1)) {
    const closes = !/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? " ");
    if (closes && !inside[at] && !inRun(text, at)) return at;
  }
  return -to;
}

/** The text without its markers: for one-line previews. */
export function plainText(text) {
  return plain(parseRichText(text ?? ""));
}

function plain(tokens) {
  return tokens.map((token, n) => {
    const words = token.text ?? plain(token.children);
    if (token.kind === "li") return `${token.value === undefined ? "•" : `${token.value}.`} ${words}\n`;
    // A block's own last line ends only where something follows.
    const isBlock = ["ul", "ol", "blockquote"].includes(token.kind);
    if (!isBlock) return words;
    const line = words.replace(/\n$/, "");
    return n < tokens.length - 1 ? `${line}\n` : line;
  }).join("");
}

/** The same tree as DOM nodes. */
export function richTextNodes(text) {
  return parseRichText(text).map(toNode);
}

function toNode(token) {
  if (token.kind === "text") return document.createTextNode(token.text);
  if (token.kind === "link") return linkNode(token.href, token.text);
  const node = document.createElement(token.kind);
  if (token.value !== undefined) node.value = token.value;
  if (token.children) node.append(...token.children.map(toNode));
  else node.textContent = token.text;
  return node;
}
