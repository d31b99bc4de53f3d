"""Directories of the export folder that are written and removed, each with its row in the store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from immich_facesets.errors import ItemError, SetupError
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.profile import FolderProfile
from immich_facesets.facesets.faceset import plan_publish
from service.computation import compute
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf
from service.passes.context import PassContext
from service.passes.publishing.barred_meanwhile import BarredMeanwhile
from service.passes.publishing.counts import PublishCounts
from service.passes.publishing.write_failures import WriteFailures
from service.store import exports
from service.store.database import Store

MADE_BY = "sync"


@dataclass(frozen=True, slots=True)
class InPlace:
    """The directories that a publish may change, each with its digest: as the disk has them, and as they are recorded."""

    on_disk: Mapping[str, str]
    recorded: Mapping[str, str]

    @classmethod
    async def read(cls, store: Store, tree: ExportTree) -> Self:
        """Read all of them."""
        return cls(await compute(tree.on_disk), await store.read(exports.recorded))


class DirectoryWrites:
    """The writes of one publish. ``failures``: those that did not succeed; they stop no other."""

    def __init__(self, context: PassContext, tree: ExportTree, barred: BarredMeanwhile, counts: PublishCounts) -> None:
        self._context = context
        self._store = context.store
        self._tree = tree
        self._barred = barred
        self._counts = counts
        self.failures = WriteFailures()

    async def bring(self, before: InPlace, artifacts: Sequence[ExportArtifact], waiting: Collection[str]) -> None:
        """Write and remove what differs from ``before``; the directories that are ``waiting`` stay as they are."""
        wanted = {artifact.path: artifact for artifact in artifacts}
        plan = plan_publish([(artifact.path, artifact.digest) for artifact in artifacts], before.on_disk)
        self.failures, shelf = WriteFailures(before.on_disk), await compute(self._tree.shelf)
        for directory in sorted(
            {*plan.remove, *before.recorded} - wanted.keys() - set(waiting)
        ):  # a kill may come between removal and row
            async with self._tree.turn:
                await self._remove_one(directory)
        self._context.board.update_stage("publish", done=len(plan.keep), total=len(wanted), note="writing")
        for directory in plan.keep:
            if before.recorded.get(directory) != wanted[directory].digest:  # or between directory and row
                async with self._barred.turn():
                    if not self._barred.stops(wanted[directory]):
                        await self._record(wanted[directory])
        for directory in plan.write:
            if self._context.stop.is_set():
                return
            async with self._barred.turn():
                await self._write_one(wanted[directory], shelf)

    async def wrote(self, tree: ExportTree, name: str, artifact: ExportArtifact, shelf: PictureShelf) -> bool:
        """Write the files of an artifact as a directory of a tree; False where that failed."""
        try:
            await compute(tree.write_directory, name, artifact.files(), shelf)
        except (ItemError, SetupError) as error:
            self.failures.add(name, error)
            return False
        self._counts.kept += len(tree.take_kept())
        return True

    def count(self, artifact: ExportArtifact) -> None:
        """Count a directory that was written."""
        if isinstance(artifact.profile, FolderProfile):
            self._counts.written += 1
        else:
            self._counts.forms += 1

    async def _remove_one(self, directory: str) -> None:
        try:
            await compute(self._tree.remove_directory, directory)
        except SetupError as error:
            self.failures.add(directory, error)
            return
        self._counts.kept += len(self._tree.take_kept())
        await self._store.write(exports.record_removal, directory, made_by=MADE_BY, now=self._context.clock())
        self._counts.removed += 1

    async def _write_one(self, artifact: ExportArtifact, shelf: PictureShelf) -> None:
        """Write one directory: first its files, durably, then its row."""
        if self._barred.stops(artifact) or not await self.wrote(self._tree, artifact.path, artifact, shelf):
            return
        await self._record(artifact)
        self.count(artifact)
        board = self._context.board
        board.update_stage("publish", done=board.stage("publish").done + 1)

    async def _record(self, artifact: ExportArtifact) -> None:
        await self._store.write(
            exports.record_export,
            artifact.path,
            digest=artifact.digest,
            entry=artifact.entry,
            identity=artifact.identity,
            made_by=MADE_BY,
            now=self._context.clock(),
        )
