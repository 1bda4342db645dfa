/** How a dialog is closed. Browsers tell of that in a task of its own, by when it may be open again, for
 * something else: that goes on, and is not ended by what was before. */

/** Calls run() when the dialog is closed, unless it is open again by then. */
export function onClosed(dialog, run) {
  dialog.addEventListener("close", () => dialog.open || run());
}

const asking = new WeakMap(); // dialog → ends the question that was asked in it last

/** Opens the dialog; resolves, when it is closed, to its `returnValue`: "" where it was left unanswered. */
export function answerIn(dialog) {
  if (!asking.has(dialog)) onClosed(dialog, () => asking.get(dialog)());
  asking.get(dialog)?.();
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal(); // not every browser takes that twice
  return new Promise((resolve) => {
    asking.set(dialog, () => resolve(dialog.returnValue));
  });
}

/** Asks in this dialog; resolves to true only for its button "yes", which says `yes`. */
export async function askIn(dialog, text, yes = "Enviar novamente") {
  dialog.querySelector(".confirm-text").textContent = text;
  dialog.querySelector('[value="yes"]').textContent = yes;
  return (await answerIn(dialog)) === "yes";
}
