"""The stages of one job: those of a sync, from discover to publish, and those of an export, each alone too."""

import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime

import structlog

from immich_facesets.errors import SetupError, TransientError
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.wire import Info
from immich_facesets.wording import counted
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.files.staging import Staging
from service.moderation.erasures import Erasing
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.passes.counts import Counts, counts_of
from service.passes.discover import Discover
from service.passes.embed import Embed
from service.passes.embed_references import embed_references
from service.passes.group import Group, GroupCounts
from service.passes.group_inputs.operating_points import points_in_use
from service.passes.publish import Publish
from service.passes.publishing.counts import PublishCounts
from service.passes.unchanged import UnchangedCheck
from service.passes.withdraw import MADE_BY, withdraw
from service.progress import JobKind, Stage
from service.sources import Source
from service.store import face_readings, named_values, spaces
from service.store.database_errors import DatabaseAwayError
from service.sync.outcome import UP_TO_DATE, together
from service.sync.stopping import StopRequestedError
from service.sync.unread import counting_unread

log = structlog.get_logger(__name__)

_SECOND_HALF: tuple[Stage, ...] = ("group", "publish")


@dataclass(frozen=True, slots=True)
class Job:
    """
    One job: the sources that it is about, its counts so far, and the pictures that it leaves unread, by reason.

    ``people``: whom an export is about; None for everybody.
    """

    run_id: int
    kind: JobKind
    names: tuple[str, ...]
    started: datetime
    people: frozenset[int] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)


class Stages:
    """The stages of one job; ``context`` has its stop."""

    def __init__(
        self,
        context: PassContext,
        sources: Mapping[str, Source],
        pool: EmbedderPool,
        tree: ExportTree,
        metrics: Metrics,
        version: str,
    ) -> None:
        self._context = context
        self._sources = sources
        self._pool = pool
        self._tree = tree
        self._metrics = metrics
        self._version = version

    async def run(self, job: Job) -> str:
        """Run all stages in order; return the message for the user."""
        context, names, counts = self._context, job.names, job.counts
        await self._erase_rest()
        if job.kind == "export":
            return await self._export(counts, job.people)
        await self._apply_size_rule()
        await withdraw(context, self._tree)  # an earlier sync may have ended before
        refused: dict[str, SetupError | TransientError] = {}
        async with self._stage("discover"):
            for name in names:
                discover = Discover(context, self._sources[name], run_id=job.run_id, configured=self._sources)
                with adding_up(counts, "discover", discover.counts):
                    try:
                        await discover.run(whole=job.kind == "full", faces=job.kind != "incremental")
                    except DatabaseAwayError:
                        raise
                    except (SetupError, TransientError) as error:  # a failing source must not stop the others
                        refused[name] = error
            if refused and len(refused) == len(names):
                raise together(refused, of=len(names))
        await withdraw(context, self._tree)
        async with self._stage("embed"), counting_unread(context, self._pool, names, job.started, job.unread):
            info = await self._embed(names, refused, counts)
        settling = UnchangedCheck(context, self._tree, info, self._version, self._sources)
        facesets = await settling.facesets() if job.kind != "full" else None
        if facesets is None:
            async with settling.begun() as ended:
                message, ended.facesets = await self._group_and_publish(info, refused, counts)
        else:
            message = UP_TO_DATE
            self._leave_settled(facesets, counts)
        if refused:
            raise together(refused, of=len(names))
        return message

    async def publish(self, people: frozenset[int] | None = None) -> PublishCounts:
        """Only update the export folder, or these people's part of it. Errors are raised, not turned into an outcome."""
        async with self._stage("publish"):
            await self._erase_rest()
            if people is not None:  # directories of others are listed, so no withdrawn one may be among them
                await withdraw(self._context, self._tree)
            publish = await self._open_publish()
            await _published(publish, people)
            return publish.counts

    async def copy(self, request: ExportRequest, identity: int | None, tree: ExportTree) -> PublishCounts:
        """Only write one export profile, of one identity or of all, into another folder. Errors are raised."""
        async with self._stage("publish"):
            await self._erase_rest()
            publish = await self._open_publish()
            await publish.copy(request, identity, tree)
            return publish.counts

    async def group(self) -> GroupCounts:
        """Only group the existing faces. Errors are raised, not turned into an outcome."""
        async with self._stage("group"):
            await self._erase_rest()
            group = Group(self._context, await self._info_in_use(), sources=self._sources)
            await group.run()
            return group.counts

    async def _export(self, counts: dict[str, int], people: frozenset[int] | None) -> str:
        """Bring the face sets up to date with the decisions, of everybody or of some; return the message for the user."""
        await withdraw(self._context, self._tree)
        async with self._stage("publish"):
            publish = await self._open_publish()
            with adding_up(counts, "publish", publish.counts):
                await _published(publish, people)
        if people is None:
            return "the face sets are up to date"
        return f"the face sets of {counted(len(people), 'person', 'people')} are up to date{left_words(publish.counts.left)}"

    async def _erase_rest(self) -> None:
        """Erase what is left of forgotten people, where a decision was cut off before it did so."""
        context = self._context
        erasing = Erasing(
            context.store, self._tree, context.crops_dir, context.references, context.clock, context.turns
        )
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
            await embed_references(context, self._pool)
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


async def _published(publish: Publish, people: frozenset[int] | None) -> None:
    await (publish.run() if people is None else publish.run_for(people))


def left_words(left: Sequence[str]) -> str:
    """Return a part of a sentence on what an export of some people left as it is; "" where it left nothing."""
    return f"; the next export of everybody writes these: {'; '.join(left)}" if left else ""


@contextmanager
def adding_up(total: dict[str, int], stage: str, counts: Counts) -> Iterator[None]:
    """Add the counts of a stage to those of the run, however it ends, each under ``stage_name``."""
    try:
        yield
    finally:
        for name, number in counts_of(counts).items():
            key = f"{stage}_{name}"
            total[key] = total.get(key, 0) + number
