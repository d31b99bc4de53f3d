"""
Discover pass: find the pictures of a source, the faces it knows on them, and deleted pictures.

Listing pages are planned by ``plan_page`` and committed one by one. An interrupted listing is simply started again,
because its marks move only at its end.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from immich_facesets.accounts import former_name
from immich_facesets.assets import Asset, FaceHint
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError, TransientError
from immich_facesets.listing import KnownAsset, plan_page
from service.computation import compute
from service.passes.context import PassContext
from service.passes.fan_out import ROUNDS, fan_out
from service.remote.guard import CircuitOpenError
from service.sources import Page, Source, SourceFacts
from service.store import assets, failures, source_names, sources
from service.store.sources import SourceMarks

log = structlog.get_logger(__name__)

OVERLAP = timedelta(minutes=10)
"""How far a listing of changes reaches back before the newest known change: clocks and commits are not in step."""

_LOOKS_AT_ONCE = 16
_LOOKED_UP = (DateKind.FILE, DateKind.CAMERA)
"""The possible worth of a date that may be the file's, once it is looked up."""

_PAGE = 1000  # assets per listing request


@dataclass
class DiscoverCounts:
    """Counts of one discover pass, for the row of the run."""

    listed: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    looked: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad_spots: int = 0


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
        self._postponed: set[str] = set()
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
        await self._read_people()
        self._server_now = facts.server_time or now
        watermark = marks.watermark
        if watermark is not None and watermark > self._server_now + OVERLAP:
            watermark = None  # an earlier version took a date in the future for it: what changed since is not known
        await self._list(None if whole or watermark is None else watermark - OVERLAP)
        if self._context.stop.is_set():
            return
        await self._look()
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
        if whole or not facts.lists_changes or marks.full_listing_at is None or now - marks.full_listing_at >= interval:
            return True
        if not facts.hints_inline:
            return False
        # A whole listing returns the faces of 1,000 assets per request: cheaper than reading each one.
        due, known = await self._store.read(assets.count_due, facts.name, now)
        return due > max(1, known // _PAGE)

    async def _read_people(self) -> None:
        """Read the people of the source; those that its list omits are looked up by id before they count as gone."""
        listed = await self._source.people()
        await self._store.write(sources.remember_people, self._source.name, listed)
        ids = [person.person_id for person in listed]
        absent = await self._store.read(sources.absent_people, self._source.name, ids)

        async def each() -> AsyncIterator[str]:
            for person_id in absent:
                yield person_id

        await fan_out(each(), self._find_person, workers=_LOOKS_AT_ONCE, stop=self._context.stop)

    async def _find_person(self, person_id: str) -> None:
        try:
            person = await self._source.find_person(person_id)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError):
            return  # state unknown: the person stays, and is looked up again by the next sync
        name = self._source.name
        if person is None:
            await self._store.write(sources.mark_person_gone, name, person_id, self._context.clock())
        else:
            await self._store.write(sources.remember_people, name, [person])

    async def _list(self, updated_after: datetime | None) -> None:
        newest: datetime | None = None
        started = self._context.clock()
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
        await self._settle_faceless(None if self._reads_all else updated_after)
        await self._store.write(
            sources.finish_listing, self._source.name, watermark=newest, full_at=started if whole else None
        )

    async def _settle_faceless(self, updated_after: datetime | None) -> None:
        """
        Find out which pictures without known faces have one, by one question instead of one for each.

        It is asked after the listing: a picture that changed in between is then among those with faces. Known faces
        are never dropped here, but only by reading the faces of their picture.
        """
        with_faces = await self._source.ids_with_faces(updated_after=updated_after)
        if with_faces is None:
            return
        now, name = self._context.clock(), self._source.name
        listed_by = None if updated_after is None else self._run_id
        after = ""
        while batch := await self._store.read(assets.without_hints, name, now, listed_by=listed_by, after=after):
            due = [one.asset_id for one in batch if one.is_due and one.asset_id not in with_faces]
            late = [one.asset_id for one in batch if not one.is_due and one.asset_id in with_faces]
            if due:
                await self._store.write(assets.record_no_faces, name, due, now=now, rules=self._rules)
            if late:
                await self._store.write(assets.make_due, name, late, now=now)
            after = batch[-1].asset_id

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
        dated = await self._with_dates(page.assets, known)
        if dated is None:
            return  # the listing begins again
        plans = await compute(plan_page, dated, known, self._context.clock(), self._rules)
        counts = await self._store.write(assets.remember_page, plans, run_id=self._run_id)
        self.counts.new += counts.new
        self.counts.changed += counts.changed
        self._count_listed(len(plans))

    async def _with_dates(self, found: Sequence[Asset], known: Mapping[str, KnownAsset]) -> tuple[Asset, ...] | None:
        """
        Return the assets with what their dates are worth; None when a stop left some open.

        A date that may be the file's is looked up for each asset that is new or changed. One that cannot be looked up
        counts as the file's.
        """
        kinds: dict[str, DateKind] = {}
        unclear: list[str] = []
        for asset in found if self._finds_dates else ():
            before = known.get(asset.asset_id)
            if asset.date_kind is not DateKind.FILE:
                continue
            if before is not None and before.updated_at == asset.updated_at and before.date_kind in _LOOKED_UP:
                kinds[asset.asset_id] = before.date_kind
            else:
                unclear.append(asset.asset_id)

        async def look_up(asset_id: str) -> None:
            try:
                asset = await self._source.find(asset_id)
            except CircuitOpenError:
                raise
            except (ItemError, TransientError):
                return
            if asset is not None:
                kinds[asset_id] = asset.date_kind

        await fan_out(_each(unclear), look_up, workers=_LOOKS_AT_ONCE, stop=self._context.stop)
        if unclear and self._context.stop.is_set():
            return None
        return tuple(replace(asset, date_kind=kinds.get(asset.asset_id, asset.date_kind)) for asset in found)

    def _count_listed(self, number: int) -> None:
        self.counts.listed += number
        board = self._context.board
        board.update_stage("discover", done=board.stage("discover").done + number, note="listing")

    async def _confirm_gone(self) -> None:
        """Check each missing asset by id: absence from one listing proves nothing."""
        missing = await self._store.read(assets.unseen, self._source.name, self._run_id)

        await fan_out(_each(missing), self._confirm, workers=_LOOKS_AT_ONCE, stop=self._context.stop)

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

    async def _look(self) -> None:
        """
        Read the faces that are due.

        Failures of the source, rather than of the asset, get further rounds.
        """
        for number in range(ROUNDS):
            if number:
                await self._source.open()  # go on only while the source's circuit allows it
                self.counts.failed -= len(self._postponed)
            self._postponed.clear()
            await fan_out(self._due(), self._look_at, workers=_LOOKS_AT_ONCE, stop=self._context.stop)
            if not self._postponed or self._context.stop.is_set():
                return

    async def _due(self) -> AsyncIterator[Asset]:
        now = self._context.clock()
        due, _ = await self._store.read(assets.count_due, self._source.name, now)
        if due:
            board = self._context.board
            board.update_stage("discover", done=0, total=due, note="reading faces")
        after = ""
        while batch := await self._store.read(assets.to_look_at, self._source.name, now, after=after):
            for asset in batch:
                yield asset
            after = batch[-1].asset_id

    async def _look_at(self, asset: Asset) -> None:
        now = self._context.clock()
        try:
            found = await self._read_hints(asset)
        except CircuitOpenError:
            raise
        except (ItemError, TransientError) as error:
            self.counts.failed += 1
            source = self._source.name
            rests = await self._store.write(
                failures.record_failure, "discover", source, asset.asset_id, error=error, now=now
            )
            if not rests:
                self._postponed.add(asset.asset_id)
            return
        if found is not None:
            await self._store.write(assets.record_look, asset, found, now=now, rules=self._rules)
            self.counts.looked += 1
        board = self._context.board
        board.update_stage("discover", done=board.stage("discover").done + 1)

    async def _read_hints(self, asset: Asset) -> tuple[FaceHint, ...] | None:
        """Return the current faces on one asset, None when it turns out to be deleted."""
        try:
            return await self._source.read_hints(asset.asset_id)
        except ItemError:
            if not await self._mark_if_gone(asset.asset_id):
                raise
            return None


async def _each(asset_ids: Iterable[str]) -> AsyncIterator[str]:
    for asset_id in asset_ids:
        yield asset_id
