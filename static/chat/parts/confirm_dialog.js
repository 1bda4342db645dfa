/** A question that must be answered before something goes on. */

/** Asks in this dialog; resolves to true only for its button "yes". */
export function askIn(dialog, text) {
  dialog.querySelector(".confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
