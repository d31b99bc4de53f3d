"""Other forms of face sets and libraries, set or requested: gathered here, decided by pure rules."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import SetupError
from immich_facesets.exports.artifacts import Draw, ExportArtifact, form_of_faceset, form_of_library
from immich_facesets.exports.face_choice import picked
from immich_facesets.exports.file_names import user_directories
from immich_facesets.exports.library import LibraryFace, PlacedPicture, UserLibrary
from immich_facesets.exports.profile import FacesetProfile, LibraryProfile
from immich_facesets.exports.requests import ExportRequest
from immich_facesets.facesets.faceset import ExportRules, Faceset, FacesetFolder
from immich_facesets.quality.landmarks import NOTHING_FOUND
from immich_facesets.wire import Info
from service.computation import compute
from service.store import contents, enrichments, exports, placed_pictures
from service.store.database import Store


class ProfileArtifacts:
    """
    The artifacts of one publish besides the face sets themselves.

    ``refused`` holds the reason why one of the requests produced none.
    """

    def __init__(self, store: Store, info: Info, rules: ExportRules, draw: Draw, labels: Mapping[int, str]) -> None:
        self._store = store
        self._info = info
        self._rules = rules
        self._draw = draw
        self._labels = labels
        self.refused: SetupError | None = None

    async def of(self, requests: Sequence[ExportRequest], facesets: Sequence[Faceset]) -> list[ExportArtifact]:
        """Return the artifacts of these requests; the face sets' own directories are none of them."""
        artifacts: list[ExportArtifact] = []
        for request in requests:
            profile = request.profile
            if not self._accepts_space(request):
                continue
            if isinstance(profile, FacesetProfile):
                artifacts += await self._of_facesets(profile, request, facesets)
            elif isinstance(profile, LibraryProfile):
                artifacts += await self._of_libraries(profile)
        return artifacts

    def _accepts_space(self, request: ExportRequest) -> bool:
        """Return whether the profile can use the vectors of this space; the reason against it is kept."""
        if request.profile.require_space is None:
            return True
        try:
            request.profile.require_space(self._info)
        except SetupError as error:
            self.refused = error
            return False
        return True

    async def _of_facesets(
        self, profile: FacesetProfile, request: ExportRequest, facesets: Sequence[Faceset]
    ) -> list[ExportArtifact]:
        chosen = [
            faceset
            for faceset in facesets
            if faceset.folder is FacesetFolder.MAIN and (profile.has_eras or faceset.era is None)
        ]
        labels = {faceset.identity: faceset.label for faceset in chosen}
        names = profile.directory_names(labels) if profile.directory_names is not None else {}
        artifacts = [
            form_of_faceset(
                profile,
                faceset,
                count=request.faces,
                pixels=request.pixels,
                space=self._info.space,
                rules=self._rules,
                draw=self._draw,
                name=names.get(faceset.identity),
                vectors=await self._vectors(profile, request, faceset),
            )
            for faceset in chosen
        ]
        return [artifact for artifact in artifacts if artifact is not None]

    async def _vectors(
        self, profile: FacesetProfile, request: ExportRequest, faceset: Faceset
    ) -> NDArray[np.float32] | None:
        if not profile.needs_vectors:
            return None
        faces = picked(faceset, request.faces, is_for_swapping=profile.is_for_swapping)
        face_ids = [face.candidate.face.face_id for face in faces]
        return await self._store.read(contents.vectors_of, face_ids, self._info.dimension)

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
        """Return all faces that may be exported, with the results of further models where the profile needs them."""
        space = self._info.space
        enriched = await self._store.read(enrichments.enriched_faces, space) if profile.needs_vectors else {}
        return [
            LibraryFace(face, identity, self._labels.get(identity), enriched.get(face.face_id, NOTHING_FOUND))
            for face, identity in await self._store.read(placed_pictures.exportable_faces, space)
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
