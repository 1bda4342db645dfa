/** The conversation list: one keyed row a conversation, in the order it is given. */

import { createAvatar, updateAvatar } from "./avatar.js";
import { ICONS, el, icon, reconcile, setAttribute, setHidden, setText } from "./dom.js";
import { displayName, listTime } from "./format.js";
import { plainText } from "./rich_text.js";

/** The next page is fetched when this little is left below the view. */
const NEAR_END_PX = 600;

export class ListView {
  #list;
  #scroller;
  #notice;
  #rows = new Map(); // conversation id -> {node, button, ...parts}
  #callbacks;

  /** `root`: the list column. Callbacks: onSelect(id), onNeedMore(), onRetry(). */
  constructor(root, callbacks) {
    this.#callbacks = callbacks;
    this.#scroller = root.querySelector(".list-scroll");
    this.#list = root.querySelector(".conversation-list");
    this.#notice = root.querySelector(".list-notice");
    this.#scroller.addEventListener("scroll", () => this.#askForMore(), { passive: true });
    this.#list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-conversation-id]");
      if (row) callbacks.onSelect(row.dataset.conversationId);
    });
    this.#list.addEventListener("keydown", (event) => this.#moveFocus(event));
    this.#notice.querySelector("button").addEventListener("click", () => callbacks.onRetry());
  }

  /**
   * rows: [{conversation, last, draft}]; state: "idle" | "loading" | "error"; loaded: the first
   * page is here; hasMore: there are further pages.
   */
  render({ rows, selectedId, state, loaded, hasMore, now }) {
    const current = new Set();
    const nodes = rows.map(({ conversation, last, draft }) => {
      current.add(conversation.id);
      const row = this.#rows.get(conversation.id) ?? this.#createRow(conversation.id);
      updateRow(row, { conversation, last, draft, now, selected: conversation.id === selectedId });
      return row.node;
    });
    for (const id of this.#rows.keys()) if (!current.has(id)) this.#rows.delete(id);
    reconcile(this.#list, nodes);
    this.#setTabStop(nodes, selectedId);
    this.#renderNotice({ empty: rows.length === 0, state, loaded });
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
      alert: icon(ICONS.alert, "icon row-alert"),
      text: el("span", "row-text"),
    };
    parts.name.dir = "auto";
    parts.text.dir = "auto";
    parts.preview = el("span", "row-preview", parts.alert, parts.draftMark, parts.text);
    const top = el("span", "row-line", parts.name, parts.time);
    const bottom = el("span", "row-line", parts.preview, el("span", "row-marks"));
    const button = el("button", "row", parts.avatar, el("span", "row-body", top, bottom));
    button.type = "button";
    const node = el("li", "row-item", button);
    node.dataset.conversationId = id;
    const row = { node, button, ...parts };
    this.#rows.set(id, row);
    return row;
  }

  #renderNotice({ empty, state, loaded }) {
    const failed = state === "error";
    const [text, button] = [this.#notice.querySelector("p"), this.#notice.querySelector("button")];
    if (failed) setText(text, "Não foi possível carregar as conversas.");
    else if (!loaded || state === "loading") setText(text, "Carregando conversas…");
    else setText(text, "Nenhuma conversa ainda. Quando um cliente escrever, ela aparece aqui.");
    setHidden(button, !failed);
    setHidden(this.#notice, !empty && !failed && !(state === "loading" && !loaded));
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

function updateRow(row, { conversation, last, draft, now, selected }) {
  const name = displayName(conversation);
  updateAvatar(row.avatar, { id: conversation.id, name: conversation.name });
  setText(row.name, name);
  setAttribute(row.name, "title", name);
  setText(row.time, last ? listTime(last.sent_at, now) : "");
  setAttribute(row.time, "datetime", last?.sent_at);
  const showDraft = Boolean(draft) && !selected;
  setHidden(row.draftMark, !showDraft);
  setText(row.text, showDraft ? draft : plainText(last?.text));
  const problem = !showDraft && (last?.status === "failed" || ["unsent", "refused"].includes(last?.delivery));
  row.alert.classList.toggle("shown", problem);
  setAttribute(row.text, "aria-label", problem ? `Não enviada: ${last.text}` : null);
  row.node.classList.toggle("selected", selected);
  setAttribute(row.button, "aria-current", selected ? "true" : null);
}
