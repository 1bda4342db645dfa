"""axe-core: what screen readers and keyboards stumble over. Its script comes with a package."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Page

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) => nodes.map((node) => {
      const why = [...node.any, ...node.all, ...node.none].map(({ message }) => message);
      return `${id}: ${node.target.join(" ")}: ${why.join("; ")}`;
    }));
}"""


def serious_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page as it is now: rule, element, why."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    found: list[str] = page.evaluate(_RUN)
    return found
