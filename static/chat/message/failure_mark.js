/** The small "!" beside a bubble that was not sent: a click shows what went wrong, below it. */

import { ICONS, el, icon, setAttribute, setHidden } from "../parts/dom.js";

let lastId = 0;

/** Of the bubble whose details stand in `problem`. `update(problem)`: see `problemOf` in bubble.js;
 * what has not failed, or not yet, is told without a click. */
export function createFailureMark(problem) {
  const node = el("button", "failure-mark", icon(ICONS.alert));
  node.type = "button";
  problem.id = `problem-${(lastId += 1)}`;
  node.setAttribute("aria-controls", problem.id);
  let shown = null;
  let isOpen = false;
  const show = () => {
    const failed = Boolean(shown?.failed);
    setHidden(node, !failed);
    setHidden(problem, shown === null || (failed && !isOpen));
    setAttribute(node, "aria-expanded", isOpen ? "true" : "false");
    setAttribute(node, "aria-label", failed ? "Mensagem não enviada. Ver o motivo" : null);
    setAttribute(node, "title", failed ? shown.text : null);
  };
  node.addEventListener("click", () => {
    isOpen = !isOpen;
    show();
  });
  return {
    node,
    update(now) {
      if (!now?.failed) isOpen = false;
      shown = now;
      show();
    },
  };
}
