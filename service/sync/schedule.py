"""
Schedule of the syncs: it only sets an event, and the waiting task does the work.

The clock of the machine may be set back or forward at any time. So the next time is computed anew at every look.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from immich_facesets.errors import SetupError
from service.settings import Settings

_LOOK_SECONDS: Final = 60.0
"""The longest sleep of the schedule: how late a change of the clock is noticed."""

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Weekdays as in crontab(5): 0 and 7 are Sunday. apscheduler 3 begins with Monday, and warns about it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A sync some time after the last was started."""

    pause: timedelta

    def __str__(self) -> str:
        return f"every {self.pause}"

    def after(self, now: datetime) -> datetime:
        return now + self.pause


@dataclass(frozen=True, slots=True)
class Crontab:
    """A sync at the times of a crontab line."""

    line: str
    trigger: BaseTrigger

    def __str__(self) -> str:
        return f"at {self.line!r}"

    def after(self, now: datetime) -> datetime:
        """Return the first time later than ``now``; a ``SetupError`` where there is none."""
        found: datetime | None = self.trigger.get_next_fire_time(None, now + timedelta(microseconds=1))
        if found is None:
            raise SetupError(f"FACESETS_SYNC_CRON names a time that never comes; correct it: {self.line!r}")
        return found


Schedule = Interval | Crontab


def schedule_of(settings: Settings) -> Schedule:
    """
    Return the schedule in the settings.

    An invalid crontab line, or one whose time never comes, raises a ``SetupError``.
    """
    if not settings.sync_cron:
        return Interval(settings.sync_interval)
    try:
        found = Crontab(settings.sync_cron, _crontab(settings.sync_cron, _local_zone()))
    except ValueError as error:
        raise SetupError(f"FACESETS_SYNC_CRON is no crontab line (such as '*/30 * * * *'): {error}") from error
    found.after(_utc_now())
    return found


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _local_zone() -> tzinfo:
    """Return the time zone that TZ names, otherwise that of the machine; an unknown one raises a ``SetupError``."""
    said = os.environ.get("TZ", "").removeprefix(":")
    try:
        if not said:
            machine: tzinfo = CronTrigger(hour=0).timezone
            return machine
        if Path(said).is_absolute():
            with Path(said).open("rb") as file:
                return ZoneInfo.from_file(file, key="local")
        return ZoneInfo(said)
    except (LookupError, ValueError, OSError) as error:  # what the libraries of time zones raise
        reason = f"TZ names no time zone ({said!r})" if said else "the time zone of this machine is not known"
        raise SetupError(
            f"{reason}, and FACESETS_SYNC_CRON is in local time: set TZ to a name such as Europe/Berlin or UTC"
        ) from error


def _crontab(line: str, zone: tzinfo) -> BaseTrigger:
    """Return the trigger of a crontab line in a time zone; ``ValueError`` when it is invalid."""
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(f"it has {len(fields)} fields instead of 5")
    minute, hour, day, month, weekday = fields
    times = {"minute": minute, "hour": hour, "month": month}
    weekdays = _weekdays(weekday)
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(**times, day=day, day_of_week=weekdays, timezone=zone)
    # crontab(5): when both are restricted, a match of either is enough
    return OrTrigger(
        [CronTrigger(**times, day=day, timezone=zone), CronTrigger(**times, day_of_week=weekdays, timezone=zone)]
    )


def _weekdays(field: str) -> str:
    """Return the weekdays of a crontab line by name, which is unambiguous."""
    days: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = ("0", "-", "6") if span == "*" else span.partition("-")
        begin, end = _weekday(first), _weekday(last if dash else first)
        length = end - begin if end >= begin else (end - begin) % 7  # fri-sun goes over the end of the week
        days.update((begin + day) % 7 for day in range(0, length + 1, int(step or 1)))
    if not days:
        raise ValueError(f"no weekday is {field!r}")
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _weekday(text: str) -> int:
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    if not text.isdecimal() or int(text) > 7:
        raise ValueError(f"no weekday is {text!r}")
    return int(text)


class SyncTrigger:
    """Event set at the times of a schedule; if it fires several times before a ``wait``, that counts as one."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        on_next: Callable[[datetime | None], None],
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._schedule = schedule
        self._fired = asyncio.Event()
        self._on_next = on_next
        self._clock = clock
        self._sleep = sleep
        self._next: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def fire(self) -> None:
        """Start a sync now."""
        self._fired.set()

    async def wait(self) -> None:
        """Return when it fires next, or at once if it fired since the last ``wait``."""
        self._report_next()
        await self._fired.wait()
        self._fired.clear()

    async def _run(self) -> None:
        due = self._schedule.after(self._clock())
        while True:
            self._next = due
            self._report_next()
            await self._sleep(min(max((due - self._clock()).total_seconds(), 0.0), _LOOK_SECONDS))
            now = self._clock()
            if now >= due:
                self.fire()
                due = self._schedule.after(now)
            else:  # earlier than before only where the clock was set back
                due = min(due, self._schedule.after(now))

    def _report_next(self) -> None:
        self._on_next(None if self._next is None else self._next.astimezone(UTC))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
