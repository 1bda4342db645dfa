/** Photos and films as small squares, each made once. */

import { el, icon, setHidden } from "../parts/dom.js";
import { momentText } from "../parts/format.js";
import { KIND_ICONS, durationText, mediaUrl } from "../parts/media_format.js";
import { showWhenSeen } from "../media/pictures/seen.js";

export class Pictures {
  #onView;
  #made = new Map(); // message id → button

  /** onView(message): over the whole screen. */
  constructor({ onView }) {
    this.#onView = onView;
  }

  /** A button for each; those of other messages are forgotten. */
  nodes(messages) {
    const before = this.#made;
    this.#made = new Map(messages.map((each) => [each.id, before.get(each.id) ?? this.#create(each)]));
    return [...this.#made.values()];
  }

  #create(message) {
    const { media, sent_at: at } = message;
    const isVideo = media.kind === "video";
    const image = el("img", "");
    image.alt = "";
    image.decoding = "async";
    image.addEventListener("error", () => setHidden(image, true));
    if (!isVideo || media.thumb) showWhenSeen(image, mediaUrl(message, { thumb: true }));
    const length = isVideo ? el("span", "contents-length", icon(KIND_ICONS.video), durationText(media.duration)) : null;
    const node = el("button", "contents-picture", image, length);
    node.type = "button";
    node.setAttribute("aria-label", `${isVideo ? "Vídeo" : "Foto"}, ${momentText(at, new Date())}`);
    node.addEventListener("click", () => this.#onView(message));
    return node;
  }
}
