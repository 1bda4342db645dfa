"""What the fixtures promise to the tests that use them."""

from __future__ import annotations

import pytest
from google.cloud import ndb

from tests.helpers import Store, wait_until


class Thing(ndb.Model):
    value = ndb.IntegerProperty()


@pytest.mark.parametrize("value", [1, 2])
def test_every_test_starts_with_an_empty_store(store: Store, value: int) -> None:
    with store.context():
        assert Thing.get_by_id("one") is None
        Thing(id="one", value=value).put()
        assert [thing.value for thing in Thing.query()] == [value]


def test_waiting_for_what_never_comes_fails_with_its_name() -> None:
    with pytest.raises(AssertionError, match="the parcel did not hold within 0.05 s"):
        wait_until(lambda: False, 0.05, what="the parcel")


def test_waiting_returns_the_first_true_value() -> None:
    answers = iter([0, "", None, "here"])
    assert wait_until(lambda: next(answers), 5, every=0.001) == "here"
