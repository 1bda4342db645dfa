/** "Nova conversa", in the list's place: who is known, by name or number, or a number that is not. */

import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { actionButton, el, icon, reconcile, setHidden, setText, touch } from "../parts/dom.js";
import { displayName, plain } from "../parts/format.js";
import { NumberLookup } from "./number_lookup.js";

const BACK = "M20 11H7.8l5.6-5.6L12 4l-8 8 8 8 1.4-1.4L7.8 13H20v-2Z";
const RULE = "Para começar uma conversa, o WhatsApp só aceita um modelo aprovado. Quando o cliente "
  + "responder, vocês têm 24 horas para conversar livremente.";

export class NewChat {
  #pane;
  #root = el("section", "new-chat");
  #search = el("input", "new-chat-search");
  #numberRow;
  #numberWords = el("p", "new-chat-words");
  #heading = el("h3", "new-chat-heading", "Conversas");
  #rows = el("ul", "new-chat-rows");
  #notice = el("p", "new-chat-words");
  #more = actionButton("link-button new-chat-more", "", "Procurar em conversas mais antigas");
  #known = new Map(); // conversation id -> row
  #state;
  #loader;
  #lookup;
  #callbacks;
  #opener = null;
  #watcher = null;

  /** `pane`: the list's column. Callbacks: onSelect(id), onNumber({number, phone}). */
  constructor(pane, { state, loader, api, ...callbacks }) {
    this.#pane = pane;
    this.#state = state;
    this.#loader = loader;
    this.#callbacks = callbacks;
    this.#lookup = new NumberLookup({ api, onChange: () => this.render() });
    this.#numberRow = createRow();
    this.#numberRow.button.addEventListener("click", () => this.#openNumber());
    this.#build();
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  open(opener = null) {
    this.#opener = opener;
    this.#search.value = "";
    this.#lookup.look("");
    this.#show(true);
    this.#root.querySelector(".new-chat-scroll").scrollTop = 0;
    if (!touch.matches) this.#search.focus();
    this.#watch();
  }

  /** Whether it was open. */
  close() {
    if (!this.isOpen) return false;
    const hadFocus = this.#root.contains(document.activeElement);
    this.#watcher?.destroy();
    this.#show(false);
    if (hadFocus) this.#opener?.focus();
    return true;
  }

  /** Follows what the page knows, while it is open. */
  render() {
    if (!this.isOpen) return;
    const typed = this.#search.value.trim();
    this.#renderNumber();
    const number = this.#lookup.found?.conversation?.id; // stands above as the number's
    const found = this.#matching(typed).filter(({ id }) => id !== number);
    reconcile(this.#rows, found.map((each) => this.#row(each)));
    setHidden(this.#heading, found.length === 0);
    const { listState, listNext } = this.#loader;
    const isLoading = listState === "loading";
    const hasMore = listNext !== null || isLoading;
    setHidden(this.#more, !hasMore);
    if (this.#more.disabled !== isLoading) this.#more.disabled = isLoading;
    setText(this.#more, isLoading ? "Procurando…" : "Procurar em conversas mais antigas");
    setText(this.#notice, this.#words(typed, found.length, hasMore));
    setHidden(this.#notice, !this.#notice.textContent);
  }

  #build() {
    const title = el("h2", "", "Nova conversa");
    title.id = "new-chat-title";
    const back = actionButton("icon-button", "", "");
    back.append(icon(BACK));
    back.setAttribute("aria-label", "Voltar para a lista");
    back.title = "Voltar";
    Object.assign(this.#search, { type: "search", placeholder: "Pesquisar nome ou número", autocomplete: "off" });
    this.#search.setAttribute("aria-label", "Pesquisar nome ou número");
    this.#numberWords.setAttribute("role", "status");
    this.#notice.setAttribute("role", "status");
    this.#rows.setAttribute("aria-labelledby", "new-chat-heading");
    this.#heading.id = "new-chat-heading";
    const { node: number } = this.#numberRow;
    const list = el("div", "new-chat-scroll",
      el("ul", "new-chat-number", number), this.#numberWords, this.#heading, this.#rows, this.#notice, this.#more);
    this.#root.append(el("header", "pane-header new-chat-header", back, title), this.#search, list);
    this.#root.setAttribute("aria-labelledby", title.id);
    this.#root.hidden = true;
    this.#pane.append(this.#root);
    back.addEventListener("click", () => this.close());
    this.#search.addEventListener("input", () => {
      this.#lookup.look(this.#search.value);
      this.render();
    });
    this.#more.addEventListener("click", () => this.#loader.loadMoreOfList());
    this.#root.addEventListener("keydown", (event) => this.#keyDown(event));
  }

  #show(open) {
    setHidden(this.#root, !open);
    for (const node of this.#pane.children) if (node !== this.#root) node.inert = open;
    this.render();
  }

  /** Back on a phone closes it, where the browser tells of that apart from its history. */
  #watch() {
    if (!("CloseWatcher" in window)) return;
    this.#watcher = new CloseWatcher();
    this.#watcher.addEventListener("close", () => this.close());
  }

  #renderNumber() {
    const { found } = this.#lookup;
    const { node, avatar, name, detail } = this.#numberRow;
    setHidden(node, found?.state !== "found");
    if (found?.state === "found") {
      const { conversation, phone } = found;
      updateAvatar(avatar, conversation ?? { id: found.number, name: "" });
      setText(name, conversation ? displayName(conversation) : phone);
      setText(detail, conversation ? phone : "Começar com um modelo");
    }
    const words = {
      looking: "Procurando o número…",
      found: found?.conversation ? "" : RULE,
      wrong: found?.words,
      failed: `${found?.words ?? ""} Aperte Enter para tentar novamente.`,
    };
    setText(this.#numberWords, found ? words[found.state] : (this.#search.value.trim() ? "" : RULE));
    setHidden(this.#numberWords, !this.#numberWords.textContent);
  }

  #matching(typed) {
    const words = plain(typed).split(/\s+/);
    const digits = typed.replace(/\D/g, "");
    return this.#state.conversations.filter(({ last_message: last, ...each }) => {
      if (!last) return false;
      const name = plain(displayName(each));
      const isNamed = words.every((word) => name.includes(word));
      return isNamed || (digits.length > 2 && (each.phone ?? "").replace(/\D/g, "").includes(digits));
    }).sort(byName);
  }

  #words(typed, count, hasMore) {
    if (!typed) return count ? "" : "Nenhuma conversa ainda. Digite um número para começar a primeira.";
    const searched = this.#state.conversations.length;
    if (hasMore) return `${count ? "Procurado" : "Nada encontrado"} nas ${searched} conversas mais recentes.`;
    if (count || this.#lookup.found) return "";
    return "Nenhuma conversa encontrada. Para começar uma, digite o número com DDD.";
  }

  #row(conversation) {
    const row = this.#known.get(conversation.id) ?? createRow();
    if (!this.#known.has(conversation.id)) {
      this.#known.set(conversation.id, row);
      row.button.addEventListener("click", () => this.#select(conversation.id));
    }
    updateAvatar(row.avatar, conversation);
    const name = displayName(conversation);
    setText(row.name, name);
    setText(row.detail, conversation.is_group ? "Grupo" : (conversation.phone !== name && conversation.phone) || "");
    return row.node;
  }

  #select(id) {
    this.close();
    this.#callbacks.onSelect(id);
  }

  #openNumber() {
    const { conversation, number, phone } = this.#lookup.found;
    if (!conversation) {
      this.#callbacks.onNumber({ number, phone });
      return;
    }
    this.#state.putConversation(conversation);
    this.#select(conversation.id);
  }

  #keyDown(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && event.target === this.#search) {
      event.preventDefault();
      if (this.#lookup.found?.state === "failed") {
        this.#lookup.look(this.#search.value, { wait: 0 });
        this.render();
      } else this.#buttons()[0]?.click();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const stops = [this.#search, ...this.#buttons()];
      const at = stops.indexOf(document.activeElement);
      const next = at < 0 ? null : stops[at + (event.key === "ArrowDown" ? 1 : -1)];
      event.preventDefault();
      next?.focus();
    }
  }

  #buttons() {
    return [...this.#root.querySelectorAll(".new-chat-row")].filter((each) => each.checkVisibility());
  }
}

/** By name; who has none is known by a number, and comes after all names. */
function byName(a, b) {
  const [one, other] = [displayName(a), displayName(b)];
  return one.startsWith("+") - other.startsWith("+") || one.localeCompare(other, "pt-BR");
}

function createRow() {
  const avatar = createAvatar();
  const name = el("span", "new-chat-name");
  const detail = el("span", "new-chat-detail");
  name.dir = "auto";
  const button = el("button", "new-chat-row", avatar, el("span", "new-chat-lines", name, detail));
  button.type = "button";
  return { node: el("li", "", button), button, avatar, name, detail };
}
