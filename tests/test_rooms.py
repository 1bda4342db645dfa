"""The rooms of the house: imports go one way between them, and none is crowded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes.parts import ROOT

#: A room may import those after it.
ROOMS = {
    "chat": [
        "tasks", "screen", "retention", "search", "push", "uploads", "incoming", "auto_reply",
        "outgoing", "media", "people", "conversation", "team", "platform",
    ],
    "local": [
        "screenshots", "bench", "icons", "sample_data", "push", "claude", "simulator", "datastore",
        "processes",
    ],
    "static/chat": [
        "chat", "measuring", "installed", "keyboard", "user_menu", "navigation", "search",
        "pinned", "templates", "panel", "list", "actions", "thread", "message", "media", "composer",
        "notices", "organizing", "data", "parts", "logout",
    ],
}  # fmt: skip
MOST_FILES = 10
#: The simulator stands for a whole other house.
CROWDED = {"local/simulator"}
MODULES = ("realtime_events", "unread_state", "message_status")

each_house = pytest.mark.parametrize("house", ROOMS)


def python_imports(path: Path) -> Iterator[str]:
    """All that a Python file imports, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def script_imports(path: Path) -> Iterator[str]:
    """The files that a script imports, as paths from the root without their ending."""
    for name in re.findall(r"""from ["'](.+?)\.js["']""", path.read_text(encoding="utf-8")):
        yield str((path.parent / name).resolve().relative_to(ROOT))


def imports(house: str) -> Iterator[tuple[Path, str, str]]:
    """(file, its path from the house, the path from the house of what it imports)."""
    for path in sorted((ROOT / house).rglob("*")):
        found: Iterator[str] = iter(())
        if path.suffix == ".py":
            found = (name.replace(".", "/") for name in python_imports(path))
        elif path.suffix == ".js" and not path.is_relative_to(ROOT / "local"):
            found = script_imports(path)
        here = str(path.relative_to(ROOT / house).with_suffix(""))
        for name in found:
            if name.startswith(f"{house}/"):
                yield path, here, name.removeprefix(f"{house}/")


def room(inside: str) -> str:
    return inside.split("/", 1)[0]


@each_house
def test_imports_go_down_the_list_of_rooms(house: str) -> None:
    rooms = ROOMS[house]
    crossing = [
        (path, room(here), room(there))
        for path, here, there in imports(house)
        if room(here) != room(there) and room(here) != "__init__"
    ]
    assert crossing
    assert [each for each in crossing if rooms.index(each[1]) > rooms.index(each[2])] == []


@each_house
def test_no_file_imports_itself_by_way_of_others(house: str) -> None:
    known = {here for _, here, _ in imports(house)}
    graph: dict[str, set[str]] = {}
    for _, here, there in imports(house):
        # `from chat.people import identity` and `from chat.people.identity import People`
        target = there if there in known else there.rpartition("/")[0]
        if target != here:
            graph.setdefault(here, set()).add(target)
    while ends := {name for name, to in graph.items() if not to & graph.keys()}:
        graph = {name: to for name, to in graph.items() if name not in ends}
    assert graph == {}


@each_house
def test_no_room_is_crowded(house: str) -> None:
    for folder in [ROOT / house, *(each for each in (ROOT / house).rglob("*") if each.is_dir())]:
        where = str(folder.relative_to(ROOT))
        files = [each for each in folder.iterdir() if each.is_file() and each.name != "__init__.py"]
        if "__pycache__" not in where and where not in CROWDED:
            assert len(files) <= MOST_FILES, where


def test_the_modules_and_the_simulator_know_no_chat() -> None:
    files = [ROOT / f"{name}.py" for name in MODULES]
    files += (ROOT / "local" / "simulator").rglob("*.py")
    known = [(path.name, name) for path in files for name in python_imports(path)]
    assert known
    assert [each for each in known if each[1].split(".")[0] in ("chat", "main")] == []
