/** A photo or a film in its bubble: its room is there before any of it is, then a blur, then it. */

import { ICONS, el, icon, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { KIND_ICONS, durationText, frameOf, isReady, mediaUrl } from "../../parts/media_format.js";
import { createProgress } from "../progress.js";
import { showAgain, showWhenSeen } from "./seen.js";

const PLAY = "M8 5.2v13.6a1 1 0 0 0 1.5.9l11-6.8a1 1 0 0 0 0-1.7l-11-6.9A1 1 0 0 0 8 5.2Z";

/** {node, update(message)}; a click is the thread's, by `data-action`. */
export function createPicture() {
  const parts = {
    blur: picture("picture-blur"),
    image: picture("picture-image"),
    play: el("span", "picture-play", icon(PLAY)),
    length: el("span", "picture-length", icon(KIND_ICONS.video), el("span", "")),
    failed: el("span", "picture-failed", icon(ICONS.alert), el("span", "", "Tentar novamente")),
    progress: createProgress(),
  };
  const { blur, image, play, length, failed } = parts;
  const button = el("button", "picture-button", blur, image, play, length, failed);
  button.type = "button";
  const node = el("div", "picture", button, parts.progress.node);
  image.addEventListener("load", () => setLoaded(node, parts, true));
  image.addEventListener("error", () => setLoaded(node, parts, false));
  setHidden(failed, true);
  button.addEventListener("click", (event) => {
    if (failed.hidden) return;
    event.stopPropagation(); // it is only asked for again
    setHidden(failed, true);
    showAgain(image);
  });
  return { node, update: (message) => update(node, button, parts, message) };
}

function picture(className) {
  const img = el("img", className);
  img.alt = "";
  img.decoding = "async";
  img.draggable = false;
  return img;
}

function setLoaded(node, { failed }, loaded) {
  node.classList.toggle("loaded", loaded);
  setHidden(failed, loaded);
}

function update(node, button, parts, message) {
  const { media } = message;
  const isVideo = media.kind === "video";
  const ready = isReady(media);
  const { width, height } = frameOf(media);
  node.style.setProperty("--width", `${width}px`);
  node.style.setProperty("--ratio", `${width} / ${height}`);
  if (media.preview) setAttribute(parts.blur, "src", media.preview);
  setHidden(parts.blur, !media.preview);
  // Of a film without a picture of its own nothing is loaded before it is played.
  const shows = ready && (!isVideo || media.thumb || Boolean(media.local_thumb_url));
  setHidden(parts.image, !shows);
  if (shows) showWhenSeen(parts.image, mediaUrl(message, { thumb: true }));
  setHidden(parts.play, !isVideo || !ready || media.progress !== undefined);
  setHidden(parts.length, !isVideo || !media.duration);
  setText(parts.length.lastChild, durationText(media.duration));
  parts.progress.update(message);
  setAttribute(button, "data-action", ready ? "view" : null);
  button.disabled = !ready;
  setAttribute(button, "aria-label", labelOf(media, ready));
}

function labelOf(media, ready) {
  const word = media.kind === "video" ? "vídeo" : "foto";
  if (!ready) return `${word === "foto" ? "Foto" : "Vídeo"}, baixando`;
  return media.duration ? `Abrir ${word} de ${durationText(media.duration)}` : `Abrir ${word}`;
}
