"""Other forms of face sets and libraries, set or requested: gathered here, decided by pure rules."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import SetupError
from immich_facesets.exports.artifacts import Draw, ExportArtifact, form_of_faceset, form_of_library, without
from immich_facesets.exports.captions import Captions
from immich_facesets.exports.combined import form_of_everybody
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.file_names import FacesetKey, file_stems_of, titles_of, user_directories
from immich_facesets.exports.library import LibraryFace, PlacedPicture, UserLibrary
from immich_facesets.exports.profile import FacesetProfile, LibraryProfile
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.faces import Face
from immich_facesets.facesets.faceset import ExportFace, Faceset, FacesetFolder, Reason
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched
from immich_facesets.wire import Info
from service.computation import compute
from service.passes.context import PassContext
from service.passes.publishing.candidates import Facts
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.cuts import Cuts
from service.remote.guard import CircuitOpenError
from service.store import contents, enrichments, exports, placed_pictures

NOBODY_ELSE: Mapping[FacesetKey, str | None] = MappingProxyType({})


class ProfileArtifacts:
    """
    The artifacts of one publish besides the face sets themselves.

    ``refused`` holds the reason why one of the requests produced none. ``away``: why originals cannot be had now.
    ``waiting``: the directories that stay as they are until they can.
    """

    def __init__(
        self,
        context: PassContext,
        info: Info,
        checks: CropChecks,
        cuts: Cuts,
        draw: Draw,
        facts: Facts,
        others: Mapping[FacesetKey, str | None] = NOBODY_ELSE,
    ) -> None:
        """``others``: the labels of face sets that are not written now, and keep their names."""
        self._store = context.store
        self._stop = context.stop
        self._info = info
        self._checks = checks
        self._cuts = cuts
        self._draw = draw
        self._labels = facts.labels
        self._others = others
        self._off = facts.profiles_off
        self._captions = Captions(context.settings.caption, facts.birth_dates)
        self.refused: SetupError | None = None
        self._refused_profiles: set[str] = set()
        self.away: CircuitOpenError | SetupError | None = None
        self.waiting: set[str] = set()

    def written_profiles(self, requests: Sequence[ExportRequest]) -> list[FacesetProfile]:
        """Return the profiles of these requests with a directory for each face set, but those that were refused."""
        profiles = (request.profile for request in requests)
        return [one for one in profiles if isinstance(one, FacesetProfile) and one.name not in self._refused_profiles]

    async def of(
        self, requests: Sequence[ExportRequest], facesets: Sequence[Faceset], *, has_everybody: bool = True
    ) -> list[ExportArtifact]:
        """
        Return the artifacts of these requests; the face sets' own directories are none of them.

        ``has_everybody``: whether the face sets are those of all people, so that there may be a directory about all.
        """
        artifacts: list[ExportArtifact] = []
        for request in requests:
            try:
                found = await self._of_request(request, facesets)
                artifacts += found
                if has_everybody and isinstance(request.profile, FacesetProfile):
                    combined = await compute(form_of_everybody, request.profile, found, space=self._info.space)
                    artifacts += [] if combined is None else [combined]
            except SetupError as error:  # the other profiles are written all the same
                self.refused = error
                self._refused_profiles.add(request.profile.name)
        return artifacts

    async def _of_request(self, request: ExportRequest, facesets: Sequence[Faceset]) -> list[ExportArtifact]:
        """Return the artifacts of one request; ``SetupError`` when the profile cannot use these vectors."""
        profile = request.profile
        if profile.require_space is not None:
            profile.require_space(self._info)
        if isinstance(profile, FacesetProfile):
            return await self._of_facesets(profile, request, facesets)
        if isinstance(profile, LibraryProfile):
            return await self._of_libraries(profile)
        return []

    async def _of_facesets(
        self, profile: FacesetProfile, request: ExportRequest, facesets: Sequence[Faceset]
    ) -> list[ExportArtifact]:
        chosen = [
            faceset
            for faceset in facesets
            if faceset.folder is FacesetFolder.MAIN
            and (profile.has_eras or faceset.era is None)
            and (faceset.label is not None or not profile.needs_name)
        ]
        labels = self._labels_of_others(profile) | {_key(faceset): faceset.label for faceset in chosen}
        names = (
            {}
            if profile.directory_names is None
            else profile.directory_names({one: labels[one, era] for one, era in labels})
        )
        titles = titles_of(labels)
        stems = file_stems_of(titles)
        wanted = [faceset for faceset in chosen if profile.name not in self._off.get(faceset.identity, ())]
        artifacts = []
        for faceset in await self._framed(request, await self._coloured(profile, wanted), names):
            vectors, first_enriched = await self._knowledge(profile, request, faceset)
            if self._stop.is_set():
                return []
            artifacts.append(
                form_of_faceset(
                    profile,
                    faceset,
                    count=request.faces,
                    pixels=request.pixels,
                    space=self._info.space,
                    rules=self._checks.rules,
                    draw=self._draw,
                    name=names.get(faceset.identity),
                    title=titles[_key(faceset)],
                    stem=stems[_key(faceset)],
                    vectors=vectors,
                    first_enriched=first_enriched,
                    most_scale=request.most_scale,
                    picture_format=request.picture_format,
                    framing=request.framing,
                    captions=self._captions,
                )
            )
        return [artifact for artifact in artifacts if artifact is not None]

    def _labels_of_others(self, profile: FacesetProfile) -> dict[FacesetKey, str | None]:
        return {
            (number, era): label
            for (number, era), label in self._others.items()
            if (profile.has_eras or era is None) and (label is not None or not profile.needs_name)
        }

    async def _coloured(self, profile: FacesetProfile, facesets: Sequence[Faceset]) -> list[Faceset]:
        """Return the face sets without the faces that have no colours, for a profile that needs them; some are included by hand."""
        if not profile.needs_colour:
            return list(facesets)
        free = ([face for face in faceset.faces if not face.candidate.is_included] for faceset in facesets)
        grey = [await self._checks.monochrome(faces) for faces in free]
        return [
            without(faceset, dict.fromkeys(faces, Reason.MONOCHROME))
            for faceset, faces in zip(facesets, grey, strict=True)
        ]

    async def _framed(
        self, request: ExportRequest, facesets: Sequence[Faceset], names: Mapping[int, str]
    ) -> list[Faceset]:
        """
        Return the face sets without the faces that have no picture in the framing, which others replace.

        While originals cannot be had because of a remote or the disk, the directory of a face set stays as it is.
        """
        if request.framing is Framing.FACE:
            return list(facesets)
        await self._cut([face for faceset in facesets for face in _picked(faceset, request)], request)
        framed = []
        for faceset in facesets:
            left = await self._framed_one(request, faceset)
            if left is None:
                name = names.get(faceset.identity) or faceset.name
                self.waiting.add(f"{request.profile.folder}/{name}")
            else:
                framed.append(left)
        return framed

    async def _framed_one(self, request: ExportRequest, faceset: Faceset) -> Faceset | None:
        """Return a face set whose picked faces all have a picture in the framing; None while originals cannot be had."""
        while True:
            faces = _picked(faceset, request)
            if not await self._cut(faces, request):
                return None
            refused = {face.face_id: reason for face in faces if (reason := self._reason(face, request)) is not None}
            if not refused or self._stop.is_set():
                return faceset
            faceset = without(faceset, refused)

    async def _cut(self, faces: Sequence[Face], request: ExportRequest) -> bool:
        """Have the cuts of these faces ready; return whether nothing but single originals is in the way."""
        try:
            await self._cuts.prepare(faces, request.framing, request.pixels or self._checks.rules.out_size)
        except (CircuitOpenError, SetupError) as error:
            self.away = error
            return False
        return True

    def _reason(self, face: Face, request: ExportRequest) -> Reason | None:
        """Return why a picked face has no picture in the framing; None where it has."""
        if self._cuts.of(face, request.framing) is None:
            return Reason.NOT_CUT
        is_alone = request.takes_masks or not self._cuts.strangers(face, request.framing)
        return None if is_alone else Reason.OTHERS_SHOWN

    async def _knowledge(
        self, profile: FacesetProfile, request: ExportRequest, faceset: Faceset
    ) -> tuple[NDArray[np.float32] | None, Enriched]:
        """Return the vectors of the picked faces, and the points of the first one, as far as the profile needs them."""
        if not profile.needs_vectors:
            return None, NOTHING_FOUND
        faces = picked(faceset, request.faces, is_for_swapping=profile.is_for_swapping, weights=profile.weights)
        vectors = await self._vectors(profile, faces)
        first = [face.candidate.face.face_id for face in faces[: int(profile.needs_points)]]
        found = await self._store.read(enrichments.enriched_of, first)
        return vectors, next(iter(found.values()), NOTHING_FOUND)

    async def _vectors(self, profile: FacesetProfile, faces: Sequence[ExportFace]) -> NDArray[np.float32]:
        """Return the vectors of the picked faces, (n, d), as long as the recogniser makes them."""
        face_ids = [face.candidate.face.face_id for face in faces]
        known = await self._checks.lengths(faces)
        if faces and not known and not self._stop.is_set():
            raise SetupError(
                f"the profile {profile.name} needs vectors as long as the recogniser makes them, and the embedder does "
                "not tell how long these are: update it to the version of the service"
            )
        usual = float(np.median(list(known.values()))) if known else 0.0  # of a crop that could not be read again
        lengths = np.array([known.get(face_id, usual) for face_id in face_ids], dtype=np.float32)
        vectors = await self._store.read(contents.vectors_of, face_ids, self._info.dimension)
        return vectors * lengths[:, None]

    async def _of_libraries(self, profile: LibraryProfile) -> list[ExportArtifact]:
        pictures: dict[str, list[PlacedPicture]] = {}
        for place in await self._store.read(placed_pictures.placed_pictures, self._info.space):
            pictures.setdefault(place.user, []).append(place)
        faces = await self._library_faces(profile)
        directories = user_directories(await self._store.read(exports.users_of_sources))
        artifacts = []
        for user, directory in directories.items():
            library = await self._library(profile, user, pictures.get(user, ()), faces)
            artifacts.append(await compute(form_of_library, profile, library, directory))
        return [artifact for artifact in artifacts if artifact is not None]

    async def _library_faces(self, profile: LibraryProfile) -> list[LibraryFace]:
        """Return the faces that the profile may have, with the results of further models where it needs them."""
        space = self._info.space
        enriched = await self._store.read(enrichments.enriched_faces, space) if profile.needs_vectors else {}
        return [
            LibraryFace(face, identity, self._labels.get(identity), enriched.get(face.face_id, NOTHING_FOUND))
            for face, identity in await self._store.read(placed_pictures.exportable_faces, space)
            if profile.name not in self._off.get(identity, ())
        ]

    async def _library(
        self, profile: LibraryProfile, user: str, pictures: Sequence[PlacedPicture], faces: Sequence[LibraryFace]
    ) -> UserLibrary:
        shown = {picture.sha256 for picture in pictures}
        own = tuple(item for item in faces if item.face.sha256 in shown)
        vectors = None
        if profile.needs_vectors:
            face_ids = [item.face.face_id for item in own]
            vectors = await self._store.read(contents.vectors_of, face_ids, self._info.dimension)
        return UserLibrary(user, self._info.space, tuple(pictures), own, vectors)


def _picked(faceset: Faceset, request: ExportRequest) -> list[Face]:
    profile = request.profile
    faces = picked(faceset, request.faces, is_for_swapping=profile.is_for_swapping, weights=profile.weights)
    return [face.candidate.face for face in faces]


def _key(faceset: Faceset) -> FacesetKey:
    return faceset.identity, None if faceset.era is None else faceset.era.name
