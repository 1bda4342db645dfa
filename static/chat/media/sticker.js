/** A sticker: without a bubble round it, and moving where it does, unless that is not wanted. */

import { el, setHidden } from "../parts/dom.js";
import { isReady, mediaUrl } from "../parts/media_format.js";
import { createProgress } from "./progress.js";
import { showWhenSeen } from "./pictures/seen.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** {node, update(message)}. */
export function createSticker() {
  const image = el("img", "sticker-image");
  image.alt = "Figurinha";
  image.decoding = "async";
  image.draggable = false;
  const progress = createProgress();
  const node = el("div", "sticker", image, progress.node);
  return {
    node,
    update(message) {
      const ready = isReady(message.media);
      setHidden(image, !ready);
      // The small picture of one that moves does not.
      const thumb = Boolean(message.media.animated) && still.matches;
      if (ready) showWhenSeen(image, mediaUrl(message, { thumb }));
      progress.update(message);
    },
  };
}
