"""A store that is a dict: for tests that need thousands of transactions, one after the other.

It takes the place of what the chat and the modules use of ndb, and checks that what is written
could be. There are no queries in it, no conflicts and no way back: a transaction that fails leaves
what it changed, so a test must see to it that none does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from google.cloud import ndb
from google.cloud.datastore import helpers
from google.cloud.ndb import model

import realtime_events
import unread_state
from chat.platform import datastore

#: An entity holds 1 MiB.
MAX_ENTITY_BYTES = 1_048_572
MAX_EVENT_BYTES = 400_000


class DictStore:
    """Entities by key, and the events published."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entities: dict[ndb.Key, Any] = {}
        self.published: list[tuple[str, dict[str, Any]]] = []

        def get_many(keys: Iterable[ndb.Key], **_options: Any) -> list[Any]:
            return [self.entities.get(key) for key in keys]

        def put_multi(entities: Iterable[Any], **_options: Any) -> None:
            for entity in entities:
                self._put(entity)

        def delete_multi(keys: Iterable[ndb.Key], **_options: Any) -> None:
            for key in keys:
                self.entities.pop(key, None)

        def transaction(callback: Callable[[], Any], **_options: Any) -> Any:
            return callback()

        for owner, name, replaced in (
            (datastore, "get_many", get_many),
            (realtime_events, "_get", get_many),
            (ndb, "put_multi", put_multi),
            (ndb, "delete_multi", delete_multi),
            (ndb.Model, "put", self._put_one),
            (ndb.Key, "delete", lambda key: delete_multi([key])),
            (realtime_events, "transaction", transaction),
            (realtime_events, "publish", self._publish),
            (unread_state, "publish", self._publish),
        ):
            monkeypatch.setattr(owner, name, replaced)

    def all(self, kind: type[Any]) -> list[Any]:
        """All entities of a kind."""
        return [entity for entity in self.entities.values() if isinstance(entity, kind)]

    def clear(self) -> None:
        """Forgets everything."""
        self.entities.clear()
        self.published.clear()

    @property
    def _put_one(self) -> Callable[[Any], None]:
        return lambda entity: self._put(entity)

    def _put(self, entity: Any) -> None:
        if hasattr(entity, "_derive"):
            entity._derive()
        written = helpers.entity_to_protobuf(model._entity_to_ds_entity(entity))
        assert len(written._pb.SerializeToString()) <= MAX_ENTITY_BYTES
        assert len(str(entity.key.id()).encode()) <= 1500
        self.entities[entity.key] = entity

    def _publish(self, type: str, data: dict[str, Any], **_head: Any) -> None:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        assert len(text.encode()) <= MAX_EVENT_BYTES
        self.published.append((type, data))
