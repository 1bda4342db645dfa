/** Files dragged over the page: they are taken over the thread, and nowhere does the browser open
 * them in place of the chat. */

import { ICONS, el, icon, setHidden, setText } from "../../parts/dom.js";
import { droppedFiles } from "./choosing.js";

const HERE = "Solte aqui para enviar";
const FOLDER = "Pastas não podem ser enviadas. Compacte a pasta, ou escolha os arquivos dela.";

/**
 * `pane`: the thread's. whyNot(): why nothing can be sent there now, in words, or null; onFiles(files);
 * onTold(words); over(): what covers the pane and takes files, too, or null.
 */
export function listenToDrops(pane, { whyNot, onFiles, onTold, over = () => null }) {
  const words = el("p", "drop-words");
  const overlay = el("div", "drop-overlay", icon(ICONS.attach, "icon drop-sign"), words);
  overlay.hidden = true;
  pane.append(overlay);
  let isOwn = false; // a picture or link of this page is being dragged
  let depth = 0;

  const hasFiles = (event) => !isOwn && [...(event.dataTransfer?.types ?? [])].includes("Files");
  const zone = (target) => [pane, over()].find((each) => each?.contains(target)) ?? null;
  const show = (isShown) => {
    const reason = isShown ? whyNot() : null;
    setText(words, reason ?? HERE);
    overlay.classList.toggle("refused", Boolean(reason));
    setHidden(overlay, !isShown);
    over()?.classList.toggle("dropping", isShown);
  };

  document.addEventListener("dragstart", () => { isOwn = true; });
  document.addEventListener("dragend", () => { isOwn = false; });
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    event.preventDefault();
    show(pane.checkVisibility() && !isCovered(over()));
  });
  document.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) end();
  });
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // or it would be opened
    const isTaken = zone(event.target) && !isCovered(over()) && !whyNot();
    event.dataTransfer.dropEffect = isTaken ? "copy" : "none";
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    end();
    if (!zone(event.target) || isCovered(over())) return;
    const reason = whyNot();
    const { files, hasFolder } = droppedFiles(event);
    if (reason ?? (hasFolder ? FOLDER : null)) onTold(reason ?? FOLDER);
    if (!reason && files.length) onFiles(files);
  });

  function end() {
    depth = 0;
    show(false);
  }
}

/** Another dialog than this one is open. */
const isCovered = (own) => [...document.querySelectorAll("dialog:modal")].some((each) => each !== own);
