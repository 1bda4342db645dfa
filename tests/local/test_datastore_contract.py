"""What the chat may rely on in a Datastore: on the embedded store and on Google's emulator.

Every test runs on both and states one answer. Where the embedded store is stricter than the
emulator (it holds production's limits, and refuses what it does not support), the test is in
test_datastore_process.py.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.cloud import ndb

from tests.local.datastore_rpc import NOT_FINISHED, Mutation, Rpc, ask, geo, name_of, value, where

pytestmark = pytest.mark.store
WRITERS = 8
EACH = 10


class Customer(ndb.Model):
    name = ndb.StringProperty()
    visits = ndb.IntegerProperty(default=0)
    tags = ndb.StringProperty(repeated=True)
    note = ndb.TextProperty()
    seen = ndb.DateTimeProperty()
    extra = ndb.JsonProperty()


# ndb wants its times without a zone.
SEEN = datetime.datetime(2026, 3, 1, 12, 30, 15, 123456)  # noqa: DTZ001


class Receipt(ndb.Model):
    customer = ndb.KeyProperty()


def refused(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def test_an_entity_comes_back_as_it_was_stored(ndb_client: Callable[[], ndb.Client]) -> None:
    with ndb_client().context(cache_policy=False):
        key = Customer(
            name="Ana", tags=["b", "a"], note="á" * 2000, seen=SEEN, extra={"a": [1, None]}
        ).put()
        found = key.get()
        assert key.id() == found.key.id()
        assert (found.name, found.tags, found.note) == ("Ana", ["b", "a"], "á" * 2000)
        assert (found.seen, found.extra, found.visits) == (SEEN, {"a": [1, None]}, 0)
        key.delete()
        assert key.get() is None


def test_allocated_ids_differ_and_are_exact_in_javascript(
    ndb_client: Callable[[], ndb.Client],
) -> None:
    with ndb_client().context(cache_policy=False):
        allocated = [key.id() for key in Customer.allocate_ids(50)]
        assert len(set(allocated)) == 50
        assert all(0 < number < 2**53 for number in allocated)
        parent = ndb.Key(Receipt, "r")
        assert Customer(parent=parent).put().parent() == parent


def test_get_or_insert_makes_one_entity(ndb_client: Callable[[], ndb.Client]) -> None:
    with ndb_client().context(cache_policy=False):
        first = Customer.get_or_insert("x", name="first")
        second = Customer.get_or_insert("x", name="second")
        assert (first.name, second.name) == ("first", "first")


def test_pages_follow_each_other_by_cursor(ndb_client: Callable[[], ndb.Client]) -> None:
    with ndb_client().context(cache_policy=False):
        ndb.put_multi([Customer(id=f"c{n:02}", visits=n % 3) for n in range(20)])
        query = Customer.query().order(-Customer.visits)
        pages, cursor = [], None
        for _ in range(3):
            page, cursor, _more = query.fetch_page(7, start_cursor=cursor)
            pages.append([customer.key.id() for customer in page])
        expected = [f"c{n:02}" for visits in (2, 1, 0) for n in range(20) if n % 3 == visits]
        assert pages == [expected[:7], expected[7:14], expected[14:]]


def test_ndb_queries_find_count_and_project(ndb_client: Callable[[], ndb.Client]) -> None:
    with ndb_client().context(cache_policy=False):
        ndb.put_multi(
            [Customer(id=f"c{n}", name="ab"[n % 2], visits=n, seen=SEEN) for n in range(6)]
        )
        assert Customer.query(Customer.name == "a").count() == 3
        keys = Customer.query(Customer.key > ndb.Key(Customer, "c3")).fetch(keys_only=True)
        assert [key.id() for key in keys] == ["c4", "c5"]
        either = Customer.query(Customer.visits.IN([1, 4])).order(Customer.visits).fetch()
        assert [customer.visits for customer in either] == [1, 4]
        projected = (
            Customer.query()
            .order(-Customer.visits)
            .fetch(2, projection=["visits", "seen"], offset=1)
        )
        assert [(p.visits, p.seen) for p in projected] == [(4, SEEN), (3, SEEN)]


def test_values_sort_by_type_and_then_by_value(rpc: Rpc) -> None:
    moment = datetime.datetime(1970, 1, 1, 0, 0, 0, 3, datetime.UTC)
    ordered: list[tuple[str, Any]] = [
        ("null", None),
        ("minus two", -2),
        ("3 µs", moment),
        ("five", 5),
        ("large", 2**60),
        ("large and one", 2**60 + 1),
        ("false", False),
        ("true", True),
        ("empty", ""),
        ("a", "a"),
        ("aa, as bytes", b"aa"),
        ("b", "b"),
        ("é", "é"),
        ("last of the plane", "\uffff"),
        ("emoji", "😀"),
        ("-inf", float("-inf")),
        ("-1.5", -1.5),
        ("-0.0", -0.0),
        ("0.0", 0.0),
        ("5.0", 5.0),
        ("inf", float("inf")),
        ("nan", float("nan")),
        ("south", geo(1, -3)),
        ("north", geo(1, 2)),
        ("key", rpc.key("A", "n")),
        ("child key", rpc.key("A", "n", "B", 1)),
        ("later key", rpc.key("Z", 1)),
    ]
    rpc.put(*(rpc.entity(rpc.key("T", name), v=content) for name, content in ordered))
    names = [name for name, _ in ordered]
    assert rpc.names(ask("T", order=["v"])) == names
    assert rpc.names(ask("T", order=["-v"])) == names[::-1]
    for number, (name, content) in enumerate(ordered):
        assert rpc.names(ask("T", where("v", "=", content))) == [name]
        assert rpc.names(ask("T", where("v", "<", content))) == names[:number]
        assert rpc.names(ask("T", where("v", ">=", content))) == names[number:]


def test_keys_sort_by_path_with_ids_before_names(rpc: Rpc) -> None:
    keys = [
        rpc.key("K", -5),
        rpc.key("K", 2),
        rpc.key("K", 10),
        rpc.key("K", "1"),
        rpc.key("K", "a"),
        rpc.key("K", "a", "K", 1),
        rpc.key("K", "a\0"),
        rpc.key("K", "ab"),
        rpc.key("P", 1, "K", 1),
    ]
    rpc.put(*(rpc.entity(key, v=1) for key in reversed(keys)))
    assert [r.entity.key for r in rpc.batch(ask("K")).entity_results] == keys
    found = rpc.batch(ask("K", where("v", "=", 1), order=["-__key__"])).entity_results
    assert [r.entity.key for r in found] == keys[::-1]
    above = rpc.batch(ask("K", where("__key__", ">", rpc.key("K", "a")), select=["__key__"]))
    assert [r.entity.key for r in above.entity_results] == keys[5:]
    below = rpc.batch(ask("K", where("__key__", "ancestor", rpc.key("K", "a"))))
    assert [r.entity.key for r in below.entity_results] == keys[4:6]


def test_what_is_not_indexed_is_not_found(rpc: Rpc) -> None:
    inner = rpc.entity(None, x=3, y=value(4, excluded=True))
    rpc.put(
        rpc.entity(rpc.key("T", "indexed"), v=5),
        rpc.entity(rpc.key("T", "not"), v=value(5, excluded=True)),
        rpc.entity(rpc.key("T", "lacking"), w=1),
        rpc.entity(rpc.key("T", "within"), e=inner),
        rpc.entity(rpc.key("T", "no items"), v=[]),
    )
    assert rpc.names(ask("T", where("v", "=", 5))) == ["indexed"]
    assert rpc.names(ask("T", order=["v"])) == ["no items", "indexed"]
    assert rpc.names(ask("T", where("e.x", "=", 3))) == ["within"]
    assert rpc.names(ask("T", where("e.y", "=", 4))) == []


def test_of_several_values_the_first_in_order_counts(rpc: Rpc) -> None:
    several = {"a": [1, 2, 3], "b": [2, 5], "c": [4], "d": [], "e": 3, "f": [3, 3, "x", None]}
    rpc.put(*(rpc.entity(rpc.key("T", name), v=v, w=len(name)) for name, v in several.items()))
    assert rpc.names(ask("T", order=["v"])) == ["d", "f", "a", "b", "e", "c"]
    assert rpc.names(ask("T", order=["-v"])) == ["f", "b", "c", "a", "e", "d"]
    assert rpc.names(ask("T", where("w", "=", 1), order=["-v"])) == list("fbcaed")
    assert rpc.names(ask("T", where("v", "=", 2), where("v", "=", 3))) == ["a"]
    assert rpc.names(ask("T", where("v", ">", 2), where("v", "<", 4))) == ["a", "e", "f"]
    assert rpc.names(ask("T", where("v", "=", 2), where("v", ">", 2), order=["-v"])) == ["b", "a"]
    cursor = rpc.batch(ask("T", order=["v"], limit=3)).end_cursor
    assert rpc.names(ask("T", order=["v"], start=cursor)) == ["b", "e", "c"]
    assert rpc.names(ask("T", where("v", ">=", 3), select=["v"])) == list("aefcbf")


def test_cursors_limits_and_offsets_cut_the_same_list(rpc: Rpc) -> None:
    rpc.put(*(rpc.entity(rpc.key("T", f"n{n}"), v=n // 2) for n in range(8)))
    everything = rpc.names(ask("T", order=["-v", "-__key__"]))
    assert everything == [f"n{n}" for n in range(7, -1, -1)]
    for size in (1, 3, 8):
        cursor, found = b"", []
        for _ in range(0, 8, size):
            batch = rpc.batch(ask("T", order=["-v", "-__key__"], limit=size, start=cursor))
            found += [name_of(r.entity.key) for r in batch.entity_results]
            cursor = batch.end_cursor
        assert found == everything
        assert rpc.names(ask("T", order=["-v", "-__key__"], start=cursor)) == []
    results = rpc.batch(ask("T", order=["v"])).entity_results
    assert rpc.names(ask("T", order=["v"], start=results[1].cursor, end=results[4].cursor)) == [
        "n2",
        "n3",
        "n4",
    ]
    batch = rpc.batch(ask("T", offset=6, limit=5))
    assert (batch.skipped_results, len(batch.entity_results)) == (6, 2)
    batch = rpc.batch(ask("T", offset=20))
    assert (batch.skipped_results, len(batch.entity_results)) == (8, 0)
    assert rpc.names(ask("T", limit=0)) == []


def test_long_results_come_in_batches(rpc: Rpc, ndb_client: Callable[[], ndb.Client]) -> None:
    rpc.put(*(rpc.entity(rpc.key("T", n + 1)) for n in range(700)))
    batch = rpc.batch(ask("T"))
    assert batch.more_results == NOT_FINISHED
    assert 0 < len(batch.entity_results) < 700
    with ndb_client().context(cache_policy=False):
        ndb.put_multi([Customer(id=n + 1, note="x" * 5000) for n in range(700)])
        assert [c.key.id() for c in Customer.query().fetch()] == list(range(1, 701))
        assert Customer.query().count() == 700
        keys = Customer.query().fetch(keys_only=True, offset=650)
        assert [key.id() for key in keys] == list(range(651, 701))


def test_namespaces_and_projects_keep_apart(rpc: Rpc, store_host: str) -> None:
    rpc.put(rpc.entity(rpc.key("T", "x"), v=1))
    rpc.put(rpc.entity(rpc.key("T", "y", namespace="other"), v=1))
    assert rpc.names(ask("T", where("v", "=", 1))) == ["x"]
    assert rpc.names(ask("T", where("v", "=", 1)), namespace="other") == ["y"]
    elsewhere = Rpc(store_host, rpc.project + "-b")
    assert elsewhere.names(ask("T")) == []
    elsewhere.close()


def test_insert_and_update_mind_what_is_there(rpc: Rpc) -> None:
    entity = rpc.entity(rpc.key("T", "x"), v=1)
    other = rpc.entity(rpc.key("T", "other"), v=1)
    assert refused(lambda: rpc.commit(Mutation(update=entity))) == grpc.StatusCode.NOT_FOUND
    rpc.commit(Mutation(insert=entity))
    both = [Mutation(upsert=other), Mutation(insert=entity)]
    assert refused(lambda: rpc.commit(*both)) == grpc.StatusCode.ALREADY_EXISTS
    transaction = rpc.begin()
    assert (
        refused(lambda: rpc.commit(*both, transaction=transaction))
        == grpc.StatusCode.ALREADY_EXISTS
    )
    rpc.Rollback(transaction=transaction)
    rpc.commit(Mutation(delete=rpc.key("T", "never was")))
    assert rpc.get(rpc.key("T", "x")).properties["v"].integer_value == 1


def test_a_failing_commit_in_a_transaction_changes_nothing(rpc: Rpc) -> None:
    rpc.put(rpc.entity(rpc.key("T", "x"), v=1))
    transaction = rpc.begin()
    writes = [
        Mutation(upsert=rpc.entity(rpc.key("T", "new"), v=1)),
        Mutation(delete=rpc.key("T", "x")),
        Mutation(update=rpc.entity(rpc.key("T", "missing"), v=1)),
    ]
    assert refused(lambda: rpc.commit(*writes, transaction=transaction)) == (
        grpc.StatusCode.NOT_FOUND
    )
    assert rpc.names(ask("T", order=["v"])) == ["x"]


@pytest.mark.parametrize(
    "bad",
    [
        lambda r: r.Lookup(keys=[r.key("T")]),
        lambda r: r.Lookup(keys=[r.key("T", 0)]),
        lambda r: r.Lookup(keys=[r.key("T", "x", namespace="not allowed")]),
        lambda r: r.Lookup(keys=[r.key("T", "x", project="elsewhere")]),
        lambda r: r.Lookup(keys=[r.key("T", "x")], read_options={"transaction": r.ended()}),
        lambda r: r.put(r.entity(r.key("__T__", "x"))),
        lambda r: r.put(r.entity(r.key("T", "__x__"))),
        lambda r: r.put(r.entity(r.key("T", "x" * 1501))),
        lambda r: r.put(r.entity(r.key("T", "x"), __v__=1)),
        lambda r: r.put(r.entity(r.key("T", "x"), v="é" * 751)),
        lambda r: r.put(r.entity(r.key("T", "x"), v=[[1]])),
        lambda r: r.put(r.entity(r.key("T", "x")), r.entity(r.key("T", "x"))),
        lambda r: r.commit(Mutation(update=r.entity(r.key("T")))),
        lambda r: r.commit(Mutation()),
        lambda r: r.commit(transaction=b"never begun"),
        lambda r: r.commit(transaction=r.ended()),
        lambda r: r.Rollback(transaction=r.ended()),
        lambda r: r.put(r.entity(r.key("T", "x")), transaction=r.begin(read_only=True)),
        lambda r: r.AllocateIds(keys=[r.key("T", "x")]),
        lambda r: r.ReserveIds(keys=[r.key("T")]),
        lambda r: r.batch(ask("T", start=b"garbage")),
        lambda r: r.batch(ask("T", start=r.batch(ask("T", order=["v"])).end_cursor)),
        lambda r: r.batch(ask("T", limit=-1)),
        lambda r: r.batch(ask("T", offset=-1)),
        lambda r: r.batch(ask("T", where("v", ">", 1), where("w", ">", 1))),
        lambda r: r.batch(ask("T", where("v", ">", 1), order=["w"])),
        lambda r: r.batch(ask("T", where("v", "=", []))),
        lambda r: r.batch(ask("T", where("__key__", "=", "text"))),
        lambda r: r.batch(ask(None, where("v", "=", 1))),
    ],
)
def test_what_datastore_refuses_is_refused(bad: Callable[[Any], Any], rpc: Rpc) -> None:
    rpc.put(rpc.entity(rpc.key("T", "there"), v=1))
    assert refused(lambda: bad(rpc)) == grpc.StatusCode.INVALID_ARGUMENT


def test_a_transaction_reads_one_state(rpc: Rpc) -> None:
    x = rpc.key("T", "x")
    rpc.put(rpc.entity(x, v=1))
    for options in ({}, {"read_only": True}):
        transaction = rpc.begin(**options)
        before = rpc.get(x, transaction).properties["v"].integer_value
        rpc.put(rpc.entity(x, v=before + 1))
        assert rpc.get(x, transaction).properties["v"].integer_value == before
        rpc.commit(transaction=transaction)  # it has changed nothing: no conflict


def test_a_change_of_what_was_read_aborts_the_commit(rpc: Rpc) -> None:
    x, new = rpc.key("T", "x"), rpc.key("T", "new")
    rpc.put(rpc.entity(x, v=1))

    def race(*reads: Any, change: Any) -> grpc.StatusCode | None:
        transaction = rpc.begin()
        for key in reads:
            rpc.get(key, transaction)
        rpc.commit(change)
        try:
            rpc.put(rpc.entity(rpc.key("T", "result")), transaction=transaction)
        except grpc.RpcError as error:
            return error.code()
        return None

    assert race(x, change=Mutation(upsert=rpc.entity(x, v=2))) == grpc.StatusCode.ABORTED
    assert race(new, change=Mutation(insert=rpc.entity(new))) == grpc.StatusCode.ABORTED
    assert race(new, change=Mutation(delete=new)) == grpc.StatusCode.ABORTED
    assert race(change=Mutation(upsert=rpc.entity(x, v=3))) is None
    assert race(rpc.key("T", "y"), change=Mutation(upsert=rpc.entity(x, v=4))) is None


@pytest.mark.parametrize("ancestor", [True, False])
def test_of_two_who_saw_the_same_query_result_only_one_commits(ancestor: bool, rpc: Rpc) -> None:
    """Each takes what nobody has taken: without protection from phantoms both would."""
    first, second = rpc.begin(), rpc.begin()
    filters = [where("taken", "=", True)]
    if ancestor:
        filters.append(where("__key__", "ancestor", rpc.key("P", 1)))
    assert rpc.names(ask("T", *filters), transaction=first) == []
    assert rpc.names(ask("T", *filters), transaction=second) == []
    rpc.put(rpc.entity(rpc.key("P", 1, "T", "first"), taken=True), transaction=first)
    assert (
        refused(
            lambda: rpc.put(
                rpc.entity(rpc.key("P", 1, "T", "second"), taken=True), transaction=second
            )
        )
        == grpc.StatusCode.ABORTED
    )
    assert rpc.names(ask("T", *filters)) == ["first"]


@pytest.mark.parametrize("hot", [True, False], ids=["one hot entity", "an entity each"])
def test_concurrent_writers_lose_nothing_and_repeat_nothing(
    hot: bool, ndb_client: Callable[[], ndb.Client]
) -> None:
    attempts: list[str] = []
    failures: list[BaseException] = []

    @ndb.transactional(retries=9)
    def visit(name: str, receipt: str) -> None:
        attempts.append(receipt)
        customer = ndb.Key(Customer, name).get()
        customer.visits += 1
        customer.put()
        Receipt(id=receipt, customer=customer.key).put()

    def write(writer: int) -> None:
        client = ndb_client()
        try:
            for number in range(EACH):
                with client.context(cache_policy=False):
                    visit("hot" if hot else f"c{writer}", f"{writer}-{number}")
        except BaseException as error:  # noqa: BLE001 (reported by the main thread)
            failures.append(error)

    names = ["hot"] if hot else [f"c{writer}" for writer in range(WRITERS)]
    with ndb_client().context(cache_policy=False):
        ndb.put_multi([Customer(id=name) for name in names])
    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with ndb_client().context(cache_policy=False):
        visits = [
            customer.visits for customer in ndb.get_multi([ndb.Key(Customer, n) for n in names])
        ]
        receipts = {key.id() for key in Receipt.query().fetch(keys_only=True)}
    assert sum(visits) == WRITERS * EACH
    assert receipts == {f"{w}-{n}" for w in range(WRITERS) for n in range(EACH)}
    assert len(attempts) < 2 * WRITERS * EACH
