/** The line of a sound: how loud it is, drawn as bars, and how much of it was played. */

import { setAttribute } from "../../parts/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const BARS = 64;
const STEP = 4;
const HEIGHT = 28;
const LEAST = 2; // of silence, a dot

/** A path of `bars` bars on a grid of `bars` × 4 by 28. `waveform`: numbers of 0 to 100, of any
 * count; none for a sound whose loudness nobody knows: dots. Pure. */
export function wavePath(waveform, bars = BARS) {
  const levels = Array.isArray(waveform) && waveform.length ? waveform : [0];
  let path = "";
  for (let bar = 0; bar < bars; bar += 1) {
    const from = Math.floor((bar * levels.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * levels.length) / bars));
    const level = Math.max(...levels.slice(from, to).map((each) => Math.max(0, Math.min(100, Number(each) || 0))));
    const half = Math.max(LEAST, (level / 100) * (HEIGHT - LEAST)) / 2;
    path += `M${bar * STEP + STEP / 2} ${(HEIGHT / 2 - half).toFixed(1)}v${(half * 2).toFixed(1)}`;
  }
  return path;
}

/** {node, update(waveform)}; how much was played is the `--played` of an element round it. */
export function createWaveform() {
  const node = document.createElement("span");
  node.className = "waveform";
  node.setAttribute("aria-hidden", "true");
  const paths = ["wave-all", "wave-played"].map((name) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${BARS * STEP} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("class", name);
    const path = document.createElementNS(SVG, "path");
    svg.append(path);
    node.append(svg);
    return path;
  });
  return {
    node,
    update(waveform) {
      const path = wavePath(waveform);
      for (const each of paths) setAttribute(each, "d", path);
    },
  };
}
