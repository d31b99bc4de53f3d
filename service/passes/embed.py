"""
Embed pass: fetch the selected pictures, compute embeddings of their faces, and store them by content.

Two groups of tasks are joined by a short queue: one fetches pictures into the staging folder, the other sends them to
the embedder. The work is read from the store, never passed on by discover.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from dataclasses import dataclass

import structlog

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError, SetupError, TransientError
from immich_facesets.face_requests import Mode
from service.computation import compute
from service.embedders.pool import EmbedderPool
from service.files.crops import find_lost
from service.files.staging import Staging
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.passes.fan_out import ROUNDS, fan_out, first_error
from service.passes.fetch import Fetch, FetchCounts
from service.passes.fetched_again import announce_fetches
from service.passes.picture_embedding import PictureEmbedding
from service.passes.picture_isolation import PictureIsolation
from service.remote.guard import CircuitOpenError
from service.settings import Settings
from service.sources import Source, Staged
from service.store import asked_boxes, contents, embedding_work, failures, spaces
from service.store.embedding_work import Recipe

log = structlog.get_logger(__name__)

_WAITING = 4
"""Pictures waiting on disk for each one in progress at the embedder: enough that neither group of tasks is idle."""


@dataclass
class EmbedCounts(FetchCounts):
    """Counts of one embed pass, for the row of the run. ``faces``: those that were not known before."""

    embedded: int = 0
    faces: int = 0
    aliases: int = 0
    failed: int = 0


def recipe_of(space: str, settings: Settings) -> Recipe:
    """Return the settings that stored results depend on."""
    return Recipe(
        space=space,
        detection=settings.detection,
        crop_size=settings.crop_size,
        crop_padding=settings.crop_padding,
        crop_short=settings.export_min_face_short,
    )


class Embed:
    """One embed pass over everything that is missing."""

    def __init__(
        self,
        context: PassContext,
        sources: Mapping[str, Source],
        pool: EmbedderPool,
        staging: Staging,
        metrics: Metrics,
        *,
        configured: Collection[str],
    ) -> None:
        """``sources`` can be read in this sync; ``configured``: the names of all sources in the settings."""
        self._context = context
        self._configured = tuple(configured)
        self._store = context.store
        self._pool = pool
        self._staging = staging
        self._metrics = metrics
        self._recipe = recipe_of(pool.info.space, context.settings)
        self._postponed = 0
        self._isolation = PictureIsolation(context, pool)
        self._embedding = PictureEmbedding(context, self._isolation, self._recipe)
        self.counts = EmbedCounts()
        self._fetch = Fetch(context, sources, staging, metrics, self._recipe, self.counts, self._count_failure)

    @property
    def away(self) -> dict[str, CircuitOpenError]:
        """The sources that went down during the pass, each with its error."""
        return self._fetch.away

    async def run(self) -> None:
        """
        Embed everything that is missing; ends early, keeping completed work, when every embedder is down or on stop.

        A source that goes down is left out (``away``), and the pictures of the others are embedded.

        Pictures that failed for reasons outside themselves get further rounds. Faces that are only late must not be
        missing when identities are numbered.
        """
        await asyncio.to_thread(self._staging.prepare)
        await self._announce_space()
        await self._forget_lost()
        settings = self._context.settings
        own = {"max_file_bytes": settings.max_file_bytes, "embedding_timeout": settings.embedding_timeout}
        await self._store.write(failures.retry_above_limits, self._pool.limits | own, self._context.clock())
        if Mode(settings.detection) is Mode.GUIDED:
            await self._store.write(asked_boxes.mark_unasked, self._recipe.space, settings.listing_rules)
        for number in range(ROUNDS):
            now = self._context.clock()
            total = await self._store.read(
                embedding_work.count_to_embed, self._recipe, now, sources=self._fetch.available
            )
            if number and total:
                self.counts.failed -= self._postponed
                await self._ask_remotes()
            self._postponed = 0
            if total or not number:
                self._context.board.update_stage("embed", done=0, total=total, failed=0)
            if not total:
                break
            if not number:
                await announce_fetches(self._context, self._recipe, self._fetch.available)
            await self._run_tasks()
            if self._context.stop.is_set():
                return
        await self._sweep()

    async def _sweep(self) -> None:
        """Delete pictures of earlier runs that no source in the settings needs; one that is left out now still does."""
        if not self._staging.has_unused:
            return
        pending = self._pending(self._configured)
        needed = {asset.fingerprint async for asset in pending}
        await asyncio.to_thread(self._staging.sweep, needed)

    async def _announce_space(self) -> None:
        """Record that a space other than the one in use is being filled, or no longer is."""
        active = await self._store.read(spaces.active_space)
        coming = None if active in {None, self._recipe.space} else self._recipe.space
        if await self._store.read(spaces.coming_space) != coming:
            await self._store.write(spaces.announce_space, coming, self._context.clock())

    async def _forget_lost(self) -> None:
        """
        Mark contents that lost their crops as to be embedded again.

        The data folder may have been restored from several backups.
        """
        space = self._recipe.space
        needed = await self._store.read(contents.crop_files, space)
        lost = await compute(find_lost, self._context.crops_dir, needed)
        if lost:
            log.warning("crops_lost", count=len(lost))
            await self._store.write(contents.forget_lost, lost, space)

    async def _ask_remotes(self) -> None:
        """Check that the remotes work, according to their circuits, before the next round."""
        await self._fetch.ask_sources()
        if (await self._pool.open()).space != self._recipe.space:
            raise SetupError("the embedder now serves another space than before: start the sync again")

    async def _run_tasks(self) -> None:
        await self._isolation.prepare()
        at_embedder = self._pool.capacity
        queue: asyncio.Queue[tuple[Asset, Staged] | None] = asyncio.Queue(maxsize=at_embedder * _WAITING)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stage_all(queue, ends=at_embedder))
                for _ in range(at_embedder):
                    tasks.create_task(self._embed_all(queue))
        except BaseExceptionGroup as error:
            raise first_error(error) from None

    async def _stage_all(self, queue: asyncio.Queue[tuple[Asset, Staged] | None], *, ends: int) -> None:
        async def stage(asset: Asset) -> None:
            await self._staging.wait_for_room()
            if self._context.stop.is_set():
                return
            if (found := await self._fetch.picture(asset)) is not None and not await self._is_known(*found):
                await queue.put(found)

        workers = self._context.settings.fetch_concurrency
        await fan_out(self._pending(), stage, workers=workers, stop=self._context.stop)
        for _ in range(ends):
            await queue.put(None)

    async def _pending(self, sources: Collection[str] | None = None) -> AsyncIterator[Asset]:
        """Yield an asset of each content that is missing, of ``sources``; None: of those that are available."""
        now = self._context.clock()
        after = ""
        while batch := await self._store.read(
            embedding_work.to_embed,
            self._recipe,
            now,
            sources=self._fetch.available if sources is None else sources,
            after=after,
        ):
            for asset in batch:
                yield asset
            after = batch[-1].fingerprint

    async def _is_known(self, asset: Asset, staged: Staged) -> bool:
        """Return whether these bytes are done under another fingerprint; then nothing is left to do for this one."""
        if not await self._store.read(embedding_work.is_embedded, staged.sha256, self._recipe):
            return False
        await self._store.write(contents.record_alias, asset.fingerprint, staged.sha256)
        self._staging.release(staged)
        self.counts.aliases += 1
        self._advance()
        return True

    async def _embed_all(self, queue: asyncio.Queue[tuple[Asset, Staged] | None]) -> None:
        while (item := await queue.get()) is not None:
            asset, staged = item
            if self._context.stop.is_set():
                self._staging.leave(staged)
                continue
            await self._attempt(asset, self._embed_once(asset, staged))

    async def _embed_once(self, asset: Asset, staged: Staged) -> None:
        """
        Embed a picture once.

        While the same bytes are in progress under another fingerprint, wait for that result.
        """
        lock = self._context.turns.of(staged.sha256)
        is_second = lock.locked()
        async with lock:
            if not (is_second and await self._is_known(asset, staged)):
                await self._embed(asset, staged)

    async def _embed(self, asset: Asset, staged: Staged) -> None:
        try:
            stored = await self._embedding.embed(asset, staged)
        except ItemError:
            self._staging.release(staged)
            raise
        except TransientError:
            self._staging.leave(staged)
            raise
        self._staging.release(staged)
        self.counts.embedded += 1
        self.counts.faces += stored.new
        self._metrics.count_embedded(faces=stored.faces)
        self._advance()

    async def _attempt(self, asset: Asset, work: Awaitable[None]) -> None:
        """Do ``work``; an error of these bytes alone is recorded."""
        try:
            await work
        except CircuitOpenError:
            raise
        except (ItemError, TransientError) as error:
            is_paused = await self._store.write(
                failures.record_failure,
                failures.EMBED,
                asset.source,
                asset.fingerprint,
                error=error,
                now=self._context.clock(),
            )
            self._metrics.count_failure(stage=failures.EMBED, reason=failures.reason_of(error))
            self._count_failure(is_paused=is_paused)

    def _count_failure(self, *, is_paused: bool) -> None:
        self.counts.failed += 1
        self._postponed += not is_paused
        self._advance(failed=1)

    def _advance(self, *, failed: int = 0) -> None:
        board = self._context.board
        before = board.stage("embed")
        board.update_stage("embed", done=before.done + 1, failed=before.failed + failed)
