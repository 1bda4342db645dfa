/**
 * The day over what is on top: it stays in view while the thread is scrolled, and goes soon after,
 * so that it covers no words. Where it stands in its own place it always shows.
 */

/** So long after the last scrolling it goes. */
const REST_MS = 1500;

/** `scroller`: the element that scrolls, in which the days (`.day`) stand. */
export function restDayChips(scroller) {
  let timer = null;
  let resting = [];
  scroller.addEventListener("scroll", () => {
    for (const node of resting) node.classList.remove("resting");
    resting = [];
    clearTimeout(timer);
    timer = setTimeout(rest, REST_MS);
  }, { passive: true });

  function rest() {
    const top = scroller.getBoundingClientRect().top;
    resting = [...scroller.querySelectorAll(".day")].filter((day) => {
      const box = day.getBoundingClientRect();
      return box.top < top && box.bottom > top; // it has left its own place
    });
    for (const node of resting) node.classList.add("resting");
  }
}
