"""Runner of jobs, syncs and exports: one at a time, recorded with its outcome, and cancelled on request."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.exports.requests import ExportRequest
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.passes.group import GroupCounts
from service.passes.publishing.counts import PublishCounts
from service.progress import JobKind
from service.sources import Source
from service.store import runs
from service.sync.outcome import Outcome, Result, cut_off, ended_by
from service.sync.progress_log import logged
from service.sync.stages import Job, Stages
from service.sync.stopping import JobStop, StopRequestedError, until_stopped
from service.sync.unread import UNREAD, with_unread

log = structlog.get_logger(__name__)


class Runner:
    """Runs jobs, one at a time."""

    def __init__(
        self,
        context: PassContext,
        sources: Mapping[str, Source],
        pool: EmbedderPool,
        tree: ExportTree,
        metrics: Metrics,
        version: str,
        *,
        update_sources: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._context = context
        self._running: tuple[int, JobStop] | None = None
        self._sources = sources
        self._pool = pool
        self._tree = tree
        self._metrics = metrics
        self._version = version
        self._update_sources = update_sources
        self._turn = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        return self._turn.locked()

    @property
    def source_names(self) -> tuple[str, ...]:
        return tuple(self._sources)

    def cancel(self, run_id: int) -> bool:
        """Let a job end as a stop of the process would end it; False where it does not run."""
        if self._running is None or self._running[0] != run_id:
            return False
        self._running[1].set()
        return True

    async def run(
        self,
        kind: JobKind,
        *,
        source: str | None = None,
        people: frozenset[int] | None = None,
        on_begin: Callable[[int], None] = lambda _: None,
    ) -> Result:
        """
        Run one job: a sync of every source, or of one, or an export. Any error becomes its outcome; cancellation passes through.

        ``people``: whom an export is about, None for everybody. ``update_sources`` determines the sources at the start. ``on_begin`` is called with the number of the job.
        """
        if self._turn.locked():
            raise RequestError("a sync is running: wait until it ends")
        async with self._turn:
            try:
                if self._update_sources is not None:
                    await self._update_sources()
            except (TransientError, SetupError) as error:
                log.warning("sync_not_begun", message=str(error))
                return ended_by(error, {})
            if source is not None and source not in self._sources:
                known = ", ".join(self._sources)
                raise RequestError(f"there is no source {source!r}; there are: {known}", status=404)
            names = tuple(self._sources) if source is None else (source,)
            return await self._run(kind, names, people, on_begin)

    async def publish_now(self, people: frozenset[int] | None = None) -> PublishCounts:
        """Only update the export folder, or these people's part of it. Errors are raised, not turned into an outcome."""
        async with self._turn:
            return await self._stages_until(self._context.stop).publish(people)

    async def copy_now(self, request: ExportRequest, identity: int | None, tree: ExportTree) -> PublishCounts:
        """Only write one export profile, of one identity or of all, into another folder. Errors are raised."""
        async with self._turn:
            return await self._stages_until(self._context.stop).copy(request, identity, tree)

    async def group_now(self) -> GroupCounts:
        """Only group the existing faces. Errors are raised, not turned into an outcome."""
        async with self._turn:
            return await self._stages_until(self._context.stop).group()

    def _stages_until(self, stop: asyncio.Event) -> Stages:
        context = replace(self._context, stop=stop)
        return Stages(context, self._sources, self._pool, self._tree, self._metrics, self._version)

    async def _run(
        self,
        kind: JobKind,
        names: tuple[str, ...],
        people: frozenset[int] | None,
        on_begin: Callable[[int], None],
    ) -> Result:
        store, clock, board = self._context.store, self._context.clock, self._context.board
        started = clock()
        try:
            run_id = await store.write(runs.begin_run, kind, names, started)
        except (TransientError, SetupError) as error:  # not even the start can be stored
            log.warning("sync_not_begun", message=str(error))
            return ended_by(error, {})
        board.begin(run_id=run_id, kind=kind, started_at=started)
        on_begin(run_id)
        log.info("sync_started", run=run_id, kind=kind)
        job = Job(run_id, kind, names, started, people)
        result = cut_off(job.counts)
        try:
            async with logged(board):
                judged = await self._unless_cancelled(job)
            result = with_unread(judged, job.unread)
        finally:  # also when cancelled: the row records the outcome
            result = await self._write_end(run_id, result)
            board.end(result.message)
            self._metrics.count_run(kind=kind, outcome=result.outcome.value, ended_at=time.time())
            if UNREAD in result.counts:
                log.warning("pictures_not_read", run=run_id, reasons=job.unread)
            log.info("sync_ended", run=run_id, outcome=result.outcome.value, message=result.message, **result.counts)
        return result

    async def _unless_cancelled(self, job: Job) -> Result:
        """Return how the stages end, or were cut off some seconds after the job was cancelled."""
        stop = JobStop(self._context.stop)
        self._running = (job.run_id, stop)
        work = asyncio.create_task(self._judge(self._stages_until(stop).run(job), job.counts))
        try:
            await until_stopped(work, stop)
        finally:
            self._running = None
        return cut_off(job.counts) if work.cancelled() else work.result()

    async def _write_end(self, run_id: int, result: Result) -> Result:
        """Store how a sync ended; an error in doing so becomes the outcome when there was no other."""
        outcome, now = result.outcome.value, self._context.clock()
        try:
            await self._context.store.write(
                runs.end_run, run_id, outcome=outcome, message=result.message, counts=result.counts, now=now
            )
        except (TransientError, SetupError) as error:
            return ended_by(error, result.counts) if result.outcome is Outcome.DONE else result
        return result

    async def _judge(self, work: Awaitable[str], counts: dict[str, int]) -> Result:
        try:
            message = await work
        except StopRequestedError:
            return Result(Outcome.STOPPED, "stopped on request; the next sync goes on from here", counts)
        except (TransientError, SetupError) as error:
            return ended_by(error, counts)
        except Exception as error:
            log.exception("sync_failed")
            return Result(
                Outcome.BUG, f"a bug ended the sync ({type(error).__name__}); the log says more", counts, error
            )
        return Result(Outcome.DONE, message, counts)
