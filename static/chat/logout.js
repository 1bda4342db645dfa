/**
 * Logging out, in every tab of this browser: the others share the login, and the one that holds the
 * connection would go on showing what customers write until its stream ends.
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
    try {
      const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
      if (!response.ok) throw new Error(`logout: ${response.status}`);
    } catch {
      form.submit(); // what the server says, or that it does not answer, is shown by the browser
      return;
    }
    channel?.postMessage("out");
    location.assign("/login");
  });
}
