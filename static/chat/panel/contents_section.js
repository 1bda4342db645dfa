/** What a chat holds, as far up as its messages were read: a few of its pictures, the way to all media,
 * links and documents, and who had it when. */

import { clickButton, el, icon, reconcile, setAttribute, setHidden, setText } from "../parts/dom.js";
import { dayKey, momentText } from "../parts/format.js";
import { SIGNS } from "../organizing/signs.js";
import { ChatReader, contentsOf } from "./chat_contents.js";
import { ContentsView } from "./contents_view.js";
import { Pictures } from "./pictures.js";

/** Of each list, until more are asked for. */
const FEW = 4;

export class ContentsSection {
  /** The pictures, and who attended. */
  media;
  lines;
  /** The view of all of it, which lies over the panel. */
  view;

  #host;
  #reader = null;
  #id = null;
  #isNew = false; // nothing was read for it yet
  #drawn = null; // what it was drawn from: {messages, day, all}
  #showsAll = false; // who attended: everything
  #parts;
  #pictures;

  /** `api`; `thread(id)`: a conversation's thread; `onJump(messageId)`: it is to be shown in the
   * thread; `onView(message)`: this picture, over the whole screen; `onChange()`: draw again. */
  constructor({ api, thread, onJump, onView, onChange }) {
    this.#host = { api, thread, onChange };
    this.view = new ContentsView({ onJump, onView, onMore: () => this.#reader?.readMore() });
    this.#pictures = new Pictures({ onView });
    const open = el("button", "contents-open", el("span", "", "Mídia, links e docs"), icon(SIGNS.chevron));
    open.type = "button";
    open.addEventListener("click", () => {
      this.view.open(open);
      this.#drawn = null;
      onChange();
    });
    const few = el("div", "contents-few");
    this.media = el("section", "panel-section contents-media", open, few);
    const now = el("p", "contents-now");
    const items = el("ul", "contents-list");
    const none = el("p", "panel-soft", "Ninguém assumiu nem passou esta conversa.");
    const more = clickButton("link-button", "", () => {
      this.#showsAll = true;
      onChange();
    });
    now.hidden = true;
    this.lines = el("section", "panel-section panel-foot", el("h3", "", "Quem atendeu"), now, items, none, more);
    this.#parts = { few, now, items, none, more };
  }

  onEvent({ type, data }) {
    if (type === "message.updated") this.#reader?.learn(data.message);
  }

  render(id, ownerWords, now) {
    if (id !== this.#id) {
      this.#id = id;
      this.#showsAll = false;
      this.#drawn = null;
      this.view.close({ left: true });
      const { api, thread, onChange } = this.#host;
      this.#reader = new ChatReader(id, { api, thread: () => thread(id), onChange });
      this.#isNew = true;
    }
    const reader = this.#reader;
    if (this.#isNew && this.#host.thread(id).loaded) {
      this.#isNew = false;
      reader.readMore(); // one page further than what is on screen
    }
    const { messages } = reader;
    const drawn = { messages, day: dayKey(now), all: this.#showsAll };
    if (Object.keys(drawn).some((name) => drawn[name] !== this.#drawn?.[name])) {
      this.#drawn = drawn;
      const contents = contentsOf(messages);
      this.#draw(contents, now);
      this.view.draw(contents, now);
    }
    setText(this.#parts.now, ownerWords);
    setHidden(this.#parts.now, !ownerWords);
    this.view.tellHowFar(reader, now);
  }

  /** The conversation is no more: nothing of it stays here. */
  erased(id) {
    if (id !== this.#id) return;
    this.#id = null;
    this.#reader = null;
    this.view.close({ left: true });
    const nothing = contentsOf([]);
    this.#draw(nothing, new Date());
    this.view.draw(nothing, new Date());
  }

  #draw({ media, lines }, now) {
    const { few, items, none, more } = this.#parts;
    reconcile(few, this.#pictures.nodes(media.slice(0, FEW).map(({ message }) => message)));
    setHidden(few, media.length === 0);
    const shown = this.#showsAll ? lines : lines.slice(0, FEW);
    items.replaceChildren(...shown.map(({ message, text }) => el("li", "", el(
      "span",
      "contents-words",
      el("span", "contents-text", text),
      el("span", "panel-soft", momentText(message.sent_at, now)),
    ))));
    setHidden(none, lines.length > 0);
    setHidden(more, shown.length === lines.length);
    setText(more, `Mostrar tudo (${lines.length})`);
    setAttribute(few, "aria-label", "Mídia mais recente");
    setAttribute(few, "role", "group");
  }
}
