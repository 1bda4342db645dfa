/** Photos and films over the whole screen, one after the other, as far as the chat is loaded. */

import { createAvatar, updateAvatar } from "../../parts/avatar.js";
import { BackStep } from "../../parts/back_step.js";
import { onClosed } from "../../parts/dialogs.js";
import { ICONS, clickButton, el, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { displayName, isSeen, momentText } from "../../parts/format.js";
import { isReady, isVisual, mediaUrl } from "../../parts/media_format.js";
import { richTextNodes } from "../../parts/rich_text.js";
import { SAVE } from "../document.js";
import { saveFile } from "../saving.js";
import { player } from "../voice/player.js";
import { Strip } from "./strip.js";
import { Zoom } from "./zoom.js";

const LEFT = "m14.6 5 1.4 1.4L10.4 12l5.6 5.6-1.4 1.4-7-7 7-7Z";
const RIGHT = "M9.4 5 8 6.4l5.6 5.6L8 17.6 9.4 19l7-7-7-7Z";
const SHOW = "M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2H8l-4.6 3.7A.9.9 0 0 1 2 21V5a2 2 0 0 1 2-2Zm8 3.5-4 4 1.3 1.3L11 10v4.5h2V10l1.7 1.8L16 10.5l-4-4Z";
/** The one before the first is looked for this many pages up at once. */
const MAX_PAGES = 5;
const FAILED = "Não foi possível carregar. Verifique a conexão e tente novamente.";

export class Viewer {
  #host;
  #dialog;
  #parts;
  #zoom;
  #strip;
  #step = new BackStep("viewer", () => this.#dialog.close(), () => false, { always: true });
  #conversationId = null; // whose pictures are shown; null: it is closed
  #id = null; // the message's that is shown
  #left = false; // the page goes on to something else

  /** `state`; shown(message): with what only this page has of it; `now()`: the server's milliseconds;
   * loadUntil: see `Loader`; onForward(message); onJump(messageId): it is to be shown in the thread. */
  constructor(host) {
    this.#host = { shown: (message) => message, ...host };
    this.#parts = this.#create();
    this.#strip = new Strip({ onPick: (id) => this.#show(id) });
    this.#dialog = this.#build();
    document.body.append(this.#dialog);
    this.#zoom = new Zoom(this.#parts.stage, { onSwipe: (step) => this.#go(step) });
    onClosed(this.#dialog, () => this.#closed());
    this.#dialog.addEventListener("keydown", (event) => this.#keyDown(event));
  }

  /** Shows this one of the open conversation. */
  open(conversationId, messageId) {
    player.pause();
    this.#conversationId = conversationId;
    this.#left = false;
    if (!this.#dialog.open) {
      this.#dialog.showModal();
      this.#step.opened();
    }
    this.#show(messageId);
    this.#dialog.focus();
  }

  /** With each drawing of the page: pictures come and go. `id`: the open conversation's, or null. */
  render(id) {
    if (this.#conversationId === null) return;
    if (id !== this.#conversationId) {
      this.#left = true;
      this.#dialog.close();
      return;
    }
    const messages = this.#messages();
    if (messages.some((each) => each.id === this.#id)) this.#draw(messages);
    else if (messages.length) this.#show(messages.at(-1).id); // it was deleted
    else this.#dialog.close();
  }

  #messages() {
    const { messages } = this.#host.state.thread(this.#conversationId);
    return messages.map((each) => this.#host.shown(each)).filter((each) => isVisual(each) && isReady(each.media));
  }

  #create() {
    const avatar = createAvatar("small");
    const stage = el("div", "viewer-stage");
    const step = (label, sign, by) => clickButton("viewer-step", label, () => this.#go(by), sign);
    const act = (label, sign, run) => clickButton("icon-button", label, () => run(this.#current()), sign);
    const parts = {
      avatar,
      name: el("span", "viewer-name"),
      when: el("span", "viewer-when"),
      stage,
      picture: el("div", "viewer-picture"),
      failed: el("p", "viewer-failed", FAILED),
      caption: el("div", "viewer-caption"),
      before: step("Anterior", LEFT, -1),
      after: step("Próxima", RIGHT, 1),
      jump: act("Ir para a mensagem", SHOW, ({ id }) => this.#jump(id)),
      save: act("Baixar", SAVE, (message) => saveFile(message)),
      forward: act("Encaminhar", ICONS.forwarded, (message) => this.#host.onForward(message)),
      close: clickButton("icon-button", "Fechar", () => this.#dialog.close(), ICONS.close),
    };
    for (const each of [parts.name, parts.caption]) each.dir = "auto";
    parts.failed.setAttribute("role", "status");
    return parts;
  }

  #build() {
    const { avatar, name, when, stage, picture, failed, caption, before, after, jump, save, forward, close } = this.#parts;
    stage.append(picture, failed);
    const who = el("div", "viewer-who", avatar, el("div", "viewer-words", name, when));
    const head = el("header", "viewer-head", who, jump, save, forward, close);
    const dialog = el("dialog", "viewer", head, el("div", "viewer-middle", before, stage, after), caption, this.#strip.node);
    dialog.setAttribute("aria-label", "Visualizador de mídia");
    dialog.tabIndex = -1; // the keys are its own; a film's are the film's
    // A click beside the picture closes it, as in WhatsApp.
    stage.addEventListener("click", ({ target }) => {
      if ((target === stage || target === picture) && this.#zoom.scale === 1) dialog.close();
    });
    return dialog;
  }

  #current() {
    const message = this.#host.state.thread(this.#conversationId).find(this.#id);
    return message && this.#host.shown(message);
  }

  async #go(step) {
    const [chat, from] = [this.#conversationId, this.#id];
    const isWanted = () => this.#conversationId === chat && this.#id === from;
    const next = () => {
      const messages = this.#messages();
      return messages[messages.findIndex(({ id }) => id === from) + step];
    };
    if (step < 0 && !next()) await this.#host.loadUntil(chat, next, isWanted, MAX_PAGES);
    if (isWanted() && next()) this.#show(next().id);
  }

  #show(id) {
    this.#id = id;
    const message = this.#current();
    if (!message) return;
    const { picture, failed } = this.#parts;
    setHidden(failed, true);
    this.#empty();
    const isVideo = message.media.kind === "video";
    picture.append(...(isVideo ? [this.#film(message)] : this.#photo(message)));
    this.#zoom.take(isVideo ? null : picture.lastChild);
    this.#draw(this.#messages());
    if (!this.#dialog.contains(document.activeElement)) this.#dialog.focus();
  }

  /** The small one, which is here already, until the large one has come. */
  #photo(message) {
    const { width, height } = message.media;
    const large = el("img", "viewer-image");
    large.alt = isSeen(message.text) ? message.text : "Foto";
    large.draggable = false;
    if (width && height) Object.assign(large, { width, height });
    large.addEventListener("load", () => large.classList.add("loaded"));
    large.addEventListener("error", () => setHidden(this.#parts.failed, !large.isConnected));
    large.style.backgroundImage = `url("${mediaUrl(message, { thumb: true })}")`;
    large.src = mediaUrl(message);
    return [large];
  }

  #film(message) {
    const { width, height, thumb } = message.media;
    const film = el("video", "viewer-film");
    Object.assign(film, { controls: true, autoplay: true, playsInline: true, preload: "metadata" });
    if (width && height) Object.assign(film, { width, height });
    if (thumb) film.poster = mediaUrl(message, { thumb: true });
    film.addEventListener("error", () => setHidden(this.#parts.failed, !film.isConnected));
    film.setAttribute("aria-label", isSeen(message.text) ? `Vídeo: ${message.text}` : "Vídeo");
    film.src = mediaUrl(message);
    return film;
  }

  #draw(messages) {
    const message = this.#current();
    const { state, now } = this.#host;
    const conversation = state.conversation(this.#conversationId) ?? {};
    const { avatar, name, when, caption, before, after, forward } = this.#parts;
    const own = message.direction === "out";
    const who = own || conversation.is_group ? message.author?.name : displayName(conversation);
    updateAvatar(avatar, own ? { id: who ?? "", name: who } : { ...conversation, name: who });
    setText(name, isSeen(who) ? who : "Você");
    setText(when, momentText(message.sent_at, new Date(now())));
    const words = isSeen(message.text) ? message.text : "";
    if (caption.dataset.source !== words) {
      caption.dataset.source = words;
      caption.replaceChildren(...richTextNodes(words));
    }
    setHidden(caption, !words);
    const place = messages.findIndex(({ id }) => id === this.#id);
    before.disabled = place <= 0 && state.thread(this.#conversationId).next === null;
    after.disabled = place >= messages.length - 1;
    setHidden(forward, message.media.state !== "ready");
    const counted = `${message.media.kind === "video" ? "Vídeo" : "Foto"} ${place + 1} de ${messages.length}`;
    setAttribute(this.#dialog, "aria-label", `Visualizador de mídia: ${counted}`);
    this.#strip.render(messages, this.#id);
  }

  #jump(messageId) {
    this.#dialog.close();
    this.#host.onJump(messageId);
  }

  #keyDown(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const inFilm = event.target.matches("video");
    const run = {
      ArrowLeft: !inFilm && (() => this.#go(-1)),
      ArrowRight: !inFilm && (() => this.#go(1)),
      Home: !inFilm && (() => this.#show(this.#messages()[0].id)),
      End: !inFilm && (() => this.#show(this.#messages().at(-1).id)),
      "+": () => this.#zoom.larger(),
      "=": () => this.#zoom.larger(),
      "-": () => this.#zoom.smaller(),
      0: () => this.#zoom.reset(),
    }[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  /** What played goes on nowhere, and what was on its way is not waited for. */
  #empty() {
    const { picture } = this.#parts;
    const film = picture.querySelector("video");
    film?.pause();
    film?.removeAttribute("src");
    film?.load();
    picture.replaceChildren();
  }

  #closed() {
    this.#zoom.take(null);
    this.#empty();
    this.#strip.clear();
    this.#conversationId = null;
    this.#step.closed({ left: this.#left });
  }
}
