/** A small menu at a point of the screen: arrow keys, Escape, and a click elsewhere close it. */

import { el } from "./dom.js";

/** Room kept to the window's edge. */
const MARGIN_PX = 8;

let open = null; // there is one menu at a time

/**
 * items: [{label, run}]; at: {x, y} in the window; `from`: the element that gets the focus back.
 */
export function openMenu({ label, items, at, from = null }) {
  open?.hidePopover();
  const menu = el("div", "context-menu", ...items.map(createItem));
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  menu.popover = "auto";
  menu.addEventListener("keydown", moveFocus);
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    if (open === menu) open = null;
    from?.classList.remove("menu-open");
    const hadFocus = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (hadFocus) from?.focus();
  });
  document.body.append(menu);
  menu.showPopover();
  open = menu;
  from?.classList.add("menu-open");
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${clamp(at.x, innerWidth - width)}px`;
  menu.style.top = `${clamp(at.y, innerHeight - height)}px`;
  menu.firstChild.focus();

  function createItem(item) {
    const button = el("button", "menu-item", item.label);
    button.type = "button";
    button.setAttribute("role", "menuitem");
    button.addEventListener("click", () => {
      menu.hidePopover();
      item.run();
    });
    return button;
  }
}

const clamp = (value, room) => Math.max(MARGIN_PX, Math.min(value, room - MARGIN_PX));

function moveFocus(event) {
  const items = [...event.currentTarget.children];
  const at = items.indexOf(document.activeElement);
  const next = {
    ArrowDown: items[(at + 1) % items.length],
    ArrowUp: items.at(at - 1),
    Home: items[0],
    End: items.at(-1),
  }[event.key];
  if (event.key === "Tab") event.currentTarget.hidePopover();
  if (!next) return;
  event.preventDefault();
  next.focus();
}
