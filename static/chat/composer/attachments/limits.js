/** What can be sent as what: the server's limits, and what becomes of a file by them. */

import { KINDS, bareType, sizeText } from "../../parts/media_format.js";

/** How many files go at once, as in WhatsApp. */
export const MOST_FILES = 30;
/** Of the Cloud API, in characters. */
export const MAX_CAPTION_LENGTH = 1024;

/** By the ending of a name, for files of which the computer does not know the type. */
const TYPES = {
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif", heic: "image/heic",
  mp4: "video/mp4", "3gp": "video/3gpp", mov: "video/quicktime", webm: "video/webm",
  mp3: "audio/mpeg", m4a: "audio/mp4", aac: "audio/aac", amr: "audio/amr", ogg: "audio/ogg", opus: "audio/ogg",
  wav: "audio/wav",
};
/** What browsers call some of them. */
const SAME = {
  "image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "audio/x-m4a": "audio/mp4", "audio/m4a": "audio/mp4",
  "audio/x-aac": "audio/aac", "audio/vnd.wave": "audio/wav", "video/x-m4v": "video/mp4",
};
/** Types by which it is certain what a file is; all others are the server's to look into. */
const CERTAIN = /^(image\/(?!svg)|video\/|audio\/)|zip|rar\b|7z|compressed|x-tar|msdownload|executable|package|diskimage/;
const TAKEN = "O WhatsApp aceita PDF, Word, Excel, PowerPoint, texto, fotos, vídeos MP4 e áudios.";
const HEIC = "Salve como JPEG (no iPhone: Ajustes › Câmera › Formatos › Mais compatível).";

export class Limits {
  #fetch;
  #known = null;
  #asking = null;

  /** `fetch()`: the answer of `GET /api/media/limits`. */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  /** What the server said; null as long as it has not: then it says so of each file. */
  get known() {
    return this.#known;
  }

  /** Asks, once; resolves whatever comes of it. */
  async load() {
    if (this.#known) return this.#known;
    this.#asking ??= this.#fetch().then((answer) => { this.#known = answer; }, () => {});
    await this.#asking;
    this.#asking = null;
    return this.#known;
  }
}

/** The type of a file, also where the computer does not tell it. Pure. */
export function typeOf({ type, name = "" }) {
  const told = bareType(type) || TYPES[name.split(".").at(-1).toLowerCase()];
  return SAME[told] ?? told ?? "application/octet-stream";
}

/**
 * What becomes of a file: {kind, note} or {refusal}, both in words. `wanted`: "document" sends it as
 * it is; "audio", "media" or null goes by its type. What is too large, or of a type that WhatsApp does
 * not show, goes as a document. Pure. `limits`: the server's, or null.
 */
export function judge(file, { wanted = null, limits = null } = {}) {
  const name = file.name || "O arquivo";
  if (file.size === 0) return { refusal: `${name} está vazio.` };
  const kinds = limits?.kinds ?? {};
  const natural = wanted === "document" ? "document" : naturalKind(typeOf(file), kinds);
  if (natural !== "document") {
    const most = kinds[natural]?.max_bytes ?? Infinity;
    if (file.size <= most) return { kind: natural, note: "" };
  }
  const most = kinds.document?.max_bytes ?? Infinity;
  if (file.size > most) {
    return { refusal: `${name} tem ${sizeText(file.size)}. O limite é de ${limitText(most)}.` };
  }
  const type = typeOf(file);
  if (kinds.document && CERTAIN.test(type) && !kinds.document.types.map(bareType).includes(type)) {
    return { refusal: `${name} não pode ser enviado. ${/hei[cf]$/.test(type) ? HEIC : TAKEN}` };
  }
  if (natural !== "document") {
    const limit = limitText(kinds[natural].max_bytes);
    return { kind: "document", note: `${KINDS[natural].word} com mais de ${limit}: vai como documento.` };
  }
  const isMeantToBeSeen = wanted !== "document" && /^(image|video|audio)\//.test(type);
  return { kind: "document", note: isMeantToBeSeen ? "O WhatsApp não mostra este formato: vai como documento." : "" };
}

/** What kind a type is; a document where it is none that is shown, or none that the server takes. */
function naturalKind(type, kinds) {
  const kind = ["image", "video", "audio"].find((each) => type.startsWith(`${each}/`));
  const taken = kind && kinds[kind]?.types;
  return kind && (!taken || taken.map(bareType).includes(type)) ? kind : "document";
}

/** As WhatsApp counts: 16 MB are 16 · 1024 · 1024 bytes. */
const limitText = (bytes) => `${Math.floor(bytes / 1024 / 1024)} MB`;
