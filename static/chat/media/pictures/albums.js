/** Which pictures of a thread are shown as one: four or more in a row, by one sender, of one moment. Pure. */

import { dayKey } from "../../parts/format.js";
import { isVisual } from "../../parts/media_format.js";

const FEWEST = 4;
/** What is sent at once comes within so much of one another. */
const APART_MS = 60_000;
/** WhatsApp sends so many at once at most; and a thread that is drawn in parts looks no further back. */
const MOST = 30;

const known = new WeakMap(); // messages → {divider, albums}: the same array holds the same messages

/** message → its album, an array of messages; of those in none nothing. `divider`: the id of the message
 * before which the unread begin, or null: an album does not reach across it. */
export function albumsOf(messages, divider = null) {
  const before = known.get(messages);
  if (before?.divider === divider) return before.albums;
  const albums = new Map();
  let run = [];
  const end = () => {
    if (run.length >= FEWEST) for (const each of run) albums.set(each, run);
    run = [];
  };
  for (const message of messages) {
    const goesOn = run.length > 0 && run.length < MOST && message.id !== divider && follows(run.at(-1), message);
    if (!goesOn) end();
    if (fits(message)) run.push(message);
  }
  end();
  known.set(messages, { divider, albums });
  return albums;
}

/** With words of its own, or an answer, it stands for itself. */
function fits(message) {
  const { text, reply_to: quote, referral, forwarded, media } = message;
  return isVisual(message) && media.state !== "unavailable" && !text?.trim() && !quote && !referral && !forwarded;
}

function follows(one, other) {
  if (!fits(other) || one.direction !== other.direction) return false;
  if (one.author?.kind !== other.author?.kind || one.author?.name !== other.author?.name) return false;
  const [before, after] = [new Date(one.sent_at), new Date(other.sent_at)];
  return Math.abs(after - before) <= APART_MS && dayKey(before) === dayKey(after);
}
