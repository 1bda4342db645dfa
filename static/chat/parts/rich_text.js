/**
 * WhatsApp's text formatting: *bold*, _italic_, ~strike~, `code`, ```mono``` and links.
 * `parseRichText` is pure; `richTextNodes` makes DOM nodes, text only through text nodes.
 */

const MARKERS = { "*": "strong", _: "em", "~": "s" };
const LINK = /(?:https?:\/\/|www\.)[^\s<>"]{1,2000}/iy; // bounded, as trimming below is quadratic
const WORD = /[\p{L}\p{N}]/u;
/** Markers inside markers: more than every kind once makes no sense, and depth must be bounded. */
const MAX_DEPTH = 4;

/** Text as a tree: {kind: "text"|"link"|"strong"|"em"|"s"|"code"|"pre", text?, href?, children?}. */
export function parseRichText(text) {
  const tokens = [];
  let from = 0;
  for (const match of text.matchAll(/```([\s\S]+?)```/g)) {
    tokens.push(...parseInline(text.slice(from, match.index), 0));
    tokens.push({ kind: "pre", text: match[1] });
    from = match.index + match[0].length;
  }
  tokens.push(...parseInline(text.slice(from), 0));
  return tokens;
}

function parseInline(text, depth) {
  const tokens = [];
  // A marker without a closing partner up to some place has none for a later opening either:
  // remembering it keeps hostile text ("*a *a *a …") linear.
  const hopelessUntil = {};
  let plainFrom = 0;
  let at = 0;
  const push = (token, end) => {
    if (at > plainFrom) tokens.push({ kind: "text", text: text.slice(plainFrom, at) });
    tokens.push(token);
    at = plainFrom = end;
  };
  while (at < text.length) {
    const char = text[at];
    const startsWord = at === 0 || !WORD.test(text[at - 1]);
    if (startsWord && /[hw]/i.test(char)) {
      const link = linkAt(text, at);
      if (link) {
        push({ kind: "link", text: link.text, href: link.href }, at + link.text.length);
        continue;
      }
    }
    const kind = char === "`" ? "code" : MARKERS[char];
    if (kind && startsWord && depth < MAX_DEPTH && at >= (hopelessUntil[char] ?? 0)) {
      const close = closingMarker(text, at);
      if (close > 0) {
        const inner = text.slice(at + 1, close);
        const token = kind === "code"
          ? { kind, text: inner }
          : { kind, children: parseInline(inner, depth + 1) };
        push(token, close + 1);
        continue;
      }
      if (close < 0) hopelessUntil[char] = -close;
    }
    at += 1;
  }
  if (plainFrom < text.length) tokens.push({ kind: "text", text: text.slice(plainFrom) });
  return tokens;
}

/** Index of the closing marker; 0: cannot open here; negative: none before that (negated) index. */
function closingMarker(text, open) {
  const marker = text[open];
  if (/\s/.test(text[open + 1] ?? " ")) return 0;
  const newline = text.indexOf("\n", open);
  const lineEnd = newline < 0 ? text.length : newline;
  for (let at = text.indexOf(marker, open + 2); at > 0 && at < lineEnd; at = text.indexOf(marker, at + 1)) {
    if (!/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? " ")) return at;
  }
  return -lineEnd;
}

function linkAt(text, at) {
  LINK.lastIndex = at;
  let found = LINK.exec(text)?.[0];
  if (!found) return null;
  // The full stop that ends the sentence, or a closing marker, is not part of the address.
  found = found.replace(/[.,;:!?'*_~`…]+$/u, "");
  while (/[)\]]$/.test(found) && unbalanced(found)) found = found.slice(0, -1);
  const href = safeHref(/^www\./i.test(found) ? `https://${found}` : found);
  return href && { text: found, href };
}

function unbalanced(text) {
  const count = (char) => text.split(char).length;
  return count(")") > count("(") || count("]") > count("[");
}

function safeHref(address) {
  try {
    const url = new URL(address);
    return ["http:", "https:"].includes(url.protocol) && url.hostname ? url.href : null;
  } catch {
    return null;
  }
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
  const node = document.createElement(token.kind === "link" ? "a" : token.kind);
  if (token.kind === "link") {
    node.href = token.href;
    node.target = "_blank";
    node.rel = "noopener noreferrer";
  }
  if (token.children) node.append(...token.children.map(toNode));
  else node.textContent = token.text;
  return node;
}
