/** Dates, names and previews as pt-BR text. Pure: no DOM, "now" always comes in as an argument. */

const WEEKDAYS = [
  "domingo", "segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado",
];
/** How many avatar colours base.css defines (classes tone-0 to tone-7). */
const TONES = 8;

const two = (number) => String(number).padStart(2, "0");

/** Calendar days from `date` to `now` in local time; daylight saving must not shift a day. */
export function daysAgo(date, now) {
  const midnight = (d) => Date.UTC(d.getFullYear(), d.getMonth(), d.getDate());
  return Math.round((midnight(now) - midnight(date)) / 86_400_000);
}

/** Local calendar day as AAAA-MM-DD: equal for two moments of the same day, and sortable. */
export function dayKey(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function clockTime(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** DD/MM/AAAA. */
export function fullDate(date) {
  return `${two(date.getDate())}/${two(date.getMonth() + 1)}/${date.getFullYear()}`;
}

/** Time of a list row: HH:MM today, "Ontem", the weekday within a week, else DD/MM/AAAA. */
export function listTime(iso, now) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  if (days <= 0) return clockTime(date); // a clock a little ahead of ours is still "today"
  if (days === 1) return "Ontem";
  return days < 7 ? WEEKDAYS[date.getDay()] : fullDate(date);
}

/** "hoje às 14:02", "ontem às 14:02", "amanhã às 14:02", "segunda-feira às 14:02", "12/03/2026 às 14:02". */
export function momentText(iso, now) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  const near = { 0: "hoje", 1: "ontem", [-1]: "amanhã" }[days];
  return `${near ?? listTime(iso, now)} às ${clockTime(date)}`;
}

/** Text of a day chip in the thread. */
export function dayLabel(iso, now) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  if (days <= 0) return "HOJE";
  if (days === 1) return "ONTEM";
  return days < 7 ? WEEKDAYS[date.getDay()].toUpperCase() : fullDate(date);
}

/** What draws something: no spaces, no fillers such as U+3164 or U+2800, no accents without a letter. */
const SEEN = /[^\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\p{Cf}\p{Cs}\p{M}\u2800\u{1D159}]/u;

/** Whether anybody would see that there is a text. */
export const isSeen = (text) => SEEN.test(text ?? "");

/** For comparing with what is typed: without case and accents. */
export const plain = (text) => (text ?? "").normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase("pt-BR");

/** One or two letters for an avatar; "" when the name has none (draw the silhouette then). */
export function initials(name) {
  const letters = (name ?? "")
    .split(/\s+/)
    .map((word) => word.match(/(?!\p{Default_Ignorable_Code_Point})\p{L}/u)?.[0])
    .filter(Boolean);
  if (!letters.length) return "";
  const last = letters.length > 1 ? letters[letters.length - 1] : "";
  return (letters[0] + last).toLocaleUpperCase("pt-BR");
}

/** A stable colour number for an id, so that a customer keeps the same colour everywhere. */
export function toneOf(id) {
  let hash = 0;
  for (const char of String(id)) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return hash % TONES;
}

/** The name to greet a customer by; null where only a number or a user name is known. */
export function knownName({ name, phone, is_group: isGroup }) {
  const known = isSeen(name) && name !== phone && name !== "Cliente" && !name.startsWith("@");
  return known && !isGroup ? name.trim() : null;
}

/** What a conversation is called: its name, else its number, else a plain word. */
export function displayName(conversation) {
  if (isSeen(conversation?.name)) return conversation.name;
  return conversation?.phone || (conversation?.is_group ? "Grupo" : "Cliente");
}

// By the shape of an emoji, not by a list: what came after this browser is one too. Signs that are
// text unless U+FE0F says otherwise (©, ↔, digits) need it, hearts and hands of old do not.
const PICTURE = "(?:(?!\\p{Regional_Indicator})\\p{Emoji_Presentation}"
  + "|(?=[\\u2600-\\u27BF\\u{1F000}-\\u{1FAFF}])\\p{Extended_Pictographic}"
  + "|\\p{Extended_Pictographic}(?=\\uFE0F))(?:\\uFE0F|\\p{Emoji_Modifier})?";
const JOINED = "(?:\\u200D(?:\\p{Extended_Pictographic}|\\p{Emoji_Modifier_Base})(?:\\uFE0F|\\p{Emoji_Modifier})?)*";
const TAGS = "(?:[\\u{E0020}-\\u{E007E}]+\\u{E007F})?"; // the flags of England, Scotland, Wales
const KEYCAP = "[0-9#*]\\uFE0F?\\u20E3";
const FLAG = "\\p{Regional_Indicator}{2}";
const EMOJI = `(?:${KEYCAP}|${FLAG}|${PICTURE}${TAGS}${JOINED})`;
const ONLY_EMOJI = new RegExp(`^\\s*(?:${EMOJI}\\s*){1,3}$`, "u");
const EACH_EMOJI = new RegExp(EMOJI, "gu");

/** 1 to 3 for so many emoji and nothing else, which WhatsApp draws larger; else 0. */
export function emojiCount(text) {
  return ONLY_EMOJI.test(text ?? "") ? text.match(EACH_EMOJI).length : 0;
}

/** Under this much left, the composer warns that the window is about to close. */
const WINDOW_WARNING_MS = 2 * 60 * 60 * 1000;

/**
 * State of WhatsApp's 24-hour window (free text is only accepted within 24 h of the customer's
 * last message): "open", "closing" or "closed", with `at`, when it closes in words, and `minutes`
 * left where that is known; `isNew`: the customer has never written. A group has none.
 */
export function windowState(conversation, now) {
  const expires = conversation?.window_expires_at;
  // Of a group nobody but WhatsApp knows its window.
  if (expires === undefined || conversation.is_group) return { state: "open" }; // not told: let the server decide
  if (expires === null) return { state: "closed", isNew: true };
  const date = new Date(expires);
  const left = date - now;
  if (left <= 0) return { state: "closed" };
  const at = daysAgo(date, now) < 0 ? `${clockTime(date)} de amanhã` : clockTime(date);
  return { state: left > WINDOW_WARNING_MS ? "open" : "closing", at, minutes: Math.ceil(left / 60_000) };
}

/** The same in words, for whoever wants to write; "" where there is nothing to be said. */
export function windowWords({ state, at, isNew }) {
  if (state !== "closed") return at ? `Você pode responder até ${at}` : "";
  const why = isNew ? "Este cliente ainda não escreveu." : "Faz mais de 24 horas que este cliente escreveu.";
  return `${why} Até que ele responda, o WhatsApp só aceita modelos aprovados.`;
}

/** What is left of it: "faltam 42 min"; "" once it is closed, or where that is not known. */
export function windowLeft({ minutes }) {
  if (!minutes) return "";
  if (minutes < 60) return minutes === 1 ? "falta 1 min" : `faltam ${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return `${hours === 1 && !rest ? "falta" : "faltam"} ${hours} h${rest ? ` ${rest} min` : ""}`;
}
