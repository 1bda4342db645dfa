/** The strip above the list that tells when new messages are not arriving. */

import { setHidden, setText } from "../parts/dom.js";

/** Connecting is normal for a moment (start, reconnection): only then it is worth a word. */
const PATIENCE_MS = 4000;

export class ConnectionBanner {
  #root;
  #timer = null;

  constructor(root, { onReconnect }) {
    this.#root = root;
    root.querySelector("button").addEventListener("click", () => onReconnect());
  }

  /** state: "connected" | "connecting" | "offline", as realtime_events.js reports it. */
  show(state) {
    clearTimeout(this.#timer);
    if (state === "connected") setHidden(this.#root, true);
    else if (state === "offline") this.#drawOffline();
    else if (this.#root.hidden) this.#timer = setTimeout(() => this.#drawConnecting(), PATIENCE_MS);
    else this.#drawConnecting();
  }

  #drawOffline() {
    // Somebody who checks the cable of a computer that is online loses time: say whose fault it is.
    const title = navigator.onLine === false ? "Computador sem conexão" : "Sem conexão com o servidor";
    this.#draw(title, "As mensagens novas não estão chegando.", true);
  }

  #drawConnecting() {
    this.#draw("Conectando…", "As mensagens novas chegam assim que a conexão voltar.", false);
  }

  #draw(title, text, canReconnect) {
    setText(this.#root.querySelector(".banner-title"), title);
    setText(this.#root.querySelector(".banner-text"), text);
    setHidden(this.#root.querySelector("button"), !canReconnect);
    setHidden(this.#root, false);
  }
}
