"""That a customer's data were deleted: the record, which stays, and the work, which goes with it.

The record says who asked for it, when, for which conversation and how much there was. Of whose it
was it has digests alone, so that somebody who knows the number can find the record, and nobody can
find the number in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.cloud import ndb

from chat.conversation import phones
from chat.conversation.models import Conversation
from chat.people.forgotten import digest
from chat.platform import datastore

#: Shown on one page.
PAGE = 50
#: `asked_by` where the age of the messages asked for it. No user name can be this.
BY_AGE = ""


class DataDeletion(ndb.Model):
    """A record. Key name: the id of the conversation that is no more."""

    asked_at = ndb.IntegerProperty(indexed=False)
    sort_key = ndb.StringProperty()  # "asked_at-key name": the newest first, in pages
    asked_by = ndb.TextProperty()  # the administrator's user name, or `BY_AGE`
    merged = ndb.IntegerProperty(indexed=False, default=0)  # conversations that were part of it
    person = ndb.StringProperty(repeated=True)  # `person_digests`, to find it by
    messages = ndb.IntegerProperty(indexed=False, default=0)
    media = ndb.IntegerProperty(indexed=False, default=0)
    #: Anything else: notes, numbers that led to it, events, what was set aside, …
    others = ndb.IntegerProperty(indexed=False, default=0)
    done_at = ndb.IntegerProperty(indexed=False)  # None: under way

    @property
    def conversation_id(self) -> str:
        return str(self.key.id())


class DeletionWork(ndb.Model):
    """What a deletion under way has still to do, and what to know for it: of whom, too, so it goes
    when that is done. Key name: the record's.
    """

    plan = ndb.JsonProperty()  # `plan.Plan`
    batches = ndb.IntegerProperty(indexed=False, default=0)  # committed
    holder = ndb.TextProperty()
    #: When anybody may go on with it: now, when the lease runs out, or for the next round.
    due_at = ndb.IntegerProperty()


@dataclass(frozen=True)
class Page:
    """Some records, the newest first."""

    records: list[DataDeletion]
    next: str | None  # `before` of the next page; None: that was all


def person_digests(numbers: Iterable[str], ids: Iterable[str] = ()) -> list[str]:
    """What a record knows somebody by.

    Args:
        numbers: their phone numbers, in any form.
        ids: their BSUIDs, or a group's id.
    """
    found = {digest("phone", phones.canonical(each)) for each in numbers}
    return sorted(found | {digest("id", each) for each in ids})


def listed(before: str | None = None) -> Page:
    """A page of all records.

    Args:
        before: the last page's `next`.
    """
    query = DataDeletion.query(DataDeletion.sort_key > "").order(-DataDeletion.sort_key)
    if before:
        query = query.filter(DataDeletion.sort_key < before)
    found = query.fetch(PAGE + 1)
    more = len(found) > PAGE
    return Page(found[:PAGE], found[PAGE - 1].sort_key if more else None)


def of_number(number: str) -> list[DataDeletion]:
    """The records of whoever had this number (digits, with country code), the newest first."""
    (known,) = person_digests([number])
    found = DataDeletion.query(DataDeletion.person == known).fetch(PAGE)
    return sorted(found, key=lambda each: -each.asked_at)


def of_conversation(conversation_id: str) -> DataDeletion | None:
    """The record of a conversation that is no more, by any text."""
    if not datastore.is_key_name(conversation_id):
        return None
    return datastore.get(DataDeletion, conversation_id)


def person_of(conversations: Iterable[Conversation]) -> tuple[set[str], set[str]]:
    """The numbers that conversations of one person have had, and their other ids."""
    numbers: set[str] = set()
    others: set[str] = set()
    for each in conversations:
        numbers |= {number for number in (each.phone, each.phone_before) if number}
        others |= {name for name in (each.bsuid, each.group_id) if name}
    return numbers, others
