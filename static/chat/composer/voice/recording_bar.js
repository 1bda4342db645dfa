/** The bar in place of the field while a voice note is recorded: time, waveform, what can be done. */

import { ICONS, clickButton, el, icon, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { durationText, spokenDuration } from "../../parts/media_format.js";
import { barsOf, waveformOf } from "./levels.js";

const BAR_STEP_PX = 4;
const BAR_PX = 2;

export class RecordingBar {
  #node;
  #parts;
  #player = new Audio();
  #url = null;

  /** `form`: the composer's, in which it stands. onDelete(), onPause(), onResume(), onSend(),
   * onListen(): what is recorded is to be heard. */
  constructor(form, { onDelete, onPause, onResume, onSend, onListen }) {
    const dot = el("span", "recording-dot");
    dot.setAttribute("aria-hidden", "true");
    const time = el("span", "recording-time");
    time.setAttribute("role", "timer");
    const canvas = el("canvas", "recording-wave");
    canvas.setAttribute("aria-hidden", "true");
    const state = el("span", "visually-hidden");
    state.setAttribute("role", "status");
    const play = clickButton("composer-button recording-play", "Ouvir a gravação", () => this.#toggle(onListen), ICONS.play);
    const pause = clickButton("composer-button recording-pause", "Pausar gravação", onPause, ICONS.pause);
    const resume = clickButton("composer-button recording-pause", "Continuar gravação", onResume, ICONS.mic);
    const send = clickButton("composer-button send-button recording-send", "Enviar", onSend, ICONS.send);
    const remove = clickButton("composer-button recording-delete", "Excluir gravação", onDelete, ICONS.trash);
    this.#parts = { dot, time, canvas, state, play, pause, resume, send };
    this.#node = el("div", "recording-bar", remove, play, dot, time, canvas, state, pause, resume, send);
    this.#node.setAttribute("role", "group");
    this.#node.setAttribute("aria-label", "Gravação de mensagem de voz");
    this.#node.hidden = true;
    form.querySelector(".composer-box").after(this.#node);
    for (const type of ["play", "pause", "ended"]) this.#player.addEventListener(type, () => this.#renderPlayer());
  }

  get isPlaying() {
    return !this.#player.paused;
  }

  /** Seconds of what is being listened to. */
  get position() {
    return this.#player.currentTime;
  }

  focus() {
    this.#parts.send.focus({ preventScroll: true });
  }

  /** `recording`: {isRecording, canResume, seconds, levels, isBusy}; null hides it. */
  render(recording) {
    const { dot, time, state, pause, resume, send } = this.#parts;
    const focused = this.#node.contains(document.activeElement) ? document.activeElement : null;
    setHidden(this.#node, !recording);
    this.#node.closest("form").classList.toggle("recording", Boolean(recording));
    if (!recording) {
      this.stopPlaying();
      return;
    }
    const { isRecording, canResume, seconds, levels, isBusy } = recording;
    setHidden(dot, !isRecording);
    setHidden(pause, !isRecording);
    setHidden(resume, isRecording || !canResume);
    setHidden(this.#parts.play, isRecording);
    if (focused?.hidden) (isRecording ? pause : (canResume ? resume : send)).focus({ preventScroll: true });
    if (send.disabled !== isBusy) send.disabled = isBusy;
    const shown = this.isPlaying ? this.position : Math.floor(seconds);
    setText(time, shown ? durationText(shown) : "0:00");
    setAttribute(time, "aria-label", spokenDuration(shown));
    setText(state, isRecording ? "Gravando" : `Gravação em pausa, ${spokenDuration(seconds)}`);
    this.#draw(levels, { isRecording, part: this.isPlaying ? this.position / seconds : null });
  }

  stopPlaying() {
    this.#player.pause();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
    this.#player.removeAttribute("src");
  }

  async #toggle(onListen) {
    if (this.isPlaying) {
      this.#player.pause();
      return;
    }
    if (!this.#url) {
      this.#url = URL.createObjectURL(await onListen());
      this.#player.src = this.#url;
    }
    this.#player.play().catch(() => {}); // taken away meanwhile
  }

  #renderPlayer() {
    const { play } = this.#parts;
    const label = this.isPlaying ? "Pausar" : "Ouvir a gravação";
    setAttribute(play, "aria-label", label);
    play.title = label;
    play.replaceChildren(icon(this.isPlaying ? ICONS.pause : ICONS.play));
  }

  /** While it is recorded the newest at the right; afterwards all of it, and where one listens. */
  #draw(levels, { isRecording, part }) {
    const { canvas } = this.#parts;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const all = waveformOf(levels, Math.max(1, Math.floor(width / BAR_STEP_PX))).map((each) => each / 100);
    const bars = barsOf(isRecording ? levels : all, { width, height, step: BAR_STEP_PX });
    for (const { x, height: tall } of bars) {
      context.fillStyle = part !== null && x / width <= part ? style.accentColor : style.color;
      context.fillRect(x, (height - tall) / 2, BAR_PX, tall);
    }
  }
}
