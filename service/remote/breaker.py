"""
The circuit breaker as a pure state machine, which counts failures and determines when a probe is due.

    closed --12 failures in a row--> a probe is due --it fails--> open --pause over--> probing --it succeeds--> closed
                                          └--it succeeds--> closed, counting from 0        └--it fails--> open, longer pause
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from service.progress import RemoteState

Clock = Callable[[], datetime]
"""Returns the current time as an aware UTC instant."""


class SteadyClock:
    """A clock that shows the time of its beginning and what passed since, whatever the machine's clock is set to."""

    def __init__(self, wall: Clock, passed: Callable[[], float]) -> None:
        """``passed``: seconds of a clock that is never set."""
        self._passed = passed
        self._began, self._began_at = wall(), passed()

    def __call__(self) -> datetime:
        return self._began + timedelta(seconds=self._passed() - self._began_at)


steady_now = SteadyClock(lambda: datetime.now(UTC), time.monotonic)


class Breaker:
    """
    The circuit breaker of one remote.

    ``threshold`` failures in a row make a probe due (docs/architecture.md: 12). While the circuit is open, the pauses
    between probes double from ``first_pause_seconds`` up to ``longest_pause_seconds``.
    """

    def __init__(
        self,
        *,
        clock: Clock = steady_now,
        threshold: int = 12,
        first_pause_seconds: float = 5.0,
        longest_pause_seconds: float = 300.0,
    ) -> None:
        self._clock = clock
        self._threshold = threshold
        self._first_pause = first_pause_seconds
        self._longest_pause = longest_pause_seconds
        self._circuit: Literal["closed", "open", "probing"] = "closed"
        self._pause = 0.0
        self._next_probe_at: datetime | None = None
        self._is_suspect = False
        self.failures = 0
        self.message = ""
        self.down_since: datetime | None = None

    @property
    def circuit(self) -> Literal["closed", "open", "probing"]:
        return self._circuit

    @property
    def is_closed(self) -> bool:
        """Whether calls may pass. A circuit that was open still refuses calls while it is being probed."""
        return self._circuit == "closed" or self._next_probe_at is None

    @property
    def must_probe(self) -> bool:
        """Whether the failures so far require a probe before any further call."""
        return self._circuit == "closed" and (self._is_suspect or self.failures >= self._threshold)

    @property
    def is_probe_due(self) -> bool:
        """Whether the pause of an open circuit is over."""
        return self._circuit == "open" and self.pause_left_seconds() <= 0

    def pause_left_seconds(self) -> float:
        """Return the time until an open circuit's next probe, at most the chosen pause, because clocks may jump."""
        if self._next_probe_at is None:
            return 0.0
        left = (self._next_probe_at - self._clock()).total_seconds()
        return min(max(left, 0.0), self._pause)

    def succeeded(self) -> None:
        """Record an answer, even a 404 or a refused key: the remote is up. Only a probe can close an open circuit."""
        if self._circuit == "closed":
            self._reset()

    def failed(self, message: str) -> None:
        """Record a call that the remote could not answer; ``message`` is the reason."""
        if self._circuit != "open":
            self.failures += 1
            self.message = message
            self.down_since = self.down_since or self._clock()

    def suspect(self) -> None:
        """Record a call that used up all its time, which counts like ``threshold`` quick failures."""
        self._is_suspect = True

    def begin_probe(self) -> None:
        self._circuit = "probing"

    def probe_succeeded(self) -> None:
        self._reset()

    def probe_failed(self, message: str) -> None:
        now = self._clock()
        self.message = message
        self.down_since = self.down_since or now
        self._pause = min(self._pause * 2, self._longest_pause) if self._pause else self._first_pause
        self._next_probe_at = now + timedelta(seconds=self._pause)
        self._circuit = "open"

    def snapshot(self, name: str, advice: str) -> RemoteState:
        """Return the state for display; ``advice`` is included only while the remote has failures."""
        return RemoteState(
            name=name,
            circuit=self._circuit,
            failures=self.failures,
            message=self.message,
            advice=advice if self.failures or self._circuit != "closed" else "",
            next_probe_at=self._next_probe_at,
        )

    def _reset(self) -> None:
        self._circuit = "closed"
        self._pause = 0.0
        self._next_probe_at = None
        self._is_suspect = False
        self.failures = 0
        self.message = ""
        self.down_since = None
