/** Reactions that are given here: on the screen at once, taken back when they were refused. */

import { randomId } from "../data/sending.js";
import { emojiCount } from "../parts/format.js";

/** Refusals may come long after the answer; of so many reactions they are told here. */
const MOST_TOLD = 100;

/** One emoji and nothing else, as WhatsApp takes for a reaction. Pure. */
export function isOneEmoji(text) {
  return emojiCount(text) === 1;
}

/** The business's reaction to a message, {emoji, author}, or null: it has one. Pure. */
export const ownReaction = (message) => message?.reactions?.find(({ own }) => own) ?? null;

export class Reactions {
  #host;
  #lasts = new Map(); // message id → its reactions under way, one after the other
  #drawn = new WeakSet(); // lists of reactions that the server has not confirmed
  #confirmed = new Map(); // message id → what it had before those under way
  #given = new Map(); // reaction id → message id: taken by the server, WhatsApp may still refuse

  /** `state`, `api`, `userName`; `onFailed(words)`. */
  constructor({ state, api, userName, onFailed }) {
    this.#host = { state, api, userName, onFailed };
  }

  /** Gives a reaction; the one that is there already is taken away. Resolves when that is decided. */
  give(id, messageId, emoji) {
    const { state, userName } = this.#host;
    const message = state.thread(id).find(messageId);
    if (!message) return Promise.resolve();
    const wanted = same(ownReaction(message)?.emoji, emoji) ? "" : emoji;
    const others = (message.reactions ?? []).filter(({ own }) => !own);
    const drawn = wanted ? [...others, { emoji: wanted, author: userName, own: true }] : others;
    if (!this.#lasts.has(messageId)) this.#confirmed.set(messageId, message.reactions ?? []);
    this.#drawn.add(drawn);
    state.annotate(id, messageId, { reactions: drawn });
    const before = this.#lasts.get(messageId) ?? Promise.resolve();
    const mine = before.then(() => this.#send(id, messageId, wanted)).then((refusal) => {
      const isLast = this.#lasts.get(messageId) === mine;
      if (isLast) this.#lasts.delete(messageId);
      if (refusal) this.#failed(id, messageId, refusal, isLast);
    });
    this.#lasts.set(messageId, mine);
    return mine;
  }

  /** WhatsApp may refuse what it took before: the message then has its old reaction again. */
  onEvent({ data }) {
    const failed = data?.message?.reaction_failed;
    if (!failed || !this.#given.delete(failed.id)) return;
    this.#host.onFailed(failed.message);
  }

  /** Why it was refused, in words; null when it was not. */
  async #send(id, messageId, emoji) {
    const { state, api } = this.#host;
    const version = state.versionOf(id);
    const { moment } = state;
    const reactionId = randomId();
    let answer;
    try {
      answer = await api.react(state.resolve(id), messageId, { client_id: reactionId, emoji });
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      return error.message;
    }
    // An event may have overtaken the answer.
    const known = state.thread(id).find(messageId)?.reaction_failed;
    state.putMessages(id, [answer], version, moment);
    if (known?.id === reactionId) return known.message;
    this.#given.set(reactionId, messageId);
    if (this.#given.size > MOST_TOLD) this.#given.delete(this.#given.keys().next().value);
    return null;
  }

  #failed(id, messageId, words, isLast) {
    const { state, onFailed } = this.#host;
    const shown = state.thread(id).find(messageId)?.reactions;
    // What the server has told meanwhile is right by itself.
    if (isLast && this.#drawn.has(shown)) {
      state.annotate(id, messageId, { reactions: this.#confirmed.get(messageId) });
    }
    onFailed(words);
  }
}

/** With and without U+FE0F is one emoji. */
const same = (one, other) => Boolean(one) && one.replaceAll("\uFE0F", "") === other.replaceAll("\uFE0F", "");
