/**
 * Claude on this screen: whether it answers at all, who has each conversation, and which of them
 * need a person.
 */

/** After a request that failed. */
const AGAIN_MS = 30_000;
/** A little after an answer has surely died, by the server's clock: timers may run early. */
const SLACK_MS = 50;

/**
 * Who answers a conversation, for all that show it. Pure. `now`: by the server's clock.
 *
 * `mark`: "claude", "team" or "needed"; null where there is no Claude, and so nobody to tell from.
 * `replyingWords`: what is told while it `isReplying`.
 */
export function ownershipOf(conversation, { enabled, now }) {
  const { owner, needs_you: needsYou, is_group: isGroup, replying_until: until } = conversation;
  const isClaudes = enabled && owner === "claude";
  const mark = needsYou ? "needed" : isClaudes ? "claude" : "team";
  return {
    mark: enabled || needsYou ? mark : null,
    reason: needsYou ? (conversation.needs_you_reason ?? "") : "",
    isReplying: enabled && Date.parse(until ?? "") > now,
    replyingWords: "Claude está respondendo…",
    canTake: isClaudes || Boolean(needsYou),
    canGive: enabled && !isClaudes && !isGroup,
  };
}

export class Claude {
  /** False until the server has said so. */
  enabled = false;

  #host;
  #listed = { ids: [], more: false };
  #told = new Map(); // conversation id → the hand-over that the person was told of
  #startedAt;
  #asking = null; // the newest request; those before it know less
  #timers = {};

  /** `api`; `state`: the PageState; `now()`: the server's milliseconds, which were `startedAt` when it
   * rendered the page; `onChange()`: draw again; `onFailed(words)`: what the person asked for was not
   * done; `onNeeded(conversation)`: it needs a person from now on. */
  constructor({ startedAt, ...host }) {
    this.#host = host;
    this.#startedAt = startedAt;
  }

  /** Asks the server, until there is an answer. */
  async refresh() {
    clearTimeout(this.#timers.again);
    const mine = this.#asking = Symbol();
    let answer = null;
    try {
      answer = await this.#host.api.call("GET", "/api/claude");
    } catch (error) {
      if (error.name !== "ApiError") throw error;
    }
    if (this.#asking !== mine) return;
    if (answer) {
      this.enabled = answer.enabled;
      this.#listed = answer.needs_you;
      this.#host.onChange();
    } else {
      this.#timers.again = setTimeout(() => this.refresh(), AGAIN_MS);
    }
  }

  ownership(conversation) {
    return ownershipOf(conversation, { enabled: this.enabled, now: this.#host.now() });
  }

  /** How many conversations need a person: {n, more}. The list's own news are newer than what the
   * server listed. */
  needing() {
    const { state } = this.#host;
    const ids = new Set(state.conversations.filter((each) => each.needs_you).map(({ id }) => id));
    for (const id of this.#listed.ids) if (!state.conversation(id)) ids.add(id);
    return { n: ids.size, more: this.#listed.more && ids.size > 0 };
  }

  /** One event of the stream, once the state has it. */
  onEvent({ conversation_id: id, catchUp }) {
    this.#askForMore();
    const conversation = this.#host.state.conversation(id);
    if (!conversation?.needs_you) return;
    const at = Date.parse(conversation.needs_you_at);
    if (this.#told.get(conversation.id) === at) return;
    this.#told.set(conversation.id, at);
    if (!catchUp && at > this.#startedAt) this.#host.onNeeded(conversation);
  }

  /** All that the server listed are seen to, and it had more. */
  #askForMore() {
    const { state } = this.#host;
    const stillNeeds = (id) => !state.conversation(id) || state.conversation(id).needs_you;
    if (!this.#listed.more || this.#listed.ids.some(stillNeeds)) return;
    this.#listed = { ids: [], more: false }; // once
    this.refresh();
  }

  /** Who shall answer from now on: "human" or "claude". Resolves to whether that was done. */
  async give(id, owner) {
    try {
      this.#host.state.putConversation(await this.#host.api.setOwner(id, owner));
      return true;
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#host.onFailed(error.message);
      if (error.code === "claude_off") this.refresh();
      return false;
    }
  }

  /** Draws again when an answer has died of which no event will tell. */
  watchReplies() {
    clearTimeout(this.#timers.reply);
    const now = this.#host.now();
    const replying = this.#host.state.conversations.filter((each) => each.replying_until);
    const ends = replying.map((each) => Date.parse(each.replying_until));
    const next = Math.min(...ends.filter((end) => end > now));
    if (next === Infinity) return;
    this.#timers.reply = setTimeout(() => this.#host.onChange(), next - now + SLACK_MS);
  }
}
