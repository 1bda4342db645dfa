/**
 * The words of a search, and where they stand in a text: by the rule of chat/platform/search_words.py.
 * A text is found when each word begins one of its words; accents and case do not matter. Pure.
 */

import { plain } from "../parts/format.js";

const WORD = /[\p{L}\p{N}]+/gu;

/** The different words of a text, folded. */
export function wordsOf(text) {
  return [...new Set(plain(text).match(WORD) ?? [])];
}

/** Whether each of these folded words begins one of the text. */
export function matches(words, text) {
  const found = wordsOf(text);
  return words.length > 0 && words.every((word) => found.some((each) => each.startsWith(word)));
}

/** The words of a search for somebody: a number is one, however it is written. */
export function nameWords(query) {
  const digits = query.replace(/\D/g, "");
  return /^[\d\s()+./-]+$/.test(query) && digits.length >= 4 ? [digits] : wordsOf(query);
}

/** [[from, to], …] of what these folded words begin in `text`, in its own characters. */
export function placesOf(words, text) {
  const places = [];
  // Folding makes some characters shorter and some longer: each has its own way back.
  const back = [];
  let folded = "";
  let at = 0;
  for (const char of text) {
    const folding = plain(char);
    for (let n = 0; n < folding.length; n += 1) back.push(at);
    folded += folding;
    at += char.length;
  }
  back.push(text.length);
  for (const match of folded.matchAll(WORD)) {
    const longest = Math.max(...words.filter((word) => match[0].startsWith(word)).map(({ length }) => length), 0);
    if (!longest) continue;
    places.push([back[match.index], endOf(back, match.index + longest)]);
  }
  return places;
}

/** Behind the last character that a folded text ends in, and its accents. */
function endOf(back, end) {
  const last = back[end - 1];
  let n = end;
  while (n < back.length - 1 && back[n] === last) n += 1;
  return back[n];
}
