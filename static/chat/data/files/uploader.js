/** A file on its way to the server: in one request with its message, or, where it is large, first by
 * itself to wherever the server wants it. Both may be repeated: the server knows the client_id. */

import { ApiError } from "../api.js";
import { transfer } from "./transfer.js";

/** Until the server has told its own bound (`multipart_max_bytes`). */
const MULTIPART_MAX_BYTES = 20_000_000;

export class Uploader {
  #api;
  #csrfToken;
  #onLogin;
  #limits;
  #uploaded = new Map(); // client_id → id of the upload whose bytes the server has

  /** `limits()`: what `GET /api/media/limits` said, or null; `onLogin()`: nobody is logged in. */
  constructor({ api, csrfToken, onLogin, limits = () => null }) {
    this.#api = api;
    this.#csrfToken = csrfToken;
    this.#onLogin = onLogin;
    this.#limits = limits;
  }

  /** Sends a message with its file, as `transfer` does; `answer` resolves to the server's message. */
  send(conversationId, message, file, onProgress) {
    const path = `/api/conversations/${encodeURIComponent(conversationId)}`;
    const most = this.#limits()?.multipart_max_bytes ?? MULTIPART_MAX_BYTES;
    return file.size <= most
      ? this.#inOne(path, message, file, onProgress)
      : this.#apart(path, message, file, onProgress);
  }

  /** It is sent, or will not be. */
  forget(clientId) {
    this.#uploaded.delete(clientId);
  }

  #inOne(path, message, file, onProgress) {
    const body = new FormData();
    for (const [name, value] of Object.entries(fieldsOf(message))) body.append(name, value);
    body.append("file", file, message.media.filename ?? file.name ?? "arquivo");
    const sent = transfer({ method: "POST", url: `${path}/messages`, headers: this.#headers, body, onProgress });
    return { ...sent, answer: sent.answer.then((answer) => this.#judged(answer)) };
  }

  /** The bytes, and then the message that has them. */
  #apart(path, message, file, onProgress) {
    const { client_id: clientId, media } = message;
    let running = null;
    let isAborted = false;
    let movedAt = performance.now();
    const step = async (begin) => {
      if (isAborted) throw new ApiError("Envio cancelado.");
      movedAt = performance.now();
      const result = await begin();
      movedAt = performance.now();
      return result;
    };
    const put = async () => {
      const about = {
        client_id: clientId, filename: media.filename, size: file.size, mime_type: media.mime_type, kind: media.kind,
      };
      const { upload } = await step(() => this.#api.call("POST", `${path}/uploads`, about));
      const { url, method = "PUT", headers = {} } = upload;
      const isOurs = new URL(url, location.href).origin === location.origin;
      running = transfer({
        method, url, body: file, onProgress, headers: { ...headers, ...(isOurs && this.#headers) },
      });
      const answer = await step(() => running.answer);
      running = null;
      if (isOurs) this.#judged(answer, { isMessage: false });
      // A bucket's refusal is mostly an address that has run out: a new one is asked for.
      else if (answer.status >= 300) throw new ApiError("O arquivo não foi aceito.");
      this.#uploaded.set(clientId, upload.id);
    };
    const work = async () => {
      if (!this.#uploaded.has(clientId)) await put();
      onProgress(1);
      const body = { ...fieldsOf(message), upload: this.#uploaded.get(clientId) };
      try {
        return await step(() => this.#api.call("POST", `${path}/messages`, body));
      } catch (error) {
        if (error.field === "upload") this.#uploaded.delete(clientId); // it is gone: once more, then
        throw error.field === "upload" ? new ApiError(error.message) : error;
      }
    };
    return {
      answer: work(),
      quietSince: () => running?.quietSince() ?? movedAt,
      abort: () => {
        isAborted = true;
        running?.abort();
      },
    };
  }

  get #headers() {
    return { Accept: "application/json", "X-CSRFToken": this.#csrfToken };
  }

  #judged({ status, json }, { isMessage = true } = {}) {
    if (status === 401) this.#onLogin();
    const isGood = status >= 200 && status < 300;
    if (isGood && (json || !isMessage)) return json;
    const { message, code, field, collision } = json?.error ?? {};
    const words = message ?? (status === 413 ? "O arquivo é grande demais." : "O servidor não respondeu como esperado.");
    throw new ApiError(words, { status: isGood ? 0 : status, code, field, collision });
  }
}

/** What stands beside the file; nothing that is empty. */
function fieldsOf({ client_id, text, media, reply_to, read_up_to, after }) {
  const all = { client_id, caption: text, kind: media.kind, reply_to: reply_to?.id, read_up_to, after };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
}
