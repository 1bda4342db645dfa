/** The browser's steps between the list and the conversations. On a phone the thread lies over the
 * list: there Back leads from it to the list, whatever was open before. */

import { writeAddress } from "../../unread_state.js";

const covered = matchMedia("(max-width: 760px)"); // the same width as in layout.css
let isLeaving = false; // on the way back to the list, which takes a moment
window.addEventListener("popstate", () => { isLeaving = false; });

const isAboveList = () => history.state?.aboveList === true;

/** Before the screen goes from one conversation to another (null: the list). `how`: see `select` in
 * unread_state.js, which leaves an address alone that says already what is shown. */
export function stepTo(to, { from, how }) {
  if (how === "back" || to === from) return; // the browser is there already
  if (how === "click" && !(covered.matches && from !== null)) {
    writeAddress("pushState", { aboveList: from === null }, to);
  } else if (how !== "click" && covered.matches && !isAboveList()) {
    writeAddress("replaceState", null, null); // a link, or a kept one, has no list below it yet
    writeAddress("pushState", { aboveList: true }, to);
  } else {
    writeAddress("replaceState", { aboveList: to !== null && isAboveList() }, to);
  }
}

/** On a phone closing a thread is going back, where the list lies below: whether that is so. */
export function leaveForList() {
  if (!covered.matches || !isAboveList()) return false;
  if (!isLeaving) history.back(); // once, for a double click too
  isLeaving = true;
  return true;
}
