/** A question that must be answered before something goes on. */

/** Asks in this dialog; resolves to true only for its button "yes", which says `yes`. */
export function askIn(dialog, text, yes = "Enviar novamente") {
  dialog.querySelector(".confirm-text").textContent = text;
  dialog.querySelector('[value="yes"]').textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
