/**
 * The conversation list, in the order it is given. All rows have one height, so that those near the
 * view alone are drawn, each at its place: the others cost nothing, and the list is as long as it is.
 */

import { updateTicks } from "../../message_status.js";
import { statusOf } from "../data/thread_state.js";
import { createChips, updateChips } from "../organizing/label_chips.js";
import { SIGNS } from "../organizing/signs.js";
import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { ICONS, el, icon, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { displayName, isSeen, listTime } from "../parts/format.js";
import { onLongPress } from "../parts/long_press.js";
import { plainText } from "../parts/rich_text.js";

/** The next page is fetched when this little is left below the view. */
const NEAR_END_PX = 600;
/** So many rows are drawn above and below those in view, */
const DRAWN_ROWS = 14;
/** and others when so few are left there. */
const NEAR_ROWS = 5;
/** Of a list that is not on the screen: no screen shows more at first. */
const FIRST_ROWS = 40;
/** A preview is one line: of a long message this much is more than enough. */
const PREVIEW_CHARS = 300;

export class ListView {
  #list;
  #scroller;
  #notice;
  #given = { rows: [], selectedId: null }; // what the list shows, as `render` had it
  #drawn = new Map(); // conversation id -> {node, button, place, ...parts}
  #range = { from: 0, to: 0 }; // the places that are drawn, but for single ones elsewhere
  #rowHeight = 74;
  #selectedId = null;
  #toShow = null; // the open conversation whose row is still to be brought into view
  #isParked = false; // the view stands where the open row is, not where a hand has scrolled to
  #callbacks;

  /** `root`: the list column. Callbacks: onSelect(id), onMenu(id, {at, from}), onNeedMore(),
   * onRetry(). */
  constructor(root, callbacks) {
    this.#callbacks = callbacks;
    this.#scroller = root.querySelector(".list-scroll");
    this.#list = root.querySelector(".conversation-list");
    this.#notice = root.querySelector(".list-notice");
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#scrolled()).observe(this.#scroller);
    for (const type of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      this.#scroller.addEventListener(type, () => this.#scrolledByHand(), { passive: true });
    }
    this.#list.addEventListener("click", (event) => this.#clicked(event));
    this.#list.addEventListener("contextmenu", (event) => this.#openMenu(event));
    this.#list.addEventListener("keydown", (event) => {
      if (event.key === "ContextMenu") this.#openMenu(event);
      else this.#moveFocus(event);
    });
    onLongPress(this.#list, {
      find: (target) => target.closest("[data-conversation-id]"),
      open: (row, at) => this.#openMenuOf(row, at),
    });
    this.#notice.querySelector("button").addEventListener("click", () => callbacks.onRetry());
  }

  /**
   * rows: [{conversation, last}]; detailsOf(row): what else is drawn of one, {draft, unread: {count,
   * marked}, ownership, viewer, labels?}; `labels`: those of the LabelBook; state: "idle" | "loading" |
   * "error"; loaded: the first page is here; hasMore: there are further pages; empty: what to say
   * when there is no row.
   */
  render(given) {
    const { rows, selectedId, state, loaded, hasMore, empty } = given;
    const before = this.#inView();
    this.#given = given;
    const height = Number.parseFloat(getComputedStyle(this.#list).getPropertyValue("--row-height"));
    this.#rowHeight = height || this.#rowHeight; // without its style sheet nothing is right anyway
    this.#list.style.setProperty("--rows", rows.length);
    this.#holdStill(before);
    this.#draw();
    this.#showSelected(selectedId, loaded);
    this.#renderNotice({ text: empty, none: rows.length === 0, state, loaded });
    this.hasMore = hasMore && state === "idle";
    this.#askForMore();
  }

  /** Puts the keyboard focus on a conversation's row. */
  focusRow(id) {
    const place = this.#placeOf(id);
    if (place >= 0) this.#focusAt(place);
  }

  #draw() {
    const { rows, detailsOf, selectedId, hasMore, now } = this.#given;
    this.#moveRange();
    const focusedId = this.#focusedId();
    const places = new Set([selectedId, focusedId].filter((id) => id !== null).map((id) => this.#placeOf(id)));
    for (let place = this.#range.from; place < this.#range.to; place += 1) places.add(place);
    places.delete(-1);
    const current = new Set();
    const nodes = [...places].sort((a, b) => a - b).map((place) => {
      const each = rows[place];
      const { id } = each.conversation;
      current.add(id);
      const row = this.#drawn.get(id) ?? this.#createRow(id);
      if (row.place !== place) row.node.style.setProperty("--place", place);
      row.place = place;
      setAttribute(row.node, "aria-posinset", place + 1);
      setAttribute(row.node, "aria-setsize", hasMore ? -1 : rows.length);
      updateRow(row, { ...each, ...detailsOf(each), now, selected: id === selectedId });
      return row.node;
    });
    for (const id of this.#drawn.keys()) if (!current.has(id)) this.#drawn.delete(id);
    reconcile(this.#list, nodes);
    const stop = [focusedId, selectedId, nodes[0]?.dataset.conversationId].find((id) => this.#drawn.has(id));
    this.#setTabStop(this.#drawn.get(stop));
  }

  /** The places in view: {from, to}, `to` not among them; null where the list is not on the screen. */
  #view() {
    const { clientHeight } = this.#scroller;
    if (clientHeight === 0) return null;
    const top = this.#scroller.getBoundingClientRect().top - this.#list.getBoundingClientRect().top;
    const placeAt = (px) => Math.max(0, Math.min(this.#given.rows.length, px / this.#rowHeight));
    return { from: Math.floor(placeAt(top)), to: Math.ceil(placeAt(top + clientHeight)), top };
  }

  #moveRange() {
    const all = this.#given.rows.length;
    const view = this.#view();
    if (!view) this.#range = { from: Math.min(this.#range.from, all), to: Math.min(all, this.#range.to || FIRST_ROWS) };
    else if (!this.#covers(view)) {
      this.#range = { from: Math.max(0, view.from - DRAWN_ROWS), to: Math.min(all, view.to + DRAWN_ROWS) };
    }
  }

  /** Whether enough is drawn round these places, and not much more. */
  #covers({ from, to }) {
    const all = this.#given.rows.length;
    const [above, below] = [from - this.#range.from, this.#range.to - to];
    const enough = above >= Math.min(NEAR_ROWS, from) && below >= Math.min(NEAR_ROWS, all - to);
    return enough && this.#range.to <= all && Math.max(above, below) <= 2 * DRAWN_ROWS;
  }

  /** The conversations in view and their places, while something of the list is above it. */
  #inView() {
    const view = this.#view();
    if (!view || view.top <= 0) return [];
    const { rows } = this.#given;
    return rows.slice(view.from, view.to).map(({ conversation }, n) => [conversation.id, view.from + n]);
  }

  /** What comes and goes above the view does not move what is read in it: most rows tell by how much,
   * whatever becomes of single ones. */
  #holdStill(before) {
    if (!before.length) return;
    const wanted = new Map(before);
    const moves = [];
    for (const [place, { conversation }] of this.#given.rows.entries()) {
      if (wanted.has(conversation.id)) moves.push(place - wanted.get(conversation.id));
    }
    const middle = moves.sort((a, b) => a - b)[moves.length >> 1];
    if (middle) this.#scroller.scrollTop += middle * this.#rowHeight;
  }

  #placeOf(id) {
    return this.#given.rows.findIndex(({ conversation }) => conversation.id === id);
  }

  scrollToTop() {
    this.#scroller.scrollTop = 0;
  }

  #createRow(id) {
    const parts = {
      avatar: createAvatar(),
      name: el("span", "row-name"),
      time: el("time", "row-time"),
      owner: el("span", "row-owner", icon(ICONS.claude)),
      replying: el("span", "row-replying"),
      needed: el("span", "row-needed", "Precisa de você"),
      draftMark: el("span", "row-draft", "Rascunho: "),
      ticks: document.createElement("message-ticks"),
      author: el("span", "row-author"),
      text: el("span", "row-text"),
    };
    for (const name of ["name", "author", "text"]) parts[name].dir = "auto";
    parts.owner.setAttribute("role", "img");
    parts.needed.setAttribute("aria-hidden", "true"); // the mark says it, too
    const words = [parts.replying, parts.needed, parts.ticks, parts.draftMark, parts.author, parts.text];
    parts.preview = el("span", "row-preview", ...words);
    parts.labels = createChips("row-labels");
    parts.archived = el("span", "row-archived", "Arquivada");
    const muted = icon(ICONS.muted, "icon row-muted");
    const pinned = icon(SIGNS.pinned, "icon row-pinned");
    parts.pinnedWord = el("span", "visually-hidden", "Fixada");
    const top = el("span", "row-line", parts.name, parts.time);
    const signs = [parts.labels, parts.archived, parts.owner, muted, pinned, parts.pinnedWord];
    const marks = el("span", "row-marks", ...signs, document.createElement("unread-badge"));
    const bottom = el("span", "row-line", parts.preview, marks);
    const button = el("button", "row", parts.avatar, el("span", "row-body", top, bottom));
    button.type = "button";
    const menu = el("button", "row-menu", icon(ICONS.chevron));
    menu.type = "button";
    menu.tabIndex = -1; // the keyboard has the menu key for this
    menu.setAttribute("aria-haspopup", "menu");
    const node = el("li", "row-item", button, menu);
    node.dataset.conversationId = id;
    const row = { node, button, menu, muted, pinned, ...parts };
    this.#drawn.set(id, row);
    return row;
  }

  #renderNotice({ text: empty, none, state, loaded }) {
    const failed = state === "error";
    const [text, button] = [this.#notice.querySelector("p"), this.#notice.querySelector("button")];
    if (failed) setText(text, "Não foi possível carregar as conversas.");
    else if (!loaded || state === "loading") setText(text, "Carregando conversas…");
    else setText(text, empty);
    setHidden(button, !failed);
    setHidden(this.#notice, !none && !failed && !(state === "loading" && !loaded));
  }

  #clicked(event) {
    const row = event.target.closest("[data-conversation-id]");
    if (!row) return;
    if (event.target.closest(".row-menu")) this.#openMenu(event);
    else this.#callbacks.onSelect(row.dataset.conversationId);
  }

  #openMenu(event) {
    const row = event.target.closest("[data-conversation-id]");
    if (!row) return;
    event.preventDefault();
    // From the keyboard there is no point: below the row's name then.
    const box = row.getBoundingClientRect();
    this.#openMenuOf(row, event.clientX
      ? { x: event.clientX, y: event.clientY }
      : { x: box.left + 74, y: box.top + 40 });
  }

  #openMenuOf(row, at) {
    this.#callbacks.onMenu(row.dataset.conversationId, { at, from: row.firstChild });
  }

  /** After a reload the open conversation may be far down: its row is shown, once. */
  #showSelected(selectedId, loaded) {
    if (selectedId !== this.#selectedId) this.#toShow = this.#selectedId = selectedId;
    const place = this.#placeOf(this.#toShow);
    const { clientHeight } = this.#scroller;
    if (place < 0 || !loaded || clientHeight === 0) return; // not here yet, or not on the screen
    this.#toShow = null;
    const above = this.#offsetOf(place);
    if (above >= 0 && above + this.#rowHeight <= clientHeight) return;
    this.#scroller.scrollTop += above - (clientHeight - this.#rowHeight) / 2;
    this.#draw();
    this.#isParked = true;
  }

  #scrolledByHand() {
    this.#toShow = null;
    if (!this.#isParked) return;
    this.#isParked = false;
    this.#askForMore();
  }

  /** How far below the view's top a row begins, in px. */
  #offsetOf(place) {
    const top = this.#list.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    return top + place * this.#rowHeight;
  }

  #focusedId() {
    const row = document.activeElement?.closest?.("[data-conversation-id]");
    return row?.parentNode === this.#list ? row.dataset.conversationId : null;
  }

  /** One row is in the tab order; the arrow keys move between rows. */
  #setTabStop(stop) {
    for (const row of this.#drawn.values()) setAttribute(row.button, "tabindex", row === stop ? "0" : "-1");
  }

  #moveFocus(event) {
    const place = this.#drawn.get(this.#focusedId())?.place;
    const last = this.#given.rows.length - 1;
    const target = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last }[event.key];
    if (!(target >= 0 && target <= last)) return;
    event.preventDefault();
    this.#focusAt(target);
  }

  #focusAt(place) {
    const { clientHeight } = this.#scroller;
    const above = this.#offsetOf(place);
    const below = above + this.#rowHeight - clientHeight;
    if (clientHeight > 0 && (above < 0 || below > 0)) this.#scroller.scrollTop += above < 0 ? above : below;
    this.#draw();
    const row = this.#drawn.get(this.#given.rows[place].conversation.id);
    row?.button.focus();
    this.#setTabStop(row);
  }

  #scrolled() {
    const view = this.#view();
    if (view && !this.#covers(view)) this.#draw();
    this.#askForMore();
  }

  #askForMore() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    // A row far down is the last one here, and all above it would be read to stand near it.
    if (!this.hasMore || this.#isParked || scrollTop + clientHeight < scrollHeight - NEAR_END_PX) return;
    this.hasMore = false; // asked once; the next render tells whether there is still more
    this.#callbacks.onNeedMore();
  }
}

const OWNERS = {
  claude: { label: "Claude responde", sign: ICONS.claude },
  team: { label: "A equipe responde", sign: ICONS.person },
  needed: { label: "Precisa de você", sign: ICONS.needed },
};

/** The mark of whoever answers; while somebody does, that is told in place of the last message. */
function updateOwner(row, { mark, reason, isReplying, replyingWords }) {
  const { label, sign } = OWNERS[mark] ?? OWNERS.team;
  setAttribute(row.node, "data-owner", mark);
  setHidden(row.owner, mark === null);
  setAttribute(row.owner, "aria-label", label);
  setAttribute(row.owner, "title", reason ? `${label}: ${reason}` : label);
  setAttribute(row.owner.querySelector("path"), "d", sign);
  setHidden(row.replying, !isReplying);
  setText(row.replying, isReplying ? replyingWords : "");
  setHidden(row.needed, mark !== "needed" || isReplying);
}

function updateRow(row, { conversation, last, draft, unread, ownership, now, selected, viewer, labels = [] }) {
  const name = displayName(conversation);
  updateAvatar(row.avatar, conversation);
  setText(row.name, name);
  setAttribute(row.name, "title", name);
  setText(row.time, last ? listTime(last.sent_at, now) : "");
  setAttribute(row.time, "datetime", last?.sent_at);
  updateOwner(row, ownership);
  const { isReplying } = ownership;
  const showDraft = Boolean(draft) && !selected && !isReplying;
  setHidden(row.draftMark, !showDraft);
  const reaction = showDraft ? null : reactionOf(conversation, last, viewer);
  const author = showDraft || isReplying || reaction ? "" : authorOf(conversation, last);
  setHidden(row.author, !author);
  setText(row.author, author);
  const source = (showDraft ? draft : reaction ?? last?.text) ?? "";
  if (row.shown !== source || row.showsDraft !== showDraft) {
    Object.assign(row, { shown: source, showsDraft: showDraft }); // read once, not with every drawing
    setText(row.text, showDraft ? source : preview(last, source));
  }
  setHidden(row.text, isReplying);
  const own = !showDraft && !reaction && !isReplying && last?.direction === "out";
  updateTicks(row.ticks, own ? statusOf(last) : null, last?.error);
  const silent = Boolean(conversation.muted || conversation.archived);
  row.muted.classList.toggle("shown", Boolean(conversation.muted));
  row.pinned.classList.toggle("shown", Boolean(conversation.pinned));
  setHidden(row.pinnedWord, !conversation.pinned);
  setHidden(row.archived, !conversation.archived); // hidden by list.css among the archived alone
  updateChips(row.labels, labels, { named: 1 });
  setAttribute(row.menu, "aria-label", `Opções da conversa com ${name}`);
  row.node.classList.toggle("unread", unread.count > 0 || unread.marked);
  row.node.classList.toggle("silent", silent);
  row.node.classList.toggle("selected", selected);
  setAttribute(row.button, "aria-current", selected ? "true" : null);
}

/** In a group: who of it wrote last. */
function authorOf(conversation, last) {
  const name = last?.direction === "in" && conversation.is_group ? last.author_name : null;
  return isSeen(name) && name !== conversation.name ? `${name}: ` : "";
}

/** What tells of a reaction that was given since the last message; null where there is none. */
function reactionOf({ is_group: isGroup, last_message: told, last_reaction: reaction }, last, viewer) {
  if (!reaction || last?.id !== told?.id) return null;
  const { author, emoji, own, text } = reaction;
  const named = (own || isGroup) && isSeen(author);
  const who = named ? `${own && author === viewer ? "Você" : author} reagiu` : "Reagiu";
  return `${who} com ${emoji} a: “${plainText(text)}”`;
}

function preview(last, source) {
  if (!last) return "";
  const text = plainText(source.slice(0, PREVIEW_CHARS));
  return isSeen(text) ? text : "Mensagem";
}
