/** Voice notes: the microphone beside the field, one recording at a time, and what becomes of it. */

import { displayName } from "../../parts/format.js";
import { clickButton, ICONS, setHidden } from "../../parts/dom.js";
import { waveformOf } from "./levels.js";
import { Recorder, whyNoRecording, whyRefused } from "./recorder.js";
import { RecordingBar } from "./recording_bar.js";

const DISCARD = "Descartar mensagem de voz? Ela não será enviada.";
/** The bar and its waveform move this often. */
const TICK_MS = 60;
/** Less is a click by mistake. */
const LEAST_SECONDS = 0.5;
const TOO_SHORT = "Gravação curta demais: fale por pelo menos um segundo.";
/** Less than WhatsApp takes: as much as an hour. */
const MOST_BYTES = 15_500_000;
/** Levels are kept in these steps; of a long recording each stands for more time. */
const MOST_LEVELS = 4_000;

export class VoiceNotes {
  #host;
  #button;
  #bar;
  #now = null; // {id, recorder, levels, isBusy, after, timer}
  #isAsking = false; // for the microphone

  /**
   * `pane`: the thread's; `state`, `toast`; confirm(text, yes); whyNot(): why nothing can be sent now,
   * in words, or null; begin(id): what had arrived last, for the guard against collisions; onSend(id,
   * file, after), with a file as attachments.js gives it; onSelect(id): that conversation is to be
   * open; onEnd(): the focus is nowhere.
   */
  constructor(pane, host) {
    this.#host = host;
    const form = pane.querySelector(".composer");
    this.#button = clickButton("composer-button mic-button", "Gravar mensagem de voz", () => this.#start(), ICONS.mic);
    form.querySelector(".send-button").before(this.#button);
    this.#bar = new RecordingBar(form, {
      onDelete: () => this.#end(),
      onPause: () => this.#pause(),
      onResume: () => this.#resume(),
      onSend: () => this.#send(),
      onListen: () => this.#now.recorder.soFar(),
    });
  }

  /** Whether closing the page would lose a recording. */
  get isAtRisk() {
    return this.#now !== null;
  }

  /** With each drawing of the open conversation. `isOpen`: something can be sent. While there is a
   * text, the arrow stands in the microphone's place: see voice.css. */
  render({ isOpen }) {
    setHidden(this.#button, !isOpen);
    this.#draw();
  }

  /** Escape was pressed: whether there is a recording here, about which is asked. */
  escape() {
    if (!this.#isHere) return false;
    setTimeout(() => this.#askToEnd()); // or the same key would close the dialog as it opens
    return true;
  }

  /** Another conversation is open, or none: what is being recorded rests, and is asked about. */
  async left() {
    const { state, confirm, onSelect } = this.#host;
    if (!this.#now || this.#isHere) return;
    const { recorder, id } = this.#now;
    this.#pause();
    this.#bar.render(null);
    if (this.#now.isLeft) return; // is being asked already
    this.#now.isLeft = true;
    const name = displayName(state.conversation(id));
    const isOver = await confirm(`A mensagem de voz para ${name} não foi enviada. Descartar?`, "Descartar");
    if (this.#now?.recorder !== recorder) return;
    this.#now.isLeft = false;
    if (isOver) this.#end();
    else onSelect(state.resolve(id));
  }

  merged(loser, winner) {
    if (this.#now?.id === loser) this.#now.id = winner;
  }

  erased(id) {
    if (this.#now?.id === id) this.#end();
  }

  forget() {
    this.#end();
  }

  get #isHere() {
    return this.#now !== null && this.#now.id === this.#host.state.selectedId;
  }

  async #start() {
    const { state, toast, whyNot, begin } = this.#host;
    const id = state.selectedId;
    const reason = whyNot() ?? whyNoRecording();
    if (reason) toast.show(reason);
    if (reason || this.#now || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const recorder = await Recorder.start({ onEnded: () => this.#draw() });
      if (state.selectedId !== id) {
        recorder.cancel();
        return;
      }
      const timer = setInterval(() => this.#tick(), TICK_MS);
      this.#now = { id, recorder, levels: [], every: 1, ticks: 0, isBusy: false, after: begin(id), timer };
      this.#draw();
      this.#bar.focus();
    } catch (error) {
      toast.show(whyRefused(error));
    } finally {
      this.#isAsking = false;
    }
  }

  #tick() {
    const now = this.#now;
    const { recorder } = now;
    if (recorder.isRecording) {
      now.ticks += 1;
      if (now.ticks % now.every === 0) now.levels.push(recorder.level);
      if (now.levels.length > MOST_LEVELS) {
        now.levels = now.levels.filter((_, place) => place % 2 === 0);
        now.every *= 2;
      }
      if (recorder.bytes > MOST_BYTES) {
        this.#pause();
        this.#host.toast.show("A gravação chegou ao limite do WhatsApp. Envie-a para gravar outra.");
      }
    }
    if (recorder.isRecording || this.#bar.isPlaying) this.#draw();
  }

  #draw() {
    if (!this.#isHere) {
      this.#bar.render(null);
      return;
    }
    const { recorder, levels, isBusy } = this.#now;
    const { isRecording, canResume, seconds } = recorder;
    this.#bar.render({ isRecording, canResume, seconds, levels, isBusy });
  }

  #pause() {
    this.#now?.recorder.pause();
    this.#draw();
  }

  #resume() {
    this.#bar.stopPlaying();
    this.#now?.recorder.resume();
    this.#draw();
  }

  async #askToEnd() {
    if (!this.#isHere) return;
    const { recorder } = this.#now;
    this.#pause();
    if (await this.#host.confirm(DISCARD, "Descartar") && this.#now?.recorder === recorder) this.#end();
    else if (this.#isHere) this.#bar.focus();
  }

  #end() {
    if (!this.#now) return;
    const { recorder, timer } = this.#now;
    const wasHere = this.#isHere;
    clearInterval(timer);
    recorder.cancel();
    this.#now = null;
    this.#draw();
    if (wasHere) this.#host.onEnd();
  }

  async #send() {
    const now = this.#now;
    const { toast, whyNot, onSend, onEnd } = this.#host;
    const reason = whyNot();
    if (reason) toast.show(reason);
    if (!now || now.isBusy || reason) return;
    now.isBusy = true;
    const { id, recorder, levels, after, timer } = now;
    const file = await recorder.finish();
    const { seconds } = recorder;
    clearInterval(timer);
    if (this.#now !== now) return;
    this.#now = null;
    this.#draw();
    if (seconds < LEAST_SECONDS || file.size === 0) toast.show(TOO_SHORT);
    else {
      const facts = { duration: Math.round(seconds * 10) / 10, waveform: waveformOf(levels) };
      const media = { kind: "voice", state: "ready", mime_type: file.type, size: file.size, ...facts };
      onSend(id, { caption: "", attached: { file, media, thumb: null } }, after);
    }
    if (id === this.#host.state.selectedId) onEnd();
  }
}
