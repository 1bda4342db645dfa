/** The column of the conversations: its chips, the archived, the rows, and what can be done with one
 * of them. */

import { Archived } from "../organizing/archived.js";
import { LabelDialog } from "../organizing/label_dialog.js";
import { labelFilter } from "../organizing/label_filter.js";
import { awaitingFilter } from "./awaiting_filter.js";
import { ConversationMenu } from "./conversation_menu.js";
import { ListFilters } from "./list_filters.js";
import { listRows } from "./list_order.js";
import { ListView } from "./list_view.js";
import { needsYouFilter } from "./needs_you_filter.js";

export class ListPane {
  /** What can be done with a conversation, also from elsewhere on the screen. */
  menu;

  #host;
  #labelDialog;
  #filters;
  #archived;
  #view;
  #shownIds = []; // in the order of the rows

  /**
   * `pane`: the column; `state`, `api`, `loader`, `unread`, `awaiting`, `claude`, `toast`,
   * `organizer`, `drafts`; `viewer`: the attendant's name; `book`: the LabelBook; ownershipOf(conversation): who answers it;
   * confirm(text, yes): resolves to whether the attendant is sure; onChange(): draw again.
   */
  constructor(pane, host) {
    this.#host = host;
    const { api, state, loader, unread, awaiting, claude, toast, organizer, book, confirm, onChange } = host;
    this.#labelDialog = new LabelDialog({ book, state, organizer, ask: (text) => confirm(text, "Apagar") });
    const onLabel = (id) => this.openLabels(id);
    this.menu = new ConversationMenu({ unread, state, loader, toast, claude, organizer, onLabel });
    this.#filters = new ListFilters(pane.querySelector(".list-filters"), [
      {
        id: "all",
        label: "Tudo",
        empty: "Nenhuma conversa ainda. Quando um cliente escrever, ela aparece aqui.",
        matches: () => true,
      },
      {
        id: "unread",
        label: "Não lidas",
        empty: "Nenhuma conversa não lida",
        matches: ({ id }) => unread.isUnread(id),
        server: "unread",
      },
      needsYouFilter(claude),
      awaitingFilter({ state, loader, messages: () => awaiting.messages }),
      labelFilter({ book, onEdit: () => this.#labelDialog.open() }),
    ], { onChange: () => this.#chooseFilter() });
    this.#archived = new Archived(pane, {
      api, state, unread, loader, onOpen: () => this.#chooseFilter(), onClose: onChange, onChange,
    });
    this.#view = new ListView(pane, {
      onSelect: (id) => unread.select(id),
      onMenu: (id, where) => this.menu.open(id, where),
      onNeedMore: () => this.#loadMoreRows(),
      onRetry: () => this.#loadMoreRows(),
    });
  }

  /** With each drawing. */
  render(now) {
    const { state, loader, unread, drafts, viewer, book, ownershipOf } = this.#host;
    const id = state.selectedId;
    this.#filters.update();
    this.#archived.render();
    const { server = null, empty, rows: own, withArchived } = this.#shownFilter();
    const known = listRows(state.rows({ floor: null }), {
      floor: server ? null : state.listFloor,
      selectedId: id,
      archived: this.#archived.isOpen || (withArchived ? "last" : false),
      draftAt: (each) => drafts.at(each),
    });
    const rows = this.#archived.isOpen ? known : this.#filters.apply(known, id);
    this.#shownIds = rows.map(({ conversation }) => conversation.id);
    this.#view.render({
      rows,
      detailsOf: ({ conversation }) => ({
        draft: drafts.get(conversation.id),
        unread: unread.badge(conversation.id),
        ownership: ownershipOf(conversation),
        labels: book.of(conversation),
        viewer,
      }),
      selectedId: id,
      ...loader.listOf(server),
      ...(own && { hasMore: false }),
      empty,
      now,
    });
    this.#labelDialog.render();
  }

  /** The message that the row of a conversation shows, where its filter brought it along. */
  broughtMessage(id) {
    return this.#shownFilter().rows?.().find(({ conversation }) => conversation.id === id)?.last ?? null;
  }

  /** To choose the labels of a conversation. */
  openLabels(id) {
    this.#labelDialog.open(id);
  }

  focusRow(id) {
    this.#view.focusRow(id);
  }

  /** Leaves the archived for all the others; whether they were open. */
  closeArchived() {
    return this.#archived.close();
  }

  /** All conversations, from the newest on. */
  showAll() {
    this.#archived.close();
    if (this.#filters.reset()) this.#chooseFilter();
    this.#view.scrollToTop();
  }

  /** The id of the row that stands so many below the open conversation's; of the first one where none
   * is open, or its row is not among those shown; null where there is none. */
  neighbour(by) {
    const at = this.#shownIds.indexOf(this.#host.state.selectedId);
    return this.#shownIds[at < 0 ? 0 : at + by] ?? null;
  }

  onEvent(event) {
    this.#archived.onEvent(event);
  }

  /** The stream lost its place: what is known may be old. */
  refresh() {
    return this.#archived.refresh();
  }

  /** What the list shows: the archived, or what the chosen chip lets through. */
  #shownFilter() {
    return this.#archived.isOpen ? this.#archived.filter : this.#filters.active;
  }

  #chooseFilter() {
    const { server } = this.#shownFilter();
    if (server) this.#host.loader.loadFiltered(server, { anew: true });
    this.#host.onChange();
  }

  #loadMoreRows() {
    const { loader } = this.#host;
    const { server } = this.#shownFilter();
    if (server) loader.loadFiltered(server);
    else if (loader.listState === "error") loader.loadList();
    else loader.loadMoreOfList();
  }
}
