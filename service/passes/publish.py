"""
Publish pass: bring the export folder in line with the current identities.

Pure rules decide the wanted content, and the existing content is read from the disk itself. Only differences are
written, one faceset at a time. The detector looks at each finished crop once, before its first export.
"""

from collections.abc import Collection, Mapping, Sequence

from immich_facesets.checkpoints import checkpoint
from immich_facesets.errors import RequestError, SetupError
from immich_facesets.exports.artifacts import ExportArtifact
from immich_facesets.exports.file_names import FacesetKey
from immich_facesets.exports.fsz import of_faceset
from immich_facesets.exports.profile import FacesetProfile, FolderProfile
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.facesets.faceset import Faceset, FacesetFolder
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf
from service.passes.context import PassContext
from service.passes.publishing.barred_meanwhile import BarredMeanwhile
from service.passes.publishing.candidates import Facts
from service.passes.publishing.counts import PublishCounts
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.crop_rendering import Drawing
from service.passes.publishing.cut_rendering import CutDrawing
from service.passes.publishing.cuts import Cuts
from service.passes.publishing.directory_writes import DirectoryWrites, InPlace
from service.passes.publishing.export_rules import export_rules
from service.passes.publishing.faceset_choice import FacesetChoice
from service.passes.publishing.identities_file import write_identities_file
from service.passes.publishing.other_people import (
    OtherPeople,
    directories_in_place,
    everybody_with,
    place_of_everybody,
    read_other_people,
)
from service.passes.publishing.overviews import FolderFacts, write_overviews, write_overviews_with
from service.passes.publishing.profiles import NOBODY_ELSE, ProfileArtifacts
from service.sources import Source
from service.store import exports

ASKED_BY = "export command"


class Publish:
    """One publish pass over all identities, or some."""

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
        self.counts = PublishCounts()
        self._choice = FacesetChoice(context, pool, points, self._rules, self._checks, self.counts)
        self._writes = DirectoryWrites(context, tree, self._barred, self.counts)

    async def run(self) -> None:
        """Write the differences; a stop or failure between two facesets leaves each of them whole, old or new."""
        await self._barred.begin()
        facts = await self._choice.gather()
        facesets = await self._choice.of(facts)
        if facesets is None:
            return
        self._count_chosen(facesets)
        forms = self._profile_artifacts(facts)
        artifacts = await forms.of(self._context.settings.export_requests, facesets)
        self.counts.cut = self._cuts.count
        if self._context.stop.is_set():
            return
        before = await InPlace.read(self._store, self._tree)
        await self._writes.bring(before, [*await compute(self._artifacts, facesets), *artifacts], forms.waiting)
        await self._write_lists(facesets)
        self._raise_what_failed(forms)

    async def run_for(self, people: Collection[int]) -> None:
        """
        Write the differences of these people alone, and list them with everybody else, whose directories stay as they are.

        Forms of whole libraries and faces for review stay, too: the next publish of everybody writes them.
        """
        await self._barred.begin()
        others = await read_other_people(self._store, self._tree, people, self._pool.info.space)
        facts = await self._choice.gather(people)
        facesets = await self._choice.of(facts)
        if facesets is None:
            return
        self._count_chosen(facesets)
        forms = self._profile_artifacts(facts, others.labels(facts.labels))
        requests = [one for one in self._context.settings.export_requests if not one.is_of_library]
        artifacts = await forms.of(requests, facesets, has_everybody=False)
        self.counts.cut = self._cuts.count
        if self._context.stop.is_set():
            return
        profiles = forms.written_profiles(requests)
        taken = [artifact for artifact in artifacts if others.is_taken(artifact)]
        own = [artifact for artifact in artifacts if artifact not in taken]
        lists = await self._everybody(profiles, own, others, facts)
        before = await directories_in_place(self._store, self._tree, others, profiles, lists)
        wanted = [*await compute(self._artifacts, facesets), *own, *(one for one in lists.values() if one is not None)]
        waiting = forms.waiting.union(*(others.own_beside(artifact) for artifact in taken))
        await self._writes.bring(before, wanted, waiting)
        await self._write_lists(facesets, others)
        self.counts.left += self._left(taken)
        self._raise_what_failed(forms)

    @property
    def is_complete(self) -> bool:
        """Whether a further publish would change nothing, as nothing was late."""
        return not self._cuts.is_late

    async def copy(self, request: ExportRequest, identity: int | None, tree: ExportTree) -> None:
        """
        Write one form of all face sets, or of one identity's, into another folder.

        Later syncs do not update that folder.
        """
        facts = await self._choice.gather()
        if identity is not None:
            _refuse_without_faces(identity, request, facts)
        facesets = await self._choice.of(facts if identity is None else facts.of_one(identity))
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
            if await compute(tree.digest_of, name) != artifact.digest and not await self._writes.wrote(
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
            self._writes.count(artifact)
            if self._context.stop.is_set():
                return
        self._writes.failures.raise_if_any()

    def _count_chosen(self, facesets: Sequence[Faceset]) -> None:
        self.counts.facesets = sum(faceset.folder is FacesetFolder.MAIN for faceset in facesets)

    def _profile_artifacts(
        self, facts: Facts, others: Mapping[FacesetKey, str | None] = NOBODY_ELSE
    ) -> ProfileArtifacts:
        draw = self._drawing.picture
        return ProfileArtifacts(self._context, self._pool.info, self._checks, self._cuts, draw, facts, others)

    async def _everybody(
        self,
        profiles: Sequence[FacesetProfile],
        own: Sequence[ExportArtifact],
        others: OtherPeople,
        facts: Facts,
    ) -> dict[str, ExportArtifact | None]:
        """
        Return the directories about everybody as they are to be; None for one that is to go.

        One that cannot be made of what lies there stays as it is.
        """
        found: dict[str, ExportArtifact | None] = {}
        recorded = await self._store.read(exports.recorded)
        for profile in profiles:
            if profile.combine is None:
                continue
            theirs = others.expected_in(profile, facts.labels, facts.profiles_off)
            if not others.owners.keys() >= set(theirs):
                self.counts.left.append(f"the file of everybody for {profile.name}, as others have no files there yet")
                continue
            digests = {path: recorded.get(path, "") for path in theirs}
            of_profile = [artifact for artifact in own if artifact.profile is profile]
            try:
                found[place_of_everybody(profile)] = await compute(
                    everybody_with, self._tree, digests, profile, of_profile, self._pool.info.space
                )
            except SetupError as error:
                self.counts.left.append(f"the file of everybody for {profile.name}, as {error}")
        return found

    def _left(self, taken: Sequence[ExportArtifact]) -> list[str]:
        """Return in words what an export of some people left as it is."""
        requests = self._context.settings.export_requests
        libraries = sorted(request.profile.name for request in requests if request.is_of_library)
        names = sorted({artifact.profile.name for artifact in taken})
        return [
            *(f"{name}, which is about whole libraries" for name in libraries),
            *(f"{name}, where the directory of somebody else has the name" for name in names),
        ]

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

    async def _write_lists(self, facesets: Sequence[Faceset], others: OtherPeople | None = None) -> None:
        """Write the lists of people in the folder, about the face sets that are in place."""
        if self._context.stop.is_set():
            return
        known = await self._store.read(exports.users_of_sources)
        there = [faceset for faceset in facesets if not self._writes.failures.is_missing(faceset.directory)]
        about = FolderFacts(self._pool.info.space, self._rules.top, self._context.clock())
        async with self._barred.turn():
            shown = self._barred.without(there)
            if others is None:
                await compute(write_overviews, self._tree, known, shown, about)
            else:
                await compute(write_overviews_with, self._tree, known, shown, others.people, about)
        await write_identities_file(self._store, self._tree)

    def _raise_what_failed(self, forms: ProfileArtifacts) -> None:
        """Raise what went wrong at the end, so that removals and other writes still happen."""
        if forms.refused is not None:
            raise forms.refused
        self._writes.failures.raise_if_any()
        if forms.away is not None:
            raise forms.away


def _refuse_without_faces(identity: int, request: ExportRequest, facts: Facts) -> None:
    """Raise a ``RequestError`` where nothing of an identity may be in this profile."""
    if identity not in facts.members:
        raise RequestError(
            f"nothing is to be exported of identity {identity}: 'immich-facesets identities list' lists those that "
            "have faces, and people who must never be exported are not",
            status=404,
        )
    if request.profile.name in facts.profiles_off.get(identity, ()):
        raise RequestError(
            f"{request.profile.name} is switched off for identity {identity}: 'immich-facesets identities profiles "
            f"{identity} --on {request.profile.name}' switches it on"
        )
