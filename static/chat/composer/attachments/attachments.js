/** Files on their way into the open conversation: from the "+" menu, pasted, or dropped; looked at,
 * given a caption, and sent. */

import { windowState } from "../../parts/format.js";
import { listenToDrops } from "./dropping.js";
import { chooseFiles, pastedFiles } from "./choosing.js";
import { Limits, MOST_FILES, judge, typeOf } from "./limits.js";
import { Preview } from "./preview.js";
import { probe } from "./probing.js";

const CLOSED = "Janela de 24 horas encerrada: o WhatsApp só aceita modelos aprovados.";
const TOO_MANY = `Até ${MOST_FILES} arquivos por vez: os demais ficaram de fora.`;
const DISCARD = "Descartar mensagem não enviada? Sua mensagem, incluindo os arquivos anexados, não será enviada se você sair desta tela.";
/** The limits are mostly here; files do not wait for a lost connection. */
const LIMITS_PATIENCE_MS = 2_000;
const LOOK_PATIENCE_MS = 1_500;

export class Attachments {
  #host;
  #limits;
  #preview;
  #batches = new Map(); // conversation id → {items, chosen, told, after, wanted}

  /**
   * `pane`: the thread's; `state`, `toast`; `now()`: the server's milliseconds; `emoji`, `memory`: the
   * Emoji and the EmojiMemory; fetchLimits(); confirm(text, yes). takeText(id): what the field holds
   * becomes the first caption, {text, after}; giveBackText(id, text); onSend(id, files, after), each
   * {caption, attached: {file, media, thumb}}.
   */
  constructor(pane, { emoji, memory, fetchLimits, ...host }) {
    this.#host = host;
    this.#limits = new Limits(fetchLimits);
    this.#preview = new Preview(pane, {
      emoji,
      memory,
      onMore: () => this.#choose(this.#wantedHere),
      onRemove: (item) => this.#remove(item),
      onSend: () => this.#send(),
      onLeave: () => this.#askToLeave(),
      onTyped: () => this.#renderState(),
    });
    listenToDrops(pane, {
      whyNot: () => this.whyNot(),
      onFiles: (files) => this.#add(files, this.#wantedHere),
      onTold: (words) => this.#tell(words),
      over: () => this.#preview.dialog,
    });
    document.addEventListener("paste", (event) => this.#pasted(event));
  }

  /** What the server takes, as far as it is known here; null until then. */
  get limits() {
    return this.#limits.known;
  }

  /** Whether closing the page would lose what was chosen. */
  get isAtRisk() {
    return this.#batches.size > 0;
  }

  /** Its entries in the "+" menu. `isAvailable()`: something can be sent. */
  offerIn(menu, isAvailable) {
    for (const [label, sign, wanted] of [
      ["Documento", "file", "document"], ["Fotos e vídeos", "photo", "media"], ["Áudio", "audio", "audio"],
    ]) {
      menu.add({ label, sign, run: () => this.#choose(wanted), isAvailable });
    }
  }

  /** With each drawing of the open conversation. */
  render({ id }) {
    const batch = this.#batches.get(id) ?? null;
    this.#preview.show(batch);
    if (batch) this.#renderState();
  }

  /** Another conversation is open: what was chosen for this one waits for it. */
  left() {
    this.#preview.show(null);
  }

  /** Why nothing can be sent to the open conversation now, in words; null when it can. */
  whyNot() {
    const { state, now } = this.#host;
    const conversation = state.conversation(state.selectedId);
    if (!conversation) return "Abra uma conversa para enviar arquivos.";
    return windowState(conversation, new Date(now())).state === "closed" ? CLOSED : null;
  }

  /** Messages with files that did not go out, to be looked at again: {file, a promise; media, text}. */
  async reopen(id, messages) {
    const found = await Promise.all(messages.map(async ({ file, media, text }) => ({ file: await file, media, text })));
    const items = found.filter(({ file }) => file).map(({ file, media, text }) => {
      const named = file.name ? file : new File([file], media.filename ?? "", { type: media.mime_type });
      return createItem(named, { kind: media.kind, note: "" }, { caption: text, waveform: media.waveform, duration: media.duration });
    });
    if (items.length < found.length) this.#host.toast.show("O arquivo não está mais neste navegador.");
    const { after } = this.#host.takeText(id, { isKept: true }); // what others answered is known by now
    this.#put(id, items, { begun: { text: "", after } });
  }

  merged(loser, winner) {
    const batch = this.#batches.get(loser);
    this.#batches.delete(loser);
    const there = this.#batches.get(winner);
    if (batch && there) there.items.push(...batch.items);
    else if (batch) this.#batches.set(winner, batch);
  }

  erased(id) {
    if (this.#batches.has(id)) this.#drop(id);
  }

  forget() {
    for (const id of [...this.#batches.keys()]) this.#drop(id);
    this.left();
  }

  get #id() {
    return this.#host.state.selectedId;
  }

  get #batch() {
    return this.#batches.get(this.#id) ?? null;
  }

  /** What is added to documents goes as one, too. */
  get #wantedHere() {
    return this.#batch?.wanted ?? null;
  }

  /** `wanted`: null takes any file, by its type. */
  #choose(wanted) {
    this.#limits.load(); // while somebody looks for the file
    chooseFiles(wanted ?? "any", (files) => this.#add(files, wanted));
  }

  #pasted(event) {
    if (event.defaultPrevented || this.#id === null || isElsewhere(event.target, this.#preview.dialog)) return;
    const files = pastedFiles(event);
    if (!files.length) return;
    event.preventDefault();
    this.#add(files, this.#wantedHere);
  }

  async #add(files, wanted) {
    const id = this.#id;
    const whyNot = this.whyNot();
    if (whyNot) {
      this.#tell(whyNot);
      return;
    }
    const patience = new Promise((resolve) => { setTimeout(resolve, LIMITS_PATIENCE_MS, null); });
    const limits = await Promise.race([this.#limits.load(), patience]);
    const room = MOST_FILES - (this.#batches.get(id)?.items.length ?? 0);
    const problems = [];
    const items = [];
    for (const file of files.slice(0, room)) {
      const fate = (await isReadable(file))
        ? judge(file, { wanted, limits })
        : { refusal: `${file.name || "O arquivo"} não pôde ser lido.` };
      if (fate.refusal) problems.push(fate.refusal);
      else items.push(createItem(file, fate));
    }
    if (files.length > room) problems.push(TOO_MANY);
    this.#put(id, items, { wanted: wanted === "document" ? wanted : null });
    if (problems.length) this.#tell(inFew(problems), id);
  }

  /** Adds items to what is chosen for a conversation, and shows it. `begun`: as takeText gives it. */
  #put(id, items, { wanted = null, begun = null } = {}) {
    if (!items.length) return;
    const batch = this.#batches.get(id);
    if (batch) {
      batch.items.push(...items);
      batch.told = null;
    } else {
      const { text, after } = begun ?? this.#host.takeText(id, { isKept: !takesCaption(items[0]) });
      items[0].caption ||= text;
      this.#batches.set(id, { items, chosen: items[0], told: null, after, wanted });
    }
    this.#batches.get(id).chosen = items[0];
    for (const item of items) item.looked = this.#look(id, item);
    this.#show(id);
  }

  /** Its size, its small picture: they come when they come. */
  async #look(id, item) {
    const kind = item.kind === "voice" ? "audio" : item.kind;
    const { thumb, ...facts } = await probe(item.file, kind, item.url);
    if (!this.#batches.get(id)?.items.includes(item)) return;
    Object.assign(item, { ...facts, ...(item.duration && { duration: item.duration }) });
    if (thumb) Object.assign(item, { thumb, thumbUrl: URL.createObjectURL(thumb) });
    if (item.isBroken && ["image", "video"].includes(item.kind)) {
      item.note ||= "O navegador não consegue mostrar este arquivo; o WhatsApp pode recusá-lo.";
    }
    this.#show(id);
  }

  #show(id) {
    if (id === this.#id) this.render({ id });
  }

  #renderState() {
    this.#preview.renderState({ whyNot: this.whyNot() });
  }

  #tell(words, id = this.#id) {
    const batch = this.#batches.get(id);
    if (batch) {
      batch.told = words;
      this.#show(id);
    } else this.#host.toast.show(words);
  }

  #remove(item) {
    const id = this.#id;
    const batch = this.#batch;
    const place = batch.items.indexOf(item);
    if (batch.items.length === 1) {
      this.#discard(id);
      return;
    }
    batch.items.splice(place, 1);
    release(item);
    if (batch.chosen === item) batch.chosen = batch.items[Math.min(place, batch.items.length - 1)];
    this.#show(id);
  }

  /** Not before it is known how large the pictures stand on the screen, which takes no time mostly: so
   * nothing jumps. */
  async #send() {
    const id = this.#id;
    const batch = this.#batch;
    if (!batch || batch.isSending || this.whyNot()) return;
    batch.isSending = true;
    const patience = new Promise((resolve) => { setTimeout(resolve, LOOK_PATIENCE_MS); });
    await Promise.race([Promise.all(batch.items.map(({ looked }) => looked)), patience]);
    if (this.#batches.get(id) !== batch) return;
    const files = batch.items.map((item) => ({
      caption: takesCaption(item) ? item.caption.trim() : "",
      attached: { file: item.file, media: mediaOf(item), thumb: item.thumb ?? null },
    }));
    this.#drop(id);
    if (id === this.#id) this.left();
    this.#host.onSend(id, files, batch.after);
  }

  async #askToLeave() {
    const id = this.#id;
    if (!(await this.#host.confirm(DISCARD, "Descartar"))) return;
    if (this.#batches.has(id)) this.#discard(id);
  }

  /** Nothing of it is sent; what was typed goes back into the field. */
  #discard(id) {
    const { items } = this.#batches.get(id);
    const text = items.map(({ caption }) => caption.trim()).filter(Boolean).join("\n");
    this.#drop(id);
    if (id === this.#id) this.left();
    this.#host.giveBackText(id, text);
  }

  #drop(id) {
    for (const item of this.#batches.get(id)?.items ?? []) release(item);
    this.#batches.delete(id);
  }
}

function createItem(file, { kind, note }, more = {}) {
  return { file, kind, note, caption: "", url: URL.createObjectURL(file), ...more };
}

function release({ url, thumbUrl }) {
  for (const each of [url, thumbUrl]) if (each) URL.revokeObjectURL(each);
}

/** As the API says it of a message. */
function mediaOf({ file, kind, width, height, duration, waveform }) {
  const measures = { width, height, duration, waveform };
  const known = Object.fromEntries(Object.entries(measures).filter(([, value]) => value));
  const named = ["document", "audio"].includes(kind) && file.name ? { filename: file.name } : {};
  return { kind, state: "ready", mime_type: typeOf(file), size: file.size, ...named, ...known };
}

const takesCaption = ({ kind }) => !["audio", "voice"].includes(kind);

/** Another field or dialog than the composer's, or this one's, was pasted into. */
function isElsewhere(target, preview) {
  if (preview?.contains(target)) return false;
  const field = target.closest?.("input, textarea, [contenteditable], dialog");
  return Boolean(document.querySelector("dialog:modal")) || Boolean(field && !field.matches(".composer-input"));
}

async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false; // a folder, or gone meanwhile
  }
}

function inFew(problems) {
  return problems.length > 2 ? `${problems.slice(0, 2).join(" ")} E mais ${problems.length - 2}.` : problems.join(" ");
}
