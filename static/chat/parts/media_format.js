/**
 * Media in words and numbers: kinds, sizes, durations, addresses. Pure: no DOM.
 *
 * `media` is as the API's JSON has it. What only this page has yet (it is being sent) has besides
 * `local_url`, a blob: address that stands for the server's, and `local_thumb_url`, where there is a
 * smaller picture; `progress`, 0 to 1, while it is on its way.
 */

import { isSeen } from "./format.js";

/** By `media.kind`: the sign and the word of lists, and the word for a screen reader. */
export const KINDS = {
  image: { sign: "📷", word: "Foto" },
  video: { sign: "🎥", word: "Vídeo" },
  audio: { sign: "🎵", word: "Áudio" },
  voice: { sign: "🎤", word: "Mensagem de voz" },
  document: { sign: "📄", word: "Documento" },
  sticker: { sign: "", word: "Figurinha" },
};

/** Icons of the kinds, as paths for `icon` in dom.js. */
export const KIND_ICONS = {
  image: "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6c0-1.1.9-2 2-2Zm0 13.5h14l-4.6-6-3.5 4.4-2.4-2.9L5 17.5ZM8 10.4a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2Z",
  video: "M4 6h11a2 2 0 0 1 2 2v2.4L21.5 7v10L17 13.6V16a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8c0-1.1.9-2 2-2Z",
  audio: "M12 3a9 9 0 0 0-9 9v6a3 3 0 0 0 3 3h2v-8H5v-1a7 7 0 0 1 14 0v1h-3v8h2a3 3 0 0 0 3-3v-6a9 9 0 0 0-9-9Z",
  voice: "M12 14.5a3.5 3.5 0 0 0 3.5-3.5V5.5a3.5 3.5 0 1 0-7 0V11a3.5 3.5 0 0 0 3.5 3.5Zm5.6-3.5a5.6 5.6 0 0 1-11.2 0H4.6a7.4 7.4 0 0 0 6.5 7.3v3.2h1.8v-3.2a7.4 7.4 0 0 0 6.5-7.3h-1.8Z",
  document: "M6 2h8.5L20 7.5V20a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4c0-1.1.9-2 2-2Zm7.5 1.8v4.7h4.7l-4.7-4.7Z",
  sticker: "M6 3h12a3 3 0 0 1 3 3v7.5L13.5 21H6a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3Zm7 16 6-6h-3a3 3 0 0 0-3 3v3Z",
};

/** The largest a picture stands in a bubble, and the smallest (px). */
const FRAME = { width: 330, height: 420, least: 110 };
const UNITS = ["B", "kB", "MB", "GB"];

/** "820 B", "12 kB", "3,4 MB"; "" where it is not known. */
export function sizeText(bytes) {
  if (!Number.isFinite(bytes) || bytes < 0) return "";
  const step = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  const digits = step > 1 && value < 100 ? 1 : 0;
  return `${value.toLocaleString("pt-BR", { maximumFractionDigits: digits })} ${UNITS[step]}`;
}

/** "0:12", "12:03", "1:02:03"; of what is shorter than a second "0:01". */
export function durationText(seconds) {
  const all = Math.max(seconds > 0 ? 1 : 0, Math.round(seconds || 0));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The same for a screen reader: "1 minuto e 12 segundos". */
export function spokenDuration(seconds) {
  const all = Math.max(0, Math.round(seconds || 0));
  const [minutes, rest] = [Math.floor(all / 60), all % 60];
  const words = (count, one, many) => `${count} ${count === 1 ? one : many}`;
  const parts = [
    minutes && words(minutes, "minuto", "minutos"),
    (rest || !minutes) && words(rest, "segundo", "segundos"),
  ];
  return parts.filter(Boolean).join(" e ");
}

/** "PDF", "DOCX"; "" where neither the name nor the type tells it. */
export function extensionOf({ filename, mime_type: type }) {
  const ending = /\.([\p{L}\p{N}]{1,8})$/u.exec(filename ?? "")?.[1];
  if (ending) return ending.toUpperCase();
  const known = { "application/pdf": "PDF", "text/plain": "TXT", "application/zip": "ZIP", "text/csv": "CSV" };
  return known[bareType(type)] ?? "";
}

const SHEETS = [
  ["pdf", /^pdf$/i, /pdf/],
  ["words", /^(docx?|odt|rtf|pages)$/i, /msword|wordprocessing|opendocument\.text/],
  ["table", /^(xlsx?|csv|ods|numbers)$/i, /excel|spreadsheet|csv/],
  ["slides", /^(pptx?|odp|key)$/i, /powerpoint|presentation/],
  ["archive", /^(zip|rar|7z|gz|tar)$/i, /zip|compressed|x-tar/],
  ["text", /^(txt|md|log|json|xml)$/i, /^text\//],
];

/** Which sheet stands for a document: "pdf", "words", "table", "slides", "archive", "text", "other". */
export function sheetOf(media) {
  const ending = extensionOf(media);
  const found = SHEETS.find(([, name, type]) => name.test(ending) || (!ending && type.test(media.mime_type ?? "")));
  return found?.[0] ?? "other";
}

export const bareType = (type) => (type ?? "").split(";")[0].trim().toLowerCase();

/** What is known of a file in one line: "2 páginas · PDF · 120 kB". */
export function fileFacts({ pages, ...media }) {
  const counted = pages ? (pages === 1 ? "1 página" : `${pages} páginas`) : "";
  return [counted, extensionOf(media), sizeText(media.size)].filter(Boolean).join(" · ");
}

/** Whether it is a picture or a film: what the viewer shows, and albums are made of. */
export const isVisual = (message) => ["image", "video"].includes(message.media?.kind) && !message.revoked_at;

/** Whether its bytes are here to be shown. */
export const isReady = (media) => media?.state === "ready" || Boolean(media?.local_url);

/** Where the bytes are. `thumb`: the small picture will do; `download`: to be kept as a file. */
export function mediaUrl({ id, forward_of: origin, media }, { thumb = false, download = false } = {}) {
  const local = (thumb && media.local_thumb_url) || media.local_url;
  if (local) return local;
  const query = download ? "?download=1" : (thumb && media.thumb ? "?size=thumb" : "");
  // Of one that is being passed on the server has only the original yet.
  return `/api/messages/${encodeURIComponent(origin ?? id)}/media${query}`;
}

/** How large a picture stands in a bubble, {width, height} in px, before any of it is here. What has
 * no measures yet gets a square; what is very long or flat is cut off. */
export function frameOf({ width, height } = {}, most = FRAME) {
  const [w, h] = width > 0 && height > 0 ? [width, height] : [most.width, most.width];
  const scale = Math.min(most.width / w, most.height / h);
  // Small pictures are drawn larger, as WhatsApp does: a bubble has at least the time to hold.
  const fit = (size) => Math.round(Math.max(FRAME.least, size * scale));
  return { width: Math.min(most.width, fit(w)), height: Math.min(most.height, fit(h)) };
}

/** The name a file is kept under, where it has none of its own. */
export function fileNameOf(message) {
  const { kind, filename, mime_type: type } = message.media;
  if (isSeen(filename)) return filename;
  const known = { "image/jpeg": "jpg", "audio/mpeg": "mp3", "audio/mp4": "m4a", "text/plain": "txt", "video/3gpp": "3gp" };
  const ending = known[bareType(type)] ?? bareType(type).split("/")[1]?.replace(/^x-/, "") ?? "";
  const at = new Date(message.sent_at);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = `${two(at.getHours())}.${two(at.getMinutes())}.${two(at.getSeconds())}`;
  return `${KINDS[kind]?.word ?? "Arquivo"} ${day} às ${clock}${ending ? `.${ending}` : ""}`;
}

/** The line that stands for a message with media, a place or a contact in lists, quotes and notices;
 * null where it is none of these. */
export function mediaPreview({ media, location, contacts, text }) {
  const caption = isSeen(text) ? text : "";
  if (location) return ["📍", isSeen(location.name) ? location.name : "Localização"].join(" ");
  if (contacts?.length) {
    const first = isSeen(contacts[0].name) ? contacts[0].name : "Contato";
    return `👤 ${contacts.length > 1 ? `${contacts.length} contatos` : first}`;
  }
  const { sign, word } = KINDS[media?.kind] ?? {};
  if (!word) return null;
  if (media.kind === "sticker") return word;
  if (["voice", "audio"].includes(media.kind) && media.duration) return `${sign} ${durationText(media.duration)}`;
  if (media.kind === "document") return `${sign} ${caption || media.filename || word}`;
  return `${sign} ${caption || word}`;
}

/** One line that stands for a message: its text, with the sign of what it has besides. */
export function previewText(message) {
  const ofMedia = message.revoked_at ? null : mediaPreview(message);
  return ofMedia ?? ([message.placeholder, message.text].filter(isSeen).join(" · ") || "Mensagem");
}
