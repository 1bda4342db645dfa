/** Labels as coloured chips: where there is room with their names, else as dots. */

import { el, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";

/** A chip for a label; `className`: what else it is. */
export function labelChip({ name, colour }, className = "") {
  const chip = el("span", `label-chip tone-${colour} ${className}`.trim(), name);
  chip.dir = "auto";
  return chip;
}

/** A place for chips. */
export function createChips(className) {
  const node = el("span", className);
  node.hidden = true;
  return node;
}

/** Shows labels in such a place: the first `named` with their names, the others as dots. */
export function updateChips(node, labels, { named = Infinity } = {}) {
  const shown = JSON.stringify(labels);
  if (node.getAttribute("data-shown") === shown) return;
  node.setAttribute("data-shown", shown);
  const words = `Etiquetas: ${labels.map(({ name }) => name).join(", ")}`;
  reconcile(node, labels.map((label, n) => {
    if (n < named) return labelChip(label);
    return labelChip({ ...label, name: "" }, "label-dot");
  }));
  setHidden(node, labels.length === 0);
  setAttribute(node, "title", labels.length ? words : null);
  if (labels.length <= named) return;
  // The dots are told by name, too.
  const rest = el("span", "visually-hidden");
  setText(rest, `, ${labels.slice(named).map(({ name }) => name).join(", ")}`);
  node.append(rest);
}
