// The simulator's own HTTP, as the page uses it.

export class Refused extends Error {}

export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const { field, message } = json.error ?? {};
    throw new Refused([field, message].filter(Boolean).join(": ") || `HTTP ${answer.status}`);
  }
  return json;
}

/** Sends a form, such as one with files. */
export async function submit(path, form) {
  const answer = await fetch(path, { method: "POST", body: form });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(json.error?.message ?? `HTTP ${answer.status}`);
  return json;
}

export const customerPath = (id, rest = "") => `/customers/${encodeURIComponent(id)}${rest}`;
