/** How "unread" is drawn: the badge of a list row, and the line inside the thread. */

import { unreadLabel } from "../../unread_state.js";
import { el, setAttribute, setHidden, setText } from "./dom.js";

/** More digits than this do not fit beside the preview. */
const MAX_SHOWN = 999;

/** A list row's pill: `update({count, marked}, silent)`; without a number when marked by hand. */
export function createBadge() {
  const node = el("span", "unread-badge");
  node.setAttribute("role", "img");
  return {
    node,
    update({ count, marked }, silent) {
      const shown = count > 0 || marked;
      setHidden(node, !shown);
      setAttribute(node, "data-unread-count", shown ? count : null);
      setAttribute(node, "aria-label", shown ? (count ? unreadLabel(count) : "Marcada como não lida") : null);
      setText(node, count > MAX_SHOWN ? `${MAX_SHOWN}+` : count ? String(count) : "");
      node.classList.toggle("silent", silent);
    },
  };
}

/** The divider: `update(count)` gives its node. */
export function createDivider() {
  const label = el("span", "divider-label");
  const node = el("div", "unread-divider", label);
  node.setAttribute("role", "separator");
  return {
    node,
    update(count) {
      setText(label, unreadLabel(count));
      setAttribute(node, "aria-label", unreadLabel(count));
      return node;
    },
  };
}
