"""Runner of whole syncs, from discover to publish, and of exports: one at a time, with its outcome."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

import structlog

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.wire import Info
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.files.staging import Staging
from service.moderation.erasures import Erasing
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.passes.counts import Counts, counts_of
from service.passes.discover import Discover
from service.passes.embed import Embed
from service.passes.group import Group, GroupCounts
from service.passes.group_inputs.operating_points import points_in_use
from service.passes.publish import Publish
from service.passes.publishing.counts import PublishCounts
from service.passes.unchanged import UnchangedCheck
from service.passes.withdraw import MADE_BY, withdraw
from service.progress import JobKind, Stage
from service.sources import Source
from service.store import face_readings, named_values, runs, spaces
from service.store.database_errors import DatabaseAwayError
from service.sync.outcome import UP_TO_DATE, Outcome, Result, cut_off, ended_by, together
from service.sync.progress_log import logged
from service.sync.stopping import JobStop, StopRequestedError, until_stopped
from service.sync.unread import UNREAD, counting_unread, with_unread

log = structlog.get_logger(__name__)

_SECOND_HALF: tuple[Stage, ...] = ("group", "publish")


@dataclass(frozen=True, slots=True)
class _Sync:
    """One sync: the sources that it is about, its counts so far, and the pictures that it leaves unread, by reason."""

    run_id: int
    kind: JobKind
    names: tuple[str, ...]
    started: datetime
    counts: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)


class Runner:
    """Runs syncs, one at a time."""

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
        self._process_stop = context.stop
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

    async def run(self, kind: JobKind, *, source: str | None = None) -> Result:
        """
        Run one job: a sync of every source, or of one, or an export. Any error becomes its outcome; cancellation passes through.

        ``update_sources`` determines the sources at the start.
        """
        if self._turn.locked():
            raise RequestError("a sync is running; there are never two at once")
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
            return await self._run(kind, tuple(self._sources) if source is None else (source,))

    async def publish_now(self) -> PublishCounts:
        """Only update the export folder. Errors are raised, not turned into an outcome."""
        async with self._turn, self._stage("publish"):
            await self._erase_rest()
            publish = await self._open_publish()
            await publish.run()
            return publish.counts

    async def copy_now(self, request: ExportRequest, identity: int | None, tree: ExportTree) -> PublishCounts:
        """Only write one form of the face sets, of one identity or of all, into another folder. Errors are raised."""
        async with self._turn, self._stage("publish"):
            await self._erase_rest()
            publish = await self._open_publish()
            await publish.copy(request, identity, tree)
            return publish.counts

    async def group_now(self) -> GroupCounts:
        """Only group the existing faces. Errors are raised, not turned into an outcome."""
        async with self._turn, self._stage("group"):
            await self._erase_rest()
            group = Group(self._context, await self._info_in_use(), sources=self._sources)
            await group.run()
            return group.counts

    async def _erase_rest(self) -> None:
        """Erase what is left of forgotten people, where a decision was cut off before it did so."""
        context = self._context
        erasing = Erasing(context.store, self._tree, context.crops_dir, context.clock, context.turns)
        await erasing.finish(MADE_BY)

    async def _open_publish(self) -> Publish:
        """Return a publish pass for the space in use, outside of a sync."""
        info = await self._info_in_use()
        points = await points_in_use(self._context, info)
        return Publish(self._context, self._pool, self._tree, points, version=self._version, sources=self._sources)

    async def _info_in_use(self) -> Info:
        """Return the embedder's info; ``SetupError`` unless it serves the space in use."""
        info = await self._pool.open()
        active = await self._context.store.read(spaces.active_space)
        if active is None:  # otherwise an export folder from elsewhere would be emptied
            raise SetupError("nothing was synced yet: run 'immich-facesets sync' first")
        if active != info.space:
            raise SetupError(
                f"the embedder serves another space ({info.space}) than the one in use ({active}): give it its former "
                "models back, or run 'immich-facesets sync', which embeds everything anew"
            )
        return info

    async def _run(self, kind: JobKind, names: tuple[str, ...]) -> Result:
        store, clock, board = self._context.store, self._context.clock, self._context.board
        started = clock()
        try:
            run_id = await store.write(runs.begin_run, kind, names, started)
        except (TransientError, SetupError) as error:  # not even the start can be stored
            log.warning("sync_not_begun", message=str(error))
            return ended_by(error, {})
        board.begin(run_id=run_id, kind=kind, started_at=started)
        log.info("sync_started", run=run_id, kind=kind)
        sync = _Sync(run_id, kind, names, started)
        result = cut_off(sync.counts)
        try:
            async with logged(board):
                judged = await self._unless_cancelled(sync)
            result = with_unread(judged, sync.unread)
        finally:  # also when cancelled: the row records the outcome
            result = await self._write_end(run_id, result)
            board.end(result.message)
            self._metrics.count_run(kind=kind, outcome=result.outcome.value, ended_at=time.time())
            if UNREAD in result.counts:
                log.warning("pictures_not_read", run=run_id, reasons=sync.unread)
            log.info("sync_ended", run=run_id, outcome=result.outcome.value, message=result.message, **result.counts)
        return result

    async def _unless_cancelled(self, sync: "_Sync") -> Result:
        """Return how the stages end, or were cut off some seconds after the job was cancelled."""
        stop = JobStop(self._process_stop)
        self._running, self._context = (sync.run_id, stop), replace(self._context, stop=stop)
        work = asyncio.create_task(self._judge(self._stages(sync), sync.counts))
        try:
            await until_stopped(work, stop)
        finally:
            self._running, self._context = None, replace(self._context, stop=self._process_stop)
        return cut_off(sync.counts) if work.cancelled() else work.result()

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

    async def _stages(self, sync: "_Sync") -> str:
        """Run all stages in order; return the message for the user."""
        context, names, counts = self._context, sync.names, sync.counts
        await self._erase_rest()
        if sync.kind == "export":
            return await self._export(counts)
        await self._apply_size_rule()
        await withdraw(context, self._tree)  # an earlier sync may have ended before
        refused: dict[str, SetupError | TransientError] = {}
        async with self._stage("discover"):
            for name in names:
                discover = Discover(context, self._sources[name], run_id=sync.run_id, configured=self._sources)
                with adding_up(counts, "discover", discover.counts):
                    try:
                        await discover.run(whole=sync.kind == "full", faces=sync.kind != "incremental")
                    except DatabaseAwayError:
                        raise
                    except (SetupError, TransientError) as error:  # a failing source must not stop the others
                        refused[name] = error
            if refused and len(refused) == len(names):
                raise together(refused, of=len(names))
        await withdraw(context, self._tree)
        async with self._stage("embed"), counting_unread(context, self._pool, names, sync.started, sync.unread):
            info = await self._embed(names, refused, counts)
        settling = UnchangedCheck(context, self._tree, info, self._version, self._sources)
        facesets = await settling.facesets() if sync.kind != "full" else None
        if facesets is None:
            async with settling.begun() as ended:
                message, ended.facesets = await self._group_and_publish(info, refused, counts)
        else:
            message = UP_TO_DATE
            self._leave_settled(facesets, counts)
        if refused:
            raise together(refused, of=len(names))
        return message

    async def _export(self, counts: dict[str, int]) -> str:
        """Bring the face sets up to date with the decisions; return the message for the user."""
        await withdraw(self._context, self._tree)
        async with self._stage("publish"):
            publish = await self._open_publish()
            with adding_up(counts, "publish", publish.counts):
                await publish.run()
        return "the face sets are up to date"

    async def _embed(
        self, names: tuple[str, ...], refused: Mapping[str, SetupError | TransientError], counts: dict[str, int]
    ) -> Info:
        """Embed what is missing of the sources that were not ``refused``; return the facts about the embedder."""
        context = self._context
        info = await self._pool.open()
        context.settings.points(info.family, info.distances)  # report an unknown model before fetching anything for it
        chosen = {name: self._sources[name] for name in names if name not in refused}
        staging = Staging(context.staging_dir, room=context.settings.staging_bytes)
        embed = Embed(context, chosen, self._pool, staging, self._metrics, configured=self._sources)
        with adding_up(counts, "embed", embed.counts):
            await embed.run()
        if embed.away:  # grouping waits for pictures that are only late, so that numbers do not depend on it
            raise together({**refused, **embed.away}, of=len(names))
        return info

    def _leave_settled(self, facesets: int, counts: dict[str, int]) -> None:
        """Mark grouping and publishing as done without changes."""
        for stage in _SECOND_HALF:
            self._context.board.update_stage(stage, state="done", note="nothing changed")
        with adding_up(counts, "group", GroupCounts()), adding_up(counts, "publish", PublishCounts(facesets)):
            pass

    async def _group_and_publish(
        self, info: Info, refused: Collection[str], counts: dict[str, int]
    ) -> tuple[str, int | None]:
        """
        Return the message for the user, and the number of face sets when all are as they should be.

        ``refused``: the sources that cannot be read now.
        """
        context = self._context
        async with self._stage("group"):
            group = Group(context, info, sources=self._sources, unreadable=refused)
            with adding_up(counts, "group", group.counts):
                await group.run()
        if group.waits_for is not None:
            log.info("space_incomplete", **asdict(group.waits_for))
            context.board.update_stage("group", state="waiting", note="for another space")
            return str(group.waits_for), None
        async with self._stage("publish"):
            points = await points_in_use(context, info)
            readable = {name: source for name, source in self._sources.items() if name not in refused}
            publish = Publish(context, self._pool, self._tree, points, version=self._version, sources=readable)
            with adding_up(counts, "publish", publish.counts):
                await publish.run()
        return UP_TO_DATE, publish.counts.facesets if publish.is_complete else None

    async def _apply_size_rule(self) -> None:
        """Apply a changed size rule to known assets too, not only to new ones."""
        store, rules = self._context.store, self._context.settings.listing_rules
        if await store.read(named_values.read_value, "min_face_short") != rules.min_face_short:
            await store.write(face_readings.apply_size_rule, rules)
            await store.write(named_values.write_value, "min_face_short", rules.min_face_short)

    @asynccontextmanager
    async def _stage(self, stage: Stage) -> AsyncIterator[None]:
        """Show and time one stage; end the sync after it when a stop was requested."""
        board = self._context.board
        board.update_stage(stage, state="running")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            board.update_stage(stage, state="failed", seconds_left=None)
            raise
        finally:
            self._metrics.stage_seconds.labels(stage).observe(time.monotonic() - began)
        if self._context.stop.is_set():
            board.update_stage(stage, state="waiting", note="stopped", seconds_left=None)
            raise StopRequestedError
        board.update_stage(stage, state="done", note="", seconds_left=None)


@contextmanager
def adding_up(total: dict[str, int], stage: str, counts: Counts) -> Iterator[None]:
    """Add the counts of a stage to those of the run, however it ends, each under ``stage_name``."""
    try:
        yield
    finally:
        for name, number in counts_of(counts).items():
            key = f"{stage}_{name}"
            total[key] = total.get(key, 0) + number
