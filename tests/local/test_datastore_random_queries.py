"""Random queries over random entities, against the same done with plain Python lists."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.local.datastore_rpc import MORE_RESULTS_AFTER_LIMIT, Rpc, ask, name_of, where

ENTITIES = 60
QUERIES = 60
# Few values, so that many are equal and the order of keys decides.
VALUES: list[Any] = [None, -1, 0, 1, 2, False, True, "", "a", "ab", "b", -0.5, 0.5]
PROPERTIES = ["p", "q", "r"]


def rank(content: Any) -> tuple[int, Any]:
    """What a value sorts by: its type first."""
    match content:
        case None:
            return 0, 0
        case bool():
            return 2, content
        case int():
            return 1, content
        case str():
            return 3, content
        case _:
            return 4, content


@dataclass
class Model:
    """One random query, in words that both sides understand."""

    equal: list[tuple[str, Any]] = field(default_factory=list)
    bounds: list[tuple[str, Any]] = field(default_factory=list)  # on `order[0]`
    order: list[str] = field(default_factory=list)
    keys_down: bool = False
    above: str | None = None

    @classmethod
    def random(cls, dice: random.Random) -> Model:
        model = cls(keys_down=dice.random() < 0.3)
        names = dice.sample(PROPERTIES, 3)
        if dice.random() < 0.6:
            model.equal = [(names[0], dice.choice(VALUES))]
            if dice.random() < 0.3:
                model.equal.append((dice.choice(PROPERTIES), dice.choice(VALUES)))
        free = [name for name in names if name not in dict(model.equal)]
        model.order = [dice.choice(["", "-"]) + name for name in free[: dice.randrange(3)]]
        if model.order:
            for operator in dice.sample(["<", "<=", ">", ">="], dice.randrange(3)):
                model.bounds.append((operator, dice.choice(VALUES)))
        if not model.bounds and dice.random() < 0.3:
            model.above = f"e{dice.randrange(ENTITIES):02}"
            if model.order:
                model.above = None
        return model

    def query(self, rpc: Rpc, **options: Any) -> Any:
        filters = [where(name, "=", content) for name, content in self.equal]
        filters += [where(self.order[0].lstrip("-"), op, content) for op, content in self.bounds]
        if self.above:
            filters.append(where("__key__", ">", rpc.key("T", self.above)))
        order = [*self.order, "-__key__"] if self.keys_down else self.order
        return ask("T", *filters, order=order, **options)

    def answer(self, entities: dict[str, dict[str, Any]]) -> list[str]:
        found: list[tuple[str, list[tuple[int, Any]]]] = []
        for name, properties in entities.items():
            ranks = {key: self._ranks(content) for key, content in properties.items()}
            if any(rank(content) not in ranks.get(key, []) for key, content in self.equal):
                continue
            if self.above and name <= self.above:
                continue
            first = []
            for number, key in enumerate(self.order):
                candidates = ranks.get(key.lstrip("-"), [])
                if number == 0:
                    candidates = [c for c in candidates if self._within(c)]
                if candidates:
                    first.append(max(candidates) if key[0] == "-" else min(candidates))
            if len(first) == len(self.order):
                found.append((name, first))
        # Stable sorts, the least important first.
        found.sort(key=lambda item: item[0], reverse=self.keys_down)
        for number in reversed(range(len(self.order))):
            found.sort(
                key=lambda item: item[1][number],  # noqa: B023 (used at once)
                reverse=self.order[number][0] == "-",
            )
        return [name for name, _ in found]

    @staticmethod
    def _ranks(content: Any) -> list[tuple[int, Any]]:
        if isinstance(content, list):
            return [rank(item) for item in content] or [rank(None)]
        return [rank(content)]

    def _within(self, candidate: tuple[int, Any]) -> bool:
        compare = {
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }
        return all(compare[op](candidate, rank(content)) for op, content in self.bounds)


def random_entities(dice: random.Random) -> dict[str, dict[str, Any]]:
    entities: dict[str, dict[str, Any]] = {}
    for number in range(ENTITIES):
        properties: dict[str, Any] = {}
        for name in PROPERTIES:
            if dice.random() < 0.85:
                several = name == "r" and dice.random() < 0.4
                properties[name] = (
                    [dice.choice(VALUES) for _ in range(dice.randrange(4))]
                    if several
                    else dice.choice(VALUES)
                )
        entities[f"e{number:02}"] = properties
    return entities


@pytest.mark.store
@pytest.mark.parametrize("seed", range(4))
def test_random_queries_answer_like_plain_lists(seed: int, rpc: Rpc) -> None:
    dice = random.Random(seed)
    entities = random_entities(dice)
    rpc.put(*(rpc.entity(rpc.key("T", name), **p) for name, p in entities.items()))
    # Changed and deleted ones leave nothing behind in the indexes.
    for name, properties in list(random_entities(dice).items())[:20]:
        entities[name] = properties
        rpc.put(rpc.entity(rpc.key("T", name), **properties))
    nonempty = 0
    for _ in range(QUERIES):
        model = Model.random(dice)
        expected = model.answer(entities)
        nonempty += bool(expected)
        assert rpc.names(model.query(rpc)) == expected, model
        assert rpc.names(model.query(rpc, select=["__key__"])) == expected, model
        offset, limit = dice.randrange(5), dice.randrange(1, 20)
        cut = model.query(rpc, offset=offset, limit=limit)
        assert rpc.names(cut) == expected[offset : offset + limit], model
    assert nonempty > QUERIES / 3


@pytest.mark.parametrize("seed", range(4))
def test_pages_of_random_queries_add_up(seed: int, rpc: Rpc) -> None:
    """Google's emulator loses some where a property has several values, or values several types."""
    dice = random.Random(seed)
    entities = random_entities(dice)
    rpc.put(*(rpc.entity(rpc.key("T", name), **p) for name, p in entities.items()))
    for _ in range(QUERIES):
        model = Model.random(dice)
        paged, cursor = [], b""
        while True:
            batch = rpc.batch(model.query(rpc, limit=7, start=cursor))
            paged += [name_of(result.entity.key) for result in batch.entity_results]
            cursor = batch.end_cursor
            if batch.more_results != MORE_RESULTS_AFTER_LIMIT:
                break
        assert paged == model.answer(entities), model
