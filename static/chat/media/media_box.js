/** What a bubble has besides words: a picture, a voice note, a document, a sticker, a place, … */

import { el, icon, setAttribute, setHidden } from "../parts/dom.js";
import { KINDS, KIND_ICONS } from "../parts/media_format.js";
import { contactCards, contactsText, placeCard, placeText } from "./cards.js";
import { createDocument } from "./document.js";
import { createPicture } from "./pictures/picture.js";
import { createSticker } from "./sticker.js";
import { createVoice } from "./voice/voice.js";

const MAKERS = {
  image: createPicture,
  video: createPicture,
  sticker: createSticker,
  voice: createVoice,
  audio: createVoice,
  document: createDocument,
};
const GONE = "Não está mais disponível. Peça ao cliente que envie de novo.";

/** What of a message is drawn here: "image", …, "place", "contacts", "gone"; null for words alone. Pure. */
export function boxKind({ media, location, contacts, revoked_at: revoked }) {
  if (revoked) return null;
  if (MAKERS[media?.kind]) return media.state === "unavailable" && !media.local_url ? "gone" : media.kind;
  if (location) return "place";
  return contacts?.length ? "contacts" : null;
}

/** {node, update(message)}: `update` gives the kind, as `boxKind`. Parts stay as they are while the
 * kind does: what plays goes on playing. */
export function createMediaBox() {
  const node = el("div", "bubble-media");
  node.hidden = true;
  let kind = null;
  let part = null; // of this kind
  return {
    node,
    update(message) {
      const wanted = boxKind(message);
      if (wanted !== kind) {
        part = null;
        node.replaceChildren();
        kind = wanted;
        if (kind) {
          part = MAKERS[kind]?.() ?? createCard(kind);
          node.append(part.node);
        }
      }
      part?.update(message);
      setHidden(node, kind === null);
      setAttribute(node, "data-kind", kind);
      return kind;
    },
  };
}

/** What is drawn once from what a message says. */
function createCard(kind) {
  const node = el("div", `media-card ${kind}-card`);
  let drawn = "";
  return {
    node,
    update(message) {
      const { location, contacts, media } = message;
      const source = JSON.stringify([location, contacts, media?.kind, media?.explanation]);
      if (source === drawn) return;
      drawn = source;
      if (kind === "gone") return void node.replaceChildren(...goneParts(media));
      node.dataset.copy = kind === "place" ? placeText(location) : contactsText(contacts);
      node.replaceChildren(...(kind === "place" ? placeCard(location) : contactCards(contacts)));
    },
  };
}

function goneParts({ kind, explanation }) {
  const { word } = KINDS[kind];
  const sign = el("span", "gone-sign", icon(KIND_ICONS[kind]));
  const title = el("span", "gone-title", `${word} indisponível`);
  return [sign, el("span", "gone-words", title, el("span", "gone-why", explanation || GONE))];
}
