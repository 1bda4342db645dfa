"""The business's templates, asked of the Graph API and kept for some minutes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from chat.outgoing import templates
from chat.outgoing.templates import Template
from chat.outgoing.whatsapp import RefusedError, UnconfirmedError, UnreachableError, WhatsAppClient
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

#: Templates are changed in Meta's own pages, seldom; "Atualizar" does not wait for this.
KEPT_SECONDS = 300.0
#: However often "Atualizar" is pressed, Meta is asked once in so long.
_REFRESH_SECONDS = 3.0
#: While Meta does not answer, an older list serves, but not for ever: templates are taken back.
_STALE_SECONDS = 3600.0
_PAGE = 100
#: An account may have 6,000 templates with translations.
_MAX_PAGES = 60
_FIELDS = "name,language,status,category,parameter_format,components,rejected_reason"


class NotConfiguredError(Exception):
    """WHATSAPP_BUSINESS_ACCOUNT_ID is not set: nobody knows whose templates to ask for."""


class ListUnavailableError(Exception):
    """The Graph API did not give the list. `code` is Meta's own, None where it did not answer."""

    def __init__(self, code: int | str | None = None) -> None:
        super().__init__(f"no list of templates: {code}")
        self.code = code


@dataclass(frozen=True)
class Listing:
    """All templates, as they were at a time."""

    templates: tuple[Template, ...]
    at: float  # monotonic seconds
    stale: bool = False  # Meta was asked again since, and did not answer

    def find(self, name: str, language: str) -> Template | None:
        """The template of this name in this language."""
        for each in self.templates:
            if (each.name, each.language) == (name, language):
                return each
        return None


class TemplateList:
    """The templates of one business; one for the application. Safe for many threads."""

    def __init__(self, settings: Settings, whatsapp: WhatsAppClient) -> None:
        self._account = settings.whatsapp_business_account_id
        self._whatsapp = whatsapp
        self._known: Listing | None = None
        self._failed: tuple[float, ListUnavailableError] | None = None  # monotonic, and how
        self._asking = threading.Lock()

    def get(self, *, refresh: bool = False) -> Listing:
        """The list; threads that come together ask Meta once.

        Args:
            refresh: it is not to be older than a moment.

        Raises:
            NotConfiguredError: there is no account to ask for.
            ListUnavailableError: Meta did not give it, and there is none from before.
        """
        if not self._account:
            raise NotConfiguredError
        kept = _REFRESH_SECONDS if refresh else KEPT_SECONDS
        if (known := self._young(kept)) is not None:
            return known
        came = time.monotonic()
        with self._asking:
            # Somebody else may have asked while this thread waited, and Meta may not have answered.
            if (known := self._young(kept)) is not None:
                return known
            if self._failed is None or self._failed[0] < came:
                try:
                    self._known = Listing(self._ask(), time.monotonic())
                except ListUnavailableError as error:
                    _log.warning("templates cannot be listed: code %s", error.code)
                    self._failed = time.monotonic(), error
                else:
                    self._failed = None
                    return self._known
            if (old := self._young(_STALE_SECONDS)) is not None:
                return Listing(old.templates, old.at, stale=True)
            raise self._failed[1]

    def _young(self, seconds: float) -> Listing | None:
        known = self._known
        return known if known and time.monotonic() - known.at < seconds else None

    def _ask(self) -> tuple[Template, ...]:
        query = {"fields": _FIELDS, "limit": str(_PAGE)}
        found: list[Template] = []
        unusable = 0
        for _ in range(_MAX_PAGES):
            try:
                page = self._whatsapp.read(f"{self._account}/message_templates", query)
            except RefusedError as error:
                raise ListUnavailableError(error.error["code"]) from error
            except (UnreachableError, UnconfirmedError) as error:
                raise ListUnavailableError from error
            items = page.get("data")
            if not isinstance(items, list):
                raise ListUnavailableError
            read = [templates.read(item) for item in items]
            found += [each for each in read if each is not None]
            unusable += read.count(None)
            paging = page.get("paging")
            paging = paging if isinstance(paging, dict) else {}
            cursors = paging.get("cursors")
            after = cursors.get("after") if isinstance(cursors, dict) else None
            # Not the address in `next`, which has the token in it.
            if not paging.get("next") or not isinstance(after, str) or after == query.get("after"):
                break
            query["after"] = after
        if unusable:
            _log.warning("%d of Meta's templates cannot be used", unusable)
        return tuple(sorted(found, key=lambda each: (each.name, each.language)))
