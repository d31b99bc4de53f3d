"""The longest step of an event loop, in processor time: what a busy machine adds to the clock does not count."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock


@dataclass
class LoopSteps:
    """``longest_seconds``: the processor time of the longest callback so far. ``count``: the callbacks so far."""

    longest_seconds: float = 0.0
    count: int = 0


@contextlib.contextmanager
def measured_steps() -> Iterator[LoopSteps]:
    """Measure each callback of the loops of this thread meanwhile."""
    steps = LoopSteps()
    run_callback = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run_callback(handle)
        steps.longest_seconds = max(steps.longest_seconds, time.thread_time() - begun)
        steps.count += 1

    with mock.patch.object(asyncio.Handle, "_run", run):
        yield steps
