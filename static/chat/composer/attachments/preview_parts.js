/** What the preview draws of a file: large, and small in the strip. */

import { ICONS, clickButton, el, icon, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { KINDS, KIND_ICONS, durationText, extensionOf, fileFacts } from "../../parts/media_format.js";

const NONE = "Prévia indisponível";

/** `show(item)`: see preview.js; null empties it, so that nothing plays on. */
export function createStage() {
  const node = el("div", "attach-stage");
  let shown = null;
  return {
    node,
    show(item) {
      const key = item && `${item.url} ${item.kind} ${item.isBroken ?? ""}`;
      if (key === shown) return;
      shown = key;
      node.replaceChildren(...(item ? [large(item)] : []));
    },
  };
}

function large(item) {
  const { url, kind, file, isBroken } = item;
  if (kind === "image" && !isBroken) {
    const image = el("img", "attach-large");
    Object.assign(image, { src: url, alt: file.name || KINDS.image.word, draggable: false });
    return image;
  }
  if (kind === "video" && !isBroken) {
    const video = el("video", "attach-large");
    Object.assign(video, { src: url, controls: true, playsInline: true, preload: "metadata" });
    video.setAttribute("aria-label", file.name || KINDS.video.word);
    return video;
  }
  const sheet = el("div", "attach-sheet", icon(KIND_ICONS[kind], "icon attach-sign"));
  if (["audio", "voice"].includes(kind)) {
    const audio = el("audio", "attach-audio");
    Object.assign(audio, { src: url, controls: true, preload: "metadata" });
    audio.setAttribute("aria-label", file.name || KINDS[kind].word);
    sheet.append(audio);
  } else {
    const facts = fileFacts({ filename: file.name, mime_type: file.type, size: file.size });
    sheet.append(el("p", "attach-none", NONE), el("p", "attach-none-facts", facts));
  }
  return sheet;
}

/** A file in the strip. `update(item, {name, place, of, isChosen})`. onChoose(), onRemove(). */
export function createThumb({ onChoose, onRemove }) {
  const image = el("img", "attach-small");
  image.alt = "";
  image.draggable = false;
  const sign = el("span", "attach-kind");
  const length = el("span", "attach-length");
  const choose = el("button", "attach-thumb", image, sign, length);
  choose.type = "button";
  choose.addEventListener("click", onChoose);
  const remove = clickButton("attach-remove", "Remover", onRemove, ICONS.close);
  const node = el("li", "attach-item", choose, remove);
  let drawn = null;
  return {
    node,
    update(item, { name, place, of, isChosen }) {
      const picture = item.isBroken ? null : item.thumbUrl;
      setHidden(image, !picture);
      if (picture && image.getAttribute("src") !== picture) image.src = picture;
      setHidden(sign, Boolean(picture));
      const key = `${item.kind} ${extensionOf({ filename: item.file.name, mime_type: item.file.type })}`;
      if (drawn !== key) {
        drawn = key;
        sign.replaceChildren(icon(KIND_ICONS[item.kind]));
      }
      setText(length, item.kind !== "image" && item.duration ? durationText(item.duration) : "");
      setAttribute(choose, "aria-current", isChosen ? "true" : null);
      setAttribute(choose, "tabindex", isChosen ? "0" : "-1");
      setAttribute(choose, "aria-label", `${name}, ${place} de ${of}`);
      setAttribute(choose, "title", name);
      setAttribute(remove, "aria-label", `Remover ${name}`);
    },
  };
}
