/** The chat's views in the chat's own page, drawn from given JSON: no server, no stream. */

import { startUnread } from "/static/unread_state.js";
import { ownershipOf } from "/static/chat/data/claude.js";
import { ListFilters } from "/static/chat/list/list_filters.js";
import { ListView } from "/static/chat/list/list_view.js";
import { displayName } from "/static/chat/parts/format.js";
import { openMenu } from "/static/chat/parts/menu.js";
import { MessageMenu } from "/static/chat/thread/message_menu.js";
import { ThreadHeader } from "/static/chat/thread/thread_header.js";
import { threadDays } from "/static/chat/thread/thread_items.js";
import { ThreadView } from "/static/chat/thread/thread_view.js";

const pane = document.querySelector(".thread-pane");
/** What was asked of the page: ["select", id], ["details", id], ["action", name, id], … */
window.told = [];
const tell = (...words) => window.told.push(words);
let shown = null;
Object.defineProperty(window, "shown", { get: () => shown });

/** Only what the badges draw from. */
const unread = startUnread({ userId: "ana", settings: { title_counts: "conversations" }, env: { request: async () => ({}) } });
const menuOf = (id) => ({ at, from }) => openMenu({
  label: "Opções",
  items: ["Marcar como lida", "Silenciar"].map((label) => ({ label, run: () => tell("menu", id, label) })),
  at,
  from,
});
const filters = new ListFilters(document.querySelector(".list-filters"), [
  { id: "all", label: "Tudo", matches: () => true },
  { id: "unread", label: "Não lidas", matches: (conversation) => conversation.unread_count > 0 },
], { onChange: () => window.draw(shown) });
const list = new ListView(document.querySelector(".list-pane"), {
  onSelect: (id) => tell("select", id),
  onMenu: (id, where) => menuOf(id)(where),
  onNeedMore: () => tell("more"),
  onRetry: () => {},
});
const header = new ThreadHeader(pane, {
  onBack: () => tell("back"),
  onMenu: (where) => menuOf("header")(where),
  onGive: async (owner) => tell("give", owner),
});
const thread = new ThreadView(pane, {
  nearBottom: 120,
  onNeedOlder: () => {},
  onRetryLoad: () => {},
  onAction: (name, id) => tell("action", name, id),
  onJump: (id) => tell("jump", id),
  onMove: () => requestAnimationFrame(() => window.draw(shown)),
});
const messageMenu = new MessageMenu(pane.querySelector(".thread-content"), {
  onAction: (name, id) => tell(name, id),
});

/** {conversations, selected, messages, drafts, divider, loaded, hasMore, now, userName, claude} */
window.draw = (given) => {
  shown = given;
  const { conversations, selected = null, messages = [], drafts = {}, divider = null } = given;
  const now = new Date(given.now);
  const ownership = (conversation) => ownershipOf(conversation, { enabled: given.claude ?? false, now });
  for (const { id, muted, unread_count: counted = 0, version } of conversations) {
    unread.learn({ id, silent: Boolean(muted), version, incoming_counted: counted, incoming_read: 0 });
  }
  filters.update();
  const rows = conversations.map((conversation) => ({ conversation, last: conversation.last_message }));
  list.render({
    rows: filters.apply(rows, selected),
    detailsOf: ({ conversation }) => ({
      draft: drafts[conversation.id],
      unread: unread.badge(conversation.id),
      ownership: ownership(conversation),
      labels: conversation.labels,
    }),
    selectedId: selected,
    state: "idle",
    loaded: given.loaded ?? true,
    hasMore: given.hasMore ?? false,
    empty: "Nenhuma conversa",
    now,
  });
  const conversation = conversations.find(({ id }) => id === selected);
  document.querySelector(".app").toggleAttribute("data-open", Boolean(conversation));
  pane.hidden = !conversation;
  document.querySelector(".empty-pane").hidden = Boolean(conversation);
  if (!conversation) return;
  header.render(conversation, ownership(conversation), conversation.labels);
  thread.render({
    conversationId: conversation.id,
    customerName: displayName(conversation),
    messages,
    daysOf: (from, to) => threadDays(messages, {
      now, userName: given.userName ?? "Ana", isGroup: conversation.is_group, divider, from, to,
    }),
    divider,
    loadState: "idle",
    hasOlder: false,
    loaded: true,
    place: null,
  });
  messageMenu.setTabStop();
};
