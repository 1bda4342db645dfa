/** WhatsApp's shortcuts for the screen, and what Escape ends first. */

/**
 * `state`: the PageState; `ticks`: what startMessageStatus gave; `list`: the ListPane; `listSearch`,
 * `threadSearch`, `contactPanel`, `actions`, `opening`: the screen's.
 */
export function listenToKeyboard({
  state, ticks, list, listSearch, threadSearch, contactPanel, actions, opening,
}) {
  document.addEventListener("keydown", (event) => {
    const { ctrlKey, altKey, shiftKey, code } = event;
    if (ctrlKey && altKey && shiftKey && code === "KeyU" && state.selectedId !== null) {
      event.preventDefault();
      list.menu.markUnread(state.selectedId);
    }
    if (ctrlKey && altKey && shiftKey && code === "KeyF" && state.selectedId !== null) {
      event.preventDefault();
      threadSearch.open(state.selectedId);
    }
    if (ctrlKey && altKey && !shiftKey && (event.key === "/" || code === "Slash")) {
      event.preventDefault();
      listSearch.focus();
    }
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
    if (ticks.closeDetails() || threadSearch.close()) return;
    if (document.querySelector(":popover-open, dialog:modal") || contactPanel.close()) return;
    if (state.selectedId === null) list.closeArchived();
    else if (!actions.escape()) opening.close();
  });
}
