"""The embedded store as a process, and where it is stricter than Google's emulator."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.datastore import transactions
from local.datastore.server import serve
from local.processes.parts import Part, PartDiedError
from tests.local.datastore_rpc import (
    MORE_RESULTS_AFTER_LIMIT,
    NO_MORE_RESULTS,
    NOT_FINISHED,
    Filter,
    Mutation,
    Rpc,
    ask,
    value,
    where,
)


@pytest.fixture
def part() -> Iterator[Callable[..., Part]]:
    """Starts a store with these arguments."""
    parts: list[Part] = []

    def start(*arguments: str) -> Part:
        parts.append(Part("store", "local.datastore", arguments))
        return parts[-1].start()

    yield start
    for each in parts:
        each.stop()
        assert each.left_behind() == []


@pytest.fixture
def rpc() -> Iterator[Rpc]:
    """A store within this process, empty and soon forgotten."""
    with serve() as host_port:
        rpc = Rpc(host_port, "process")
        yield rpc
        rpc.close()


def code_of(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def test_data_and_ids_outlive_the_process_until_fresh(
    part: Callable[..., Part], tmp_path: Path
) -> None:
    ids: set[int] = set()
    for arguments, expected in ([], 0), ([], 1), (["--fresh"], 0), ([], 1):
        store = part("--data", str(tmp_path), *arguments)
        rpc = Rpc(store.wait_for_line("ready "), "kept")
        assert len(rpc.names(ask("T", where("v", "=", 1)))) == expected
        if "--fresh" in arguments:
            ids.clear()
        new = {k.path[-1].id for k in rpc.AllocateIds(keys=[rpc.key("T")] * 20).keys}
        assert len(new) == 20
        assert not new & ids
        ids |= new
        rpc.put(rpc.entity(rpc.key("T", "x"), v=1))
        rpc.close()
        store.stop()
        assert store.returncode == 0


def test_it_says_why_it_cannot_start(part: Callable[..., Part], tmp_path: Path) -> None:
    host_port = part("--data", str(tmp_path)).wait_for_line("ready ")
    with pytest.raises(PartDiedError, match="is the port taken"):
        part("--host-port", host_port).wait_for_line("ready ")
    with pytest.raises(PartDiedError, match="in use by another"):
        part("--data", str(tmp_path)).wait_for_line("ready ")


def test_it_stops_at_once_even_with_transactions_waiting(part: Callable[..., Part]) -> None:
    store = part()
    rpc = Rpc(store.wait_for_line("ready "), "stopping")
    x = rpc.key("T", "x")
    rpc.get(x, rpc.begin())

    def wait_in_line() -> None:
        with contextlib.suppress(grpc.RpcError):
            rpc.get(x, rpc.begin())

    waiting = [threading.Thread(target=wait_in_line) for _ in range(8)]
    for thread in waiting:
        thread.start()
    begun = time.monotonic()
    store.terminate()
    assert store.wait() == 0
    # 0.2 to 0.3 s on an idle machine; one after the other they would take eight times HOLD_SECONDS.
    assert time.monotonic() - begun < 6
    for thread in waiting:
        thread.join()
    rpc.close()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL and process groups are POSIX")
def test_it_ends_with_its_parent() -> None:
    program = (
        "import subprocess, sys\n"
        "store = subprocess.Popen([sys.executable, '-m', 'local.datastore',"
        " '--exit-with-parent'])\n"
        "store.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"ready 127.0.0.1:")
        parent.send_signal(signal.SIGKILL)
        # The store has the other end of the pipe: it is closed when the store has ended.
        assert parent.stdout.read() == b""


def test_what_it_does_not_do_it_refuses_as_unimplemented(rpc: Rpc) -> None:
    x = rpc.entity(rpc.key("T", "x"), v=1)
    either = Filter()
    either.composite_filter.op = 2
    either.composite_filter.filters.append(where("v", "=", 1))
    distinct = ask("T", select=["v"])
    distinct.distinct_on.add(name="v")
    mask = {"paths": ["v"]}
    for call in (
        lambda: rpc.RunAggregationQuery(),
        lambda: rpc.RunQuery(gql_query={"query_string": "SELECT * FROM T"}),
        lambda: rpc.RunQuery(query=ask("T"), property_mask=mask),
        lambda: rpc.RunQuery(query=ask("T"), explain_options={"analyze": True}),
        lambda: rpc.RunQuery(query=ask("T"), read_options={"read_time": {"seconds": 5}}),
        lambda: rpc.RunQuery(query=ask("T"), read_options={"new_transaction": {}}),
        lambda: rpc.Lookup(keys=[x.key], property_mask=mask),
        lambda: rpc.BeginTransaction(
            transaction_options={"read_only": {"read_time": {"seconds": 5}}}
        ),
        lambda: rpc.Commit(single_use_transaction={}, mutations=[]),
        lambda: rpc.commit(Mutation(upsert=x, base_version=1)),
        lambda: rpc.commit(Mutation(upsert=x, property_mask=mask)),
        lambda: rpc.commit(
            Mutation(upsert=x, property_transforms=[{"property": "v", "increment": value(1)}])
        ),
        lambda: rpc.batch(ask("T", where("v", "!=", 1))),
        lambda: rpc.batch(ask("T", where("v", "in", 1))),
        lambda: rpc.batch(ask("T", either)),
        lambda: rpc.batch(distinct),
        lambda: rpc.batch(ask("__kind__")),
    ):
        assert code_of(call) == grpc.StatusCode.UNIMPLEMENTED
    assert rpc.get(x.key) is None


def test_it_holds_productions_limits(rpc: Rpc) -> None:
    def large(size: int) -> Any:
        return rpc.entity(rpc.key("T", "x"), v=value("x" * size, excluded=True))

    rpc.put(large(1_048_000))
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(lambda: rpc.put(large(1_048_572))) == invalid
    assert code_of(lambda: rpc.put(rpc.entity(rpc.key(*["K", "a" * 1400] * 5)))) == invalid
    assert code_of(lambda: rpc.Lookup(keys=[rpc.key("T", n + 1) for n in range(1001)])) == invalid
    mutations = [Mutation(upsert=large(1_000_000)) for _ in range(12)]
    for number, mutation in enumerate(mutations):
        mutation.upsert.key.path[0].name = f"n{number}"
    assert code_of(lambda: rpc.commit(*mutations)) == invalid


def test_large_answers_come_in_parts_that_clients_accept(rpc: Rpc) -> None:
    keys = [rpc.key("T", n + 1) for n in range(8)]
    for key in keys:
        rpc.put(rpc.entity(key, v=value("x" * 1_000_000, excluded=True)))
    answer = rpc.Lookup(keys=keys)
    assert answer.ByteSize() < 4 * 1024 * 1024
    assert [found.entity.key for found in answer.found] + list(answer.deferred) == keys
    batch = rpc.batch(ask("T"))
    assert batch.ByteSize() < 4 * 1024 * 1024
    assert batch.more_results == NOT_FINISHED


def test_it_tells_whether_there_is_more(rpc: Rpc) -> None:
    rpc.put(*(rpc.entity(rpc.key("T", n + 1)) for n in range(3)))
    assert rpc.batch(ask("T", limit=3)).more_results == MORE_RESULTS_AFTER_LIMIT
    assert rpc.batch(ask("T", limit=4)).more_results == NO_MORE_RESULTS
    assert rpc.batch(ask("T")).more_results == NO_MORE_RESULTS


def test_queries_in_transactions_have_no_phantoms_and_no_false_conflicts(rpc: Rpc) -> None:
    """An abort where Google's emulator finds an order in which the commit may stand."""
    first = rpc.begin()
    assert rpc.names(ask("T", where("v", "=", 1)), transaction=first) == []
    rpc.put(rpc.entity(rpc.key("T", "beside"), v=2))
    rpc.put(rpc.entity(rpc.key("T", "result")), transaction=first)
    second = rpc.begin()
    assert rpc.names(ask("T", where("v", "=", 1)), transaction=second) == []
    rpc.put(rpc.entity(rpc.key("T", "beside"), v=1))
    aborted = code_of(lambda: rpc.put(rpc.entity(rpc.key("T", "other")), transaction=second))
    assert aborted == grpc.StatusCode.ABORTED


def test_who_reads_a_key_waits_for_the_one_who_has_it(rpc: Rpc) -> None:
    x = rpc.key("T", "x")
    rpc.put(rpc.entity(x, v=1))
    seen: list[int] = []
    first, second = rpc.begin(), rpc.begin()
    rpc.get(x, first)
    waiting = threading.Thread(
        target=lambda: seen.append(rpc.get(x, second).properties["v"].integer_value)
    )
    waiting.start()
    rpc.put(rpc.entity(x, v=2), transaction=first)
    waiting.join()
    assert seen == [2]
    rpc.put(rpc.entity(x, v=3), transaction=second)


def test_crosswise_readers_do_not_wait_for_each_other(
    rpc: Rpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "HOLD_SECONDS", 60)
    x, y = rpc.key("T", "x"), rpc.key("T", "y")
    first, second = rpc.begin(), rpc.begin()
    rpc.get(x, first)
    rpc.get(y, second)
    with ThreadPoolExecutor() as pool:
        reads = {pool.submit(rpc.get, y, first): first, pool.submit(rpc.get, x, second): second}
        # Whoever would close the circle goes ahead, and lets the other one go on.
        done, waiting = wait(reads, timeout=25, return_when=FIRST_COMPLETED)
        assert (len(done), len(waiting)) == (1, 1)
        ahead, behind = (reads[one] for (one,) in (done, waiting))
        rpc.put(rpc.entity(x, v=1), rpc.entity(y, v=1), transaction=ahead)
    aborted = code_of(lambda: rpc.put(rpc.entity(x, v=2), transaction=behind))
    assert aborted == grpc.StatusCode.ABORTED


def test_a_dead_client_holds_others_up_but_once(rpc: Rpc) -> None:
    x = rpc.key("T", "x")
    rpc.get(x, rpc.begin())  # and never heard of again
    begun = time.monotonic()
    for number in range(10):
        transaction = rpc.begin()
        rpc.get(x, transaction)
        rpc.put(rpc.entity(x, v=number), transaction=transaction)
    assert time.monotonic() - begun < 5 * transactions.HOLD_SECONDS
