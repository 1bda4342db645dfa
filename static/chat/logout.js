/**
 * Leaving the page: what would be lost is asked about first. And logging out, in every tab of this
 * browser: the others share the login, and the one that holds the connection would go on showing what
 * customers write until its stream ends.
 */

const CHANNEL = "chat.logout";

/** `onLeave()`: the person logs out, here or in another tab; `onLoggedOut()`: another tab has. */
export function logOutTogether(form, { onLeave, onLoggedOut }) {
  const channel = window.BroadcastChannel ? new BroadcastChannel(CHANNEL) : null;
  channel?.addEventListener("message", () => {
    onLeave();
    onLoggedOut();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    onLeave();
    // "Desconectar de todos os aparelhos" names an address of its own.
    const action = event.submitter?.getAttribute("formaction") ?? form.action;
    try {
      // Not followed: the login page is fetched below, and shows what the server has to say once.
      const body = new FormData(form);
      const response = await fetch(action, { method: "POST", body, redirect: "manual" });
      if (response.type !== "opaqueredirect") throw new Error(`logout: ${response.status}`);
    } catch {
      form.action = action;
      form.submit(); // what the server says, or that it does not answer, is shown by the browser
      return;
    }
    channel?.postMessage("out");
    location.assign("/login");
  });
}

/** `form`: it logs out; `isAtRisk()`: closing the page loses something; `hasUnsent()`: logging out
 * does. Before `logOutTogether`, which this may keep from it. */
export function askBeforeLosing(form, { isAtRisk, hasUnsent }) {
  window.addEventListener("beforeunload", (event) => {
    if (isAtRisk()) event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    const text = "Há mensagens que não foram enviadas ou anotações que não foram salvas. Ao desconectar, elas se perdem. Desconectar mesmo assim?";
    if (!hasUnsent() || window.confirm(text)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
}
