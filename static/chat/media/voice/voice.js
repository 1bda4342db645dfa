/** A voice note, or a file of sound, in its bubble: play, its line, where it stands, how fast. */

import { createAvatar, updateAvatar } from "../../parts/avatar.js";
import { el, icon, setAttribute, setHidden, setText } from "../../parts/dom.js";
import { KIND_ICONS, durationText, isReady, spokenDuration } from "../../parts/media_format.js";
import { createProgress } from "../progress.js";
import { player } from "./player.js";
import { createWaveform } from "./waveform.js";

const PLAY = "M7 4.6v14.8a1 1 0 0 0 1.5.9l12.2-7.4a1 1 0 0 0 0-1.8L8.5 3.7A1 1 0 0 0 7 4.6Z";
const PAUSE = "M6 4h4v16H6V4Zm8 0h4v16h-4V4Z";
/** By arrow, and by the keys for a page (s). */
const STEP = 1;
const LEAP = 5;

/** node → draws it anew. Those in the page are asked when something plays; nothing holds the others. */
const drawings = new WeakMap();
player.addEventListener("change", ({ detail: id }) => {
  if (id === null) return;
  for (const node of document.querySelectorAll(`[data-voice="${CSS.escape(id)}"]`)) drawings.get(node)?.();
});

/** {node, update(message)}. */
export function createVoice() {
  const play = el("button", "voice-play", icon(PLAY));
  play.type = "button";
  const wave = createWaveform();
  const knob = el("span", "voice-knob");
  const line = el("div", "voice-line", wave.node, knob);
  line.setAttribute("role", "slider");
  line.setAttribute("aria-valuemin", "0");
  line.tabIndex = 0;
  const speed = el("button", "voice-speed");
  speed.type = "button";
  const avatar = createAvatar("voice-avatar");
  const sign = icon(KIND_ICONS.voice, "icon voice-sign");
  const face = el("div", "voice-face", avatar, sign, speed);
  const length = el("span", "voice-length");
  const name = el("span", "voice-name");
  name.dir = "auto";
  const failed = el("span", "voice-failed");
  failed.setAttribute("role", "status");
  const progress = createProgress();
  const node = el("div", "voice", face, play, el("div", "voice-body", name, line, length), failed, progress.node);
  const parts = { node, play, wave, line, speed, avatar, sign, length, name, failed, face };
  let message = null;

  const show = () => message && draw(parts, message);
  play.addEventListener("click", () => player.toggle(message));
  speed.addEventListener("click", () => player.faster());
  line.addEventListener("keydown", (event) => moveByKey(event, message));
  line.addEventListener("pointerdown", (event) => drag(event, line, () => message));
  drawings.set(node, show);

  return {
    node,
    update(next) {
      message = next;
      setAttribute(node, "data-voice", message.id);
      progress.update(message);
      show();
    },
  };
}

function draw({ node, play, wave, line, speed, avatar, sign, length, name, failed, face }, message) {
  const { media } = message;
  const isVoice = media.kind === "voice";
  const { isCurrent, isPlaying, isWaiting, at, duration, failed: hasFailed } = player.stateOf(message);
  const ready = isReady(media);
  wave.update(media.waveform);
  node.classList.toggle("of-file", !isVoice);
  setAttribute(sign.firstChild, "d", KIND_ICONS[media.kind]);
  node.classList.toggle("heard", message.direction === "out" || player.wasHeard(message));
  node.classList.toggle("waiting", isWaiting);
  const own = message.direction === "out";
  updateAvatar(avatar, { id: own ? (message.author?.name ?? "") : message.conversation_id, name: message.author?.name ?? "" });
  // In place of the face, while one listens.
  setHidden(speed, !isCurrent || (!isPlaying && at === 0));
  face.classList.toggle("covered", !speed.hidden);
  const rate = player.rate.toLocaleString("pt-BR");
  setText(speed, `${rate}×`);
  setAttribute(speed, "aria-label", `Velocidade ${rate}×. Mudar`);
  setText(name, isVoice ? "" : (media.filename ?? ""));
  setHidden(name, !name.textContent);
  setHidden(failed, !hasFailed);
  setText(failed, hasFailed ? "Não foi possível tocar. Tente novamente." : "");

  if (play.disabled !== !ready) play.disabled = !ready;
  setAttribute(play.querySelector("path"), "d", isPlaying ? PAUSE : PLAY);
  const what = isVoice ? "mensagem de voz" : "áudio";
  const long = duration ? `, ${spokenDuration(duration)}` : "";
  setAttribute(play, "aria-label", isPlaying ? `Pausar ${what}` : `Reproduzir ${what}${long}`);
  const share = duration ? Math.min(1, at / duration) : 0;
  line.style.setProperty("--played", `${(share * 100).toFixed(2)}%`);
  setAttribute(line, "aria-label", `Posição na ${isVoice ? "mensagem de voz" : "faixa"}`);
  setAttribute(line, "aria-disabled", ready && duration ? null : "true");
  setAttribute(line, "aria-valuemax", Math.round(duration));
  setAttribute(line, "aria-valuenow", Math.min(Math.round(at), Math.round(duration)));
  setAttribute(line, "aria-valuetext", `${durationText(at)} de ${durationText(duration)}`);
  setText(length, durationText(isCurrent && (isPlaying || at > 0) ? at : duration));
}

function moveByKey(event, message) {
  const { at, duration } = player.stateOf(message);
  if (!duration) return;
  const to = {
    ArrowLeft: at - STEP,
    ArrowRight: at + STEP,
    ArrowDown: at - STEP,
    ArrowUp: at + STEP,
    PageDown: at - LEAP,
    PageUp: at + LEAP,
    Home: 0,
    End: duration,
  }[event.key];
  if (to !== undefined) player.seek(message, to);
  else if (event.key === " " || event.key === "Enter") player.toggle(message);
  else return;
  event.preventDefault();
  event.stopPropagation(); // the thread scrolls by the same keys
}

/** A click goes there, and dragging along it. */
function drag(event, line, messageOf) {
  if (event.button !== 0 || !player.stateOf(messageOf()).duration) return;
  event.preventDefault();
  event.stopPropagation(); // no swipe, no long press
  line.focus({ preventScroll: true });
  line.setPointerCapture(event.pointerId);
  const go = ({ clientX }) => {
    const { left, width } = line.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (clientX - left) / width));
    player.seek(messageOf(), share * player.stateOf(messageOf()).duration);
  };
  go(event);
  const stop = new AbortController();
  line.addEventListener("pointermove", go, { signal: stop.signal });
  for (const type of ["pointerup", "pointercancel"]) {
    line.addEventListener(type, () => stop.abort(), { signal: stop.signal });
  }
}
