/** Fetches into the state: pages of the list and of threads, and what a gap made doubtful. */

/** A refresh reads down to what was already shown, but no further than this many pages. */
const MAX_REFRESH_PAGES = 20;
/** On the way to a message far up, pages are as large as the server gives them. */
const FAR_PAGE = 100;
/** A page that is on its way for somebody else is looked for again after so long. */
const OTHERS_MS = 50;
/** So many threads that were open last keep all that was loaded of them, */
const KEPT_WHOLE = 5;
/** and so many the newest page of it; what was open before them is let go. */
const KEPT = 60;
/** As many as the server gives in a page. */
const NEWEST_PAGE = 50;

export class Loader {
  listState = "idle"; // "idle" | "loading" | "error"
  listNext = null;
  listLoaded = false;

  #state;
  #api;
  #noteVersion;
  #onChange;
  #opening = new Map(); // conversation id -> its newest page, on its way
  #filtered = new Map(); // filter -> {state, next, loaded}
  #threadStates = new Map(); // conversation id -> "loading" | "older" | "error" | "older-error"
  #opened = new Set(); // conversations whose threads are here, the last one opened last

  /** `noteVersion(id, version)`: this page holds everything of that conversation up to there. */
  constructor({ state, api, noteVersion, onChange }) {
    this.#state = state;
    this.#api = api;
    this.#noteVersion = noteVersion;
    this.#onChange = onChange;
  }

  threadState(id) {
    return this.#threadStates.get(id) ?? "idle";
  }

  /** The list's first page, and at a refresh every page that was already shown. */
  async loadList() {
    if (this.listState === "loading") return;
    this.#setListState("loading");
    const refresh = this.listLoaded;
    const floor = this.#state.listFloor;
    const before = new Map(this.#state.conversations.map((item) => [item.id, item]));
    const seen = new Set();
    try {
      let page = { next: null };
      let reached = false;
      for (let pages = 0; !reached && pages < MAX_REFRESH_PAGES; pages += 1) {
        page = await this.#api.conversations(page.next);
        for (const conversation of page.conversations) seen.add(conversation.id);
        this.#takeConversations(page.conversations);
        reached = page.next === null || !refresh || (floor !== null && lowest(page) <= floor);
      }
      this.#setFloor(page);
      if (refresh) this.#dropVanished(before, seen);
      this.listLoaded = true;
      this.#setListState("idle");
    } catch (error) {
      this.#fail(error, () => this.#setListState("error"));
    }
  }

  async loadMoreOfList() {
    if (this.listState !== "idle" || this.listNext === null) return;
    this.#setListState("loading");
    try {
      const page = await this.#api.conversations(this.listNext);
      this.#takeConversations(page.conversations);
      this.#setFloor(page);
      this.#setListState("idle");
    } catch (error) {
      this.#fail(error, () => this.#setListState("error"));
    }
  }

  /** Where a list stands: {state, loaded, hasMore}. `filter`: null is the whole list. */
  listOf(filter) {
    if (filter === null) {
      return { state: this.listState, loaded: this.listLoaded, hasMore: this.listNext !== null };
    }
    const { state, next, loaded } = this.#filtered.get(filter) ?? { state: "idle", next: null, loaded: false };
    return { state, loaded, hasMore: next !== null };
  }

  /** What belongs to a filter and may lie beyond the rows here: its first page, then the next one. */
  async loadFiltered(filter, { anew = false } = {}) {
    const known = this.#filtered.get(filter);
    if (known?.state === "loading" || (known?.loaded && !anew && known.next === null)) return;
    const pager = { state: "loading", next: anew ? null : (known?.next ?? null), loaded: known?.loaded ?? false };
    this.#filtered.set(filter, pager);
    this.#onChange();
    try {
      const page = await this.#api.conversations(pager.next, filter);
      this.#takeConversations(page.conversations);
      Object.assign(pager, { state: "idle", next: page.next, loaded: true });
    } catch (error) {
      this.#fail(error, () => { pager.state = "error"; });
    }
    this.#onChange();
  }

  /** One conversation by its id; follows a merge. Throws ApiError (404: there is none). */
  async loadConversation(id) {
    const conversation = await this.#api.conversation(id);
    this.#state.putConversation(conversation);
    if (conversation.id !== id) this.#state.merge(id, conversation.id);
    return conversation;
  }

  /** What opening a conversation needs: its newest page, or a refresh where a gap was. Whoever asks
   * while that is being read waits for the same. */
  openThread(id) {
    if (!this.#opening.has(id)) {
      this.#opening.set(id, this.#openThread(id).finally(() => this.#opening.delete(id)));
    }
    return this.#opening.get(id);
  }

  /** This conversation is open now: of those that were open long ago the page forgets messages, so
   * that a day of work does not fill its memory. */
  opened(id) {
    this.#opened.delete(id);
    this.#opened.add(id);
    let age = this.#opened.size;
    for (const each of [...this.#opened]) {
      if (age > KEPT_WHOLE && this.threadState(each) === "idle") {
        if (age <= KEPT) this.#state.knownThread(each)?.trim(NEWEST_PAGE);
        else if (this.#state.dropThread(each)) this.#opened.delete(each);
      }
      age -= 1;
    }
  }

  async #openThread(id) {
    const thread = this.#state.thread(id);
    if (this.threadState(id) === "loading") return;
    // Again when a further gap was reported while reading.
    while (!thread.loaded || thread.stale) {
      if (!(await this.#readThread(id))) return;
    }
  }

  /** All messages down to a position, while `isWanted()`; whether they are here. */
  loadDownTo(id, position, isWanted) {
    const isReached = ({ next, oldest }) => next === null || oldest?.position <= position;
    return this.loadUntil(id, isReached, isWanted);
  }

  /** Older messages until `isReached(thread)`, while `isWanted()`, and so many pages at most; whether
   * that is reached. Waits for what somebody else is loading, and asks itself where that failed. */
  async loadUntil(id, isReached, isWanted, mostPages = Infinity) {
    await this.openThread(id);
    const thread = this.#state.thread(id);
    let pages = 0;
    while (thread.loaded && thread.next !== null && pages < mostPages && !isReached(thread) && isWanted()) {
      const before = thread.next;
      const state = this.threadState(id);
      if (state === "older-error") this.#setThreadState(id, "idle");
      await this.loadOlder(id, FAR_PAGE);
      if (thread.next !== before) pages += 1;
      else if (state !== "older" && state !== "loading") break; // no answer: nothing more comes
      else await new Promise((resolve) => setTimeout(resolve, OTHERS_MS));
    }
    return thread.loaded && isReached(thread);
  }

  /** The next page up, of so many messages. */
  async loadOlder(id, limit = null) {
    const thread = this.#state.thread(id);
    if (!thread.loaded || thread.next === null || this.threadState(id) !== "idle") return;
    this.#setThreadState(id, "older");
    const { moment } = this.#state;
    const version = this.#state.versionOf(id);
    try {
      const page = await this.#api.messages(id, thread.next, limit);
      thread.next = page.next;
      this.#state.putMessages(id, page.messages, version, moment);
      this.#setThreadState(id, "idle");
    } catch (error) {
      this.#fail(error, () => this.#setThreadState(id, "older-error"));
    }
  }

  /** Tries again what failed: by hand, or because the connection is back. */
  async retryFailed(id) {
    const failed = id && this.threadState(id);
    const list = this.listState === "error" ? this.loadList() : null;
    for (const [filter, { state }] of this.#filtered) if (state === "error") this.loadFiltered(filter);
    if (failed === "error" || failed === "older-error") {
      this.#setThreadState(id, "idle");
      await (failed === "older-error" ? this.loadOlder(id) : this.openThread(id));
    }
    await list;
  }

  /** The stream lost something of this conversation: read it again. Resolves to it, to null when
   * it is gone, to undefined when the server did not answer. */
  async refreshConversation(id) {
    try {
      const conversation = await this.loadConversation(id);
      const thread = this.#state.knownThread(conversation.id);
      if (thread) thread.stale = true;
      if (thread && conversation.id === this.#state.selectedId) await this.openThread(conversation.id);
      else this.#noteVersion(conversation.id, conversation.version);
      return conversation;
    } catch (error) {
      this.#fail(error, () => {
        if (error.status === 404) this.#state.eraseConversation(id);
      });
      return error.status === 404 ? null : undefined;
    }
  }

  /**
   * The stream lost its place: everything shown may be old. What is on screen stays meanwhile.
   * Rejects when it could not be read, so that the stream asks again.
   */
  async refreshAll() {
    for (const { id } of this.#state.conversations) {
      const thread = this.#state.knownThread(id);
      if (thread) thread.stale = true;
    }
    const selected = this.#state.selectedId;
    for (const [filter, { loaded }] of this.#filtered) if (loaded) this.loadFiltered(filter, { anew: true });
    await Promise.all([this.loadList(), selected && this.refreshConversation(selected)]);
    if (this.listState === "error" || (selected && this.threadState(selected) === "error")) {
      throw new Error("the screen could not be read again");
    }
  }

  /** Newest page first, then on down to what was already shown, so that no gap stays inside. */
  async #readThread(id) {
    this.#setThreadState(id, "loading");
    const thread = this.#state.thread(id);
    const oldest = thread.loaded ? thread.oldest?.position : undefined;
    const version = this.#state.versionOf(id); // read before: the answer is at least as new
    thread.stale = false; // a gap reported from here on counts again
    try {
      let next = null;
      let reached = false;
      for (let pages = 0; !reached && pages < MAX_REFRESH_PAGES; pages += 1) {
        const { moment } = this.#state;
        const page = await this.#api.messages(id, next);
        this.#state.putMessages(id, page.messages, version, moment);
        next = page.next;
        reached = next === null || oldest === undefined || page.messages[0]?.position <= oldest;
      }
      thread.next = next;
      thread.loaded = true;
      this.#noteVersion(id, version);
      this.#setThreadState(id, "idle");
      return true;
    } catch (error) {
      thread.stale = thread.loaded;
      this.#fail(error, () => this.#setThreadState(id, "error"));
      return false;
    }
  }

  #takeConversations(conversations) {
    for (const conversation of conversations) {
      this.#state.putConversation(conversation);
      // With a thread here, its messages may still lack what this version holds.
      const { id, version } = conversation;
      const reading = this.threadState(id) === "loading";
      if (!reading && !this.#state.knownThread(id)?.loaded) this.#noteVersion(id, version);
    }
  }

  #setFloor(page) {
    this.listNext = page.next;
    this.#state.listFloor = page.next === null ? null : lowest(page);
  }

  /** Rows that stood unchanged all the while and are no longer on the server (merged meanwhile). */
  #dropVanished(before, seen) {
    for (const [id, conversation] of before) {
      const untouched = this.#state.conversation(id) === conversation;
      const inRange = (conversation.last_message?.position ?? "") >= (this.#state.listFloor ?? "");
      if (untouched && inRange && !conversation.archived && !seen.has(id) && id !== this.#state.selectedId) {
        this.#state.removeConversation(id);
      }
    }
  }

  #fail(error, show) {
    if (error.name !== "ApiError") throw error;
    show();
  }

  #setListState(state) {
    this.listState = state;
    this.#onChange();
  }

  #setThreadState(id, state) {
    if (state === "idle") this.#threadStates.delete(id);
    else this.#threadStates.set(id, state);
    this.#onChange();
  }
}

/** Position of a page's last row: rows without messages are not listed, so there is one. */
function lowest(page) {
  return page.conversations.at(-1)?.last_message?.position ?? "";
}
