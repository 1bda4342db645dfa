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

function fullDate(date) {
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

/** Text of a day chip in the thread. */
export function dayLabel(iso, now) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  if (days <= 0) return "HOJE";
  if (days === 1) return "ONTEM";
  return days < 7 ? WEEKDAYS[date.getDay()].toUpperCase() : fullDate(date);
}

/** One or two letters for an avatar; "" when the name has none (draw the silhouette then). */
export function initials(name) {
  const letters = (name ?? "")
    .split(/\s+/)
    .map((word) => word.match(/\p{L}/u)?.[0])
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

/** What a conversation is called: its name, else its number, else a plain word. */
export function displayName(conversation) {
  return conversation?.name || conversation?.phone || "Cliente";
}

/** One line that stands for a message: its text, or the label of what cannot be drawn yet. */
export function previewText(message) {
  return [message.placeholder, message.text].filter(Boolean).join(" · ") || "Mensagem";
}

/** Up to three emoji and nothing else: WhatsApp draws those larger. */
export function isOnlyEmoji(text) {
  const one = "(?:\\p{Regional_Indicator}{2}|\\p{Extended_Pictographic}(?:\\uFE0F|\\p{Emoji_Modifier}" +
    "|\\u200D\\p{Extended_Pictographic})*)";
  return new RegExp(`^(?:${one}\\s*){1,3}$`, "u").test(text ?? "");
}

/** Under this much left, the composer warns that the window is about to close. */
const WINDOW_WARNING_MS = 2 * 60 * 60 * 1000;

/**
 * State of WhatsApp's 24-hour window (free text is only accepted within 24 h of the customer's
 * last message): "open", "closing" (with the hour it closes at) or "closed".
 */
export function windowState(conversation, now) {
  const expires = conversation?.window_expires_at;
  if (expires === undefined) return { state: "open" }; // not told: let the server decide
  if (expires === null) return { state: "closed" };
  const date = new Date(expires);
  const left = date - now;
  if (left <= 0) return { state: "closed" };
  return left > WINDOW_WARNING_MS ? { state: "open" } : { state: "closing", at: clockTime(date) };
}
