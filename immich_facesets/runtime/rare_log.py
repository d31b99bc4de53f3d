"""Log lines about callers: one a minute for one kind of trouble, so that no caller can fill the disk with them."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 60.0
"""The least time between two lines of one kind."""


class RareLog:
    """
    Warnings of few kinds. Each kind is logged at once when it is new, then at most once in ``PAUSE_SECONDS``.

    A line has in ``unlogged`` how often its kind came since the line before. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    def warn(self, kind: str, *, error: BaseException | None = None, **facts: object) -> None:
        """
        Log a trouble of a kind, or count it. ``kind`` comes from our own code, as each one is kept for good.

        ``error`` adds its traceback.
        """
        now = self._clock()
        if now - self._last.get(kind, float("-inf")) < PAUSE_SECONDS:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return
        self._last[kind] = now
        log.warning(kind, unlogged=self._unlogged.pop(kind, 0), exc_info=error, **facts)
