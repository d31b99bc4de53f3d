"""Measure a piece of work in a process of its own, so that its peak memory is its own."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Measured(Generic[T]):
    """``extra`` and ``total``: megabytes of memory at the peak, above the level before, and in all."""

    result: T
    seconds: float
    core_seconds: float
    extra: float
    total: float


def megabytes(field: str) -> float:
    """Return a figure of this process from Linux: ``VmRSS`` is now, ``VmHWM`` the peak since it was last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def measured(work: Callable[..., T], *arguments: object) -> Measured[T]:
    """Do the work. An argument that is a ``Recipe`` is made in the process before the measurement begins."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(theirs, work, *arguments))
    process.start()
    theirs.close()
    answer: Measured[T] = ours.recv()
    process.join()
    return answer


@dataclass(frozen=True)
class Recipe:
    """A function whose result is an argument too large to be sent."""

    make: Callable[..., object]
    of: tuple[object, ...]


def _measure(answer: Connection, work: Callable[..., object], *arguments: object) -> None:
    made = [one.make(*one.of) if isinstance(one, Recipe) else one for one in arguments]
    at_making = megabytes("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, started, cores = megabytes("VmRSS"), time.perf_counter(), time.process_time()
    result = work(*made)
    seconds, core_seconds, peak = time.perf_counter() - started, time.process_time() - cores, megabytes("VmHWM")
    answer.send(Measured(result, seconds, core_seconds, peak - before, max(peak, at_making)))
