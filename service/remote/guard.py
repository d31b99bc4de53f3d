"""
The guard of all calls to a remote: bounded retries inside a circuit breaker.

Only ``TransientError`` is retried, and only idempotent calls are allowed. Every failed attempt counts in the breaker,
so an unreachable remote is detected by any of its callers, however many items are waiting. A remote that reports
itself out of service opens the circuit at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from immich_facesets.errors import FacesetsError, OutOfServiceError, TransientError
from service.progress import RemoteState
from service.remote.breaker import Breaker, Clock, steady_now

T = TypeVar("T")

Probe = Callable[[], Awaitable[object]]
"""A cheap real read of the remote; raises ``TransientError`` when it is down. Any other outcome proves that it is up."""

log = structlog.get_logger(__name__)


class CircuitOpenError(TransientError):
    """The remote is known to be down, so it was not called. The message names it, the time since and the remedy."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often and how long one call is tried; the pauses double, with jitter, up to ``longest_pause_seconds``."""

    tries: int = 4
    total_seconds: float = 60.0
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 3.0


ONE_ITEM = RetryRule()
"""For a call about one item: retries for some 2 seconds, then the item is left to the next sync."""

STUBBORN = RetryRule(tries=14)
"""For a call that everything depends on: retries for some 20 seconds, enough failures to open the circuit."""

ONCE = RetryRule(tries=1)
"""For a call whose failure is itself a result."""


class Guard:
    """
    ``call`` runs a function under the retry rule and the breaker; ``wait_until_closed`` is for callers that can wait.

    ``on_change`` gets the remote's state whenever it changes, on the event loop. ``advice`` is what the user
    can do when the remote is down.
    """

    def __init__(
        self,
        name: str,
        breaker: Breaker,
        probe: Probe,
        *,
        advice: str = "",
        clock: Clock = steady_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_change: Callable[[RemoteState], None] | None = None,
        probe_seconds: float = 15.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._breaker = breaker
        self._probe = probe
        self._advice = advice
        self._clock = clock
        self._sleep = sleep
        self._on_change = on_change
        self._probe_seconds = probe_seconds
        self._jitter = jitter
        self._probing = asyncio.Lock()
        self._reported = self.state

    @property
    def state(self) -> RemoteState:
        return self._breaker.snapshot(self.name, self._advice)

    async def call(self, fn: Callable[[], Awaitable[T]], *, rule: RetryRule = ONE_ITEM) -> T:
        """
        Return the result of ``fn``, which must be idempotent and bounded in time by itself.

        Raises ``CircuitOpenError`` at once while the circuit is open, and the last ``TransientError`` when the tries
        or the time of ``rule`` are used up; every other error is passed on unchanged.
        """
        started = self._clock()
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, TransientError) and not _is_final(error)),
            wait=lambda state: self._pause_seconds(rule, state),
            stop=lambda state: self._is_enough(rule, self._seconds_since(started), state),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    return await self._attempt(fn)
        except TransientError as error:
            if not _is_final(error) and self._seconds_since(started) >= rule.total_seconds:
                self._breaker.suspect()
                await self._probe_if_needed(error)
            raise
        raise AssertionError("tenacity ends with a result or with the last error")

    async def wait_until_closed(self) -> None:
        """Return once the circuit is closed, probing with growing pauses until it is."""
        while not self._breaker.is_closed:
            await self._sleep(self._breaker.pause_left_seconds())
            async with self._probing:
                if self._breaker.is_probe_due:
                    await self._run_probe()

    async def doubt(self, error: TransientError) -> None:
        """
        Probe the remote after a call that used up its time and is not tried again.

        ``CircuitOpenError`` when the probe fails.
        """
        self._breaker.failed(str(error))
        self._breaker.suspect()
        await self._probe_if_needed(error)

    async def _attempt(self, fn: Callable[[], Awaitable[T]]) -> T:
        await self._admit()
        try:
            result = await fn()
        except CircuitOpenError:
            raise  # raised by another guard, about another remote
        except OutOfServiceError as error:
            await self._open_at_once(error)
            raise CircuitOpenError(self._down_line()) from error
        except TransientError as error:
            self._breaker.failed(str(error))
            self._report()
            await self._probe_if_needed(error)
            raise
        except FacesetsError:
            self._breaker.succeeded()
            self._report()
            raise
        self._breaker.succeeded()
        self._report()
        return result

    async def _admit(self) -> None:
        if self._breaker.circuit == "closed":
            return
        if self._breaker.is_probe_due or self._breaker.is_closed:  # probe here, or await a probe in progress
            async with self._probing:
                if self._breaker.is_probe_due:
                    await self._run_probe()
        if not self._breaker.is_closed:
            raise CircuitOpenError(self._down_line())

    async def _probe_if_needed(self, error: TransientError) -> None:
        async with self._probing:
            if self._breaker.must_probe:
                await self._run_probe()
        if not self._breaker.is_closed:
            raise CircuitOpenError(self._down_line()) from error

    async def _open_at_once(self, error: OutOfServiceError) -> None:
        async with self._probing:
            if self._breaker.circuit == "closed":
                self._settle(str(error), was_closed=True)

    async def _run_probe(self) -> None:
        was_closed = self._breaker.is_closed
        self._breaker.begin_probe()
        self._report()
        failure: str | None = "the probe was interrupted"  # a circuit must not stay "probing" without a probe
        try:
            async with asyncio.timeout(self._probe_seconds):
                await self._probe()
            failure = None
        except TransientError as error:
            failure = str(error)
        except TimeoutError:
            failure = f"no answer within {self._probe_seconds:g} seconds"
        except FacesetsError:  # any answer, even a refusal, proves that it is up
            failure = None
        finally:
            self._settle(failure, was_closed=was_closed)

    def _settle(self, failure: str | None, *, was_closed: bool) -> None:
        if failure is None:
            self._breaker.probe_succeeded()
            if not was_closed:
                log.info("remote_back", remote=self.name)
        else:
            self._breaker.probe_failed(failure)
            if was_closed:
                log.warning("remote_down", remote=self.name, reason=failure)
        self._report()

    def _report(self) -> None:
        if self._on_change is not None and (state := self.state) != self._reported:
            self._reported = state
            self._on_change(state)

    def _down_line(self) -> str:
        since = f" since {self._breaker.down_since:%Y-%m-%d %H:%M:%S} UTC" if self._breaker.down_since else ""
        advice = f" {self._advice}" if self._advice else ""
        return f"{self.name} is down{since}: {self._breaker.message}.{advice}"

    def _seconds_since(self, started: datetime) -> float:
        return (self._clock() - started).total_seconds()

    def _pause_seconds(self, rule: RetryRule, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pause = min(rule.longest_pause_seconds, rule.first_pause_seconds * 2.0 ** (state.attempt_number - 1))
        pause *= 0.5 + 0.5 * self._jitter()
        asked = error.retry_after if isinstance(error, TransientError) else None
        return pause if asked is None else max(pause, asked)

    @staticmethod
    def _is_enough(rule: RetryRule, seconds: float, state: RetryCallState) -> bool:
        return state.attempt_number >= rule.tries or seconds + state.upcoming_sleep > rule.total_seconds


def _is_final(error: BaseException) -> bool:
    return isinstance(error, CircuitOpenError)
