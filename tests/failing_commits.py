"""Commits that fail, before they reach the store or after: then nobody knows whether they did."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import ndb


def failing_commits(monkeypatch: pytest.MonkeyPatch, *errors: Exception, after: bool) -> list[int]:
    """The next commits fail with these errors, before they reach the store or after."""
    from google.cloud.ndb import _datastore_api

    commit = _datastore_api.commit
    left = list(errors)
    tried: list[int] = []

    @ndb.tasklet
    def failing(transaction: Any, **options: Any) -> Any:
        tried.append(len(left))
        if left and not after:
            raise left.pop(0)
        yield commit(transaction, **options)
        if left:
            raise left.pop(0)

    monkeypatch.setattr(_datastore_api, "commit", failing)
    if after:  # the embedded store refuses to roll back what is committed
        monkeypatch.setattr(_datastore_api, "rollback", ndb.tasklet(lambda _transaction: None))
    return tried
