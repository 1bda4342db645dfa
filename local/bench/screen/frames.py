"""What a page's main thread and its frames took, from Chromium itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Longer than this a person sees that it stands still.
STANDSTILL_MS = 100.0
_CATEGORIES = "toplevel,disabled-by-default-devtools.timeline"
_TASKS = ("RunTask", "ThreadControllerImpl::RunTask")
_WATCH = """() => {
  const seen = { frames: 0, late: 0, longest: 0, last: performance.now(), isOver: false };
  window.benchFrames = seen;
  const look = (now) => {
    const took = now - seen.last;
    seen.frames += 1;
    seen.last = now;
    seen.longest = Math.max(seen.longest, took);
    if (took > 100) seen.late += 1;
    if (!seen.isOver) requestAnimationFrame(look);
  };
  requestAnimationFrame((now) => {
    seen.last = now;
    requestAnimationFrame(look);
  });
}"""
_SEEN = "() => { window.benchFrames.isOver = true; return window.benchFrames; }"


@dataclass
class Frames:
    """What was drawn meanwhile; times in ms."""

    frames: int = 0
    late: int = 0  # frames that came later than STANDSTILL_MS after the one before
    longest: float = 0.0  # between two frames
    task: float = 0.0  # the longest task of the page's main thread, by the clock
    work: float = 0.0  # the most processor time that one of its tasks took


@contextlib.contextmanager
def watched(page: Any) -> Iterator[Frames]:
    """What the page draws within; the figures are there at its end."""
    result = Frames()
    events: list[dict[str, Any]] = []
    over: list[Any] = []
    session = page.context.new_cdp_session(page)
    session.on("Tracing.dataCollected", lambda data: events.extend(_kept(data["value"])))
    session.on("Tracing.tracingComplete", lambda data: over.append(data))
    config = {"includedCategories": _CATEGORIES.split(","), "recordMode": "recordAsMuchAsPossible"}
    session.send("Tracing.start", {"traceConfig": config, "transferMode": "ReportEvents"})
    page.evaluate(_WATCH)
    yield result
    seen = page.evaluate(_SEEN)
    session.send("Tracing.end")
    while not over:
        page.wait_for_timeout(20)
    session.detach()
    result.frames, result.late, result.longest = seen["frames"], seen["late"], seen["longest"]
    _measure(result, events)


def _kept(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks, and what names the threads."""
    for event in events:
        if event["name"] in _TASKS or event["name"] == "thread_name":
            yield event


def _measure(result: Frames, events: list[dict[str, Any]]) -> None:
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    for event in events:
        if event["name"] in _TASKS and (event["pid"], event["tid"]) in mains:
            result.task = max(result.task, event.get("dur", 0) / 1000)
            result.work = max(result.work, event.get("tdur", 0) / 1000)


@dataclass(frozen=True)
class Kept:
    """What a page holds after a forced garbage collection."""

    heap_mb: float
    nodes: int
    listeners: int


def kept(page: Any) -> Kept:
    """Collects the garbage, and tells what is left."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    for _ in range(3):  # what the first one frees may hold more
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    counters = session.send("Memory.getDOMCounters")
    session.detach()
    return Kept(heap / 1_000_000, counters["nodes"], counters["jsEventListeners"])
