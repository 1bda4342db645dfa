"""Does on one machine what Cloud Scheduler does for cron.yaml on App Engine.

    python -m local.processes.cron --url http://127.0.0.1:8080 [--file cron.yaml]

calls each job's `url` by GET, with the header `X-Cron-Secret` (on App Engine `X-Appengine-Cron`
says the same and cannot come from outside). Of the schedule formats it knows `every N minutes`
and `every N hours`, and refuses the rest instead of guessing. Each job runs once at the start,
so that a chat that is started once a day also gets its clean-up.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

CALL_SECONDS = 600.0  # App Engine lets a cron request run that long
SCHEDULE = re.compile(r"every (?:(\d+) )?(minute|min|hour)s?(?: synchronized)?")


class CronFileError(ValueError):
    """cron.yaml holds what this runner does not understand."""


@dataclass(frozen=True)
class Job:
    """One entry of cron.yaml: the path to call, and the seconds from one call to the next."""

    url: str
    seconds: float


def interval_seconds(schedule: str) -> float:
    """Seconds between two runs of `every N minutes|hours`; CronFileError for other formats."""
    match = SCHEDULE.fullmatch(schedule.strip().lower())
    number = int(match[1] or 1) if match else 0
    if match is None or number < 1:
        raise CronFileError(f"schedule {schedule!r}: only 'every N minutes' and 'every N hours'")
    return number * (3600.0 if match[2] == "hour" else 60.0)


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a cron.yaml; raises CronFileError, naming what is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = content["cron"]
        return [Job(entry["url"], interval_seconds(entry["schedule"])) for entry in entries]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CronFileError(f"{path}: {error!r}") from error


def run_due(
    jobs: Sequence[Job], due: dict[Job, float], now: float, call: Callable[[Job], None]
) -> float:
    """Call what is due at `now` and note when it is due again; return seconds until the next."""
    for job in jobs:
        if due.get(job, now) <= now:
            due[job] = now + job.seconds
            call(job)
    return max(0.0, min((due[job] for job in jobs), default=now + 3600) - now)


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m local.processes.cron")
    parser.add_argument("--url", required=True, help="address of the chat")
    parser.add_argument("--file", type=Path, default=Path("cron.yaml"))
    options = parser.parse_args()
    try:
        jobs = read_jobs(options.file)
    except CronFileError as error:
        sys.exit(str(error))
    session = requests.Session()
    session.headers["X-Cron-Secret"] = os.environ.get("CRON_SECRET", "")

    def call(job: Job) -> None:
        try:
            answer = session.get(options.url.rstrip("/") + job.url, timeout=CALL_SECONDS)
        except requests.RequestException as error:
            print(f"{job.url}: {type(error).__name__}", file=sys.stderr)
            return
        if not answer.ok:
            print(f"{job.url}: {answer.status_code}", file=sys.stderr)

    print(f"ready {len(jobs)} jobs", flush=True)
    due: dict[Job, float] = {}
    never = threading.Event()
    while True:
        never.wait(run_due(jobs, due, time.monotonic(), call))


if __name__ == "__main__":
    main()
