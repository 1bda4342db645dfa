/** Wires the screen: state, network, views and the realtime stream. Nothing is decided here. */

import { startMessageStatus } from "../message_status.js";
import { pageData, request, startPage } from "../realtime_events.js";
import { lastArrived, startUnread } from "../unread_state.js";
import { FailedMessages } from "./actions/failed_messages.js";
import { MessageActions } from "./actions/message_actions.js";
import { browserStorage, tabStorage } from "./composer/drafts.js";
import { Writing } from "./composer/writing.js";
import { Api } from "./data/api.js";
import { Awaiting } from "./data/awaiting.js";
import { Claude } from "./data/claude.js";
import { FileStore } from "./data/files/file_store.js";
import { UnsentFiles } from "./data/files/unsent_files.js";
import { Uploader } from "./data/files/uploader.js";
import { Freshness } from "./measuring/freshness.js";
import { Loader } from "./data/loader.js";
import { PageState } from "./data/page_state.js";
import { Sender, randomId } from "./data/sending.js";
import { PushSwitch } from "./installed/push_switch.js";
import { notificationsBy, startWorker } from "./installed/worker.js";
import { listenToKeyboard } from "./keyboard/keyboard.js";
import { ShortcutsDialog } from "./keyboard/shortcuts_dialog.js";
import { ListPane } from "./list/list_pane.js";
import { Media } from "./media/media.js";
import { withQuotedPicture } from "./media/quoted.js";
import { askBeforeLosing, logOutTogether } from "./logout.js";
import { withOwnName } from "./data/own_name.js";
import { GoingTo } from "./navigation/going_to.js";
import { Opening } from "./navigation/opening.js";
import { Announcing } from "./notices/announcing.js";
import { ConnectionBanner } from "./notices/connection_banner.js";
import { Toast } from "./notices/toast.js";
import { LabelBook } from "./organizing/label_book.js";
import { Organizer } from "./organizing/organizer.js";
import { ContactPanel } from "./panel/contact_panel.js";
import { askIn } from "./parts/dialogs.js";
import { displayName } from "./parts/format.js";
import { previewText } from "./parts/media_format.js";
import { ListSearch } from "./search/list_search.js";
import { ThreadSearch } from "./search/thread_search.js";
import { PinnedMessages } from "./pinned/pinned_messages.js";
import { Templates } from "./templates/templates.js";
import { ThreadPlacing } from "./thread/thread_placing.js";
import { ThreadHeader } from "./thread/thread_header.js";
import { threadDays } from "./thread/thread_items.js";
import { ThreadView } from "./thread/thread_view.js";
import { Rail } from "./user_menu/rail.js";
import { UserMenu } from "./user_menu/user_menu.js";

/** Labels such as "Ontem" and the 24-hour window change with time alone. */
const CLOCK_MS = 20_000;
/** A hidden tab has no animation frames; it draws after this much instead. */
const HIDDEN_FRAME_MS = 100;
/** Of so many conversations that this browser keeps something of and that are not in the list yet it
 * asks at the start. */
const MAX_DRAFTED = 50;

const { cursor, userId, userName } = document.body.dataset;
const rendered = { at: Number(document.body.dataset.now) || Date.now(), after: performance.now() };
const app = document.querySelector(".app");
const pane = document.querySelector(".thread-pane");
const storage = tabStorage();
const sharedStorage = browserStorage();
/** What the server rendered for unread_state.js. */
const given = pageData("unread-state");

const versionsRead = new Map(); // conversation id -> the version up to which all of it was read
let frame = null; // the drawing that is due

const goToLogin = () => {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
};

const state = new PageState({
  onChange: schedule,
  onConversation: (conversation) => unread.learn(conversation),
  onMerge: (loser, winner) => {
    for (const each of [unread, placing, writing, actions, contactPanel, threadSearch]) each.merged(loser, winner);
  },
  onRemove: (id) => opening.forget(id),
  onErase: (id) => {
    const holders = [
      sender, writing, actions, contactPanel, listSearch, header, threadView, pinned, announcing,
    ];
    for (const each of holders) each.erased(id);
    api.clearCache();
  },
});
const access = {
  csrfToken: document.querySelector('meta[name="csrf-token"]').content,
  onLogin: goToLogin,
};
const api = new Api(access);
const loader = new Loader({
  state,
  api,
  noteVersion: (id, version) => versionsRead.set(id, Math.max(version, versionsRead.get(id) ?? 0)),
  onChange: schedule,
});
const worker = startWorker({ onOpen: (id) => unread.select(id) });
const unread = startUnread({ userId, ...given, env: { Notification: notificationsBy(worker) } });
const placing = new ThreadPlacing({
  storage,
  userId,
  unread,
  scroller: pane.querySelector(".thread-scroll"),
  isAtEnd: () => threadView.isAtEnd(),
  placeOf: () => threadView.place(),
  loadOlder: (id) => loader.loadOlder(id),
  onChange: schedule,
});
const unsentFiles = new UnsentFiles({
  store: new FileStore(userId),
  uploader: new Uploader({ ...access, api, limits: () => writing.media.limits }),
  onChange: schedule,
});
const sender = new Sender({
  state,
  api,
  files: unsentFiles,
  storage: sharedStorage,
  userId,
  userName,
  now: serverNow,
  onHeld: (id, message) => writing.tellHeld(id, message),
});

const ticks = startMessageStatus({
  request: (method, path, body) => api.call(method, path, body),
  onRetried: (message) => state.putMessages(message.conversation_id, [message], 0),
  confirm: (text) => confirm(`${text} Enviar novamente?`),
  newId: randomId,
  preview: (id) => previewText(state.thread(state.selectedId).find(id) ?? {}),
  pane: document.querySelector(".details-pane"),
});
const awaiting = new Awaiting({
  fetch: () => api.call("GET", "/api/messages/awaiting"),
  onChange: schedule,
});
const claude = new Claude({
  api,
  state,
  now: serverNow,
  startedAt: rendered.at,
  onChange: schedule,
  onFailed: (words) => toast.show(words),
  onNeeded: (conversation) => {
    push.here();
    announcing.needed(conversation);
  },
});
const freshness = new Freshness({
  now: () => realtime.serverNow(),
  send: (samples) => request("POST", "/api/freshness", { samples }), // which outlives the page
});

const banner = new ConnectionBanner(document.querySelector(".connection-banner"), {
  onReconnect: () => realtime.reconnect(),
});
const toast = new Toast(document.querySelector(".toast"));
const announcing = new Announcing(document, { state, unread, toast });
const push = new PushSwitch(document.querySelector('[data-setting="push"]'), {
  worker, api, userId, onFailed: (words) => toast.show(words),
});
const organizer = new Organizer({ api, state, toast });
const labelBook = new LabelBook({ api, onChange: schedule });
const confirm = (text, yes) => askIn(document.querySelector(".confirm-dialog"), text, yes);
const writing = new Writing(pane, {
  storage: sharedStorage,
  state,
  api,
  sender,
  unread,
  claude,
  toast,
  userId,
  now: serverNow,
  newestOf: (id) => (lastArrived(state.thread(id).messages) ?? state.conversation(id)?.last_message)?.id ?? null,
  takeReply: (id) => actions.takeReply(id),
  restoreReply: (id, quoted) => actions.restoreReply(id, quoted),
  onTemplates: (id) => templates.open(id),
  confirm,
  onSent: () => {
    placing.answered();
    render();
    threadView.jumpToEnd();
  },
  onChange: schedule,
});
const list = new ListPane(document.querySelector(".list-pane"), {
  api,
  state,
  loader,
  unread,
  awaiting,
  claude,
  toast,
  organizer,
  book: labelBook,
  drafts: writing.drafts,
  viewer: userName,
  ownershipOf: (conversation) => writing.ownershipOf(conversation),
  confirm,
  onChange: schedule,
});
const header = new ThreadHeader(pane, {
  onBack: () => opening.close(),
  onMenu: (where) => list.menu.open(state.selectedId, {
    ...where,
    first: [
      { label: "Dados do contato", run: openContact },
      { label: "Pesquisar mensagens", run: () => threadSearch.open(state.selectedId) },
    ],
  }),
  onGive: (owner) => writing.giveOpen(owner),
  onContact: openContact,
});
const contactPanel = new ContactPanel(document.querySelector(".main-pane"), {
  api,
  state,
  book: labelBook,
  organizer,
  deletion: document.body.dataset.deletion,
  onLabel: (id) => list.openLabels(id),
  onJump: (messageId) => goingTo.message(messageId),
  onView: (message) => media.viewFar(message),
  onClose: () => pane.querySelector(".header-contact").focus(),
  onChange: schedule,
});
const threadView = new ThreadView(pane, {
  nearBottom: given.settings?.near_bottom_px ?? 120,
  onNeedOlder: () => loader.loadOlder(state.selectedId),
  onRetryLoad: () => loader.retryFailed(state.selectedId),
  onAction: (...clicked) => media.act(...clicked) || failedMessages.act(...clicked),
  onJump: (messageId) => goingTo.message(messageId),
  onMove: schedule,
});
const goingTo = new GoingTo(document.querySelector(".late-button"), {
  state, loader, unread, placing, view: threadView, toast, render, onChange: schedule,
});
const opening = new Opening({
  app,
  pane,
  emptyPane: document.querySelector(".empty-pane"),
  state,
  loader,
  unread,
  placing,
  toast,
  list,
  writing,
  goingTo,
  onMoved: ({ merged }) => {
    ticks.closeDetails();
    if (!merged) {
      contactPanel.close({ left: true });
      threadSearch.close();
      actions.left();
    }
    writing.left();
    unsentFiles.left();
  },
  render,
  onChange: schedule,
});
const threadSearch = new ThreadSearch(pane, {
  search: (id, query, before) => api.searchThread(id, query, before),
  jump: (hit) => goingTo.hit(hit),
  onClose: () => writing.focusUnlessTouch(),
});
const listSearch = new ListSearch(document.querySelector(".list-pane"), {
  find: (path) => api.call("GET", path),
  known: () => state.conversations,
  learn: (conversation) => state.putConversation(conversation),
  now: () => new Date(serverNow()),
  onConversation: (id) => unread.select(id),
  onMessage: (message) => {
    unread.select(message.conversation_id);
    goingTo.hit(message);
  },
});
const actions = new MessageActions({
  pane,
  storage: sharedStorage,
  user: { id: userId, name: userName },
  state,
  api,
  loader,
  sender,
  composer: writing.composer,
  now: serverNow,
  onDetails: (id) => {
    contactPanel.close();
    ticks.openDetails(id);
  },
  onJump: (messageId) => goingTo.message(messageId),
  onPin: (messageId, on) => (on ? pinned.pin(messageId) : pinned.unpin(messageId)),
  onNewest: () => threadView.jumpToEnd(),
  onForwarded: (ids) => goingTo.forwarded(ids),
  onChange: schedule,
  onTold: (words) => toast.show(words),
});
const pinned = new PinnedMessages(pane, {
  state,
  api,
  toast,
  viewer: userName,
  confirm,
  now: serverNow,
  onJump: (messageId) => goingTo.message(messageId),
  onChange: schedule,
});
const media = new Media({
  storage: sharedStorage,
  userId,
  state,
  loader,
  shown: (message) => unsentFiles.shown(message),
  now: serverNow,
  onForward: (messages) => actions.forward(messages),
  onJump: (messageId) => goingTo.message(messageId),
  onTalk: (phone) => templates.talkTo(phone).catch(({ message }) => toast.show(message)),
});
const failedMessages = new FailedMessages({
  state,
  sender,
  ticks,
  writing,
  restoreReply: (id, quoted) => actions.restoreReply(id, quoted),
  onTemplates: (id, message) => templates.open(id, message),
});
const templates = new Templates(app, {
  state,
  loader,
  api,
  newId: randomId,
  onSend: (id, filled) => writing.sendTemplate(id, filled),
  onSelect: (id) => unread.select(id),
  onBegun: ({ id }) => unread.select(id),
});

const rail = new Rail(document.querySelector(".rail"), {
  user: { id: userId, name: userName },
  onChats: () => {
    templates.closeNewChat();
    listSearch.close();
    list.showAll();
  },
});

const refreshed = [awaiting, claude, labelBook, list, contactPanel, writing, pinned];
const listening = [...refreshed, actions, freshness];

const on = (type, run) => document.addEventListener(`realtime:${type}`, run);
on("event", ({ detail }) => receive(detail));
on("reset", ({ detail }) => detail.waitUntil(
  Promise.all([loader.refreshAll(), ...refreshed.map((each) => each.refresh())]),
));
on("behind", ({ detail }) => loader.refreshConversation(detail.id));
on("refresh", (event) => event.preventDefault()); // what the events above say is enough
on("state", ({ detail }) => {
  banner.show(detail.state);
  if (detail.state !== "connected") return;
  loader.retryFailed(state.selectedId);
  sender.resume();
});
const realtime = startPage({
  url: "/realtime",
  user: userId,
  cursor,
  shownVersions: () => versionsRead,
  fetchVersions: () => api.versions(), // of the newest on the server, also those missed whole
});

/** Milliseconds by the server's clock: the 24 hours are the server's, and a computer's may be wrong. */
function serverNow() {
  return realtime.serverNow() ?? rendered.at + performance.now() - rendered.after;
}

function receive(event) {
  state.apply(event);
  for (const each of listening) each.onEvent(event);
  const message = event.data?.message;
  const arrived = event.type === "message.created" && message?.direction === "in";
  if (arrived && message.counts_unread) placing.arrived(state.resolve(event.conversation_id), message);
  if (arrived && !event.catchUp) announcing.arrived(event.conversation_id, message);
}

function openContact() {
  ticks.closeDetails();
  contactPanel.open(state.selectedId);
  schedule();
}

/** One drawing for however many changes come together. */
function schedule() {
  if (frame !== null) return;
  const run = () => frame !== null && render();
  frame = { animation: requestAnimationFrame(run), timer: setTimeout(run, HIDDEN_FRAME_MS) };
}

function render() {
  if (frame !== null) {
    cancelAnimationFrame(frame.animation);
    clearTimeout(frame.timer);
    frame = null;
  }
  opening.follow();
  sender.settle();
  const now = new Date(serverNow());
  list.render(now);
  unread.show(); // the number in the title changes together with the badges
  rail.render(unread.totals().conversations);
  claude.watchReplies();
  announcing.render();
  templates.render();
  const conversation = opening.render();
  media.render();
  if (conversation) renderConversation(conversation, now);
}

function renderConversation(conversation, now) {
  const { id } = conversation;
  const thread = state.thread(id);
  const find = (key) => thread.find(key);
  const ownership = writing.ownershipOf(conversation);
  header.render(conversation, ownership, labelBook.of(conversation));
  contactPanel.render(conversation, ownership, now);
  writing.render(conversation, now);
  const loadState = loader.threadState(id);
  const hasOlder = thread.next !== null;
  const { divider, place, settled } = placing.layout(id, thread.messages, {
    newest: thread.loaded && !thread.stale,
    hasOlder: hasOlder && loadState !== "older-error",
  });
  threadView.render({
    conversationId: id,
    customerName: displayName(conversation),
    messages: thread.messages,
    daysOf: (from, to) => threadDays(thread.messages, {
      now,
      userName,
      divider,
      isGroup: conversation.is_group,
      from,
      to,
      drawn: (each) => pinned.mark(
        unsentFiles.shown(withQuotedPicture(withOwnName(each, conversation, find), find)), conversation,
      ),
    }),
    divider,
    loadState,
    hasOlder,
    loaded: thread.loaded,
    place,
    settled,
  });
  unread.rendered(id, thread.messages, { ready: settled && thread.loaded && !thread.stale });
  actions.render(conversation);
  pinned.render(conversation);
  threadSearch.render(id);
  goingTo.render({ settled });
}

document.addEventListener("unread:changed", schedule);

listenToKeyboard({
  state, ticks, unread, list, listSearch, threadSearch, contactPanel, actions, opening, writing,
  templates, organizer,
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) sender.resume();
  schedule();
});
pane.querySelector(".thread-search-button").addEventListener("click", () => threadSearch.open(state.selectedId));
setInterval(schedule, CLOCK_MS);

/** Another tab of this attendant typed, sent, or logged out. */
window.addEventListener("storage", (event) => {
  for (const each of [sender, actions, writing]) each.onStorage(event);
});
const shortcutsDialog = new ShortcutsDialog();
new UserMenu(document, {
  storage: sharedStorage,
  onShortcuts: (opener) => shortcutsDialog.open(opener),
});

const logoutForm = document.querySelector("#user-menu form");
askBeforeLosing(logoutForm, {
  isAtRisk: () => [sender, writing, contactPanel].some((each) => each.isAtRisk),
  hasUnsent: () => sender.hasUnsent || writing.hasUnsent || contactPanel.isAtRisk,
});
logOutTogether(logoutForm, {
  onLeave: () => {
    realtime.close(); // whose next answer would lead to the login a second way
    for (const each of [unread, placing, writing, actions, sender, contactPanel, push, media]) each.forget();
  },
  onLoggedOut: goToLogin,
});

loader.loadList().finally(() => { // the rows bring their own numbers and check marks
  unread.load();
  awaiting.start();
  claude.refresh();
  push.start();
  labelBook.refresh();
  list.refresh();
  const kept = [...writing.drafts.ids, ...actions.answeredIds, ...state.locals.map(([id]) => id)];
  for (const id of [...new Set(kept)].slice(0, MAX_DRAFTED)) {
    if (!state.conversation(id)) loader.refreshConversation(id); // it stands in the list, or is no more
  }
});
unread.restore();
sender.resume();
render();
