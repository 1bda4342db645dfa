/** The chat's HTTP API. Answers are plain objects; what goes wrong is an `ApiError`. */

/** A read that takes longer is given up and can be tried again. */
const READ_TIMEOUT_MS = 20_000;
/** Sending may wait for the store; trying again is safe, so this can be generous. */
const WRITE_TIMEOUT_MS = 40_000;
/** The server has given up by then: see `seconds` in chat/auto_reply/service.py, with a time limit of 240. */
const SUGGESTION_TIMEOUT_MS = 350_000;

/**
 * status: HTTP status, 0 when there was no answer. `unavailable`: nothing was decided (no answer,
 * a server in trouble), so the same request may be tried again as it is.
 */
export class ApiError extends Error {
  /** `collision`: the message that somebody else sent meanwhile, for the code of that name. */
  constructor(message, { status = 0, code = "unavailable", field = null, collision = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.field = field;
    this.collision = collision;
  }

  get unavailable() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #csrfToken;
  #onLogin;

  /** `onLogin` is called when the server says that nobody is logged in (401). */
  constructor({ csrfToken, onLogin }) {
    this.#csrfToken = csrfToken;
    this.#onLogin = onLogin;
  }

  /** A page of the list; `filter` as the server knows it, see chat/screen/organizing.py; null for all. */
  conversations(before = null, filter = null) {
    return this.#read("/api/conversations", { before, filter });
  }

  async conversation(id) {
    return (await this.#read(`/api/conversations/${encodeURIComponent(id)}`)).conversation;
  }

  async versions() {
    return (await this.#read("/api/conversations/versions")).versions;
  }

  messages(id, before = null, limit = null) {
    return this.#read(`/api/conversations/${encodeURIComponent(id)}/messages`, { before, limit });
  }

  /** Which messages of a conversation have these words; `before`: the `next` of an earlier answer. */
  searchThread(id, q, before = null) {
    return this.#read(`/api/conversations/${encodeURIComponent(id)}/search`, { q, before });
  }

  /** Idempotent by `client_id`: the same request again answers the same message. `read_up_to` is
   * the message that had arrived last when it was written: answering reads up to there. `after` is
   * the one that had arrived last when its writing began: if somebody else answered after it, the
   * send is refused with the code "collision". */
  send(id, { client_id, text, reply_to, read_up_to, after, forwarded, forward_of, asked: template }) {
    const what = template ? { template } : (forward_of ? { forward_of } : { text });
    const all = { client_id, ...what, reply_to: reply_to?.id, read_up_to, after, forwarded };
    const body = Object.fromEntries(
      Object.entries(all).filter(([, value]) => value),
    );
    return this.call("POST", `/api/conversations/${encodeURIComponent(id)}/messages`, body);
  }

  /** The business's reaction to a message; an empty `emoji` takes it away. Idempotent by `client_id`. */
  react(id, messageId, { client_id, emoji }) {
    const path = `/api/conversations/${encodeURIComponent(id)}/messages/${encodeURIComponent(messageId)}/reaction`;
    return this.call("POST", path, { client_id, emoji });
  }

  /** `owner`: "claude" or "human". */
  async setOwner(id, owner) {
    const path = `/api/conversations/${encodeURIComponent(id)}/owner`;
    return (await this.call("POST", path, { owner })).conversation;
  }

  /** Tells the other attendants that this one writes there; what comes of it matters to nobody: a
   * login that has ended least of all, in the middle of a word. */
  async typing(id) {
    const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
    const options = { ...this.#writing("POST", {}, signal), onLogin: () => {} };
    try {
      await this.#request(`/api/conversations/${encodeURIComponent(id)}/typing`, options);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
    }
  }

  /** A draft by Claude. It takes as long as Claude does; `signal` ends it. */
  async suggestion(id, signal) {
    const path = `/api/conversations/${encodeURIComponent(id)}/suggestion`;
    const either = AbortSignal.any([signal, AbortSignal.timeout(SUGGESTION_TIMEOUT_MS)]);
    return (await this.call("POST", path, {}, either)).suggestion.text;
  }

  /** The browser forgets the files that it keeps: some were of a customer whose data were deleted. */
  async clearCache() {
    try {
      await this.call("POST", "/api/browser-cache/clear");
    } catch (error) {
      if (error.name !== "ApiError") throw error; // they stay until they are too old: nobody waits
    }
  }

  /** Any other route of this server: what the modules ask for. */
  call(method, path, body = {}, signal = AbortSignal.timeout(WRITE_TIMEOUT_MS)) {
    if (method === "GET") return this.#read(path);
    return this.#request(path, this.#writing(method, body, signal));
  }

  #writing(method, body, signal) {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": this.#csrfToken };
    return { method, headers, body: JSON.stringify(body), signal };
  }

  #read(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== null);
    const search = given.length ? `?${new URLSearchParams(given)}` : "";
    return this.#request(path + search, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
  }

  async #request(path, { onLogin = this.#onLogin, ...options }) {
    let response;
    let body;
    try {
      response = await fetch(path, {
        ...options,
        credentials: "same-origin",
        cache: "no-store",
        headers: { Accept: "application/json", ...options.headers },
      });
      body = await response.json().catch(() => null);
    } catch {
      throw new ApiError("Sem resposta do servidor.");
    }
    if (response.status === 401) onLogin();
    if (response.ok && body) return body;
    throw new ApiError(body?.error?.message ?? "O servidor não respondeu como esperado.", {
      status: response.ok ? 0 : response.status,
      code: body?.error?.code,
      field: body?.error?.field,
      collision: body?.error?.collision,
    });
  }
}
