/** What the keyboard does wherever the focus is: WhatsApp's shortcuts, Escape, typing into the field. */

import { shortcutOf } from "./shortcuts.js";
import { fieldFor } from "./typing_anywhere.js";

/**
 * `state`, `ticks`: what startMessageStatus gave; `list`: the ListPane; `listSearch`, `threadSearch`,
 * `contactPanel`, `actions`, `opening`, `writing`, `templates`, `organizer`, `unread`: the screen's.
 */
export function listenToKeyboard(screen) {
  const { state } = screen;
  const runs = shortcuts(screen);
  const endings = escapes(screen);

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    const shortcut = shortcutOf(event);
    if (shortcut) {
      if ((shortcut.ofChat && state.selectedId === null) || isCovered()) return;
      event.preventDefault();
      if (!event.repeat || shortcut.code === "Tab") runs[shortcut.id](state.selectedId);
    } else if (event.key === "Escape") {
      endings.find((end) => end());
    } else if (event.key === "ArrowUp" && isEmptyField(event.target)) {
      if (screen.actions.focusNewest()) event.preventDefault();
    } else {
      fieldFor(event, { composer: state.selectedId === null ? null : screen.writing.composer })?.focus();
    }
  });
}

/** The composer's, with nothing in it: there is nowhere up in it. */
const isEmptyField = (target) => target.matches(".composer-input") && target.value === "";

/** A menu or a dialog is open: it has the keyboard. */
const isCovered = () => document.querySelector(":popover-open, dialog:modal") !== null;

function shortcuts({ list, listSearch, threadSearch, organizer, templates, unread }) {
  const goTo = (id) => id !== null && unread.select(id);
  return {
    newChat: () => templates.newChat(),
    next: () => goTo(list.neighbour(1)),
    previous: () => goTo(list.neighbour(-1)),
    search: () => {
      templates.closeNewChat();
      listSearch.focus();
    },
    searchThread: (id) => threadSearch.open(id),
    unread: (id) => list.menu.markUnread(id),
    archive: (id) => organizer.toggle("archive", id),
    pin: (id) => organizer.toggle("pin", id),
    mute: (id) => organizer.toggle("mute", id),
  };
}

/** What Escape ends, the topmost first: each says whether it was there. Menus and dialogs end
 * themselves. */
function escapes({
  state, ticks, threadSearch, writing, contactPanel, templates, listSearch, list, actions, opening,
}) {
  return [
    isCovered,
    () => ticks.closeDetails(),
    () => threadSearch.close(),
    () => writing.escape(),
    () => contactPanel.escape(),
    () => templates.closeNewChat(),
    () => listSearch.close(),
    () => state.selectedId === null && (list.closeArchived() || true),
    () => actions.escape(),
    () => opening.close(),
  ];
}
