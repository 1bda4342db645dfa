/** The list's rows, newest first, kept in order as they change: what did not change is not looked at. */

/** With more changes than this at once, all are sorted anew. */
const MANY = 100;

const positionOf = ({ last }) => last?.position ?? "";

export class RowOrder {
  #rowOf;
  #rows = []; // what was handed out stays as it is
  #byId = new Map();
  #changed = new Set();

  /** `rowOf(id)`: the row {conversation, last} as it is now, or null. */
  constructor(rowOf) {
    this.#rowOf = rowOf;
  }

  /** A conversation or its last message is another, came or went. */
  touch(id) {
    this.#changed.add(id);
  }

  /** All rows; those without a message stand last. */
  get rows() {
    if (this.#changed.size === 0) return this.#rows;
    const rows = this.#changed.size > MANY ? null : [...this.#rows];
    for (const id of this.#changed) {
      const [before, after] = [this.#byId.get(id), this.#rowOf(id)];
      if (after) this.#byId.set(id, after);
      else this.#byId.delete(id);
      if (before) rows?.splice(rows.indexOf(before, placeOf(rows, positionOf(before))), 1);
      if (after) rows?.splice(placeOf(rows, positionOf(after)), 0, after);
    }
    this.#changed.clear();
    this.#rows = rows ?? [...this.#byId.values()].sort(newestFirst);
    return this.#rows;
  }
}

function newestFirst(a, b) {
  const [left, right] = [positionOf(a), positionOf(b)];
  return left < right ? 1 : left > right ? -1 : 0;
}

/** Where a row of that position stands, before all others of it. */
function placeOf(rows, position) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positionOf(rows[middle]) > position) low = middle + 1;
    else high = middle;
  }
  return low;
}
