/** Who else is writing, and telling the others that this attendant is. No DOM. */

/** The server takes no more (EVERY_SECONDS in chat/screen/composer/typing.py). */
const TELL_EVERY_MS = 6_000;
/** Somebody of whom nothing was heard for so long has stopped: one telling, and what it takes here. */
const SHOWN_MS = 10_000;

export class Typing {
  #host;
  #told = new Map(); // conversation id → when the others were told last
  #writing = []; // {id, who, name, until}: conversation, attendant, the end of what was heard
  #timer = null;

  /** `tell(id)`: tells the server, resolves whatever comes of it; `resolve(id)`: the conversation's id
   * today; `userId`: who is never told of; `onChange()`: draw again; `now()`: milliseconds. */
  constructor({ tell, resolve, userId, onChange, now = () => performance.now() }) {
    this.#host = { tell, resolve, userId, onChange, now };
  }

  /** The person types here in this conversation; `text` is what the field holds. */
  wrote(id, text) {
    const { now, tell } = this.#host;
    if (!text.trim() || now() - (this.#told.get(id) ?? -Infinity) < TELL_EVERY_MS) return;
    this.#told.set(id, now());
    tell(id);
  }

  /** One event of the stream: somebody types, or has sent what was typed. */
  onEvent({ type, conversation_id: id, data, age }) {
    const author = data?.message?.author;
    if (type === "attendant.typing") this.#heard(id, data.attendant, age);
    else if (type === "message.created" && author?.kind === "attendant") {
      this.#keep(({ id: of, name }) => !(this.#isSame(of, id) && name === author.name));
    }
  }

  /** "Bruno está respondendo…"; null when nobody else is. */
  words(id) {
    const names = this.#writing.filter((each) => this.#isSame(each.id, id)).map(({ name }) => name);
    if (names.length === 0) return null;
    if (names.length === 1) return `${names[0]} está respondendo…`;
    return names.length === 2
      ? `${names[0]} e ${names[1]} estão respondendo…`
      : `${names.length} pessoas estão respondendo…`;
  }

  #heard(id, { id: who, name }, age) {
    const left = SHOWN_MS - Math.max(0, age || 0);
    if (who === this.#host.userId || left <= 0) return;
    const others = this.#writing.filter((each) => !(this.#isSame(each.id, id) && each.who === who));
    this.#writing = [...others, { id, who, name, until: this.#host.now() + left }];
    this.#host.onChange();
    this.#wait();
  }

  #keep(accepts) {
    const kept = this.#writing.filter(accepts);
    if (kept.length === this.#writing.length) return;
    this.#writing = kept;
    this.#host.onChange();
  }

  /** Looks again when the first of them has stopped. */
  #wait() {
    clearTimeout(this.#timer);
    const first = Math.min(...this.#writing.map(({ until }) => until));
    if (first === Infinity) return;
    this.#timer = setTimeout(() => {
      this.#keep(({ until }) => until > this.#host.now());
      this.#wait();
    }, Math.max(0, first - this.#host.now()) + 20);
  }

  #isSame(one, other) {
    return this.#host.resolve(one) === this.#host.resolve(other);
  }
}
