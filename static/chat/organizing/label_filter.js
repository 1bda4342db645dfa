/** The list's filter by label, for list_filters.js: its chip opens a menu of all labels. */

import { openMenu } from "../parts/menu.js";

/** `book`: the LabelBook; `onEdit()`: the attendant wants to change the labels themselves. */
export function labelFilter({ book, onEdit }) {
  let chosen = null; // the label's id

  return {
    id: "label",
    empty: "Nenhuma conversa com esta etiqueta",
    withArchived: true,

    get label() {
      return book.find(chosen)?.name ?? "Etiquetas";
    },

    get server() {
      return `label:${chosen}`;
    },

    matches: (conversation) => (conversation.labels ?? []).includes(chosen),

    /** Whether the chip is there: not without labels, and not for one that was deleted. */
    stays() {
      if (chosen !== null && !book.find(chosen)) {
        chosen = null;
        return false;
      }
      return book.labels.length > 0;
    },

    /** Asks which label; `take()` makes this the list's filter. */
    choose(chip, take) {
      const { left, bottom } = chip.getBoundingClientRect();
      const items = book.labels.map(({ id, name }) => ({
        label: name,
        run: () => {
          chosen = id;
          take();
        },
      }));
      items.push({ label: "Editar etiquetas", run: onEdit });
      openMenu({ label: "Etiquetas", items, at: { x: left, y: bottom + 4 }, from: chip });
    },

    /** Another filter was chosen. */
    leave() {
      chosen = null;
    },
  };
}
