"""
Discover pass: find the pictures of a source, the faces it knows on them, and deleted pictures.

Listing pages are planned by ``plan_page`` and committed one by one. An interrupted listing is simply started again,
because its marks move only at its end.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from immich_facesets.accounts import former_name
from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.listing import plan_page
from service.computation import compute
from service.passes.context import PassContext
from service.passes.discovering.counts import DiscoverCounts
from service.passes.discovering.dates import with_dates
from service.passes.discovering.face_readings import PAGE, FaceReadings
from service.passes.discovering.people import read_people
from service.passes.fan_out import QUESTIONS_AT_ONCE, each, fan_out
from service.remote.guard import CircuitOpenError
from service.sources import MOTION_PART, VIDEO, Page, Source, SourceFacts
from service.store import assets, face_readings, failures, source_names, sources
from service.store.sources import SourceMarks

log = structlog.get_logger(__name__)

_LEFT_ALONE = ((VIDEO, "videos"), (MOTION_PART, "motion_photos"))

OVERLAP = timedelta(minutes=10)
"""How far a listing of changes reaches back before the newest known change: clocks and commits are not in step."""


class Discover:
    """A discover pass over one source in one run."""

    def __init__(self, context: PassContext, source: Source, *, run_id: int, configured: Collection[str]) -> None:
        """``configured``: the names of all sources in the settings."""
        self._context = context
        self._store = context.store
        self._source = source
        self._run_id = run_id
        self._configured = configured
        self._rules = context.settings.listing_rules
        self._finds_dates = False
        self._server_now = context.clock()
        self._reads_all = False
        self.counts = DiscoverCounts()

    async def run(self, *, whole: bool, faces: bool = False) -> None:
        """
        List new pictures (or all of them when ``whole`` or due), then read the faces that are due.

        ``faces``: the faces of every picture are due. An interrupted reading is continued by the next run.
        """
        facts = await self._source.open()
        self._rules = replace(self._rules, every_picture=not facts.knows_faces)
        self._finds_dates = facts.finds_dates
        await self._follow_rename(facts)
        marks = await self._store.write(sources.remember_source, facts.name, facts.kind, facts.user_id)
        now = self._context.clock()
        self._reads_all = marks.is_reading_faces or (faces and facts.knows_faces)
        if self._reads_all:
            await self._store.write(sources.begin_reading_faces, facts.name, now)
        whole = await self._must_list_all(facts, marks, now, whole=whole)
        await read_people(self._context, self._source)
        self._server_now = facts.server_time or now
        watermark = marks.watermark
        if watermark is not None and watermark > self._server_now + OVERLAP:
            watermark = None  # an earlier version took a date in the future for it: what changed since is not known
        readings = FaceReadings(self._context, self._source, self._rules, self.counts, self._mark_if_gone)
        await self._list(None if whole or watermark is None else watermark - OVERLAP, readings)
        if self._context.stop.is_set():
            return
        await readings.run()
        if self._reads_all and not self._context.stop.is_set():
            await self._store.write(sources.finish_reading_faces, facts.name)

    async def _follow_rename(self, facts: SourceFacts) -> None:
        """Give the account's source its new name, if the settings now have another for it."""
        bound = await self._store.read(sources.bound_accounts)
        old = former_name(facts.name, facts.user_id, bound, self._configured)
        if old is not None:
            await self._store.write(source_names.rename_source, old, facts.name)
            log.info("source_renamed")

    async def _must_list_all(self, facts: SourceFacts, marks: SourceMarks, now: datetime, *, whole: bool) -> bool:
        interval = self._context.settings.full_listing_interval
        last = marks.full_listing_at
        if whole or not facts.lists_changes or last is None or not timedelta() <= now - last < interval:
            return True  # also where the clock was set back since
        if not facts.hints_inline:
            return False
        # A whole listing returns the faces of 1,000 assets per request: cheaper than reading each one.
        due, known = await self._store.read(face_readings.count_due, facts.name, now)
        return due > max(1, known // PAGE)

    async def _list(self, updated_after: datetime | None, readings: FaceReadings) -> None:
        newest: datetime | None = None
        started = self._context.clock()
        self._context.board.update_stage("discover", done=0, total=None, note="listing", seconds_left=None)
        async for page in self._source.listing(updated_after=updated_after):
            await self._remember(page)
            moments = [asset.updated_at for asset in page.assets]
            newest = max([*moments, newest] if newest else moments, default=None)
            if self._context.stop.is_set():
                return
        if newest is not None:
            newest = min(newest, self._server_now)  # a change dated in the future must not skip what comes before it
        whole = updated_after is None
        if whole and not self.counts.bad_spots:
            await self._confirm_gone()
            if self._context.stop.is_set():
                return
        changed_after = None if self._reads_all else updated_after
        await readings.settle_faceless(changed_after, listed_by=None if changed_after is None else self._run_id)
        await self._store.write(
            sources.finish_listing,
            self._source.name,
            watermark=newest,
            full_at=started if whole else None,
            left_alone={column: self.counts.skipped[reason] for reason, column in _LEFT_ALONE},
        )

    async def _remember(self, page: Page) -> None:
        self.counts.skipped.update(page.skipped)
        self.counts.bad_spots += len(page.bad_spots)
        if page.failed:
            self.counts.failed += len(page.failed)
            await self._store.write(failures.record_unlisted, self._source.name, page.failed, self._context.clock())
        if page.unchanged:
            await self._store.write(assets.see_again, self._source.name, page.unchanged, run_id=self._run_id)
            self._count_listed(len(page.unchanged))
        if page.assets:
            await self._remember_assets(page)

    async def _remember_assets(self, page: Page) -> None:
        known = await self._store.read(
            assets.known_assets, self._source.name, [asset.asset_id for asset in page.assets]
        )
        dated: Sequence[Asset] | None = page.assets
        if self._finds_dates:
            dated = await with_dates(self._context, self._source, page.assets, known)
        if dated is None:
            return  # the listing begins again
        plans = await compute(plan_page, dated, known, self._context.clock(), self._rules)
        counts = await self._store.write(assets.remember_page, plans, run_id=self._run_id)
        self.counts.new += counts.new
        self.counts.changed += counts.changed
        self._count_listed(len(plans))

    def _count_listed(self, number: int) -> None:
        self.counts.listed += number
        board = self._context.board
        board.update_stage("discover", done=board.stage("discover").done + number)

    async def _confirm_gone(self) -> None:
        """Check each missing asset by id: absence from one listing proves nothing."""
        missing = await self._store.read(assets.unseen, self._source.name, self._run_id)
        await fan_out(each(missing), self._confirm, workers=QUESTIONS_AT_ONCE, stop=self._context.stop)

    async def _confirm(self, asset_id: str) -> None:
        try:
            await self._mark_if_gone(asset_id)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError):
            self.counts.failed += 1  # state unknown: kept, and checked again by the next whole listing

    async def _mark_if_gone(self, asset_id: str) -> bool:
        if await self._source.find(asset_id) is not None:
            return False
        await self._store.write(assets.mark_gone, self._source.name, asset_id)
        self.counts.gone += 1
        return True
