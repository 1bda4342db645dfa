/** One request that carries a file: with its progress, which `fetch` does not tell, and an end to
 * one that stands still. */

import { ApiError } from "../api.js";

/** Without a byte for so long the connection is taken for lost. */
const STALL_MS = 30_000;
/** When all bytes are there: the server looks into the file, and may convert it. */
const ANSWER_MS = 120_000;
const LOOK_MS = 1_000;

/**
 * Sends `body`; `onProgress(0…1)` as it goes out. Returns {answer, quietSince(), abort()}: `answer`
 * resolves to {status, json} (null where the answer is none), and rejects with an `unavailable`
 * ApiError when there was no answer; `quietSince()`: when it last moved, on performance.now().
 */
export function transfer({ method, url, headers, body, onProgress = () => {} }) {
  const request = new XMLHttpRequest();
  let movedAt = performance.now();
  let isOut = false;
  const answer = new Promise((resolve, reject) => {
    request.open(method, url);
    request.responseType = "text";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      movedAt = performance.now();
      onProgress(total ? Math.min(1, loaded / total) : 0);
    });
    request.upload.addEventListener("load", () => {
      movedAt = performance.now();
      isOut = true;
      onProgress(1);
    });
    request.addEventListener("load", () => resolve({ status: request.status, json: parsed(request.responseText) }));
    for (const type of ["error", "abort"]) {
      request.addEventListener(type, () => reject(new ApiError("Sem resposta do servidor.")));
    }
    const timer = setInterval(() => {
      if (performance.now() - movedAt > (isOut ? ANSWER_MS : STALL_MS)) request.abort();
    }, LOOK_MS);
    request.addEventListener("loadend", () => clearInterval(timer));
    request.send(body);
  });
  return { answer, quietSince: () => movedAt, abort: () => request.abort() };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
