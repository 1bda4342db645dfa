/**
 * A finger held on something asks for its menu, which stays when the finger leaves.
 *
 * Some browsers tell of it by `contextmenu` (while the finger is down, or as it leaves), Safari on
 * iOS not at all: a timer is the one way that all have, and their own event only comes too.
 */

const LONG_PRESS_MS = 500;
/** A finger is never quite still; further than this it scrolls. */
const SLOP_PX = 10;

/**
 * find(target): the element inside `root` whose menu is meant, or null to leave the touch to the
 * browser (a link has its own menu). open(element, {x, y}): opens the menu.
 */
export function onLongPress(root, { find, open }) {
  let timer = null;
  let touch = null; // {id, element, at}: the finger that is down
  let opened = false; // the menu is there: what else this finger does means nothing

  const start = (event) => {
    cancel();
    opened = false;
    const element = event.pointerType === "touch" && event.isPrimary ? find(event.target) : null;
    if (!element) return;
    touch = { id: event.pointerId, element, at: { x: event.clientX, y: event.clientY } };
    timer = setTimeout(run, LONG_PRESS_MS);
  };

  function run() {
    const { element, at } = touch;
    cancel();
    opened = true;
    open(element, at);
  }

  function cancel() {
    clearTimeout(timer);
    touch = null;
  }

  const moved = (event) => {
    if (!touch) return;
    const distance = Math.hypot(event.clientX - touch.at.x, event.clientY - touch.at.y);
    if (event.pointerId !== touch.id || distance > SLOP_PX) cancel();
  };

  /** Of this finger only: by mouse or keyboard it is for the owner of `root`. */
  const menuAsked = (event) => {
    const byTouch = (event.pointerType ?? "touch") === "touch";
    if (!byTouch || (!touch && !opened)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (touch) run();
  };

  const swallow = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  root.addEventListener("pointerdown", start);
  root.addEventListener("pointermove", moved, { passive: true });
  root.addEventListener("pointerup", cancel);
  root.addEventListener("pointercancel", cancel); // it scrolls
  root.addEventListener("contextmenu", menuAsked, { capture: true });
  // Otherwise the word under the finger would be marked, with the browser's own menu for it.
  root.addEventListener("selectstart", (event) => (touch || opened) && swallow(event), { capture: true });
  // No click comes of it then, and the focus stays in the menu.
  root.addEventListener("touchend", (event) => opened && event.preventDefault(), { passive: false });
  root.addEventListener("click", (event) => {
    const byKey = event.detail === 0;
    if (opened && !byKey) swallow(event);
    opened = false;
  }, { capture: true });
}
