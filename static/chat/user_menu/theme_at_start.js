/* The theme that was chosen in this browser, before anything is drawn: a plain script in the head,
   which the page waits for. `theme.js` keeps it under this name. */
(() => {
  const KEY = "chat.theme";

  function show(theme) {
    const chosen = ["light", "dark"].includes(theme) ? theme : null;
    const page = document.documentElement;
    if (chosen) page.dataset.theme = chosen;
    else delete page.dataset.theme;
    // What the browser itself draws while the style sheets are on their way.
    document.querySelector('meta[name="color-scheme"]').content = chosen ?? "light dark";
    for (const colour of document.querySelectorAll("[data-of-theme]")) { // of the installed app's frame
      const { ofTheme } = colour.dataset;
      const ofSystem = `(prefers-color-scheme: ${ofTheme})`;
      colour.media = chosen === null ? ofSystem : chosen === ofTheme ? "all" : "not all";
    }
  }

  function kept() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // forbidden: the system's
    }
  }

  show(kept());
  window.addEventListener("storage", ({ key, newValue }) => key === KEY && show(newValue)); // another tab
  document.addEventListener("theme:chosen", ({ detail }) => show(detail));
})();
