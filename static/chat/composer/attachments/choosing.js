/** The computer's own dialog in which files are chosen. */

const ACCEPTED = { media: "image/*,video/mp4,video/3gpp,video/quicktime", audio: "audio/*" };

const inputs = new Map(); // what is wanted → its field, which a browser may forget when nobody holds it

/** `wanted`: "media", "audio", or any other word for files of all types; onFiles(files). */
export function chooseFiles(wanted, onFiles) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", multiple: true, accept: ACCEPTED[wanted] ?? "" });
  inputs.set(wanted, input);
  input.addEventListener("change", () => {
    if (input.files.length) onFiles([...input.files]);
  });
  input.click();
}

/** What was pasted as files; empty where words are meant: an office program puts a picture of them
 * beside. Pure but for reading the clipboard. */
export function pastedFiles({ clipboardData }) {
  const types = [...(clipboardData?.types ?? [])];
  const isWords = types.includes("text/plain") && (types.includes("text/html") || types.includes("text/rtf"));
  return isWords ? [] : [...(clipboardData?.files ?? [])].map(named);
}

/** Files out of what was dropped, and whether there was a folder among it, of which nothing is taken. */
export function droppedFiles({ dataTransfer }) {
  const entries = [...dataTransfer.items].filter(({ kind }) => kind === "file").map((item) => ({
    file: item.getAsFile(),
    isFolder: item.webkitGetAsEntry?.()?.isDirectory ?? false,
  }));
  const files = entries.filter(({ file, isFolder }) => file && !isFolder).map(({ file }) => file);
  return { files, hasFolder: entries.some(({ isFolder }) => isFolder) };
}

/** A picture out of the clipboard is called "image.png" by every browser: by its time it can be told
 * from the next one. */
function named(file) {
  if (!/^image\.\w+$/.test(file.name)) return file;
  const at = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  return new File([file], `Captura ${at}.${file.name.split(".").at(-1)}`, { type: file.type });
}
