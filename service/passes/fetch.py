"""The pictures of one embed pass, fetched from their sources into the staging folder."""

from collections.abc import Mapping
from dataclasses import dataclass

from immich_facesets.assets import Asset
from immich_facesets.errors import ItemError
from service.files.staging import Staging
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.remote.guard import CircuitOpenError
from service.sources import Source, Staged
from service.store import assets


@dataclass
class FetchCounts:
    """Counts of one embed pass's downloads. ``reused``: pictures that an earlier run had fetched."""

    fetched: int = 0
    fetched_bytes: int = 0
    reused: int = 0


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
        counts: FetchCounts,
    ) -> None:
        self._store = context.store
        self._sources = sources
        self._staging = staging
        self._metrics = metrics
        self.away: dict[str, CircuitOpenError] = {}
        self._counts = counts

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

    async def picture(self, asset: Asset) -> Staged | None:
        """Return the asset's picture on disk; None when the asset is gone, or its source is away."""
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
        return None if fetched is None else self._keep(asset, fetched)

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
