"""
Whether grouping and publishing would come to what is there already: then neither is begun.

They follow from what the store holds, the settings, the program and the embedder's models, and from nothing else. What
came out of them is in the store and in the export folder, and whoever touched that since is noticed by sizes and times of
its files. Now and then all is looked at anyway (``FACESETS_FULL_LISTING_INTERVAL``), and ``sync --full`` and ``export`` always do.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from immich_facesets.facesets.faceset import EXPORT_FORMAT
from immich_facesets.wire import Info
from service.files.export_tree import ExportTree
from service.passes.context import PassContext
from service.settings import Settings
from service.store.change_tracking import consequences, read_state
from service.store.facts import CompleteSync, read_last_complete_sync, write_last_complete_sync


@dataclass
class SyncEnd:
    """How a sync's second half ended: ``facesets`` is None until all of them are as they should be."""

    facesets: int | None = None


class UnchangedCheck:
    """
    One sync's second half, from its beginning to its end; in between, what it writes is a consequence of the rest.

    A kill in between leaves nothing settled. Whatever others write meanwhile gives the store another state than the one
    noted at the beginning, and the next sync looks at everything again.
    """

    def __init__(
        self, conditions: PassContext, tree: ExportTree, info: Info, version: str, sources: Collection[str]
    ) -> None:
        self._conditions = conditions
        self._store = conditions.store
        self._tree = tree
        self._basis = basis_of(conditions.settings, info, version, sources)

    async def facesets(self) -> int | None:
        """How many face sets there are, where a sync would change none; None where that is not certain."""
        before, now = await self._store.read(read_last_complete_sync), self._conditions.clock()
        if before is None or before.basis != self._basis or before.state != await self._store.read(read_state):
            return None
        if not timedelta() <= now - before.at < self._conditions.settings.full_listing_interval:
            return None
        return before.facesets if await asyncio.to_thread(self._tree.outline) == before.outline else None

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[SyncEnd]:
        """The work is done inside, and tells how it ended."""
        ended, began = SyncEnd(), self._conditions.clock()
        state = await self._store.read(read_state)
        await self._store.write(write_last_complete_sync, None)
        with consequences():
            yield ended
        if ended.facesets is not None:
            outline = await asyncio.to_thread(self._tree.outline)
            await self._store.write(
                write_last_complete_sync, CompleteSync(state, self._basis, outline, ended.facesets, began)
            )


def basis_of(settings: Settings, info: Info, version: str, sources: Collection[str]) -> str:
    """A digest of all that a sync's second half goes by beside the store."""
    said = settings.model_dump(mode="json")  # secrets are masked, and decide nothing
    models = (info.space, info.family, info.distances, info.enrich, info.models, info.version)
    return hashlib.sha256(msgspec.json.encode((version, EXPORT_FORMAT, said, models, sorted(sources)))).hexdigest()
