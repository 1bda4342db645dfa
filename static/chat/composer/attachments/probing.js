/** What a file shows: its size on screen, a small picture, how long it is. Nothing waits for it for
 * long, and what cannot be read goes without. */

const PATIENCE_MS = 8_000;
/** The longer side of the small picture (px). */
const THUMB = 480;
const THUMB_TYPE = "image/jpeg";

/** {width?, height?, duration?, thumb?: Blob}; `isBroken`: the browser cannot show it. `url`: an object
 * URL of the file; `kind`: "image", "video", "audio" or "document". */
export async function probe(file, kind, url) {
  const probes = { image: probeImage, video: probeVideo, audio: probeAudio };
  if (!probes[kind]) return {};
  const timeout = new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS, { isBroken: true }); });
  try {
    return await Promise.race([probes[kind](url), timeout]);
  } catch {
    return { isBroken: true };
  }
}

async function probeImage(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  return { width, height, thumb: await smaller(image, width, height) };
}

async function probeVideo(url) {
  const video = document.createElement("video");
  Object.assign(video, { preload: "auto", muted: true, playsInline: true, src: url });
  try {
    await once(video, "loadeddata");
    const { videoWidth: width, videoHeight: height, duration } = video;
    if (!width) throw new Error("no picture");
    video.currentTime = Math.min(0.5, (duration || 0) / 2);
    await once(video, "seeked");
    return { width, height, ...known(duration), thumb: await smaller(video, width, height) };
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

async function probeAudio(url) {
  const audio = new Audio();
  Object.assign(audio, { preload: "metadata", src: url });
  await once(audio, "loadedmetadata");
  return known(audio.duration);
}

const known = (duration) => (Number.isFinite(duration) && duration > 0 ? { duration } : {});

function once(node, type) {
  return new Promise((resolve, reject) => {
    node.addEventListener(type, resolve, { once: true });
    node.addEventListener("error", () => reject(node.error ?? new Error("unreadable")), { once: true });
  });
}

function smaller(source, width, height) {
  const scale = Math.min(1, THUMB / Math.max(width, height));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // behind what is see-through
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, THUMB_TYPE, 0.8); });
}
