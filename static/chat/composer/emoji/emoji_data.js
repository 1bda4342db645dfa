/** All emoji with their Portuguese names, in WhatsApp's categories, and the search over them. No DOM. */

import { plain } from "../../parts/format.js";

/** Unicode's groups that make up each of WhatsApp's categories; group 2 are parts of emoji. */
export const CATEGORIES = [
  { id: "people", label: "Smileys e pessoas", sign: "😀", groups: [0, 1] },
  { id: "nature", label: "Animais e natureza", sign: "🐻", groups: [3] },
  { id: "food", label: "Comidas e bebidas", sign: "🍔", groups: [4] },
  { id: "activities", label: "Atividades", sign: "⚽", groups: [6] },
  { id: "places", label: "Viagens e lugares", sign: "🚗", groups: [5] },
  { id: "objects", label: "Objetos", sign: "💡", groups: [7] },
  { id: "symbols", label: "Símbolos", sign: "💗", groups: [8] },
  { id: "flags", label: "Bandeiras", sign: "🏁", groups: [9] },
];
export const TONES = ["padrão", "clara", "morena clara", "morena", "morena escura", "escura"];
/** One of each newer version, to see which this computer draws. */
const SAMPLES = [[17, "🫪"], [16, "🫩"], [15, "🫨"], [14, "🫠"], [13, "🥲"], [12, "🥱"], [11, "🥰"]];
const SMALLEST_NEW = 11;
/** Offered for one word. */
const MOST_WORDS = 8;

export class Emoji {
  /** [{emoji, name, tones, category}] in Unicode's order; null until they are asked for. `tones`: the
   * same in each of `TONES`, or null. */
  all = null;
  #asking = null;
  #byEmoji = new Map();
  #source;
  #drawn;

  /**
   * `source`: the address of their names; `drawn()`: the newest version of which this computer can
   * draw the emoji.
   */
  constructor(source, { drawn = drawnVersion } = {}) {
    this.#source = source;
    this.#drawn = drawn;
  }

  /** Reads them, unless they are here or on their way. */
  load() {
    this.#asking ??= this.#read().catch((error) => {
      this.#asking = null;
      throw error;
    });
    return this.#asking;
  }

  /** One of them, in whatever skin; undefined for what is none, or not drawn here. */
  find(emoji) {
    return this.#byEmoji.get(emoji);
  }

  /** Those in whose names all the words begin some word; first those called so. */
  search(text) {
    const words = plain(text).split(/[\s_]+/u).filter(Boolean);
    if (!words.length) return [];
    const found = (this.all ?? []).filter(({ known }) => words.every((word) => known.includes(` ${word}`)));
    const wanted = words.join(" ");
    const rank = ({ known, called }) => (
      called === wanted ? 0 : called.startsWith(wanted) ? 1 : known.includes(` ${words[0]} `) ? 2 : 3
    );
    return found.sort((a, b) => rank(a) - rank(b) || a.order - b.order);
  }

  async #read() {
    const response = await fetch(this.#source, { credentials: "same-origin" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const most = this.#drawn();
    const read = (await response.json()).filter(({ group, version }) => group !== 2 && version <= most);
    const all = read.map(readOne).filter(({ category }) => category);
    for (const each of all) for (const emoji of each.tones ?? [each.emoji]) this.#byEmoji.set(emoji, each);
    this.all = all.sort((a, b) => a.order - b.order);
  }
}

function readOne({ emoji, annotation, tags = [], shortcodes = [], group, order, skins = [] }) {
  const inOneTone = skins.filter(({ tone }) => Number.isInteger(tone)).sort((a, b) => a.tone - b.tone);
  const called = plain(annotation);
  return {
    emoji,
    name: annotation,
    tones: inOneTone.length === TONES.length - 1 ? [emoji, ...inOneTone.map((skin) => skin.emoji)] : null,
    category: CATEGORIES.find(({ groups }) => groups.includes(group))?.id,
    order,
    called,
    known: ` ${[called, ...tags.map(plain), ...shortcodes.map(plain)].join(" ").replace(/[\s_():,-]+/gu, " ")} `,
  };
}

/** The newest version of which this computer has pictures; what it has none of would be boxes. */
export function drawnVersion() {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) return Infinity;
  context.canvas.width = context.canvas.height = 24;
  // As emoji.css draws them: elsewhere a font of text may have outlines of its own for the older ones.
  context.font = '20px "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", sans-serif';
  context.textBaseline = "top";
  const pixels = (text, colour) => {
    context.clearRect(0, 0, 24, 24);
    context.fillStyle = colour;
    context.fillText(text, 0, 0);
    return context.getImageData(0, 0, 24, 24).data;
  };
  // A picture is the same in whatever colour it is written; a box is not, and a blank is none.
  const isPicture = (emoji) => {
    const drawn = pixels(emoji, "#000");
    return drawn.some(Boolean) && drawn.join() === pixels(emoji, "#fff").join();
  };
  if (!isPicture("😀")) return Infinity; // a font of outlines, of which this proves nothing
  return SAMPLES.find(([, emoji]) => isPicture(emoji))?.[0] ?? SMALLEST_NEW - 1;
}

/** For `Completions`: ":" and two letters offer emoji. `shown(found)`: the text of one; `onTaken(text)`:
 * it was chosen; `onLoad()`: they are here now. */
export function emojiWords(emoji, { shown, onTaken, onLoad }) {
  let last = { typed: null, options: [] };
  return (before) => {
    const [, word] = /(?:^|\s)(:\p{L}[\p{L}\p{N}_-]+)$/u.exec(before) ?? [];
    if (!word) return null;
    if (!emoji.all) {
      emoji.load().then(onLoad, () => {});
      return null;
    }
    if (last.typed !== word) {
      const found = emoji.search(word.slice(1)).slice(0, MOST_WORDS);
      const options = found.map((each) => {
        const text = shown(each);
        const taken = () => {
          onTaken(text);
          return { text, select: null };
        };
        return { label: text, detail: each.name, taken };
      });
      last = { typed: word, options };
    }
    return { from: before.length - word.length, label: "Emojis", options: last.options, more: null };
  };
}
