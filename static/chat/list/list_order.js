/** Which rows the list has, and in which order. Pure. */

/**
 * Pinned first, then by last message; a draft that is newer than that lifts its row to where a
 * message of its time would stand. In the open conversation it is still being written.
 *
 * rows: as PageState's, of everything that is known, the newest first. `floor`: see there; what is
 * pinned, has a draft or is open is shown from further down, too. `archived`: whether archived
 * conversations are left out (false), alone (true), or behind the others ("last"). `draftAt(id)`:
 * when a draft was written, in milliseconds; null: there is none.
 */
export function listRows(rows, { floor = null, selectedId = null, archived = false, draftAt }) {
  const groups = { pinned: [], others: [], archived: [] };
  const lifted = [];
  for (const row of rows) {
    const { id, pinned, archived: isArchived } = row.conversation;
    if (archived !== "last" && Boolean(isArchived) !== archived) continue;
    const group = isArchived ? groups.archived : pinned ? groups.pinned : groups.others;
    const draft = id === selectedId ? null : wholeSeconds(draftAt(id));
    if (draft !== null && draft > timeOf(row)) lifted.push({ row, group, draft });
    else if (isArchived || pinned || draft !== null || id === selectedId || isInReach(row, floor)) group.push(row);
  }
  lifted.sort((a, b) => a.draft - b.draft);
  for (const { row, group, draft } of lifted) {
    const place = group.findIndex((each) => timeOf(each) < draft);
    group.splice(place === -1 ? group.length : place, 0, row);
  }
  return [...groups.pinned, ...groups.others, ...groups.archived];
}

/** WhatsApp's times are whole seconds: what came in the second of the draft may have come after it. */
const wholeSeconds = (ms) => (ms === null ? null : ms - (ms % 1000));
const timeOf = ({ last }) => (last ? Date.parse(last.sent_at) : -Infinity);
const isInReach = ({ last }, floor) => floor === null || (last?.position ?? "") >= floor;
