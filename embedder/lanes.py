"""
Lanes: worker threads for one kind of work each, which process items in batches where that is faster.

Every accepted item ends exactly once: with its result, with its own error, or unstarted because its caller left. A
failed batch is retried item by item, so that one bad face fails alone. A worker that ends by anything but an
``Exception`` closes its lane and reports it: the process must then end, because it could no longer answer.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from immich_facesets.errors import TransientError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class LaneClosedError(TransientError):
    """The lane accepts no more items: it was closed, or its worker ended by an error."""


@dataclass(frozen=True, slots=True)
class LaneSize:
    """
    ``workers`` threads take up to ``batch`` items at once, after waiting at most ``linger_seconds`` for more than one;
    ``capacity`` items at most are queued or worked on.
    """

    workers: int = 1
    batch: int = 1
    linger_seconds: float = 0.0
    capacity: int = 64


@dataclass(slots=True, eq=False)
class _Job(Generic[ItemT, ResultT]):
    item: ItemT
    future: "Future[ResultT]"


class Lane(Generic[ItemT, ResultT]):
    """
    Runs ``work`` (a batch of items to as many results) in threads.

    ``on_crash`` is called once, in the thread that ends. ``on_batch`` is called with the size and seconds of every
    batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[ItemT]], Sequence[ResultT]],
        size: LaneSize,
        *,
        on_crash: Callable[[str, BaseException], None],
        on_batch: Callable[[str, int, float], None] = lambda _name, _size, _seconds: None,
    ) -> None:
        self.name = name
        self._work = work
        self._size = size
        self._on_crash = on_crash
        self._on_batch = on_batch
        self._queue: deque[_Job[ItemT, ResultT]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._slots = asyncio.Semaphore(size.capacity)
        self._entry = asyncio.Lock()  # two callers that each held half of the room would deadlock
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(size.workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many items are queued and not yet begun."""
        return len(self._queue)

    async def run(self, item: ItemT) -> ResultT:
        """The result of one item; waits for room first. Cancelling withdraws an item that was not begun."""
        async with self._slots:
            return await asyncio.wrap_future(self._submit([item])[0])

    async def run_many(self, items: Sequence[ItemT]) -> list[ResultT | Exception]:
        """The result or error of each item; the items are queued together, as many as there is room for."""
        outcomes: list[ResultT | Exception] = []
        step = max(1, min(self._size.capacity, 4 * self._size.batch))
        for start in range(0, len(items), step):
            outcomes += await self._run_together(items[start : start + step])
        return outcomes

    def close(self, *, wait_seconds: float = 0.0) -> None:
        """Accept no more items, fail the queued ones, and wait up to ``wait_seconds`` for those in progress."""
        self._shut(LaneClosedError(f"the {self.name} lane is closed"))
        deadline = time.monotonic() + wait_seconds
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    async def _run_together(self, items: Sequence[ItemT]) -> list[ResultT | Exception]:
        taken = 0
        try:
            async with self._entry:
                for _ in items:
                    await self._slots.acquire()
                    taken += 1
            futures = [asyncio.wrap_future(future) for future in self._submit(items)]
            results = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            for _ in range(taken):
                self._slots.release()
        outcomes: list[ResultT | Exception] = []
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result
            outcomes.append(result)
        return outcomes

    def _submit(self, items: Sequence[ItemT]) -> "list[Future[ResultT]]":
        jobs: list[_Job[ItemT, ResultT]] = [_Job(item, Future()) for item in items]
        with self._changed:
            if self._closed:
                raise LaneClosedError(f"the {self.name} lane is closed")
            self._queue.extend(jobs)
            self._changed.notify(len(jobs))
        return [job.future for job in jobs]

    def _serve(self) -> None:
        try:
            while self._serve_batch():
                pass
        except BaseException as error:  # noqa: BLE001  only this thread can report what ended its worker
            self._shut(LaneClosedError(f"the {self.name} lane died"))
            self._on_crash(self.name, error)

    def _serve_batch(self) -> bool:
        """
        Work on the next batch; return False when the lane is closed.

        No name in ``_serve`` holds the batch: the thread would keep a whole picture until the next one comes.
        """
        batch = self._collect()
        if batch:
            self._settle(batch)
        return bool(batch)

    def _collect(self) -> list[_Job[ItemT, ResultT]]:
        """The next batch of items whose callers still wait; empty when the lane is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return []
                if len(self._queue) < self._size.batch and self._size.linger_seconds > 0:
                    self._changed.wait_for(self._is_full, timeout=self._size.linger_seconds)
                count = min(len(self._queue), self._size.batch)
                jobs = [self._queue.popleft() for _ in range(count)]
            live = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            del jobs
            if live:
                return live

    def _is_full(self) -> bool:
        return len(self._queue) >= self._size.batch or self._closed

    def _settle(self, jobs: list[_Job[ItemT, ResultT]]) -> None:
        begun = time.perf_counter()
        try:
            self._try(jobs)
        except Exception as error:  # noqa: BLE001  an item's error is passed to its caller
            self._settle_alone(jobs, error)
        except BaseException:
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(LaneClosedError(f"the {self.name} lane died"))
            raise
        self._on_batch(self.name, len(jobs), time.perf_counter() - begun)

    def _settle_alone(self, jobs: list[_Job[ItemT, ResultT]], error: Exception) -> None:
        if len(jobs) == 1:
            jobs[0].future.set_exception(error)
            return
        for job in jobs:
            self._settle([job])

    def _try(self, jobs: list[_Job[ItemT, ResultT]]) -> None:
        results = self._work([job.item for job in jobs])
        if len(results) != len(jobs):
            raise RuntimeError(f"the {self.name} lane gave {len(results)} results for {len(jobs)} items")
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _shut(self, error: Exception) -> None:
        with self._changed:
            self._closed = True
            left = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        for job in left:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)


class WorkerLane:
    """
    A lane for any call: decoding, cutting and aligning, in ``workers`` threads of its own.

    ``on_crash`` and ``on_batch`` are those of ``Lane``.
    """

    def __init__(
        self,
        workers: int,
        capacity: int,
        *,
        on_crash: Callable[[str, BaseException], None],
        on_batch: Callable[[str, int, float], None],
    ) -> None:
        self.lane: Lane[Callable[[], object], object] = Lane(
            "hands",  # the label of the exported metrics
            lambda calls: [call() for call in calls],
            LaneSize(workers=workers, capacity=capacity),
            on_crash=on_crash,
            on_batch=on_batch,
        )

    async def run(self, call: Callable[[], ResultT]) -> ResultT:
        """Return what ``call`` returns in a worker thread."""
        return cast("ResultT", await self.lane.run(call))  # the lane carries any call, each with its own result
