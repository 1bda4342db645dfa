/** Media leave the page: as a file, or by the clipboard. */

import { fileNameOf, mediaUrl } from "../parts/media_format.js";

/** The browser keeps it as a file. */
export function saveFile(message) {
  const link = document.createElement("a");
  link.href = mediaUrl(message, { download: true });
  link.download = fileNameOf(message);
  document.body.append(link);
  link.click();
  link.remove();
}

/** Puts a picture into the clipboard, as the PNG that every program takes; throws where the browser
 * does not let it, or the picture does not come. */
export async function copyImage(message) {
  // The promise inside: Safari forgets the click while one waits for the picture.
  await navigator.clipboard.write([new ClipboardItem({ "image/png": pngOf(mediaUrl(message)) })]);
}

async function pngOf(url) {
  const response = await fetch(url, { credentials: "same-origin" });
  if (!response.ok) throw new Error("no picture");
  const blob = await response.blob();
  if (blob.type === "image/png") return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return new Promise((resolve, reject) => {
    canvas.toBlob((png) => (png ? resolve(png) : reject(new Error("no picture"))), "image/png");
  });
}
