"""Killed in mid-burst, the embedded store keeps what it has answered and halves nothing."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.processes.parts import Part
from tests.local.datastore_rpc import NOT_FINISHED, Mutation, Rpc, ask, name_of

WRITERS = 6
KINDS = ["Message", "Event", "Receipt"]


class Burst:
    """Writers that each insert an entity of every kind and count it, in one transaction."""

    def __init__(self, rpc: Rpc, name: str, kill_after: int) -> None:
        self._rpc, self._name, self._left = rpc, name, kill_after
        self.attempted: set[str] = set()
        self.answered: set[str] = set()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, writer: int) -> None:
        for number in range(1_000_000):
            token = f"{self._name}-{writer}-{number}"
            try:
                self._insert(token)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.ABORTED:
                    return
                continue
            with self._changed:
                self.answered.add(token)
                self._left -= 1
                self._changed.notify_all()

    def _insert(self, token: str) -> None:
        rpc = self._rpc
        transaction = rpc.begin()
        counter = rpc.get(rpc.key("Counter", "all"), transaction)
        count = counter.properties["count"].integer_value if counter else 0
        self.attempted.add(token)
        rpc.commit(
            Mutation(upsert=rpc.entity(rpc.key("Counter", "all"), count=count + 1)),
            *(
                Mutation(insert=rpc.entity(rpc.key(kind, token), token=token, text="x" * 500))
                for kind in KINDS
            ),
            transaction=transaction,
        )

    def wait_for_the_moment(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._left <= 0, timeout=60)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def all_tokens(rpc: Rpc, kind: str, **query: Any) -> set[str]:
    found: set[str] = set()
    cursor = b""
    while True:
        batch = rpc.batch(ask(kind, start=cursor, **query))
        found.update(name_of(result.entity.key) for result in batch.entity_results)
        cursor = batch.end_cursor
        if batch.more_results != NOT_FINISHED:
            return found


@pytest.mark.parametrize(
    "kills", [3, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_what_was_answered_is_there_and_the_rest_whole_or_absent(
    kills: int, tmp_path: Path
) -> None:
    dice = random.Random(kills)
    answered: set[str] = set()
    attempted: set[str] = set()
    store = Part("store", "local.datastore", ["--data", str(tmp_path)])
    try:
        for number in range(kills + 1):
            rpc = Rpc(store.start().wait_for_line("ready "), "durability")
            by_kind = [all_tokens(rpc, kind) for kind in KINDS]
            by_index = [all_tokens(rpc, kind, order=["token"]) for kind in KINDS]
            kept = by_kind[0]
            assert all(tokens == kept for tokens in by_kind + by_index)
            assert answered <= kept <= attempted
            counter = rpc.get(rpc.key("Counter", "all"))
            assert (counter.properties["count"].integer_value if counter else 0) == len(kept)
            if number == kills:
                rpc.close()
                break
            burst = Burst(rpc, f"r{number}", kill_after=dice.randrange(1, 150))
            burst.wait_for_the_moment()
            store.kill()
            burst.join()
            rpc.close()
            answered |= burst.answered
            attempted |= burst.attempted
        assert len(answered) >= kills
    finally:
        store.kill()
