"""
The adaptive limit on concurrent calls: additive increase, multiplicative decrease.

The rule of TCP (Chiu and Jain 1989): halve at a sign of overload, grow by one after a long time without. A busy server
is relieved within one round trip, and the load never exceeds the limit that the user set.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from immich_facesets.errors import TransientError

CALM_ROUNDS = 4
"""The limit grows by one after this many full rounds without a sign of overload."""

LATENCY_JUMP = 5.0
"""An answer this many times slower than usual is a sign of overload ..."""

LATENCY_FLOOR_SECONDS = 1.0
"""... unless it is still fast."""

LATENCY_SAMPLES = 20
"""Answers of one kind before the usual latency is meaningful."""


class Slot:
    """One call in progress; ``answered`` records the moment the remote began to answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.began = clock()
        self.seconds: float | None = None

    def answered(self) -> None:
        self.seconds = self._clock() - self.began


class Pacer:
    """
    An adaptive limit on calls in progress, between 1 and ``most``.

    ``clock`` is monotonic, in seconds. A slot left by a ``TransientError`` is a sign of overload. So is a jump in the
    time to the first answer among calls of one kind.
    """

    def __init__(self, *, start: int = 8, most: int = 8, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = max(1, most)
        self._clock = clock
        self._tokens: anyio.CapacityLimiter | None = None
        self._limit = min(max(1, start), self._most)
        self._calm = 0
        self._cut_at = -float("inf")
        self._usual: dict[str, tuple[float, int]] = {}

    @property
    def limit(self) -> int:
        return self._limit

    @asynccontextmanager
    async def slot(self, kind: str = "") -> AsyncIterator[Slot]:
        """Acquire a slot for the length of the ``with`` block, and adapt the limit to how the block ends."""
        tokens = self._limiter()
        holder = object()
        try:
            tokens.acquire_on_behalf_of_nowait(holder)
        except anyio.WouldBlock:
            await tokens.acquire_on_behalf_of(holder)
        slot = Slot(self._clock)
        try:
            was_full = tokens.available_tokens < 1
            yield slot
        except TransientError:
            self._shrink(slot)
            raise
        else:
            if slot.seconds is not None and self._is_jump(kind, slot.seconds):
                self._shrink(slot)
            elif was_full:
                self._grow()
        finally:
            tokens.release_on_behalf_of(holder)

    def _limiter(self) -> anyio.CapacityLimiter:
        if self._tokens is None:  # anyio needs a running event loop
            self._tokens = anyio.CapacityLimiter(self._limit)
        return self._tokens

    def _set_limit(self, limit: int) -> None:
        self._limit = limit
        self._limiter().total_tokens = limit
        self._calm = 0

    def _shrink(self, slot: Slot) -> None:
        if slot.began <= self._cut_at:
            return  # it began before the limit was cut: the same overload, not to be counted twice
        self._cut_at = self._clock()
        self._set_limit(max(1, self._limit // 2))

    def _grow(self) -> None:
        self._calm += 1
        if self._limit < self._most and self._calm >= CALM_ROUNDS * self._limit:
            self._set_limit(self._limit + 1)

    def _is_jump(self, kind: str, seconds: float) -> bool:
        usual, samples = self._usual.get(kind, (seconds, 0))
        self._usual[kind] = (usual + 0.1 * (seconds - usual), samples + 1)
        return samples >= LATENCY_SAMPLES and seconds > max(LATENCY_FLOOR_SECONDS, LATENCY_JUMP * usual)
