"""The local stand-in for Cloud Scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.processes.cron import CronFileError, Job, interval_seconds, read_jobs, run_due
from local.processes.parts import ROOT


def test_schedules_are_read_as_app_engine_reads_them() -> None:
    assert interval_seconds("every 5 minutes") == 300
    assert interval_seconds("every 1 minutes") == 60
    assert interval_seconds("every 12 hours") == 12 * 3600
    assert interval_seconds("every minute") == 60


@pytest.mark.parametrize("schedule", ["every day 00:00", "1st monday of month", "every 0 hours"])
def test_a_schedule_that_is_not_understood_is_refused_by_name(schedule: str) -> None:
    with pytest.raises(CronFileError, match=schedule):
        interval_seconds(schedule)


def test_the_deployed_cron_file_is_understood() -> None:
    jobs = read_jobs(ROOT / "cron.yaml")
    assert "/realtime/cleanup" in [job.url for job in jobs]


def test_a_file_without_jobs_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "cron.yaml"
    path.write_text("something: else\n")
    with pytest.raises(CronFileError, match=r"cron\.yaml"):
        read_jobs(path)


def test_each_job_runs_at_the_start_and_then_at_its_own_interval() -> None:
    often, seldom = Job("/often", 60), Job("/seldom", 150)
    called: list[tuple[float, str]] = []
    due: dict[Job, float] = {}
    clock = [1000.0]
    while clock[0] < 1301:
        now = clock[0]
        clock[0] += run_due(
            [often, seldom], due, now, lambda job: called.append((clock[0], job.url))
        )
    assert [at - 1000 for at, url in called if url == "/often"] == [0, 60, 120, 180, 240, 300]
    assert [at - 1000 for at, url in called if url == "/seldom"] == [0, 150, 300]
