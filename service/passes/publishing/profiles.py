"""Other forms of face sets and libraries, set or requested: gathered here, decided by pure rules."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from immich_facesets.errors import SetupError
from immich_facesets.exports.artifacts import Draw, ExportArtifact, of_cache, of_reader, of_sidecars
from immich_facesets.exports.file_names import user_directories
from immich_facesets.exports.imagefolder import class_names
from immich_facesets.exports.npz import Cache, CacheRow
from immich_facesets.exports.requests import ExportRequest, Profile, picked
from immich_facesets.exports.visomaster import require_space
from immich_facesets.exports.xmp import Frame, PictureRegions, regions_in, sidecar_name
from immich_facesets.faces import Box
from immich_facesets.facesets.faceset import ExportRules, Faceset, Shelf
from immich_facesets.quality.landmarks import NOTHING_FOUND
from immich_facesets.wire import Info
from service.store import contents, enrichments, exports, placed_pictures
from service.store.database import Store
from service.store.placed_pictures import PlacedPicture


class Forms:
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

    async def of(self, wishes: Sequence[ExportRequest], facesets: Sequence[Faceset]) -> list[ExportArtifact]:
        """Return the artifacts of these requests; ``fsz`` produces none here."""
        editions: list[ExportArtifact] = []
        for wish in wishes:
            match wish.profile:
                case Profile.FSZ:
                    pass
                case Profile.XMP:
                    editions += await self._sidecars()
                case Profile.NPZ:
                    editions += await self._caches()
                case _:
                    editions += await self._of_facesets(wish, facesets)
        return editions

    async def _of_facesets(self, wish: ExportRequest, facesets: Sequence[Faceset]) -> list[ExportArtifact]:
        if wish.profile is Profile.VISOMASTER:
            try:
                require_space(self._info)
            except SetupError as error:
                self.refused = error
                return []
        chosen = [faceset for faceset in facesets if faceset.shelf is Shelf.MAIN]
        if wish.profile is Profile.IMAGEFOLDER:  # an era would be a second class of the same person
            chosen = [faceset for faceset in chosen if faceset.era is None]
        classes = class_names({faceset.identity: faceset.label for faceset in chosen})
        editions = []
        for faceset in chosen:
            vectors = None
            if wish.profile is Profile.VISOMASTER:
                face_ids = [face.candidate.face.face_id for face in picked(faceset, wish)]
                vectors = await self._store.read(contents.vectors_of, face_ids, self._info.dimension)
            editions.append(
                of_reader(
                    faceset,
                    wish,
                    space=self._info.space,
                    rules=self._rules,
                    draw=self._draw,
                    class_name=classes[faceset.identity],
                    vectors=vectors,
                )
            )
        return [edition for edition in editions if edition is not None]

    async def _sidecars(self) -> list[ExportArtifact]:
        placed = await self._store.read(placed_pictures.placed_pictures, self._info.space)
        named: dict[str, list[tuple[str, Box]]] = {}
        for face, identity in await self._store.read(placed_pictures.exportable_faces, self._info.space):
            if identity in self._labels:
                named.setdefault(face.sha256, []).append((self._labels[identity], face.box))
        return await asyncio.to_thread(_sidecar_editions, placed, named, await self._folders())

    async def _caches(self) -> list[ExportArtifact]:
        placed = await self._store.read(placed_pictures.placed_pictures, self._info.space)
        found = await self._store.read(placed_pictures.exportable_faces, self._info.space)
        enriched = await self._store.read(enrichments.enriched_faces, self._info.space)
        editions = []
        for user, folder in (await self._folders()).items():
            places = [place for place in placed if place.user == user]
            first: dict[str, str] = {}
            for place in places:  # by path
                first.setdefault(place.sha256, place.path)
            rows = [
                CacheRow(face, first[face.sha256], identity, enriched.get(face.face_id, NOTHING_FOUND))
                for face, identity in found
                if face.sha256 in first
            ]
            rows.sort(key=lambda row: (row.path, row.face.box.x1, row.face.box.y1, row.face.face_id))
            vectors = await self._store.read(
                contents.vectors_of, [row.face.face_id for row in rows], self._info.dimension
            )
            cache = Cache(
                rows=tuple(rows),
                vectors=vectors,
                empty=tuple(
                    place.path for place in places if not place.has_faces and first[place.sha256] == place.path
                ),
                aliases=tuple(
                    (first[place.sha256], place.path) for place in places if first[place.sha256] != place.path
                ),
            )
            editions.append(await asyncio.to_thread(partial(of_cache, user, folder, cache, space=self._info.space)))
        return [edition for edition in editions if edition is not None]

    async def _folders(self) -> dict[str, str]:
        return user_directories(await self._store.read(exports.users_of_sources))


def _sidecar_editions(
    placed: Sequence[PlacedPicture], named: Mapping[str, Sequence[tuple[str, Box]]], folders: Mapping[str, str]
) -> list[ExportArtifact]:
    """Return one artifact for each user. Blocking: a library has many sidecars."""
    found: dict[str, dict[str, PictureRegions]] = {user: {} for user in folders}
    left_out: dict[str, Counter[str]] = {user: Counter() for user in folders}
    for place in placed:
        people = named.get(place.sha256, ())
        if not people or place.user not in folders:
            continue
        name = sidecar_name(place.path)
        if place.orientation is None:
            left_out[place.user]["orientation_unknown"] += 1
        elif name is None:
            left_out[place.user]["unusable_path"] += 1
        else:
            regions = regions_in(people, Frame(place.width, place.height, place.orientation))
            if regions is not None:
                found[place.user][name] = regions
    editions = (of_sidecars(user, folder, found[user], left_out[user]) for user, folder in folders.items())
    return [edition for edition in editions if edition is not None]
