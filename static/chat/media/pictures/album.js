/** Several pictures as one: two by two, and over the fourth how many more there are. Each is a message
 * of its own, with its menu, its ticks, its reactions. */

import { el, reconcile, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { toneOf } from "../../parts/format.js";

const SHOWN = 4;

/** {node, update(item, nodes)}: `item` as in thread_items.js, `nodes`: its messages'. */
export function createAlbum() {
  const author = el("span", "bubble-author");
  author.dir = "auto";
  const grid = el("div", "album-grid");
  const node = el("div", "album", author, grid);
  node.setAttribute("role", "group");
  return {
    node,
    update({ author: name, startsRun, own, album }, nodes) {
      node.classList.toggle("out", own);
      node.classList.toggle("in", !own);
      node.classList.toggle("starts-run", startsRun);
      setAttribute(node, "aria-label", `Álbum de ${album.length}`);
      setHidden(author, !name);
      setText(author, name ?? "");
      author.className = `bubble-author${name && !own ? ` tone-${toneOf(name)}` : ""}`;
      reconcile(grid, nodes);
      nodes.forEach((each, place) => {
        each.classList.toggle("album-rest", place >= SHOWN);
        const more = place === SHOWN - 1 && nodes.length > SHOWN ? `+${nodes.length - SHOWN}` : null;
        setAttribute(each.querySelector(".picture"), "data-more", more);
      });
    },
  };
}
