/** The strip above the list that tells when new messages are not arriving. */

import { setHidden, setText } from "./dom.js";

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
    else if (state === "offline") this.#draw("Computador sem conexão", "As mensagens novas não estão chegando.", true);
    else if (this.#root.hidden) this.#timer = setTimeout(() => this.#drawConnecting(), PATIENCE_MS);
    else this.#drawConnecting();
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
