/** The conversation list: one keyed row a conversation, in the order it is given. */

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
/** A preview is one line: of a long message this much is more than enough. */
const PREVIEW_CHARS = 300;

export class ListView {
  #list;
  #scroller;
  #notice;
  #rows = new Map(); // conversation id -> {node, button, ...parts}
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
    this.#scroller.addEventListener("scroll", () => this.#askForMore(), { passive: true });
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
   * rows: [{conversation, last, draft, unread: {count, marked}, ownership, labels?}]; `labels`: those
   * of the LabelBook; state: "idle" | "loading" |
   * "error"; loaded: the first page is here; hasMore: there are further pages; empty: what to say
   * when there is no row.
   */
  render({ rows, selectedId, state, loaded, hasMore, empty, now }) {
    const current = new Set();
    const nodes = rows.map((each) => {
      const { id } = each.conversation;
      current.add(id);
      const row = this.#rows.get(id) ?? this.#createRow(id);
      updateRow(row, { ...each, now, selected: id === selectedId });
      return row.node;
    });
    for (const id of this.#rows.keys()) if (!current.has(id)) this.#rows.delete(id);
    reconcile(this.#list, nodes);
    this.#setTabStop(nodes, selectedId);
    this.#showSelected(selectedId, loaded);
    this.#renderNotice({ text: empty, none: rows.length === 0, state, loaded });
    this.hasMore = hasMore && state === "idle";
    this.#askForMore();
  }

  /** Puts the keyboard focus on a conversation's row. */
  focusRow(id) {
    this.#rows.get(id)?.button.focus();
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
    this.#rows.set(id, row);
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
    const row = this.#rows.get(this.#toShow)?.node;
    const { clientHeight } = this.#scroller;
    if (!row || !loaded || clientHeight === 0) return; // not here yet, or not on the screen
    this.#toShow = null;
    const box = row.getBoundingClientRect();
    const above = box.top - this.#scroller.getBoundingClientRect().top;
    if (above >= 0 && above + box.height <= clientHeight) return;
    this.#scroller.scrollTop += above - (clientHeight - box.height) / 2;
    this.#isParked = true;
  }

  #scrolledByHand() {
    this.#toShow = null;
    if (!this.#isParked) return;
    this.#isParked = false;
    this.#askForMore();
  }

  /** One row is in the tab order; the arrow keys move between rows. */
  #setTabStop(nodes, selectedId) {
    const focused = document.activeElement?.closest?.("[data-conversation-id]");
    const selected = this.#rows.get(selectedId)?.node;
    const stop = nodes.includes(focused) ? focused : (selected ?? nodes[0]);
    for (const node of nodes) setAttribute(node.firstChild, "tabindex", node === stop ? "0" : "-1");
  }

  #moveFocus(event) {
    const row = event.target.closest("[data-conversation-id]");
    const target = {
      ArrowDown: row?.nextElementSibling,
      ArrowUp: row?.previousElementSibling,
      Home: this.#list.firstElementChild,
      End: this.#list.lastElementChild,
    }[event.key];
    if (!target) return;
    event.preventDefault();
    row.firstChild.tabIndex = -1;
    target.firstChild.tabIndex = 0;
    target.firstChild.focus();
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

function updateRow(row, { conversation, last, draft, unread, ownership, now, selected, labels = [] }) {
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
  const author = showDraft || isReplying ? "" : authorOf(conversation, last);
  setHidden(row.author, !author);
  setText(row.author, author);
  const source = (showDraft ? draft : last?.text) ?? "";
  if (row.shown !== source || row.showsDraft !== showDraft) {
    Object.assign(row, { shown: source, showsDraft: showDraft }); // read once, not with every drawing
    setText(row.text, showDraft ? source : preview(last, source));
  }
  setHidden(row.text, isReplying);
  const own = !showDraft && !isReplying && last?.direction === "out";
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

function preview(last, source) {
  if (!last) return "";
  const text = plainText(source.slice(0, PREVIEW_CHARS));
  return isSeen(text) ? text : "Mensagem";
}
