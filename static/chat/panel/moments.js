/** Moments and spans of time in words, for the panel. Pure. */

import { momentText } from "../parts/format.js";

const MINUTE_MS = 60_000;

/** "5 h 12 min", "12 min", "menos de 1 min". */
export function spanText(ms) {
  const minutes = Math.floor(ms / MINUTE_MS);
  if (minutes < 1) return "menos de 1 min";
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [hours && `${hours} h`, (rest || !hours) && `${rest} min`].filter(Boolean).join(" ");
}

/** WhatsApp's 24-hour window in words: {isOpen, title, text}. */
export function windowWords({ window_expires_at: expires }, now) {
  const left = expires ? Date.parse(expires) - now : null;
  if (left === null) {
    return {
      isOpen: false,
      title: "Ainda não aberta",
      text: "Ela abre por 24 horas quando o cliente escreve.",
    };
  }
  if (left <= 0) {
    return {
      isOpen: false,
      title: `Encerrada ${momentText(expires, now)}`,
      text: "Ela abre de novo por 24 horas quando o cliente escrever.",
    };
  }
  return {
    isOpen: true,
    title: `Aberta até ${momentText(expires, now)}`,
    text: `Faltam ${spanText(left)} para responder com texto livre.`,
  };
}
