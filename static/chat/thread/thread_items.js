/** What the thread shows, computed from its messages: days, runs, authors. Pure. */

import { messageKey } from "../data/thread_state.js";
import { albumsOf } from "../media/pictures/albums.js";
import { dayKey, dayLabel, isSeen } from "../parts/format.js";

/** Said by WhatsApp about the conversation, by nobody in it: a chip in the middle, no bubble. */
const NOTICES = new Set(["system", "request_welcome"]);
const BUSINESS_APP = "Celular da empresa";
/** Messages before the first one that are looked at for its day and its run: it may sort above some
 * that were sent a little earlier. */
const BEFORE = 50;
const SOMEBODY = "Participante"; // of a group, without a name that could be seen

export const isNotice = (message) => NOTICES.has(message.type);

/** Who wrote it, as one word that groups a run of bubbles. */
function writer(message) {
  return `${message.direction}|${message.author?.kind ?? ""}|${message.author?.name ?? ""}`;
}

const nameOf = ({ author }) => (isSeen(author?.name) ? author.name : null);

/** The name over a bubble: on our side for whoever is not this attendant, and in a group for all
 * who write to us. */
export function authorMark(message, { userName, isGroup = false }) {
  const name = nameOf(message);
  if (message.direction !== "out") return isGroup ? (name ?? SOMEBODY) : null;
  const { kind } = message.author ?? {};
  if (kind === "business_app") return BUSINESS_APP;
  if (kind === "claude") return name ?? "Claude";
  return name !== userName ? name : null;
}

/**
 * Days of the thread, oldest first: {key, label, items: [{key, message, notice, startsRun, author,
 * speaker, viewer}]}. `notice`: it is no bubble. `startsRun` is true for the first bubble of a run by one
 * writer (it gets the tail), `author` is the name to show above it, or null; `speaker` is who said
 * it where that is not the customer of the conversation; `viewer`, who reads this, is "Você" in what
 * a reply quotes and under reactions. Before the message that `divider` names
 * ({messageId, count}) stands an item {key, divider: count}. Those from `from` to `to`, which is
 * not shown, as they are among all of them; `drawn(message)` is what is drawn of one. Pictures of one
 * album are one item {key, album: [items], startsRun, author, own}, whole where any of them is shown.
 */
export function threadDays(messages, {
  now, userName, isGroup = false, divider = null, from = 0, to = messages.length, drawn = (message) => message,
}) {
  const days = [];
  const albums = albumsOf(messages, divider?.messageId ?? null);
  let day = null; // of the message before: {key, label, items}
  let previous = null;
  let albumStarts = false; // whether the album that was come to last starts a run
  let shownAlbum = null;
  for (let place = Math.max(0, from - BEFORE); place < to; place += 1) {
    const message = messages[place];
    const key = dayKey(new Date(message.sent_at));
    // A message may sort above one sent a little earlier: a day once left is not opened again.
    if (!day || key > day.key) {
      day = { key, label: dayLabel(message.sent_at, now), items: [] };
      previous = null;
    }
    const isFirst = divider?.messageId === message.id;
    if (isFirst) previous = null;
    const notice = isNotice(message);
    const startsRun = !notice && writer(message) !== previous;
    previous = notice ? null : writer(message);
    const album = albums.get(message);
    if (album?.[0] === message) albumStarts = startsRun;
    if (place < from || (album && album === shownAlbum)) continue;
    if (days.at(-1) !== day) days.push(day);
    if (isFirst) day.items.push({ key: "divider", divider: divider.count });
    const mark = notice ? null : authorMark(message, { userName, isGroup });
    const itemOf = (each, starts) => ({
      key: messageKey(each),
      message: drawn(each),
      notice,
      startsRun: starts,
      author: starts ? mark : null,
      speaker: mark ?? (each.direction === "out" ? (nameOf(each) ?? "Você") : null),
      viewer: userName,
    });
    shownAlbum = album ?? shownAlbum;
    day.items.push(album ? {
      key: `album ${messageKey(album[0])}`,
      album: album.map((each) => itemOf(each, false)),
      startsRun: albumStarts,
      author: albumStarts ? mark : null,
      own: message.direction === "out",
    } : itemOf(message, startsRun));
  }
  return days;
}
