"""Schedule of the syncs: apscheduler only sets an event, and the waiting task does the work."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from immich_facesets.errors import SetupError
from service.settings import Settings

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Weekdays as in crontab(5): 0 and 7 are Sunday. apscheduler 3 begins with Monday, and warns about it."""


def trigger_of(settings: Settings, now: datetime | None = None) -> BaseTrigger:
    """
    Return the trigger of the schedule in the settings.

    An invalid crontab line, or one whose time never comes, raises a ``SetupError``.
    """
    if not settings.sync_cron:
        return IntervalTrigger(seconds=settings.sync_interval.total_seconds(), timezone=UTC)
    try:
        trigger = _crontab(settings.sync_cron, _local_zone())
    except ValueError as error:
        raise SetupError(f"FACESETS_SYNC_CRON is no crontab line (such as '*/30 * * * *'): {error}") from error
    if trigger.get_next_fire_time(None, now or datetime.now(UTC)) is None:
        raise SetupError(f"FACESETS_SYNC_CRON names a time that never comes: {settings.sync_cron!r}")
    return trigger


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

    def __init__(self, trigger: BaseTrigger, *, on_next: Callable[[datetime | None], None]) -> None:
        self._fired = asyncio.Event()
        self._on_next = on_next
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._job = self._scheduler.add_job(self.fire, trigger, coalesce=True, max_instances=1, misfire_grace_time=None)

    def start(self) -> None:
        self._scheduler.start()
        self._report_next()

    def fire(self) -> None:
        """Start a sync now."""
        self._fired.set()

    async def wait(self) -> None:
        """Return when it fires next, or at once if it fired since the last ``wait``."""
        self._report_next()
        await self._fired.wait()
        self._fired.clear()

    def _report_next(self) -> None:
        moment: datetime | None = self._job.next_run_time
        self._on_next(None if moment is None else moment.astimezone(UTC))

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
