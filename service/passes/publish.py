"""
Publish pass: bring the export folder in line with the current identities.

Pure rules decide the wanted content, and the existing content is read from the disk itself. Only differences are
written, one faceset at a time. The detector looks at each finished crop once, before its first export.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.eras import EraRules
from immich_facesets.errors import ItemError, RequestError, SetupError
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.fsz import of_faceset
from immich_facesets.exports.profile import FolderProfile
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import Check, Faceset, FacesetFolder, plan_publish
from immich_facesets.facesets.faceset_drafts import FacesetDraft, drafts, folder_of, rescue
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf
from service.passes.context import PassContext
from service.passes.publishing.barred_meanwhile import BarredMeanwhile
from service.passes.publishing.candidates import Facts, candidates_of, gather_facts, hash_crops
from service.passes.publishing.counts import PublishCounts
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.crop_rendering import Drawing
from service.passes.publishing.cut_rendering import CutDrawing
from service.passes.publishing.cuts import Cuts
from service.passes.publishing.enrich import Enrich
from service.passes.publishing.eras import Eras
from service.passes.publishing.export_rules import export_rules
from service.passes.publishing.identities_file import write_identities_file
from service.passes.publishing.overviews import FolderFacts, write_overviews
from service.passes.publishing.profiles import ProfileArtifacts
from service.passes.publishing.write_failures import WriteFailures
from service.sources import Source
from service.store import decisions, exports

log = structlog.get_logger(__name__)

MADE_BY, ASKED_BY = "sync", "export command"


class Publish:
    """One publish pass over all identities."""

    def __init__(
        self,
        context: PassContext,
        pool: EmbedderPool,
        tree: ExportTree,
        points: OperatingPoints,
        *,
        version: str,
        sources: Mapping[str, Source],
    ) -> None:
        """``sources``: those that can be read now, for originals."""
        self._context = context
        self._store = context.store
        self._pool = pool
        self._tree = tree
        self._points = points
        self._rules = export_rules(context.settings, points)
        self._checks = CropChecks(context, pool, self._rules)
        self._cuts = Cuts(context, pool, self._checks, sources)
        self._drawing = Drawing(self._checks, self._rules, version, CutDrawing(context, self._cuts))
        self._barred = BarredMeanwhile(self._store, tree)
        self._failures = WriteFailures()
        self.counts = PublishCounts()

    async def run(self) -> None:
        """Write the differences; a stop or failure between two facesets leaves each of them whole, old or new."""
        await self._barred.begin()
        facts = await self._gather()
        facesets = await self._choose(facts)
        if facesets is None:
            return
        self.counts.facesets = sum(faceset.folder is FacesetFolder.MAIN for faceset in facesets)
        forms = self._profile_artifacts(facts)
        artifacts = await forms.of(self._context.settings.export_requests, facesets)
        self.counts.cut = self._cuts.count
        if self._context.stop.is_set():
            return
        await self._write([*await compute(self._artifacts, facesets), *artifacts], forms.waiting)
        if not self._context.stop.is_set():
            await self._write_overviews(facesets)
            await write_identities_file(self._store, self._tree)
        if forms.refused is not None:  # raised last, so that removals and other writes still happen
            raise forms.refused
        self._failures.raise_if_any()
        if forms.away is not None:
            raise forms.away

    @property
    def is_complete(self) -> bool:
        """Whether a further publish would change nothing, as nothing was late."""
        return not self._cuts.is_late

    async def copy(self, request: ExportRequest, identity: int | None, tree: ExportTree) -> None:
        """
        Write one form of all face sets, or of one identity's, into another folder.

        Later syncs do not update that folder.
        """
        facts = await self._gather()
        if identity is not None and identity not in facts.members:
            raise RequestError(
                f"nothing is to be exported of identity {identity}: 'immich-facesets identities list' lists those that "
                "have faces, and people who must never be exported are not",
                status=404,
            )
        if identity is not None and request.profile.name in facts.profiles_off.get(identity, ()):
            raise RequestError(
                f"{request.profile.name} is switched off for identity {identity}: 'immich-facesets identities profiles "
                f"{identity} --on {request.profile.name}' switches it on"
            )
        facesets = await self._choose(facts if identity is None else facts.of_one(identity))
        if facesets is None:
            return
        chosen = [faceset for faceset in facesets if faceset.folder is FacesetFolder.MAIN]
        forms = self._profile_artifacts(facts)
        artifacts = await forms.of([request], chosen, has_everybody=identity is None)
        shelf = PictureShelf(may_link=False)  # the copy is the user's: no file of it is a file of another directory
        self.counts.cut = self._cuts.count
        if (error := forms.refused or forms.away) is not None:
            raise error
        if isinstance(request.profile, FolderProfile):
            artifacts = await compute(self._artifacts, chosen)
        for artifact in artifacts:
            name = artifact.path.removeprefix(f"{request.profile.home}/")
            if await compute(tree.digest_of, name) != artifact.digest and not await self._wrote(
                tree, name, artifact, shelf
            ):
                continue
            await self._store.write(
                exports.record_copy,
                tree.place(name),
                entry=artifact.entry,
                identity=artifact.identity,
                made_by=ASKED_BY,
                now=self._context.clock(),
            )
            self._count(artifact)
            if self._context.stop.is_set():
                return
        self._failures.raise_if_any()

    def _profile_artifacts(self, facts: Facts) -> ProfileArtifacts:
        return ProfileArtifacts(self._context, self._pool.info, self._checks, self._cuts, self._drawing.picture, facts)

    async def _choose(self, facts: Facts) -> list[Faceset] | None:
        """Return the face sets of these identities, their crops checked; None when a stop interrupted it."""
        board = self._context.board
        board.update_stage("publish", done=0, total=len(facts.members), note="choosing faces")
        facesets: list[Faceset] = []
        centroids: dict[int, NDArray[np.float32]] = {}
        eras = await Eras.read(self._context, self._points, facts.birth_dates)
        for number, members in facts.members.items():
            candidates, vectors = await candidates_of(self._store, facts, members, self._pool.info.dimension)
            kept = await eras.of(number, candidates, vectors)
            for draft in drafts(number, candidates, vectors, kept):
                found, centroid = await self._faceset(draft, facts, eras.rules)
                if draft.era is None:
                    centroids[number] = centroid
                facesets += [found] if found is not None else []
            if self._context.stop.is_set():
                return None
            board.update_stage("publish", done=board.stage("publish").done + 1)
        facesets += await self._rescue(facts, centroids)
        return None if self._context.stop.is_set() else facesets

    async def _gather(self) -> Facts:
        space = self._pool.info.space
        await hash_crops(self._store, space, self._context.crops_dir)
        enrich = Enrich(self._context, self._pool)
        await enrich.run()
        self.counts.enriched = enrich.count
        facts = await gather_facts(
            self._store,
            space,
            within=self._points.match,
            pad_ratio=self._rules.pad_ratio,
            min_face_short=self._rules.min_face_short,
        )
        self._checks.crops = facts.crops
        return facts

    async def _rescue(self, facts: Facts, centroids: Mapping[int, NDArray[np.float32]]) -> list[Faceset]:
        """Return good faces without an identity that are near one, for review by a user."""
        info = self._pool.info
        strays, barred = facts.unclaimed(await self._store.read(decisions.constraints_now, info.space))
        candidates, vectors = await candidates_of(self._store, facts, strays, info.dimension)
        found = await compute(
            rescue,
            candidates,
            vectors,
            centroids,
            labels=facts.labels,
            within=self._points.drop,
            rules=self._rules,
            barred=barred,
        )
        return list(found)

    async def _faceset(
        self, draft: FacesetDraft, facts: Facts, rules: EraRules
    ) -> tuple[Faceset | None, NDArray[np.float32]]:
        """Return the faceset of a draft, its crops checked, and the centroid of its faces."""
        shortlist = await compute(curate, draft.candidates, draft.vectors, self._rules)
        checks: dict[int, Check] = {}
        while (choice := choose(shortlist, checks)).unchecked:
            checks |= await self._checks.of(choice.unchecked, draft.identity, shortlist.centroid)
            self.counts.checked = self._checks.count
            if self._context.stop.is_set():
                return None, shortlist.centroid
        if draft.era is None:
            choice = choice.without(facts.too_small(facts.members[draft.identity]))
        label = facts.labels.get(draft.identity)
        folder = folder_of(draft, len(choice.faces), rules)
        built = build_faceset(choice, identity=draft.identity, label=label, era=draft.era, folder=folder)
        if built is None and draft.era is not None and draft.candidates:
            log.info("era_without_faces", identity=draft.identity, left_out=len(choice.omitted))
        return built, shortlist.centroid

    def _artifacts(self, facesets: Sequence[Faceset]) -> list[ExportArtifact]:
        """Return the artifacts of these facesets. Blocking: a manifest describes every face in full."""
        artifacts = []
        for faceset in facesets:
            checkpoint()
            artifacts.append(self._artifact(faceset))
        return artifacts

    def _artifact(self, faceset: Faceset) -> ExportArtifact:
        return of_faceset(
            faceset,
            space=self._pool.info.space,
            rules=self._rules,
            draw=self._drawing.picture,
            thumbnail=self._drawing.thumbnail,
        )

    async def _write(self, artifacts: Sequence[ExportArtifact], waiting: Collection[str]) -> None:
        """Write the differences; the directories that are ``waiting`` stay as they are."""
        wanted = {artifact.path: artifact for artifact in artifacts}
        on_disk = await compute(self._tree.on_disk)
        plan = plan_publish([(artifact.path, artifact.digest) for artifact in artifacts], on_disk)
        recorded = await self._store.read(exports.recorded)
        self._failures, shelf = WriteFailures(on_disk), await compute(self._tree.shelf)
        for directory in sorted(
            {*plan.remove, *recorded} - wanted.keys() - set(waiting)
        ):  # a kill may come between removal and row
            async with self._tree.turn:
                await self._remove_one(directory)
        self._context.board.update_stage("publish", done=len(plan.keep), total=len(wanted), note="writing")
        for directory in plan.keep:
            if recorded.get(directory) != wanted[directory].digest:  # a kill may also come between directory and row
                async with self._barred.turn():
                    if not self._barred.stops(wanted[directory]):
                        await self._record(wanted[directory])
        for directory in plan.write:
            if self._context.stop.is_set():
                return
            async with self._barred.turn():
                await self._write_one(wanted[directory], shelf)

    async def _remove_one(self, directory: str) -> None:
        try:
            await compute(self._tree.remove_directory, directory)
        except SetupError as error:
            self._failures.add(directory, error)
            return
        self.counts.kept += len(self._tree.take_kept())
        await self._store.write(exports.record_removal, directory, made_by=MADE_BY, now=self._context.clock())
        self.counts.removed += 1

    async def _write_one(self, artifact: ExportArtifact, shelf: PictureShelf) -> None:
        """Write one directory: first its files, durably, then its row. A failure is kept, and stops no other."""
        if self._barred.stops(artifact) or not await self._wrote(self._tree, artifact.path, artifact, shelf):
            return
        await self._record(artifact)
        self._count(artifact)
        board = self._context.board
        board.update_stage("publish", done=board.stage("publish").done + 1)

    async def _wrote(self, tree: ExportTree, name: str, artifact: ExportArtifact, shelf: PictureShelf) -> bool:
        try:
            await compute(tree.write_directory, name, artifact.files(), shelf)
        except (ItemError, SetupError) as error:
            self._failures.add(name, error)
            return False
        self.counts.kept += len(tree.take_kept())
        return True

    def _count(self, artifact: ExportArtifact) -> None:
        if isinstance(artifact.profile, FolderProfile):
            self.counts.written += 1
        else:
            self.counts.forms += 1

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

    async def _write_overviews(self, facesets: Sequence[Faceset]) -> None:
        """Write the manifests of each user and of the whole folder, about the face sets that are in place."""
        known = await self._store.read(exports.users_of_sources)
        there = [faceset for faceset in facesets if not self._failures.is_missing(faceset.directory)]
        about = FolderFacts(self._pool.info.space, self._rules.top, self._context.clock())
        async with self._barred.turn():
            await compute(write_overviews, self._tree, known, self._barred.without(there), about)
