/** What opens at a point of the screen, one at a time: Escape and a click elsewhere close it. */

import { ICONS, el, icon } from "./dom.js";

/** Room kept to the window's edge. */
const MARGIN_PX = 8;

let close = null; // closes the menu that is open: there is one at a time

/**
 * A menu, through which the arrow keys go.
 *
 * items: [{label, run, sign?, whyNot?}], `sign` a name of `ICONS`, `whyNot` in words where it cannot be
 * done now; at: {x, y} in the window, or {x, bottom} where it ends there; `from`: the element that gets
 * the focus back.
 */
export function openMenu({ label, items, at, from = null }) {
  const menu = el("div", "context-menu", ...items.map(createItem));
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  menu.addEventListener("keydown", (event) => focusAlong(event, [...menu.children]));
  const closeMenu = openPopup(menu, { at: ({ height }) => ({ y: at.bottom - height, ...at }), from });
  menu.firstChild.focus();

  function createItem(item) {
    const sign = item.sign ? icon(ICONS[item.sign], `icon sign-${item.sign}`) : null;
    const button = el("button", "menu-item", sign, item.label);
    button.type = "button";
    button.setAttribute("role", "menuitem");
    if (item.whyNot) {
      button.setAttribute("aria-disabled", "true"); // and reached by the arrows: the reason is read
      button.append(el("span", "menu-why", item.whyNot));
    }
    button.addEventListener("click", () => {
      if (item.whyNot) return;
      closeMenu();
      item.run();
    });
    return button;
  }
}

/**
 * Opens `menu`, an element that is nowhere yet; returns what closes it. `at({width, height})`: where
 * its corner is to be, {x, y} in the window; `from`: the element that gets the focus back.
 */
export function openPopup(menu, { at, from = null }) {
  close?.();
  // Not "auto": that closes it as the finger leaves whose long press has opened it.
  menu.popover = "manual";
  const listeners = new AbortController();
  const on = (target, type, run) => target.addEventListener(type, run, { capture: true, signal: listeners.signal });
  on(document, "pointerdown", (event) => {
    if (menu.contains(event.target)) return;
    closeMenu();
    if (event.pointerType === "touch") swallowClick();
  });
  on(document, "keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Tab") return;
    if (event.key === "Escape") event.preventDefault(); // which would close the conversation, too
    closeMenu();
  });
  on(window, "resize", place); // a phone's keyboard goes as the menu takes the focus
  on(window, "popstate", closeMenu);
  (from?.closest("dialog:modal") ?? document.body).append(menu); // what is outside of one takes no clicks
  menu.showPopover();
  close = closeMenu;
  from?.classList.add("menu-open");
  place();
  return closeMenu;

  function place() {
    const { width, height } = menu.getBoundingClientRect();
    const { x, y } = at({ width, height });
    menu.style.left = `${clamp(x, innerWidth - width)}px`;
    menu.style.top = `${clamp(y, innerHeight - height)}px`;
  }

  function closeMenu() {
    if (close !== closeMenu) return;
    close = null;
    listeners.abort();
    from?.classList.remove("menu-open");
    const hadFocus = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (hadFocus) from?.focus({ preventScroll: true });
  }
}

/** The finger that closes a menu presses nothing below it. */
function swallowClick() {
  const over = new AbortController();
  const options = { capture: true, signal: over.signal };
  const swallow = (event) => {
    over.abort();
    if (event.detail === 0) return; // by keyboard
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("click", swallow, options);
  document.addEventListener("pointerdown", () => over.abort(), options);
}

const clamp = (value, room) => Math.max(MARGIN_PX, Math.min(value, room - MARGIN_PX));

/** Moves the focus by the arrows, Home and End through these elements, round and round. */
export function focusAlong(event, items, [forward, back] = ["ArrowDown", "ArrowUp"]) {
  const at = items.indexOf(document.activeElement);
  const next = {
    [forward]: items[(at + 1) % items.length],
    [back]: items.at(at < 0 ? -1 : at - 1),
    Home: items[0],
    End: items.at(-1),
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
