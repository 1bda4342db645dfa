/** The ring over what is on its way: to us (it turns), or from here (how much of it has left). */

import { ICONS, actionButton, el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 21;
const ROUND = 2 * Math.PI * RADIUS;

/** {node, update(message)}. What is being sent can be called off: `data-action="cancel-upload"`. */
export function createProgress() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 48 48");
  svg.setAttribute("aria-hidden", "true");
  const [track, done] = ["progress-track", "progress-done"].map((name) => {
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("class", name);
    for (const [key, value] of [["cx", 24], ["cy", 24], ["r", RADIUS]]) circle.setAttribute(key, value);
    return circle;
  });
  svg.append(track, done);
  const cancel = actionButton("progress-cancel", "cancel-upload", "");
  cancel.append(icon(ICONS.close));
  cancel.setAttribute("aria-label", "Cancelar envio");
  cancel.title = "Cancelar envio";
  const words = el("span", "progress-words");
  const node = el("div", "media-progress", el("div", "progress-ring", svg, cancel), words);
  return {
    node,
    update({ media }) {
      const sending = media.progress !== undefined; // null: it waits for its turn
      const coming = media.state === "pending" && !media.local_url;
      setHidden(node, !sending && !coming);
      setHidden(cancel, !sending || media.progress >= 1);
      const isMoving = sending && media.progress !== null && media.progress < 1;
      node.classList.toggle("turning", !isMoving);
      const share = isMoving ? Math.max(0.03, media.progress) : 0.25;
      setAttribute(done, "stroke-dasharray", `${(share * ROUND).toFixed(1)} ${ROUND.toFixed(1)}`);
      setText(words, coming ? "Baixando…" : "");
      setHidden(words, !coming);
      setAttribute(node, "role", sending ? "progressbar" : null);
      setAttribute(node, "aria-label", sending ? "Enviando" : null);
      setAttribute(node, "aria-valuenow", isMoving ? Math.round(share * 100) : null);
    },
  };
}
