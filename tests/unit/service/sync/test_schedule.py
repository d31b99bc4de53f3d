"""The schedule: crontab lines as in crontab(5), and no pile-up of missed times."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from immich_facesets.errors import SetupError
from service.settings import Settings
from service.sync.schedule import Interval, SyncTrigger, schedule_of

NOW = datetime(2026, 5, 13, 12, 7, tzinfo=UTC)
"""A Wednesday."""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def rings(line: str, count: int) -> list[str]:
    """The next times of a crontab line: weekday, day and time."""
    schedule = schedule_of(Settings(sync_cron=line))
    moments: list[datetime] = []
    while len(moments) < count:
        moments.append(schedule.after(moments[-1] if moments else NOW))
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
        schedule_of(Settings(sync_cron=line))


def test_a_time_that_never_comes_is_refused() -> None:
    with pytest.raises(SetupError, match="FACESETS_SYNC_CRON names a time that never comes"):
        schedule_of(Settings(sync_cron="0 3 30 2 *"))


def test_without_a_crontab_line_the_interval_counts() -> None:
    schedule = schedule_of(Settings(sync_interval=timedelta(seconds=90)))
    assert schedule.after(NOW) == NOW + timedelta(seconds=90)


@dataclass
class SetClock:
    """A clock that a test sets: the time passes while something sleeps, and ``steps`` change it by seconds."""

    now: datetime
    passed: float = 0.0
    steps: dict[float, float] = field(default_factory=dict)
    """How far the clock is set, by the passed seconds from which on it is."""

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        for _ in range(3):  # all others have their turn
            await asyncio.sleep(0)
        self.passed += seconds
        self.now += timedelta(seconds=seconds)
        for at in [at for at in self.steps if at <= self.passed]:
            self.now += timedelta(seconds=self.steps.pop(at))


DAY = 86400.0


async def starts(settings: Settings, clock: SetClock, seconds: float) -> list[float]:
    """The seconds at which a schedule starts syncs, of those that really pass."""
    found: list[float] = []
    trigger = SyncTrigger(schedule_of(settings), on_next=lambda _: None, clock=clock, sleep=clock.sleep)

    async def record() -> None:
        while True:
            await trigger.wait()
            found.append(clock.passed)

    recording = asyncio.create_task(record())
    trigger.start()
    while clock.passed < seconds:  # noqa: ASYNC110 - the clock is the test's, and no event
        await asyncio.sleep(0)
    trigger.stop()
    recording.cancel()
    return found


HOURLY = (Settings(sync_interval=timedelta(hours=1)), Settings(sync_cron="7 * * * *"))


@pytest.mark.parametrize("settings", HOURLY)
@pytest.mark.parametrize("step", [-DAY, -30 * DAY, -1800.0, DAY, 30 * DAY, 1800.0])
async def test_a_clock_that_is_set_stops_no_scheduled_sync(settings: Settings, step: float) -> None:
    found = await starts(settings, SetClock(NOW, steps={2 * 3600.0 + 600: step}), 6 * 3600.0 + 60)
    pauses = [after - before for before, after in pairwise([0.0, *found])]
    assert 5 <= len(found) <= 8
    assert max(pauses) <= 2 * 3600 + 120, "a clock set back costs less than one further interval"


@pytest.mark.parametrize("settings", HOURLY)
async def test_with_a_steady_clock_each_time_starts_one_sync(settings: Settings) -> None:
    found = await starts(settings, SetClock(NOW), 5 * 3600.0 + 60)
    assert [round(at / 3600) for at in found] == [1, 2, 3, 4, 5]


@contextmanager
def sync_trigger(seconds: float) -> Iterator[tuple[SyncTrigger, list[datetime | None]]]:
    told: list[datetime | None] = []
    opened = SyncTrigger(Interval(timedelta(seconds=seconds)), on_next=told.append)
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
        schedule_of(Settings(sync_cron="0 3 * * *"))
    assert schedule_of(Settings(sync_interval=timedelta(minutes=5))) is not None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "America/New_York"])
def test_a_crontab_line_is_in_the_time_zone_of_the_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    now = datetime(2026, 1, 10, 12, tzinfo=UTC)
    found = schedule_of(Settings(sync_cron="0 3 * * *")).after(now)
    assert found.astimezone(ZoneInfo(zone)).hour == 3
