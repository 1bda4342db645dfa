"""The measurements as tables: `python3 dev.py bench`.

It starts all that it measures on free ports and stops it again. What the figures mean, and the
newest ones: docs/desempenho.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from chat.outgoing.watch import AWAKE_SECONDS
from local.bench import measures, module, statuses, unread
from local.bench.measures import Idle, middle, percentile
from local.bench.screen.frames import STANDSTILL_MS
from local.bench.screen.running import screen
from local.bench.sending.hanging import SENDERS, hanging
from local.bench.sending.takeover import CALL_MS, takeover
from local.bench.storm.running import CLAUDES, CUSTOMERS, SWITCHES, storm
from local.bench.world import cores, store
from local.datastore.google_emulator import missing
from local.processes.parts import POSIX

PARTS = (
    "latency", "memory", "idle", "webhook", "statuses", "overload", "hanging", "takeover", "unread",
    "module", "screen", "storm",
)  # fmt: skip
UPDATES, QUICK_UPDATES = 1000, 100
#: Stored → first tick, of 95 in 100 messages, with a Graph API that answers in a second.
TICK_SECONDS = 10.0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; `--quick` sets what is not given."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough idea in some minutes")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--listeners", help="for latency and memory (1,50,200,500; quick: 1,50)")
    parser.add_argument("--rounds", type=int, help="webhook calls a latency (40; quick: 6)")
    parser.add_argument("--seconds", type=float, help="of the storm (60; quick: 15)")
    parser.add_argument("--store", choices=["embedded", "google", "both"], default="embedded")
    parser.add_argument("--against", help="another realtime_events.py, for module")
    options = parser.parse_args(arguments)
    text = options.listeners or ("1,50" if options.quick else "1,50,200,500")
    try:
        options.listeners = sorted({int(part) for part in text.split(",")})
    except ValueError:
        parser.error(f"--listeners {text}: numbers with commas between them")
    if options.listeners[0] < 1 or (options.rounds is not None and options.rounds < 1):
        parser.error("--listeners and --rounds: from 1 up")
    if options.seconds is not None and not options.seconds > 0:
        parser.error("--seconds: more than 0")
    options.rounds = options.rounds or (6 if options.quick else 40)
    options.seconds = options.seconds or (15.0 if options.quick else 60.0)
    return options


def say(text: str = "") -> None:
    """Print at once, also into a file."""
    print(text, flush=True)


def show(head: Sequence[str], first: int, rows: Iterable[Sequence[str]]) -> None:
    """Print a table, each row as soon as it is there; the first column `first` characters wide.

    The first column goes to the left, the others to the right.
    """
    widths = [first, *(max(len(title), 11) for title in head[1:])]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    say(line(head))
    say("  ".join("-" * width for width in widths))
    for row in rows:
        say(line(row))


def ms(value: float) -> str:
    """Milliseconds, as precise as it makes sense."""
    return f"{value:.1f}" if abs(value) < 10 else f"{value:.0f}"


def percentiles(values: Sequence[float]) -> str:
    """p50/p95/p99."""
    return "/".join(ms(percentile(values, share)) for share in (0.5, 0.95, 0.99))


def show_latency(host: str, options: argparse.Namespace) -> None:
    """Webhook to event."""
    pause = 0.15 if options.quick else 0.4
    say(
        f"LATENCY in ms, p50/p95/p99: one webhook call with one update -> message.created at the\n"
        f"listeners. {options.rounds} calls after {measures.WARM_UP_ROUNDS} to warm up, the next"
        f" {pause} s +-50% after the last listener has the\nformer; with so few calls the p99 is"
        f" nearly the slowest. From {measures.CUSTOMERS} customers in turn. Server:\ngunicorn"
        f" gthread, 1 worker, a thread a listener and some to spare; POLL_SECONDS 0.3.\n"
        f"'last': at the last listener; 'all': over all listeners and calls."
    )
    rows = (
        [
            f"{row.listeners:4d} {row.path}",
            percentiles(row.answered),
            percentiles(row.last),
            percentiles(row.last_after_answer),
            percentiles(row.pairs),
            str(row.missing),
        ]
        for row in measures.latency(host, options.listeners, options.rounds, pause)
    )
    head = ["listeners, path", "POST->200", "POST->last", "200->last", "POST->all", "missing"]
    show(head, 26, rows)


def show_memory(host: str, options: argparse.Namespace) -> None:
    """Memory a listener."""
    say(
        "MEMORY of the worker (resident, kB) with so many streaming listeners that have each had\n"
        "10 events, less its memory before them (after 20 events to one listener). A page brings\n"
        "the cursor of its data; for a listener without one the server reads the store."
    )
    rows = (
        [
            f"{row.listeners:4d} {'with a cursor' if row.with_cursor else 'without'}",
            f"{row.before}",
            f"{row.after}",
            f"{row.each:.0f}",
        ]
        for row in measures.memory(host, options.listeners)
    )
    show(["listeners", "before", "with them", "kB a listener"], 18, rows)


def show_idle(host: str, options: argparse.Namespace) -> None:
    """Store reads while nothing happens."""
    seconds, many = (6, 20) if options.quick else (60, 200)
    cases = [
        Idle(0, "stream", False),
        Idle(1, "stream", False),
        Idle(many, "stream", False),
        Idle(many, "hold", False),
        Idle(0, "stream", True),
        Idle(many, "stream", True),
    ]
    say(
        f"IDLE: calls of one server to the store while nobody writes, a minute (counted for"
        f" {seconds} s in a\npass-through between server and store; the cases run side by side;"
        f" {AWAKE_SECONDS:.0f} s after the last POST,\nso long does a server look for messages that"
        f" another one has left). cron: the routes of cron.yaml,\ncalled at the start and then on"
        f" their schedule: every minute, the clean-up every hour."
    )
    rows = (
        [
            f"{case.listeners:4d} {case.delivery}{' + cron' if case.cron else ''}",
            f"{case.reads:.0f}",
            ", ".join(f"{name} {number:.0f}" for name, number in case.calls.items()) or "none",
        ]
        for case in measures.idle(host, cases, seconds)
    )
    show(["listeners", "reads/min", "all calls/min"], 18, rows)


def show_webhook(host: str, options: argparse.Namespace) -> None:
    """Webhook calls of one update and of many."""
    rounds, updates = (1, QUICK_UPDATES) if options.quick else (3, UPDATES)
    say(
        f"WEBHOOK in seconds, median (slowest): one call with so many updates, POST -> 200, and ->"
        f" its last\nevent at one streaming listener. deferred: updates that were stored raw when"
        f" the 200 was said (the\ncall's time budget is WEBHOOK_BUDGET_SECONDS, 5 s); cron's route"
        f" is called at once to handle them.\n{rounds} calls of a kind, of one update"
        f" {10 * rounds}; 'known' customers have written before."
    )
    rows = (
        [
            row.name,
            f"{middle(row.answered):.3f} ({max(row.answered):.3f})",
            f"{middle(row.shown):.3f} ({max(row.shown):.3f})",
            f"{middle(row.deferred):.0f} ({max(row.deferred)})",
        ]
        for row in measures.webhook(host, updates, rounds)
    )
    show(["call", "POST->200", "POST->last event", "deferred"], 35, rows)


def show_statuses(host: str, options: argparse.Namespace) -> None:
    """Webhook calls of many delivery statuses."""
    rounds, count = (1, QUICK_UPDATES) if options.quick else (5, UPDATES)
    say(
        f"STATUSES in seconds, median (slowest) of {rounds}: one call with so many delivery"
        f" statuses, each of another\nmessage, POST -> 200, and -> its last event at one streaming"
        f" listener. calls: of the server to its store\nfor one such call."
    )
    rows = []
    for row in statuses.statuses(host, count, rounds):
        shown = f"{middle(row.shown):.3f} ({max(row.shown):.3f})" if row.shown else "no event"
        calls = ", ".join(f"{name} {number}" for name, number in sorted(row.calls.items()))
        rows.append(
            [row.name, f"{middle(row.answered):.3f} ({max(row.answered):.3f})", shown, calls]
        )
    show(["call", "POST->200", "POST->last event", "calls"], 35, rows)


def show_overload(host: str, options: argparse.Namespace) -> None:
    """More listeners than threads."""
    row = measures.overload(host, 4 if options.quick else 20)
    say(
        f"OVERLOAD: {row.listeners} streaming listeners, {measures.DEFAULT_THREADS} threads,"
        f" {measures.DEFAULT_CAPACITY} places (REALTIME_EVENTS_CAPACITY): the others\nare answered"
        f" at once and asked to come back after 2 s. A webhook call and a GET /healthz every\n"
        f"0.4 s, for {row.seconds:.0f} s. Times in ms, p50/p95/p99."
    )
    statuses = ", ".join(f"{number} x {status}" for status, number in sorted(row.statuses.items()))
    rows = [
        ["requests of listeners/s", f"{row.requests / row.seconds:.0f} ({statuses})"],
        ["GET /healthz", percentiles(row.healthz)],
        ["webhook POST->200", percentiles(row.latency.answered)],
        ["webhook POST->last listener", percentiles(row.latency.last)],
        ["webhook POST->all listeners", percentiles(row.latency.pairs)],
        ["missing", str(row.latency.missing)],
    ]
    show(["", "figure"], 27, rows)


def show_hanging(host: str, options: argparse.Namespace) -> None:
    """A Graph API that does not answer."""
    say(
        f"HANGING: {measures.DEFAULT_THREADS} threads, {measures.DEFAULT_CAPACITY} open streams,"
        f" and a Graph API that does not answer while attendants go on\nsending in {SENDERS} chats,"
        f" their requests waiting for the outcome as on App Engine. A webhook call\nand a"
        f" GET /healthz every 0.25 s. Times in ms, p50/p95/p99."
    )
    rows = (
        [
            f"{row.senders} chats, {row.sent} messages" if row.senders else "nobody sends",
            percentiles(row.webhook),
            percentiles(row.healthz),
            str(len(row.webhook)),
        ]
        for row in hanging(host, 5 if options.quick else 20)
    )
    show(["sending", "webhook POST->200", "GET /healthz", "calls"], 24, rows)


def show_unread(host: str, options: argparse.Namespace) -> None:
    """The start of a page with few and with many conversations."""
    sizes = [(50, 3), (200, 20)] if options.quick else [(50, 3), (5000, 50), (5000, 300)]
    rounds = 3 if options.quick else 20
    say(
        f"UNREAD: what a page asks for at its start, with so many conversations, of which\n"
        f"some are unread. Times in ms, p50/p95/p99 of {rounds}; calls: of the server to its\n"
        f"store for one request. Paint: a real Chromium, navigation -> first contentful\n"
        f"paint, and -> the list's first row."
    )
    rows = []
    for row in unread.unread(host, sizes, rounds):
        name = f"{row.conversations} ({row.unread} unread)"
        for path in unread.PATHS:
            calls = ", ".join(f"{kind} {number}" for kind, number in row.calls[path].items())
            rows.append([f"{name} GET {path}", percentiles(row.answered[path]), calls])
        for title, times in (("first paint", row.painted), ("first row", row.listed)):
            rows.append([f"{name} {title}", percentiles(times) if times else "no browser", ""])
    show(["conversations, request", "ms", "calls"], 55, rows)


def show_module(host: str, options: argparse.Namespace) -> None:
    """The event log alone."""
    burst = 80 if options.quick else 400
    say(
        f"MODULE: realtime_events in a mini app, published over HTTP, stored first; beside it a\n"
        f"bare condition without a store. Times in ms, p50/p95/p99 of {options.rounds}, to 'all'\n"
        f"listeners, to the 'last'. burst: {burst} events at once, from {module.SENDERS}."
    )
    pause = 0.05 if options.quick else 0.2
    measured = module.module(
        host, options.listeners, options.rounds, pause, burst, options.against or ""
    )
    rows = (
        [
            f"{row.listeners:4d} {row.name}",
            percentiles(row.answered),
            percentiles(row.pairs),
            percentiles(row.last),
            f"{row.kb_each:.0f}",
            f"{row.burst:.0f}",
            str(row.missing),
        ]
        for row in measured
    )
    head = [
        "listeners, app",
        "POST->200",
        "POST->all",
        "POST->last",
        "kB each",
        "burst/s",
        "missing",
    ]
    show(head, 26, rows)


def show_screen(host: str, options: argparse.Namespace) -> None:
    """Frames and memory of a page with many messages and many chats."""
    sizes = {"messages": 10_000, "photos": 500, "chats": 5_000, "switched": 50, "switches": 1_000}
    if options.quick:
        sizes = {"messages": 1_000, "photos": 100, "chats": 300, "switched": 10, "switches": 50}
    say(
        f"SCREEN, in a real Chromium: a chat of {sizes['messages']} messages, one of"
        f" {sizes['photos']} photos, {sizes['chats']} in the list,\n{sizes['switched']} that are"
        f" switched between. frames: drawn, and those that"
        f" came more than {STANDSTILL_MS:.0f} ms after the one before; longest:\nbetween two of"
        " them. task: the longest of the page's main thread by the clock, work: by\nthe processor"
        " time that one took (both from Chromium's trace), which other work on the machine hardly\n"
        "lengthens. bubbles, rows: the most in the document. Times in ms."
    )
    measured = screen(host, **sizes)
    if not measured.steps:
        say("No browser was found.")
        return
    rows = (
        [
            step.name,
            f"{step.frames.frames} ({step.frames.late})",
            ms(step.frames.longest),
            ms(step.frames.task),
            ms(step.frames.work),
            str(step.bubbles),
            str(step.rows),
        ]
        for step in measured.steps
    )
    head = ["", "frames (late)", "longest", "task", "work", "bubbles", "rows"]
    show(head, 26, rows)
    say(f"\nFiles fetched for the photos: {measured.photos_fetched}.")
    say(f"\nMemory after a forced collection, before and after {measured.switches} switches:")
    kept = (measured.before, measured.after)
    show(
        ["", "before", "after"],
        26,
        [
            ["JS heap, MB", *(f"{each.heap_mb:.1f}" for each in kept if each)],
            ["DOM nodes", *(str(each.nodes) for each in kept if each)],
            ["listeners", *(str(each.listeners) for each in kept if each)],
        ],
    )


def show_takeover(host: str, options: argparse.Namespace) -> None:
    """How soon the next process goes on."""
    say(
        f"TAKEOVER in ms: from the end of a process that waits for the Graph API ({CALL_MS // 1000}"
        f" s) to the start of\nthe call for the customer's next message, by another process."
    )
    rounds = 3 if options.quick else 10
    rows = (
        [row.end, str(len(row.times)), *(ms(f(row.times)) for f in (min, middle, max))]
        for row in takeover(host, rounds)
    )
    show(["ended by", "times", "fastest", "median", "slowest"], 26, rows)


def show_storm(host: str, options: argparse.Namespace) -> list[str]:
    """Two servers that are killed in turn; what did not hold."""
    say(
        f"STORM: two servers on one store behind a front end that takes them in turn; every few"
        f" seconds one of\nthem is killed, now and then asked to go, and started again. {CUSTOMERS}"
        f" customers write, an attendant\nanswers several, a page is open throughout. Webhook calls"
        f" come twice and out of order, and the Graph API\nanswers in"
        f" {SWITCHES['graph_delay_ms'] / 1000:.0f} s. {CLAUDES} of the chats are Claude's, which is"
        f" slow and now and then overloaded; one of\nthem is taken over."
    )
    row = storm(host, options.seconds)
    slowest = max(row.ticks, default=float("nan"))
    late = percentile(row.ticks, 0.95)
    ticks = f"{percentile(row.ticks, 0.5):.1f}/{late:.1f}/{slowest:.1f} s of {len(row.ticks)}"
    rows = [
        ["seconds", f"{row.seconds:.0f}"],
        ["SIGKILL, SIGTERM", f"{row.kills}, {row.deploys}"],
        ["messages from customers", str(row.written)],
        ["messages from the attendant", f"{row.sent} ({row.repeated} calls made again)"],
        ["questions in chats of Claude's", str(row.asked)],
        ["answers of Claude's", f"{row.answered} ({row.handed_over} chats end with people)"],
        ["webhook calls", f"{row.posted} ({row.retried} made again)"],
        ["listeners' broken connections", str(row.cut)],
        ["bubbles on the page", "no browser" if row.bubbles is None else str(row.bubbles)],
        ["not sent, and the attendant is asked", str(row.doubtful)],
        ["stored -> first tick, p50/p95/max", ticks],
    ]
    show(["", "figure"], 36, rows)
    faults = list(row.faults)
    if not late < TICK_SECONDS:
        faults.append(f"stored -> first tick: p95 is {late:.1f} s, not under {TICK_SECONDS:.0f} s")
    for fault in faults:
        say(f"DOES NOT HOLD: {fault}")
    if not faults:
        say("Nothing lost, nothing doubled, each chat in its order, on all sides.")
    return faults


SHOWN = {
    "latency": show_latency,
    "memory": show_memory,
    "idle": show_idle,
    "webhook": show_webhook,
    "statuses": show_statuses,
    "overload": show_overload,
    "hanging": show_hanging,
    "takeover": show_takeover,
    "unread": show_unread,
    "module": show_module,
    "screen": show_screen,
    "storm": show_storm,
}


def conditions() -> str:
    """What the figures were measured on, in two lines."""
    now = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    names = ("gunicorn", "google-cloud-ndb", "grpcio")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    load = f", load average {os.getloadavg()[0]:.1f}" if POSIX else ""
    return (
        f"{now}: {cores()} cores for servers, store and listeners together{load}\n"
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {packages}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code: 1 when something that must hold does not."""
    options = parse(arguments)
    if not POSIX:
        say("The measurements need gunicorn, which does not run on Windows.")
        return 1
    stores = ["embedded", "google"] if options.store == "both" else [options.store]
    if "google" in stores and (reason := missing()):
        say(f"Google's emulator is left out: {reason}.")
        stores.remove("google")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    faults: list[str] = []
    say(conditions())
    for kind in stores:
        with store(kind) as host:
            for part in [options.only] if options.only else PARTS:
                say(f"\n== {kind} store")
                faults += SHOWN[part](host, options) or []
    say(f"\n{time.monotonic() - started:.0f} s in all; {conditions().splitlines()[0]}")
    return 0 if stores and not faults else 1
