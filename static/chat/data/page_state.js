/**
 * What the screen knows: conversations, threads, and which one is open. Pure state: no DOM, no
 * network, no clock. Every event may come twice, late or out of order; the result is the same.
 */

import { isFurther, withStatus } from "../../message_status.js";
import { previewText } from "../parts/media_format.js";
import { RowOrder } from "./row_order.js";
import { Thread, messageKey, sameData } from "./thread_state.js";

/** Status news of messages not seen yet wait here; a bound, as most belong to unopened chats. */
const MAX_WAITING_STATUSES = 1000;
/** So do changes of messages further up than their thread is loaded: a file has come, or is gone. */
const MAX_WAITING_CHANGES = 500;

export class PageState {
  selectedId = null;
  /** Position of the oldest row fetched; rows below it exist on the server but not here. */
  listFloor = null;

  #conversations = new Map();
  #threads = new Map();
  #order = new RowOrder((id) => this.#rowOf(id));
  #mergedInto = new Map(); // id that no longer exists -> id that took it over
  #erased = new Set(); // ids of conversations of which nothing is left, whatever news come late
  #waitingStatuses = new Map(); // message key -> status change
  #waitingChanges = new Map(); // message id -> {message, version, since}
  #mergedLasts = new Map(); // message id -> the last message of a conversation that is no more
  #onChange;
  #onConversation;
  #onMerge;
  #onRemove;
  #onErase;
  #localSequence = 0;
  #moment = 0;

  /** `onConversation(conversation)`: some answer or event brought it, new or not; `onMerge(loser,
   * winner)` and `onRemove(id)`: one is no more; `onErase(id)`: and nothing of it is to be kept. */
  constructor({
    onChange = () => {}, onConversation = () => {}, onMerge = () => {}, onRemove = () => {},
    onErase = () => {},
  } = {}) {
    this.#onChange = onChange;
    this.#onConversation = onConversation;
    this.#onMerge = onMerge;
    this.#onRemove = onRemove;
    this.#onErase = onErase;
  }

  /** The id that stands for this one today, following merges. */
  resolve(id) {
    let current = id;
    while (this.#mergedInto.has(current)) current = this.#mergedInto.get(current);
    return current;
  }

  conversation(id) {
    return this.#conversations.get(this.resolve(id)) ?? null;
  }

  get conversations() {
    return [...this.#conversations.values()];
  }

  versionOf(id) {
    return this.conversation(id)?.version ?? 0;
  }

  /** The thread of a conversation, made when it is first needed. */
  thread(id) {
    const resolved = this.resolve(id);
    if (!this.#threads.has(resolved)) {
      this.#threads.set(resolved, new Thread(() => this.#order.touch(resolved)));
    }
    return this.#threads.get(resolved);
  }

  knownThread(id) {
    return this.#threads.get(this.resolve(id)) ?? null;
  }

  /** Lets a thread go, which is fetched again when it is opened. False for one that holds what the
   * server has not confirmed, which stays. */
  dropThread(id) {
    if (this.#threads.get(id)?.locals.length) return false;
    if (this.#threads.delete(id)) this.#order.touch(id);
    return true;
  }

  select(id) {
    if (this.selectedId === id) return;
    this.selectedId = id;
    this.#onChange();
  }

  /** Keeps the conversation unless a newer one is known. */
  putConversation(conversation) {
    if (!conversation || this.#mergedInto.has(conversation.id)) return;
    if (this.#erased.has(conversation.id)) return;
    this.#onConversation(conversation);
    const known = this.#conversations.get(conversation.id);
    const next = this.#withKnownStatus(conversation, known);
    if (known && !supersedes(next, known)) return;
    this.#keep(next);
    this.#onChange();
  }

  removeConversation(id) {
    if (!this.#conversations.delete(id)) return;
    this.#order.touch(id);
    this.#onRemove(id);
    this.#onChange();
  }

  /** The server has nothing of this conversation any more: its customer's data were deleted. */
  eraseConversation(id) {
    const resolved = this.resolve(id);
    if (!this.#erased.has(resolved)) {
      this.#erased.add(resolved);
      this.#onErase(resolved); // while what is kept by it can still be found
    }
    this.#threads.delete(resolved);
    if (this.#conversations.has(resolved)) this.removeConversation(resolved);
    else this.#onRemove(resolved);
  }

  #keep(conversation) {
    this.#conversations.set(conversation.id, conversation);
    this.#order.touch(conversation.id);
  }

  /** Grows with each status change; taken before a request, it tells which came while it was made. */
  get moment() {
    return this.#moment;
  }

  /** Messages of an answer. `version`, the conversation's, and `moment`: both as they were before
   * the request began. */
  putMessages(id, messages, version, moment) {
    const thread = this.thread(id);
    const since = { moment };
    let changed = false;
    for (const message of messages) changed = this.#putMessage(thread, message, version, since) || changed;
    if (changed) this.#onChange();
  }

  /** Applies one event of the stream; types it does not know change nothing. */
  apply(event) {
    const data = event.data ?? {};
    if (event.type === "conversation.removed" || this.#erased.has(event.conversation_id)) {
      this.eraseConversation(event.conversation_id);
    } else if (event.type === "messages.removed") {
      if (this.knownThread(event.conversation_id)?.removeUpTo(data.up_to)) this.#onChange();
    } else if (event.type === "message.created" || event.type === "message.updated") {
      this.#applyMessage(event, data);
    } else if (event.type === "message.status_changed") {
      this.#applyStatus(event, data);
    } else if (event.type === "conversation.updated") {
      if (data.merged_into) this.#applyMerge(event, data);
      this.putConversation(data.conversation);
    }
  }

  #applyMessage(event, { message, conversation }) {
    const id = event.conversation_id ?? message.conversation_id;
    const resolved = this.resolve(id);
    this.putConversation(conversation);
    const thread = this.#threads.get(resolved);
    if (!thread) return; // not opened yet: fetched when it is
    const version = resolved === id ? (event.version ?? 0) : 0;
    const since = { at: event.at };
    if (event.type === "message.updated" && isFurtherUp(thread, message)) {
      this.#waitingChanges.delete(message.id);
      this.#waitingChanges.set(message.id, { message, version, since });
      if (this.#waitingChanges.size > MAX_WAITING_CHANGES) {
        this.#waitingChanges.delete(this.#waitingChanges.keys().next().value);
      }
    } else if (this.#putMessage(thread, message, version, since)) this.#onChange();
  }

  #putMessage(thread, message, version, since) {
    let changed = thread.put(message, version, since);
    const later = this.#waitingChanges.get(message.id);
    if (later && this.#waitingChanges.delete(message.id)) {
      changed = thread.put(later.message, later.version, later.since) || changed;
    }
    for (const key of new Set([message.id, messageKey(message)])) {
      const waiting = this.#waitingStatuses.get(key);
      if (!waiting) continue;
      this.#waitingStatuses.delete(key);
      changed = thread.applyStatus(key, waiting, this.#moment) || changed;
    }
    return changed;
  }

  #applyStatus(event, data) {
    const change = { ...data, at: event.at };
    this.#moment += 1;
    const keys = [change.client_id, change.message_id].filter(Boolean);
    const thread = this.#threadWith(keys, event.conversation_id);
    const key = keys.find((each) => thread?.find(each)) ?? keys[0];
    const changed = thread?.applyStatus(key, change, this.#moment) ?? null;
    const inList = this.#applyToRow(keys, event.conversation_id, change);
    if (changed || inList) this.#onChange();
    if (changed !== null) return;
    // They can come out of order too: only the further one waits.
    const waits = withStatus(this.#waitingStatuses.get(key) ?? {}, change);
    this.#waitingStatuses.delete(key);
    this.#waitingStatuses.set(key, { ...waits, at: waits.status_at });
    if (this.#waitingStatuses.size > MAX_WAITING_STATUSES) {
      this.#waitingStatuses.delete(this.#waitingStatuses.keys().next().value);
    }
  }

  /** A message keeps the conversation it was sent in, which may be shown in another by now. */
  #threadWith(keys, conversationId) {
    const thread = this.#threads.get(this.resolve(conversationId));
    if (keys.some((key) => thread?.has(key))) return thread;
    for (const other of this.#threads.values()) {
      if (keys.some((key) => other.has(key))) return other;
    }
    return thread;
  }

  /** A status moves a row's last message without its conversation being a newer one. */
  #applyToRow(keys, conversationId, change) {
    const isLast = ({ last_message: last }) => last && keys.includes(last.id);
    const direct = this.conversation(conversationId);
    const row = direct && isLast(direct) ? direct : this.conversations.find(isLast);
    if (!row) return false;
    const last = withStatus(row.last_message, change);
    if (last === row.last_message) return false;
    this.#keep({ ...row, last_message: last });
    return true;
  }

  /** What is known of the last message's status and is further than what this brings. */
  #withKnownStatus(conversation, known) {
    const last = conversation.last_message;
    if (last?.direction !== "out") return conversation;
    let merged = last;
    for (const before of [known?.last_message, this.#mergedLasts.get(last.id)]) {
      if (before?.id !== last.id || !isFurther(before.status, merged.status)) continue;
      merged = { ...merged, status: before.status, error: before.error ?? null };
    }
    const waiting = this.#waitingStatuses.get(last.id);
    if (waiting) merged = withStatus(merged, waiting);
    return merged === last ? conversation : { ...conversation, last_message: merged };
  }

  #applyMerge(event, { conversation, merged_into: winner }) {
    const loser = [event.conversation_id, conversation?.id].find((id) => id && id !== winner);
    if (loser) this.merge(loser, winner);
  }

  /** One conversation was merged into another: its row goes, what it held moves. */
  merge(loser, winner) {
    if (this.resolve(loser) === this.resolve(winner)) return;
    const oldThread = this.#threads.get(loser);
    this.#mergedInto.set(loser, winner);
    this.#keepLast(this.#conversations.get(loser)?.last_message, this.resolve(winner));
    this.#conversations.delete(loser);
    this.#order.touch(loser);
    if (oldThread) {
      this.#threads.delete(loser);
      const thread = this.thread(winner);
      thread.absorb(oldThread);
      thread.stale = true; // the two histories interleave: fetch what is between
    }
    if (this.selectedId === loser) this.selectedId = this.resolve(winner);
    this.#onMerge(loser, this.resolve(winner));
    this.#onChange();
  }

  /** The winner's news tell the last message without its status; the loser's row had it. */
  #keepLast(last, winner) {
    if (!last?.status) return;
    this.#mergedLasts.set(last.id, last);
    const row = this.#conversations.get(winner);
    if (row) this.#keep(this.#withKnownStatus(row));
  }

  /**
   * A position for a message that has none yet: right after everything known, before whatever
   * the server makes later. (Positions are opaque; "~" sorts after every character in them.)
   */
  nextLocalPosition(now) {
    const highest = this.rows()[0]?.last?.position ?? "";
    this.#localSequence += 1;
    const sequence = String(this.#localSequence).padStart(6, "0");
    return `${highest.split("~")[0]}~${String(+now).padStart(13, "0")}-${sequence}`;
  }

  putLocal(id, message) {
    if (this.thread(id).putLocal(message)) this.#onChange();
  }

  updateLocal(id, key, change) {
    if (this.thread(id).updateLocal(key, change)) this.#onChange();
  }

  /** What only this page knows of a server's message, such as that it is being tried again. */
  annotate(id, key, notes) {
    if (this.thread(id).annotate(key, notes)) this.#onChange();
  }

  removeLocal(id, key) {
    const removed = this.thread(id).removeLocal(key);
    if (removed) this.#onChange();
    return removed;
  }

  /** Every local message of every conversation, as [conversation id, message]. */
  get locals() {
    return [...this.#threads].flatMap(([id, thread]) => thread.locals.map((message) => [id, message]));
  }

  /** The list, newest first: {conversation, last} with what stands as its last message. `floor`:
   * rows further down are left out, because between them and the others some are not here yet. */
  rows({ floor = this.listFloor } = {}) {
    return this.#order.rows.filter(({ conversation, last }) => {
      const isAbove = last && (floor === null || last.position >= floor);
      return isAbove || conversation.id === this.selectedId;
    });
  }

  #rowOf(id) {
    const conversation = this.#conversations.get(id);
    return conversation ? { conversation, last: this.#lastOf(conversation) } : null;
  }

  /** The row's last message, or a newer one of the thread (own sends show before the event). */
  #lastOf(conversation) {
    const last = conversation.last_message;
    const newest = this.#threads.get(conversation.id)?.messages.findLast((each) => !isChatsOwn(each));
    if (!newest || (last && last.position > newest.position)) return last ?? null;
    if (last && last.id === newest.id) return { ...last, status: newest.status, error: newest.error };
    return {
      id: newest.id,
      text: previewText(newest),
      direction: newest.direction,
      author_name: newest.author?.name ?? null,
      sent_at: newest.sent_at,
      position: newest.position,
      status: newest.status,
      error: newest.error,
      delivery: newest.delivery,
    };
  }
}

/** Whether a message belongs to pages that are not loaded: put into the thread, it would stand there as
 * if nothing were between. */
function isFurtherUp(thread, { id, position }) {
  return thread.next !== null && position < thread.next && !thread.find(id);
}

/** "Ana assumiu a conversa": said by the chat itself. The list goes on showing what was written last. */
function isChatsOwn({ type, author }) {
  return type === "system" && Boolean(author) && author.kind !== "customer";
}

/**
 * Whether `next` is newer than `known`. The events of one transaction share a version while each
 * tells the conversation as it stood at that message, so among equals the later message decides.
 */
function supersedes(next, known) {
  if (next.version !== known.version) return next.version > known.version;
  const position = (conversation) => conversation.last_message?.position ?? "";
  return position(next) >= position(known) && !sameData(next, known);
}
