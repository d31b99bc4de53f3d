"""Reading the faces that a source knows on its assets, one asset at a time, when they are due."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from immich_facesets.assets import Asset, FaceHint
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.listing import ListingRules
from service.passes.context import PassContext
from service.passes.discovering.counts import DiscoverCounts
from service.passes.fan_out import QUESTIONS_AT_ONCE, ROUNDS, fan_out
from service.progress import seconds_left
from service.remote.guard import CircuitOpenError
from service.sources import Source
from service.store import face_readings, failures

PAGE = 1000
"""The most assets in one answer of a listing, or of the question for those with faces."""


class FaceReadings:
    """
    The readings of one source's faces in one run.

    ``mark_if_gone``: asks the source for an asset by id; returns whether it is gone.
    """

    def __init__(
        self,
        context: PassContext,
        source: Source,
        rules: ListingRules,
        counts: DiscoverCounts,
        mark_if_gone: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._context = context
        self._store = context.store
        self._source = source
        self._rules = rules
        self._mark_if_gone = mark_if_gone
        self._postponed: set[str] = set()
        self._counts = counts
        self._began = context.clock()

    async def settle_faceless(self, updated_after: datetime | None, *, listed_by: int | None) -> None:
        """
        Find out which pictures without known faces have one, by one question instead of one for each.

        It is asked after the listing: a picture that changed in between is then among those with faces. Known faces
        are never dropped here, but only by reading the faces of their picture. ``listed_by``: only assets that this
        run has listed; all of them are settled where that takes fewer requests than reading the due ones.
        """
        if listed_by is not None and await self._is_whole_answer_cheaper(listed_by):
            updated_after = listed_by = None
        with_faces = await self._source.ids_with_faces(updated_after=updated_after)
        if with_faces is None:
            return
        now, name, store = self._context.clock(), self._source.name, self._store
        after = ""
        while batch := await store.read(face_readings.without_hints, name, now, listed_by=listed_by, after=after):
            due = [one.asset_id for one in batch if one.is_due and one.asset_id not in with_faces]
            late = [one.asset_id for one in batch if not one.is_due and one.asset_id in with_faces]
            if due:
                await store.write(face_readings.record_no_faces, name, due, now=now, rules=self._rules)
            if late:
                await store.write(face_readings.make_due, name, late, now=now)
            after = batch[-1].asset_id

    async def _is_whole_answer_cheaper(self, listed_by: int) -> bool:
        """Return whether more pictures without known faces are due than there can be pages of those with faces."""
        name, now = self._source.name, self._context.clock()
        due = await self._store.read(face_readings.count_due_without_hints, name, now, listed_by)
        _, known = await self._store.read(face_readings.count_due, name, now)
        return due > max(1, known // PAGE)

    async def run(self) -> None:
        """
        Read the faces that are due, those of the newest pictures first.

        Failures of the source, rather than of the asset, get further rounds.
        """
        for number in range(ROUNDS):
            if number:
                await self._source.open()  # go on only while the source's circuit allows it
                self._counts.failed -= len(self._postponed)
            self._postponed.clear()
            await fan_out(self._due(), self._read, workers=QUESTIONS_AT_ONCE, stop=self._context.stop)
            if not self._postponed or self._context.stop.is_set():
                return

    async def _due(self) -> AsyncIterator[Asset]:
        now = self._context.clock()
        due, _ = await self._store.read(face_readings.count_due, self._source.name, now)
        self._began = now
        if due:
            self._context.board.update_stage("discover", done=0, total=due, note="reading faces", seconds_left=None)
        after: Asset | None = None
        while batch := await self._store.read(face_readings.to_look_at, self._source.name, now, after=after):
            for asset in batch:
                yield asset
            after = batch[-1]

    async def _read(self, asset: Asset) -> None:
        now = self._context.clock()
        try:
            found = await self._read_hints(asset)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError) as error:
            self._counts.failed += 1
            is_paused = await self._store.write(
                failures.record_failure, "discover", self._source.name, asset.asset_id, error=error, now=now
            )
            if not is_paused:
                self._postponed.add(asset.asset_id)
            return
        if found is not None:
            await self._store.write(face_readings.record_look, asset, found, now=now, rules=self._rules)
            self._counts.looked += 1
        self._count_read()

    def _count_read(self) -> None:
        board = self._context.board
        done, total = board.stage("discover").done + 1, board.stage("discover").total or 0
        seconds = (self._context.clock() - self._began).total_seconds()
        board.update_stage(
            "discover", done=done, seconds_left=seconds_left(done=done, left=total - done, seconds=seconds)
        )

    async def _read_hints(self, asset: Asset) -> tuple[FaceHint, ...] | None:
        """Return the current faces on one asset, None when it turns out to be deleted."""
        try:
            return await self._source.read_hints(asset.asset_id)
        except ItemError:
            if not await self._mark_if_gone(asset.asset_id):
                raise
            return None
