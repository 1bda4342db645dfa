/** The row of emoji to react with, and who has reacted. */

import { reactorOf } from "../message/extras.js";
import { createAvatar, updateAvatar } from "../parts/avatar.js";
import { ICONS, el, icon } from "../parts/dom.js";
import { focusAlong, openPopup } from "../parts/menu.js";
import { isOneEmoji } from "./reactions.js";

/** WhatsApp's own. */
const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const GAP_PX = 6;

/**
 * Opens the row over a bubble. `current`: the reaction that is there; onPick(emoji): it was chosen,
 * also to be taken away.
 */
export function openReactionRow(bubble, { current, from, onPick }) {
  const quick = current && !QUICK.includes(current) ? [...QUICK, current] : QUICK;
  const buttons = quick.map((emoji) => {
    const button = el("button", "reaction-choice", emoji);
    button.type = "button";
    button.setAttribute("aria-label", emoji === current ? `Remover reação ${emoji}` : `Reagir com ${emoji}`);
    button.setAttribute("aria-pressed", String(emoji === current));
    button.addEventListener("click", () => pick(emoji));
    return button;
  });
  const more = el("button", "reaction-choice reaction-more", icon(ICONS.plus));
  more.type = "button";
  more.setAttribute("aria-label", "Outro emoji");
  more.title = "Outro emoji";
  more.addEventListener("click", () => askForAny());
  const row = el("div", "context-menu reaction-row", ...buttons, more);
  row.setAttribute("role", "toolbar");
  row.setAttribute("aria-label", "Reagir");
  row.addEventListener("keydown", moveAlong);
  const close = openPopup(row, { at: overOf(bubble), from });
  (buttons[quick.indexOf(current)] ?? buttons[0]).focus();

  function pick(emoji) {
    close();
    onPick(emoji);
  }

  /** Any emoji, typed or by the system's own picker. */
  function askForAny() {
    const field = el("input", "reaction-field");
    field.type = "text";
    field.setAttribute("aria-label", "Digite um emoji");
    field.placeholder = "Digite um emoji";
    field.autocomplete = "off";
    field.enterKeyHint = "done";
    const use = el("button", "link-button", "Reagir");
    use.disabled = true;
    const form = el("form", "reaction-form", field, use);
    field.addEventListener("input", () => {
      use.disabled = !isOneEmoji(field.value);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (isOneEmoji(field.value)) pick(field.value.trim());
    });
    row.replaceChildren(form);
    field.focus();
  }
}

/** Opens the list of who has reacted. onRemove(): takes the business's away; null where it cannot be. */
export function openReactors(pill, { reactions, viewer, onRemove }) {
  const rows = reactions.map((reaction) => {
    const name = reactorOf(reaction, viewer);
    const avatar = createAvatar("small");
    updateAvatar(avatar, { id: reaction.author, name: reaction.author });
    const words = el("span", "reactor-name", name);
    words.dir = "auto";
    const removes = reaction.own && onRemove;
    const hint = removes ? el("span", "reactor-hint", "Clique para remover") : null;
    const parts = [avatar, el("span", "reactor-words", words, hint), el("span", "reaction-emoji", reaction.emoji)];
    const row = el(removes ? "button" : "div", "reactor", ...parts);
    if (removes) {
      row.type = "button";
      row.addEventListener("click", () => {
        close();
        onRemove(reaction.emoji);
      });
    }
    return el("li", "", row);
  });
  const count = reactions.length === 1 ? "1 reação" : `${reactions.length} reações`;
  const title = el("p", "reactors-title", count);
  title.tabIndex = -1;
  const box = el("div", "context-menu reactors", title, el("ul", "", ...rows));
  box.setAttribute("role", "dialog");
  box.setAttribute("aria-label", count);
  const close = openPopup(box, { at: overOf(pill), from: pill });
  (box.querySelector("button") ?? title).focus();
}

/** Over an element, or under it where there is no room. */
function overOf(node) {
  const box = node.getBoundingClientRect();
  return ({ height }) => {
    const over = box.top - height - GAP_PX;
    return { x: box.left, y: over >= GAP_PX ? over : box.bottom + GAP_PX };
  };
}

function moveAlong(event) {
  const buttons = [...event.currentTarget.querySelectorAll(".reaction-choice")];
  if (buttons.includes(document.activeElement)) focusAlong(event, buttons, ["ArrowRight", "ArrowLeft"]);
}
