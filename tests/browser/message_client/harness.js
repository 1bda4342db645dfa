// What the tests of message_status.js need inside the page: its module, and what a host does.
import * as marks from "/static/message_status.js";

/** What the server's live_json says of a message of ours. */
const live = (id, more = {}) => ({
  id, conversation_id: "7", direction: "out", arrival: 1, text: `texto de ${id}`, status: "sending", ...more,
});

/** Puts a bubble as a host's template does; `mark` is its data-live, as an object or as it stands. */
function bubble(mark, id = mark?.id) {
  const node = document.createElement("p");
  node.dataset.messageId = id;
  if (mark !== null) node.dataset.live = typeof mark === "string" ? mark : JSON.stringify(mark);
  node.append("Bom dia ", document.createElement("message-ticks"));
  document.querySelector("#mensagens").append(node);
  return node;
}

let published = 0;
const tell = (id, name, more = {}) => document.dispatchEvent(new CustomEvent("realtime:event", {
  detail: {
    id: `e${++published}`, type: "message.status_changed", conversation_id: "7", at: `2026-06-20T12:00:${10 + published}Z`,
    data: { message_id: id, client_id: id, status: name, statuses: {}, error: null, ...more },
  },
}));
const updated = (id) => document.dispatchEvent(new CustomEvent("realtime:event", {
  detail: { id: `e${++published}`, type: "message.updated", data: { message: live(id) } },
}));

/** What is drawn in the ticks of each bubble. */
const shown = () => [...document.querySelectorAll("#mensagens message-ticks, #lista message-ticks")]
  .map((each) => (each.hidden ? null : each.dataset.status + ("unconfirmed" in each.dataset ? "?" : "")));

/** After every microtask and observer. */
const settled = () => new Promise((done) => { setTimeout(done); });

Object.assign(window, { marks, live, bubble, tell, updated, shown, settled });
document.documentElement.dataset.ready = "";
