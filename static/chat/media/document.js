/** A document in its bubble: what it is, and a click that keeps it as a file. */

import { el, icon, setAttribute, setHidden, setText } from "../parts/dom.js";
import { extensionOf, fileFacts, fileNameOf, isReady, mediaUrl, sheetOf, sizeText } from "../parts/media_format.js";
import { createProgress } from "./progress.js";
import { showWhenSeen } from "./pictures/seen.js";

export const SAVE = "M12 15.6 6.6 10.2 8 8.8l3 3V3h2v8.8l3-3 1.4 1.4L12 15.6ZM5 17v2h14v-2h2v2a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-2h2Z";

/** The sheet of a kind of document, with its ending on it; `update(media)`. */
export function createSheet() {
  const node = el("span", "sheet");
  node.setAttribute("aria-hidden", "true");
  return {
    node,
    update(media) {
      setAttribute(node, "data-sheet", sheetOf(media));
      setText(node, extensionOf(media).slice(0, 4));
    },
  };
}

/** {node, update(message)}. */
export function createDocument() {
  const page = el("img", "document-page");
  page.alt = "";
  page.decoding = "async";
  const sheet = createSheet();
  const name = el("span", "document-name");
  name.dir = "auto";
  const facts = el("span", "document-facts");
  const words = el("span", "document-words", name, facts);
  const save = el("span", "document-save", icon(SAVE));
  const progress = createProgress();
  const link = el("a", "document-link", page, el("span", "document-line", sheet.node, words, save));
  const node = el("div", "document", link, progress.node);
  return {
    node,
    update(message) {
      const { media } = message;
      const ready = isReady(media);
      const title = fileNameOf(message);
      sheet.update(media);
      setText(name, title);
      setText(facts, ready ? fileFacts(media) : `Baixando… ${sizeText(media.size)}`.trim());
      setHidden(facts, !facts.textContent);
      setHidden(page, !(ready && media.thumb));
      if (ready && media.thumb) showWhenSeen(page, mediaUrl(message, { thumb: true }));
      setHidden(save, !ready || Boolean(media.local_url));
      setAttribute(link, "href", ready ? mediaUrl(message, { download: true }) : null);
      setAttribute(link, "download", ready ? title : null);
      setAttribute(link, "aria-label", ready ? `Baixar ${title}, ${fileFacts(media)}` : null);
      setAttribute(link, "title", title);
      progress.update(message);
    },
  };
}
