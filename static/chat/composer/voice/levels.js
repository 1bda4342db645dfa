/** How loud a recording was over its time. Pure. */

/** Numbers of a waveform, as the API has them. */
export const WAVEFORM = 64;

/** 64 numbers of 0 to 100, the loudest 100, out of levels (0 to 1) at even steps of time; the peak of
 * each part. Silence is a flat line. */
export function waveformOf(levels, count = WAVEFORM) {
  const parts = Array.from({ length: count }, (_, place) => {
    const from = Math.floor((place * levels.length) / count);
    const to = Math.max(from + 1, Math.floor(((place + 1) * levels.length) / count));
    return Math.max(0, ...levels.slice(from, to));
  });
  const most = Math.max(...parts);
  return parts.map((part) => (most > 0.01 ? Math.round((part / most) * 100) : 0));
}

/** The newest of them as a drawing: [{x, height}] from the right edge, in px. */
export function barsOf(levels, { width, height, step }) {
  const shown = levels.slice(-Math.floor(width / step));
  return shown.map((level, place) => ({
    x: width - (shown.length - place) * step,
    height: Math.max(2, Math.round(Math.min(1, level) * height)),
  }));
}
