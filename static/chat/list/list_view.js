/** The conversation list: one keyed row a conversation, in the order it is given. */

import { updateTicks } from "../../message_status.js";
import { statusOf } from "../data/thread_state.js";
import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { ICONS, el, icon, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { displayName, listTime } from "../parts/format.js";
import { plainText } from "../parts/rich_text.js";

/** The next page is fetched when this little is left below the view. */
const NEAR_END_PX = 600;
/** A finger held this long on a row asks for its menu (Safari on iOS has no contextmenu event). */
const LONG_PRESS_MS = 500;

export class ListView {
  #list;
  #scroller;
  #notice;
  #rows = new Map(); // conversation id -> {node, button, ...parts}
  #callbacks;

  /** `root`: the list column. Callbacks: onSelect(id), onMenu(id, {at, from}), onNeedMore(),
   * onRetry(). */
  constructor(root, callbacks) {
    this.#callbacks = callbacks;
    this.#scroller = root.querySelector(".list-scroll");
    this.#list = root.querySelector(".conversation-list");
    this.#notice = root.querySelector(".list-notice");
    this.#scroller.addEventListener("scroll", () => this.#askForMore(), { passive: true });
    this.#list.addEventListener("click", (event) => this.#clicked(event));
    this.#list.addEventListener("contextmenu", (event) => this.#openMenu(event));
    this.#list.addEventListener("keydown", (event) => {
      if (event.key === "ContextMenu") this.#openMenu(event);
      else this.#moveFocus(event);
    });
    this.#watchLongPress();
    this.#notice.querySelector("button").addEventListener("click", () => callbacks.onRetry());
  }

  /**
   * rows: [{conversation, last, draft, unread: {count, marked}}]; state: "idle" | "loading" |
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
    this.#renderNotice({ text: empty, none: rows.length === 0, state, loaded });
    this.hasMore = hasMore && state === "idle";
    this.#askForMore();
  }

  /** Puts the keyboard focus on a conversation's row. */
  focusRow(id) {
    this.#rows.get(id)?.button.focus();
  }

  #createRow(id) {
    const parts = {
      avatar: createAvatar(),
      name: el("span", "row-name"),
      time: el("time", "row-time"),
      draftMark: el("span", "row-draft", "Rascunho: "),
      ticks: document.createElement("message-ticks"),
      text: el("span", "row-text"),
    };
    parts.name.dir = "auto";
    parts.text.dir = "auto";
    parts.preview = el("span", "row-preview", parts.ticks, parts.draftMark, parts.text);
    const muted = icon(ICONS.muted, "icon row-muted");
    const top = el("span", "row-line", parts.name, parts.time);
    const marks = el("span", "row-marks", muted, document.createElement("unread-badge"));
    const bottom = el("span", "row-line", parts.preview, marks);
    const button = el("button", "row", parts.avatar, el("span", "row-body", top, bottom));
    button.type = "button";
    const menu = el("button", "row-menu", icon(ICONS.chevron));
    menu.type = "button";
    menu.tabIndex = -1; // the keyboard has the menu key for this
    menu.setAttribute("aria-haspopup", "menu");
    const node = el("li", "row-item", button, menu);
    node.dataset.conversationId = id;
    const row = { node, button, menu, muted, ...parts };
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
    const at = event.clientX ? { x: event.clientX, y: event.clientY } : { x: box.left + 74, y: box.top + 40 };
    this.#callbacks.onMenu(row.dataset.conversationId, { at, from: row.firstChild });
  }

  #watchLongPress() {
    let timer = null;
    let pressed = false;
    const stop = () => clearTimeout(timer);
    this.#list.addEventListener("pointerdown", (event) => {
      pressed = false;
      stop();
      if (event.pointerType !== "touch") return;
      timer = setTimeout(() => {
        pressed = true;
        this.#openMenu(event);
      }, LONG_PRESS_MS);
    });
    for (const type of ["pointerup", "pointercancel", "pointermove", "contextmenu"]) {
      this.#list.addEventListener(type, stop);
    }
    // The click at the end of a long press is no click on the row.
    this.#list.addEventListener("click", (event) => {
      if (pressed) event.stopImmediatePropagation();
      pressed = false;
    }, { capture: true });
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
    if (!this.hasMore || scrollTop + clientHeight < scrollHeight - NEAR_END_PX) return;
    this.hasMore = false; // asked once; the next render tells whether there is still more
    this.#callbacks.onNeedMore();
  }
}

function updateRow(row, { conversation, last, draft, unread, now, selected }) {
  const name = displayName(conversation);
  updateAvatar(row.avatar, { id: conversation.id, name: conversation.name });
  setText(row.name, name);
  setAttribute(row.name, "title", name);
  setText(row.time, last ? listTime(last.sent_at, now) : "");
  setAttribute(row.time, "datetime", last?.sent_at);
  const showDraft = Boolean(draft) && !selected;
  setHidden(row.draftMark, !showDraft);
  setText(row.text, showDraft ? draft : plainText(last?.text));
  const own = !showDraft && last?.direction === "out";
  updateTicks(row.ticks, own ? statusOf(last) : null, last?.error);
  const silent = Boolean(conversation.muted || conversation.archived);
  row.muted.classList.toggle("shown", Boolean(conversation.muted));
  setAttribute(row.menu, "aria-label", `Opções da conversa com ${name}`);
  row.node.classList.toggle("unread", unread.count > 0 || unread.marked);
  row.node.classList.toggle("silent", silent);
  row.node.classList.toggle("selected", selected);
  setAttribute(row.button, "aria-current", selected ? "true" : null);
}
