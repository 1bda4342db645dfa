/** A message drawn to the right by a finger is answered, as on WhatsApp's phones. */

/** Further than this, and more across than along, it is no scrolling. */
const BEGINS_PX = 12;
/** Let go from here on, it counts. */
const COUNTS_PX = 56;
const FURTHEST_PX = 76;

/** find(target): the element that moves, or null to leave the touch alone; run(element). */
export function onSwipeRight(root, { find, run }) {
  let touch = null; // {id, element, x, y, dx}: the finger that is down; dx is 0 until it swipes

  root.addEventListener("pointerdown", (event) => {
    end();
    const element = event.pointerType === "touch" && event.isPrimary ? find(event.target) : null;
    if (element) touch = { id: event.pointerId, element, x: event.clientX, y: event.clientY, dx: 0 };
  });
  root.addEventListener("pointermove", (event) => {
    if (event.pointerId !== touch?.id) return;
    const dx = event.clientX - touch.x;
    const dy = Math.abs(event.clientY - touch.y);
    if (!touch.dx && (dx < BEGINS_PX || dx < 2 * dy)) {
      if (dy > BEGINS_PX) end();
      return;
    }
    touch.dx = Math.max(1, Math.min(dx, FURTHEST_PX));
    touch.element.style.translate = `${touch.dx}px`;
  }, { passive: true });
  root.addEventListener("pointerup", (event) => {
    const { element, dx } = event.pointerId === touch?.id ? touch : {};
    end();
    if (dx >= COUNTS_PX) run(element);
  });
  root.addEventListener("pointercancel", end); // it scrolls after all

  function end() {
    if (touch) touch.element.style.translate = "";
    touch = null;
  }
}
