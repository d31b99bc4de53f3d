"""Lag of the event loop: a short sleep wakes up late by as long as other code blocked the loop."""

import asyncio
from collections.abc import Callable

INTERVAL_SECONDS = 0.05


class EventLoopWatch:
    """
    Measurement of the event loop's lag while ``run`` runs.

    ``observe`` receives the lag of every tick in seconds. A stall shows as its length less the rest of the tick, so
    lags are at most ``interval_seconds`` too small. ``longest_seconds`` is the longest lag so far.
    """

    def __init__(
        self, observe: Callable[[float], None] | None = None, *, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        self._observe = observe
        self._interval = interval_seconds
        self.longest_seconds = 0.0
        self.ticks = 0

    async def run(self) -> None:
        """Measure until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            expected = clock() + self._interval
            await asyncio.sleep(self._interval)
            lag = max(0.0, clock() - expected)
            self.ticks += 1
            self.longest_seconds = max(self.longest_seconds, lag)
            if self._observe is not None:
                self._observe(lag)
