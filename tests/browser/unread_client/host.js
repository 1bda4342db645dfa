// A host's page: rows and bubbles with the marks, by what its server would say. Ids are numbers in it.
const list = () => document.querySelector(".list");
const thread = () => document.querySelector(".thread");

/** A conversation's live_json, and a message's. */
const conversation = (id, counted, read, more = {}) => ({
  id: String(id), name: `Cliente ${id}`, version: counted, unread_count: counted - read, marked_unread: false,
  incoming_counted: counted, incoming_read: read, mark_flips: 0, silent: false, ...more,
});
const message = (n, more = {}) => ({
  id: `m${n}`, conversation_id: "1", direction: "in", arrival: n, counts_unread: true, counted_at_arrival: n,
  text: `mensagem ${n}`, ...more,
});

function mark(node, name, live) {
  node.dataset[name] = live.id;
  node.dataset.live = JSON.stringify(live);
  return node;
}

/** Draws the list anew. A click on a row opens it, as the page's own script does: `messages[id]`. */
const messages = {};
function drawRows(...conversations) {
  list().replaceChildren(...conversations.map((live) => {
    const row = mark(document.createElement("div"), "conversationId", live);
    row.className = "row";
    row.append(live.name, document.createElement("unread-badge"));
    row.onclick = () => openThread(live.id);
    return row;
  }));
}

window.opened = [];
function openThread(id) {
  window.opened.push(id);
  thread().dataset.liveThread = id;
  drawThread(...(messages[id] ?? []));
  thread().scrollTop = thread().scrollHeight;
}

function drawThread(...shown) {
  thread().replaceChildren(...shown.map((live) => {
    const bubble = mark(document.createElement("div"), "messageId", live);
    bubble.className = "bubble";
    bubble.textContent = live.text;
    return bubble;
  }));
}

const many = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => message(from + n));
let events = 0;
const tell = (type, id, data, more = {}) => document.dispatchEvent(new CustomEvent("realtime:event", {
  detail: { id: `e${++events}`, type, conversation_id: String(id), age: 0, catchUp: false, data, ...more },
}));
/** A message comes: the event, as the stream gives it. */
const arrive = (id, n, read, more = {}) =>
  tell("message.created", id, { message: message(n), conversation: conversation(id, n, read) }, more);
window.heard = [];
for (const type of ["unread:select", "unread:unknown"]) {
  document.addEventListener(type, (event) => {
    window.heard.push([type, event.detail.id]);
    if (window.prevents) event.preventDefault();
  });
}
const badges = () => Object.fromEntries([...document.querySelectorAll(".row unread-badge[data-unread-count]")]
  .map((each) => [each.parentElement.dataset.conversationId, each.textContent]));
document.querySelector(".own-form")?.addEventListener("submit", (event) => event.preventDefault());
