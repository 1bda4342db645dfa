/** Loads a picture when it comes near the view, and lets go of it when it was scrolled past before
 * any of it came: a thread draws far more messages than are on screen. */

/** So much further than the view, where the browser can tell; else what is in it. */
const MARGIN = "300px 0px";

const wanted = new WeakMap(); // img -> the address that it is to show
let observer = null;

/** `img` shows `url` once it is near the view. A blob: address costs nothing, and is shown at once. */
export function showWhenSeen(img, url) {
  if (wanted.get(img) === url) return;
  const before = wanted.get(img);
  wanted.set(img, url);
  // What is on screen already goes on being seen: no picture blinks for a new address.
  if (url.startsWith("blob:") || (before && img.hasAttribute("src"))) {
    img.src = url;
    return;
  }
  observer ??= new IntersectionObserver(look, { rootMargin: MARGIN, scrollMargin: MARGIN });
  observer.observe(img);
}

/** It is asked for once more. */
export function showAgain(img) {
  img.removeAttribute("src");
  img.src = wanted.get(img);
}

function look(entries) {
  for (const { target: img, isIntersecting } of entries) {
    if (isIntersecting && !img.hasAttribute("src")) img.src = wanted.get(img);
    else if (!isIntersecting && img.hasAttribute("src") && !img.complete) img.removeAttribute("src");
    if (img.complete && img.naturalWidth > 0) observer.unobserve(img);
  }
}
