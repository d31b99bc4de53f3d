"""The schedule: crontab lines as in crontab(5), and no pile-up of missed times."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from immich_facesets.errors import SetupError
from service.settings import Settings
from service.sync.schedule import SyncTrigger, trigger_of

NOW = datetime(2026, 5, 13, 12, 7, tzinfo=UTC)
"""A Wednesday."""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def rings(line: str, count: int) -> list[str]:
    """The next times of a crontab line: weekday, day and time."""
    trigger = trigger_of(Settings(sync_cron=line), NOW)
    moments: list[datetime] = []
    while len(moments) < count:
        after = moments[-1] + timedelta(seconds=1) if moments else NOW
        moments.append(trigger.get_next_fire_time(moments[-1] if moments else None, after))
    return [f"{moment:%a %d %H:%M}" for moment in moments]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("*/30 * * * *", ["Wed 13 12:30", "Wed 13 13:00"]),
        ("0 3 * * *", ["Thu 14 03:00", "Fri 15 03:00"]),
        ("0 3 * * 0", ["Sun 17 03:00", "Sun 24 03:00"]),
        ("0 3 * * 7", ["Sun 17 03:00", "Sun 24 03:00"]),
        ("0 3 * * sun", ["Sun 17 03:00", "Sun 24 03:00"]),
        ("0 3 * * 1", ["Mon 18 03:00", "Mon 25 03:00"]),
        ("0 3 * * 1-5", ["Thu 14 03:00", "Fri 15 03:00", "Mon 18 03:00"]),
        ("0 3 * * MON-FRI", ["Thu 14 03:00", "Fri 15 03:00", "Mon 18 03:00"]),
        ("0 3 * * 5-7", ["Fri 15 03:00", "Sat 16 03:00", "Sun 17 03:00", "Fri 22 03:00"]),
        ("0 3 * * fri-sun", ["Fri 15 03:00", "Sat 16 03:00", "Sun 17 03:00", "Fri 22 03:00"]),
        ("0 3 * * 7-1", ["Sun 17 03:00", "Mon 18 03:00", "Sun 24 03:00"]),
        ("0 3 * * sat-mon", ["Sat 16 03:00", "Sun 17 03:00", "Mon 18 03:00", "Sat 23 03:00"]),
        ("0 3 * * 0-7", ["Thu 14 03:00", "Fri 15 03:00", "Sat 16 03:00", "Sun 17 03:00"]),
        ("0 3 * * 6,0", ["Sat 16 03:00", "Sun 17 03:00", "Sat 23 03:00"]),
        ("0 3 * * */2", ["Thu 14 03:00", "Sat 16 03:00", "Sun 17 03:00", "Tue 19 03:00"]),
        ("0 3 1 * *", ["Mon 01 03:00", "Wed 01 03:00"]),
        ("0 3 15 * 0", ["Fri 15 03:00", "Sun 17 03:00", "Sun 24 03:00"]),
    ],
)
def test_a_crontab_line_means_what_it_means_to_cron(line: str, expected: list[str]) -> None:
    assert rings(line, len(expected)) == expected


@pytest.mark.parametrize(
    "line",
    ["every day", "* * * *", "61 * * * *", "0 25 * * *", "0 3 * * 8", "0 3 * * someday", "0 3 * * 5-", "0 3 * * 1/0",
     "@daily", "0 0 0 3 * *"],
)  # fmt: skip
def test_a_line_that_is_no_crontab_line_is_refused(line: str) -> None:
    with pytest.raises(SetupError, match="FACESETS_SYNC_CRON is no crontab line"):
        trigger_of(Settings(sync_cron=line))


def test_a_time_that_never_comes_is_refused() -> None:
    with pytest.raises(SetupError, match="FACESETS_SYNC_CRON names a time that never comes"):
        trigger_of(Settings(sync_cron="0 3 30 2 *"))


def test_without_a_crontab_line_the_interval_counts() -> None:
    trigger = trigger_of(Settings(sync_interval=timedelta(seconds=90)))
    assert isinstance(trigger, IntervalTrigger)
    assert trigger.interval == timedelta(seconds=90)


@contextmanager
def sync_trigger(seconds: float) -> Iterator[tuple[SyncTrigger, list[datetime | None]]]:
    told: list[datetime | None] = []
    opened = SyncTrigger(IntervalTrigger(seconds=seconds, timezone=UTC), on_next=told.append)
    opened.start()
    try:
        yield opened, told
    finally:
        opened.stop()


async def test_the_schedule_starts_a_sync_and_reports_the_next_time() -> None:
    with sync_trigger(0.05) as (trigger, told):
        async with asyncio.timeout(10):
            await trigger.wait()
            await trigger.wait()
        assert told[-1] is not None
        assert told[-1].tzinfo is UTC


async def test_times_during_a_sync_start_one_further_sync() -> None:
    with sync_trigger(3600) as (trigger, _):
        for _ in range(3):
            trigger.fire()
        async with asyncio.timeout(10):
            await trigger.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await trigger.wait()


async def test_a_stopped_schedule_starts_no_sync() -> None:
    with sync_trigger(0.05) as (trigger, _):
        pass
    trigger._fired.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await trigger._fired.wait()


@pytest.mark.parametrize("zone", ["UTC+2", "CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berln", "nonsense", "/nowhere", ":x"])
def test_a_time_zone_without_a_name_is_told_with_the_way_out(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    with pytest.raises(SetupError, match=r"TZ names no time zone .*FACESETS_SYNC_CRON.*Europe/Berlin"):
        trigger_of(Settings(sync_cron="0 3 * * *"))
    assert trigger_of(Settings(sync_interval=timedelta(minutes=5))) is not None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "America/New_York"])
def test_a_crontab_line_is_in_the_time_zone_of_the_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    now = datetime(2026, 1, 10, 12, tzinfo=UTC)
    found = trigger_of(Settings(sync_cron="0 3 * * *"), now).get_next_fire_time(None, now)
    assert found.astimezone(ZoneInfo(zone)).hour == 3
