/**
 * Where addresses stand in a text: https://…, www.…, instagram.com/loja, and e-mail addresses (no
 * links, but whole: no marker of theirs formats anything). Pure, but for `linkNode`.
 */

// Bounded, as trimming is quadratic.
const SCHEME = /(?:https?:\/\/|www\.)[^\s<>"\u200b-\u200f\u2060\ufeff]{1,2000}/iuy;
const REST = /[/?#][^\s<>"\u200b-\u200f\u2060\ufeff]{0,2000}/uy;
const HOST = /(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}\p{L}{2,24}(?::\d{2,5})?/uy;
const EMAIL = /[\p{L}\p{N}][\p{L}\p{N}._%+-]{0,63}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/uy;
/** What goes on directly after a name makes it another thing: an e-mail address, a longer word. */
const GOES_ON = /[\p{L}\p{N}@-]|_+[\p{L}\p{N}@]/uy;
const WORD = /[\p{L}\p{N}]/u;

const words = (text) => new Set(text.split(" "));

/** Endings that make a link of a bare name. No endings of files, and no words that follow a full
 * stop without its space ("obrigado.me liga", "oi.vc vem"). */
const PLAIN = words(
  "com net org edu gov mil info biz app dev shop store online site blog art tech cloud digital link page xyz"
  + " club live news world agency studio design academy games click wiki travel tours coffee health clinic solutions"
  + " services systems network company homes photography tv io ai cc gg fm ly co br pt uy cl mx us uk fr ch jp cn kr"
  + " au nl ie nz za ru",
);

/** Endings that need a path behind them: the other countries, and what shorteners use. */
const WITH_PATH = words(
  "ac ad ae af ag al am ao ar as at aw az ba bb bd be bf bg bh bi bj bm bn bo bs bt bw by bz ca cd cf cg ci ck cm"
  + " cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fo ga gd ge gf gh gi gl gm gn gp gq gr"
  + " gs gt gu gw gy hk hm hn hr ht hu id il im in iq ir is it je jm jo ke kg kh ki km kn kw ky kz la lb lc li lk"
  + " lr ls lt lu lv ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw my mz na nc ne nf ng ni no np nr nu"
  + " om pa pe pf pg ph pk pl pm pn pr ps pw py qa re ro rs rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st sv"
  + " sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tw tz ua ug uz va vc ve vg vi vn vu wf ws ye yt zm zw"
  + " bar bio cafe center day delivery email events expert family fashion fit game gift gle goo group guru how ink"
  + " legal love market marketing me media mobi mov name new photos pictures pizza plus pro rest run sale school"
  + " social space team today tools top vet vip work zip zone",
);
/** Second levels under a country: loja.com.py needs no path, although script.py is a file. */
const SECOND = words("com net org gov edu co art blog ind adv eco med eng log tur jus leg mp");

/** {end, href} of the address that begins at `at`, href null for an e-mail address; null: none. */
export function addressAt(text, at) {
  const before = text[at - 1] ?? " ";
  if (!WORD.test(text[at]) || WORD.test(before)) return null;
  const url = matchAt(SCHEME, text, at);
  if (url) return urlOf(url, at);
  if (/[@./\\%+-]/.test(before) || (before === "_" && WORD.test(text[at - 2] ?? " "))) return null;
  const mail = matchAt(EMAIL, text, at);
  if (mail) return { end: at + mail.length, href: null };
  return bareAt(text, at);
}

/** The address as a link may have it: http and https alone; null for anything else. */
export function safeHref(address) {
  try {
    const url = new URL(address);
    return ["http:", "https:"].includes(url.protocol) && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}

/** The href of what was found as an address, also of a part of it. */
export const hrefOf = (found) => safeHref(/^https?:/i.test(found) ? found : `https://${found}`);

function urlOf(found, at) {
  const text = trimmed(found);
  const host = text.replace(/^https?:\/\//i, "");
  if (/^www(?:\.|$)/i.test(host) && !/^www\.[^./?#]+\.[^./?#]/i.test(host)) return null;
  const href = hrefOf(text);
  return href && { end: at + text.length, href };
}

function bareAt(text, at) {
  const host = matchAt(HOST, text, at);
  if (!host || matchAt(GOES_ON, text, at + host.length)) return null;
  const rest = trimmed(host + (matchAt(REST, text, at + host.length) ?? ""));
  const [name, port = ""] = host.split(":");
  const labels = name.split(".");
  if (isDomain(labels, { path: Boolean(port) || /^[/?#]./.test(rest.slice(host.length)) })) {
    return { end: at + rest.length, href: hrefOf(rest) };
  }
  // "loja.com.Obrigado": the next sentence, without its space.
  while (!port && labels.length > 2 && isCapitalised(labels.at(-1))) {
    labels.pop();
    if (isDomain(labels, { path: false })) {
      const found = labels.join(".");
      return { end: at + found.length, href: hrefOf(found) };
    }
  }
  return null;
}

const isCapitalised = (word) => /^\p{Lu}\p{Ll}/u.test(word);

function isDomain(labels, { path }) {
  const last = labels.at(-1);
  const ending = last.toLowerCase();
  const known = PLAIN.has(ending);
  if (path) return known || WITH_PATH.has(ending);
  if (isCapitalised(last)) return false; // "fim.Com isso": a sentence
  if (known) return true;
  return labels.length > 2 && WITH_PATH.has(ending) && SECOND.has(labels.at(-2).toLowerCase());
}

/** Without what ends the sentence or closes a bracket or marker around it. An underscore stays:
 * names of people end so (instagram.com/maria_). */
function trimmed(found) {
  let text = found;
  for (let before = null; before !== text;) {
    before = text;
    text = text.replace(/[.,;:!?'’”»…*~`]+$/u, "");
    while (/[)\]}]$/.test(text) && isUnbalanced(text)) text = text.slice(0, -1);
    if (!/^(?:https?:\/\/)?[^/?#]*[/?#]/i.test(text)) text = text.replace(/_+$/, "");
  }
  return text;
}

function isUnbalanced(text) {
  const count = (char) => text.split(char).length;
  return count(")") > count("(") || count("]") > count("[") || count("}") > count("{");
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

/** A link that leaves the page, and tells the other one nothing of it. */
export function linkNode(href, text) {
  const node = document.createElement("a");
  node.href = href;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  node.textContent = text;
  return node;
}
