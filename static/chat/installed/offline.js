/** The page that is shown without a connection goes by itself when there is one again. */

window.addEventListener("online", () => location.reload());
