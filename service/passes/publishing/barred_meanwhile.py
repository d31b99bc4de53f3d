"""A decision that bars somebody from export while a publish runs: what the publish read before is not written any more."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.facesets.faceset import Faceset
from service.files.export_tree import ExportTree
from service.store import export_folder
from service.store.database import Store
from service.store.export_folder import Unwanted

_NOTHING = Unwanted(frozenset(), frozenset())


class BarredMeanwhile:
    """
    The identities that were barred from export, or from a profile, since a publish began.

    Decisions are committed first, and remove exports afterwards, in a turn of their own. So a turn of the publish either
    sees the decision, or ends before its exports are removed.
    """

    def __init__(self, store: Store, tree: ExportTree) -> None:
        self._store = store
        self._tree = tree
        self._before = _NOTHING
        self._now = _NOTHING

    async def begin(self) -> None:
        """Note who is barred already; to be called before anything about faces is read."""
        self._before = await self._store.read(export_folder.unwanted_now)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Exclude other writers of the export folder, and look who was barred meanwhile."""
        async with self._tree.turn:
            self._now = (await self._store.read(export_folder.unwanted_now)).since(self._before)
            yield

    def stops(self, artifact: ExportArtifact) -> bool:
        """Return whether an artifact may have faces of an identity barred meanwhile; those of everybody may."""
        return self._now.concerns(artifact.identity, artifact.profile.name)

    def without(self, facesets: Iterable[Faceset]) -> list[Faceset]:
        """Return the face sets of all others."""
        return [faceset for faceset in facesets if faceset.identity not in self._now.identities]
