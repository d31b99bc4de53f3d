"""The bell: apscheduler rings it, nothing more. The work is done by whoever waits for it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from immich_facesets.errors import SetupError
from service.settings import Settings


def trigger_of(settings: Settings) -> BaseTrigger:
    """When the bell rings, by the settings; a crontab line that is none is a ``SetupError``."""
    if not settings.sync_cron:
        return IntervalTrigger(seconds=settings.sync_interval.total_seconds(), timezone=UTC)
    try:
        return CronTrigger.from_crontab(settings.sync_cron)
    except ValueError as error:
        raise SetupError(f"FACESETS_SYNC_CRON is no crontab line (such as '*/30 * * * *'): {error}") from error


class Bell:
    """Rings at the times of a trigger; whoever waits for it hears one ring, however often it rang meanwhile."""

    def __init__(self, trigger: BaseTrigger, *, on_next: Callable[[datetime | None], None]) -> None:
        self._ring = asyncio.Event()
        self._on_next = on_next
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._job = self._scheduler.add_job(self.ring, trigger, coalesce=True, max_instances=1, misfire_grace_time=None)

    def start(self) -> None:
        self._scheduler.start()
        self._tell()

    def ring(self) -> None:
        """Ring now."""
        self._ring.set()

    async def wait(self) -> None:
        """Return at the next ring, or at once when it rang since the last time."""
        self._tell()
        await self._ring.wait()
        self._ring.clear()

    def _tell(self) -> None:
        moment: datetime | None = self._job.next_run_time
        self._on_next(None if moment is None else moment.astimezone(UTC))

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
