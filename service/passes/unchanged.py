"""
Check whether grouping and publishing would change anything; if not, both are skipped.

Their results depend only on the store, the settings, the program and the embedder's models. They are kept in the store
and in the export folder; later changes to its files show in their sizes and times. Every
``FACESETS_FULL_LISTING_INTERVAL`` both passes run anyway; ``sync --full`` and ``export`` always run them.
"""

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from immich_facesets.facesets.faceset import EXPORT_FORMAT
from immich_facesets.wire import Info
from service.computation import compute
from service.files.export_tree import ExportTree
from service.passes.context import PassContext
from service.settings import Settings
from service.store.change_tracking import consequences, read_state
from service.store.named_values import CompleteSync, read_last_complete_sync, write_last_complete_sync


@dataclass
class SyncEnd:
    """How the second half of a sync ended: ``facesets`` is None until all of them are as they should be."""

    facesets: int | None = None


class UnchangedCheck:
    """
    The second half of one sync; everything written during it is a consequence of the other state.

    A kill during it leaves no completed state. Other writes meanwhile give the store a different state than the one
    recorded at the start, so that the next sync examines everything again.
    """

    def __init__(
        self, context: PassContext, tree: ExportTree, info: Info, version: str, sources: Collection[str]
    ) -> None:
        self._context = context
        self._store = context.store
        self._tree = tree
        self._basis = basis_of(context.settings, info, version, sources)

    async def facesets(self) -> int | None:
        """Return the number of face sets when a sync would change none; None where that is not certain."""
        before, now = await self._store.read(read_last_complete_sync), self._context.clock()
        if before is None or before.basis != self._basis or before.state != await self._store.read(read_state):
            return None
        if not timedelta() <= now - before.at < self._context.settings.full_listing_interval:
            return None
        return before.facesets if await compute(self._tree.outline) == before.outline else None

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[SyncEnd]:
        """Context manager around the work, which sets how it ended."""
        ended, began = SyncEnd(), self._context.clock()
        state = await self._store.read(read_state)
        await self._store.write(write_last_complete_sync, None)
        with consequences():
            yield ended
        if ended.facesets is not None:
            outline = await compute(self._tree.outline)
            await self._store.write(
                write_last_complete_sync, CompleteSync(state, self._basis, outline, ended.facesets, began)
            )


def basis_of(settings: Settings, info: Info, version: str, sources: Collection[str]) -> str:
    """Return a digest of all inputs of the second half of a sync, other than the store."""
    chosen = settings.model_dump(mode="json")  # secrets are masked and have no influence
    models = (info.space, info.family, info.distances, info.enrich, info.models, info.version)
    return hashlib.sha256(msgspec.json.encode((version, EXPORT_FORMAT, chosen, models, sorted(sources)))).hexdigest()
