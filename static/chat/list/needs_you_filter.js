/** The list's filter "Precisa de você", for list_filters.js: the conversations that Claude has handed
 * over and nobody has taken yet. */

/** `claude`: the screen's Claude. */
export function needsYouFilter(claude) {
  return {
    id: "needs_you",
    label: "Precisa de você",
    empty: "Nenhuma conversa precisa de você",
    matches: ({ needs_you: needsYou }) => Boolean(needsYou),
    server: "needs_you",
    withArchived: true,
    count: () => {
      const { n, more } = claude.needing();
      return more ? `${n}+` : n;
    },
    stays: () => claude.enabled,
  };
}
