/** The line inside the thread before what was unread. */

import { unreadLabel } from "../../unread_state.js";
import { el, setAttribute, setText } from "../parts/dom.js";

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
