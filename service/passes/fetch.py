"""The pictures of one embed pass, fetched from their sources into the staging folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError, TransientError
from service.files.staging import Staging
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.remote.guard import CircuitOpenError
from service.sources import Source, Staged
from service.store import assets, embedding_work, failures
from service.store.embedding_work import Recipe


@dataclass
class FetchCounts:
    """Counts of one embed pass's downloads. ``reused``: pictures that an earlier run had fetched."""

    fetched: int = 0
    fetched_bytes: int = 0
    reused: int = 0


@dataclass(frozen=True, slots=True)
class _Failed:
    """One place that could not give the bytes; unless it is paused, it is tried again in this sync."""

    is_paused: bool


class OnFailed(Protocol):
    """A function that is told that no place could give some bytes."""

    def __call__(self, *, is_paused: bool) -> None: ...


class Fetch:
    """
    The downloads of one embed pass.

    ``away`` holds the sources that went down meanwhile, each with its error: the pass goes on with the others.
    """

    def __init__(
        self,
        context: PassContext,
        sources: Mapping[str, Source],
        staging: Staging,
        metrics: Metrics,
        recipe: Recipe,
        counts: FetchCounts,
        on_failed: OnFailed,
    ) -> None:
        self._context = context
        self._store = context.store
        self._sources = sources
        self._staging = staging
        self._metrics = metrics
        self.away: dict[str, CircuitOpenError] = {}
        self._recipe = recipe
        self._counts = counts
        self._on_failed = on_failed

    @property
    def available(self) -> tuple[str, ...]:
        """The names of the sources that are not away."""
        return tuple(name for name in self._sources if name not in self.away)

    async def ask_sources(self) -> None:
        """Check that the sources work, according to their circuits, before the next round."""
        for name in self.available:
            try:
                await self._sources[name].open()
            except CircuitOpenError as error:
                self.away[name] = error

    async def picture(self, asset: Asset) -> tuple[Asset, Staged] | None:
        """
        Return the bytes of this asset on disk, and the asset that gave them: each place of the bytes is tried in turn.

        None when no place can give them now. A place that fails rests alone; ``on_failed`` is told when all have.
        """
        results: list[_Failed] = []
        tried: list[str] = []
        place: Asset | None = asset
        while place is not None:
            found = await self._try(place)
            if isinstance(found, Staged):
                return place, found
            results += [] if found is None else [found]
            tried.append(embedding_work.place_of(place))
            place = await self._store.read(
                embedding_work.other_place,
                self._recipe,
                self._context.clock(),
                asset.fingerprint,
                tried,
                self.available,
            )
        if results:
            self._on_failed(is_paused=all(result.is_paused for result in results))
        return None

    async def _try(self, asset: Asset) -> "Staged | _Failed | None":
        """Return the picture from one place; None when the asset is gone, or its source is away."""
        staged = await self._staging.find(asset.fingerprint)
        if staged is not None:
            self._counts.reused += 1
            return staged
        if asset.source in self.away:
            return None
        try:
            fetched = await self._fetched(asset)
        except CircuitOpenError as error:
            self.away[asset.source] = error
            return None
        except (ItemError, TransientError) as error:
            return await self._record(asset, error)
        return None if fetched is None else self._keep(asset, fetched)

    async def _record(self, asset: Asset, error: ItemError | TransientError) -> "_Failed":
        now = self._context.clock()
        source, item = asset.source, asset.asset_id
        is_paused = await self._store.write(failures.record_failure, failures.FETCH, source, item, error=error, now=now)
        self._metrics.count_failure(stage=failures.FETCH, reason=failures.reason_of(error))
        return _Failed(is_paused)

    async def _fetched(self, asset: Asset) -> Staged | None:
        """Return the fetched picture; None when the asset turns out to be gone."""
        source = self._sources[asset.source]
        try:
            return await source.fetch(asset, self._staging.folder)
        except ItemError:
            if await source.find(asset.asset_id) is not None:
                raise
            await self._store.write(assets.mark_gone, asset.source, asset.asset_id)
            return None

    def _keep(self, asset: Asset, fetched: Staged) -> Staged:
        staged = self._staging.keep(asset.fingerprint, fetched)
        self._counts.fetched += 1
        self._counts.fetched_bytes += staged.size_bytes
        self._metrics.count_download(source=asset.source, size_bytes=staged.size_bytes)
        return staged
