"""
The rest of a decision to forget a person: files and exports are erased, and the database is rewritten without the rows.

The decision is committed before. Each step derives the rest from the store and the disk. So a sync finishes what a kill,
a full disk or another reader cut off.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import structlog

from immich_facesets.errors import FacesetsError, SetupError, TransientError
from immich_facesets.exports.manifests import Json
from immich_facesets.exports.withdrawal import shows_any
from service.computation import compute
from service.files.crops import erase_pictures
from service.files.export_tree import ExportTree
from service.files.overviews import leave_out
from service.files.picture_turns import PictureTurns
from service.files.references import ReferenceFolder
from service.moderation.references import tidy_references
from service.store import erasures, forgotten, named_values
from service.store.database import Store
from service.store.erasures import OpenErasures

log = structlog.get_logger(__name__)

NOT_ALL_ERASED = "forgotten, but not everything is erased yet; the next sync erases the rest"


class Erasing:
    """
    The erasure of what forgotten people left outside of the tables.

    ``tree`` is None where the export folder cannot be opened: then the rest is erased, and the erasure stays open.
    """

    def __init__(
        self,
        store: Store,
        tree: ExportTree | None,
        crops_dir: Path,
        references: ReferenceFolder,
        clock: Callable[[], datetime],
        turns: PictureTurns | None = None,
    ) -> None:
        """``turns``: those of the syncs of this process; None where none can run."""
        self._store = store
        self._tree = tree
        self._crops_dir = crops_dir
        self._references = references
        self._clock = clock
        self._turns = PictureTurns() if turns is None else turns

    async def finish(self, made_by: str) -> str:
        """Erase all that is left; return why some of it could not be erased yet, empty when nothing is left."""
        left = await self._store.read(erasures.open_erasures)
        if left.is_empty:
            return ""
        troubles = await self._tried(self._erase_crops)
        if left.decisions:
            troubles += await self._tried(lambda: tidy_references(self._store, self._references))
            troubles += await self._tried(lambda: self._erase_exports(left, made_by))
            troubles += await self._tried(self._store.compact)
        if troubles:
            log.warning("erasure_not_finished", decisions=list(left.decisions))
            return "; ".join(troubles)
        if left.decisions:
            await self._store.write(erasures.end_erasures, left.decisions, self._clock())
            log.info("erased", decisions=list(left.decisions))
        return ""

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> list[str]:
        try:
            await work()
        except FacesetsError as error:
            return [str(error)]
        return []

    async def _erase_crops(self) -> None:
        after = ""
        skipped = 0
        while listed := await self._store.read(erasures.pictures_to_erase, after):
            after = listed[-1]
            async with AsyncExitStack() as held:
                free = await self._turns.take_free(listed, held)
                skipped += len(listed) - len(free)
                pictures = await self._store.read(erasures.files_needed, free)
                await compute(erase_pictures, self._crops_dir, pictures)
                await self._store.write(erasures.record_erased_pictures, free)
        if skipped:
            raise TransientError(
                f"a sync reads {skipped} of the pictures now, so their crops are erased by the next sync"
            )

    async def _erase_exports(self, left: OpenErasures, made_by: str) -> None:
        """Remove the directories that may have forgotten people; the next publish writes the others again."""
        if self._tree is None:
            raise SetupError(
                "the export folder could not be opened, and may still have files of the person: mount it, and run a sync"
            )
        async with self._tree.turn:
            await compute(self._tree.recover)
            for directory, is_own in (await self._directories(self._tree, left)).items():
                await compute(self._tree.erase_directory if is_own else self._tree.remove_directory, directory)
                await self._store.write(
                    erasures.record_erased_directory, directory, is_own=is_own, made_by=made_by, now=self._clock()
                )
            for directory in await self._store.read(named_values.read_directories_to_erase):
                await compute(self._tree.erase_kept, directory)
            await compute(leave_out, self._tree, left.numbers)
            await self._store.write(erasures.record_erased_folder)

    async def _directories(self, tree: ExportTree, left: OpenErasures) -> dict[str, bool]:
        """Return the directories to remove, and whether each is of a forgotten person alone."""
        found = await self._store.read(erasures.directories_to_erase)
        recorded = await self._store.read(erasures.recorded_directories)
        manifests = tree.manifests()
        while (one := await compute(lambda: next(manifests, None))) is not None:
            directory, manifest = one
            is_own = manifest.get("identity") in left.numbers
            is_unknown = manifest.get("identity") is None and directory not in recorded
            if is_own or is_unknown or await self._shows_forgotten(manifest):
                found[directory] = found.get(directory, False) or is_own
        return dict(sorted(found.items()))

    async def _shows_forgotten(self, manifest: Json) -> bool:
        pictures = {str(face.get("sha256")) for face in manifest.get("faces") or () if isinstance(face, dict)}
        return shows_any(manifest, await self._store.read(forgotten.forgotten_places, pictures))
