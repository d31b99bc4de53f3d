"""Make one list of face sets from manifests and caches, which hold different facts about the same faces."""

from collections.abc import Sequence
from dataclasses import replace

from immich_facesets.faces import Box
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.npz_cache import EarlierCache
from immich_facesets.imports.sorted_faces import DistinctFaces, SortedFace, SortedSet
from immich_facesets.wording import counted


def gather(sets: Sequence[SortedSet], caches: Sequence[EarlierCache], findings: Findings) -> tuple[SortedSet, ...]:
    """
    Return the sets with the additions of the caches: digests, boxes and further locations of their faces.

    Where a cache assigns each face to a set, the faces that were left out of the folders are added. A cache that shares
    no picture with the manifests belongs to another library: that is a problem.
    """
    known = _Pictures(caches)
    named = sum(len(one.faces) for one in sets)
    completed = [replace(one, faces=tuple(known.complete(face) for face in one.faces)) for one in sets]
    if caches:
        seen = sum(known.has(face) for one in completed for face in one.faces)
        if named and not seen:
            findings.problems.append(
                "the manifests and the cache share not one picture: they do not belong together, or their paths changed"
            )
        elif seen < named:
            findings.missing.append(
                f"{counted(named - seen, 'face')} of the manifests: in no cache, taken as the manifests say"
            )
    members = _members(caches)
    if strange := sorted(members.keys() - {one.number for one in sets}):
        findings.missing.append(
            f"{counted(len(strange), 'identity', 'identities')} of the cache without a face set: left aside, first {strange[0]}"
        )
    gathered = []
    for one in completed:
        faces = DistinctFaces((*one.faces, *members.get(one.number, ())))
        gathered.append(replace(one, faces=faces.faces))
    if blind := sum(face.box is None for one in gathered for face in one.faces):
        findings.missing.append(f"{counted(blind, 'face')} without a box: found where a picture holds one face only")
    return tuple(gathered)


def _members(caches: Sequence[EarlierCache]) -> dict[int, list[SortedFace]]:
    """Return the faces that caches assign to identities."""
    found: dict[int, list[SortedFace]] = {}
    for cache in caches:
        for face, number in zip(cache.faces, cache.identities or (), strict=False):
            if number > 0 and face.is_placeable:
                found.setdefault(number, []).append(face)
    return found


class _Pictures:
    """The pictures known from the caches, by digest and by path."""

    def __init__(self, caches: Sequence[EarlierCache]) -> None:
        self._digest_at: dict[str, str] = {}
        self._places: dict[str, dict[str, None]] = {}
        self._boxes: dict[str, list[Box]] = {}
        for cache in caches:
            for face in cache.faces:
                self._learn(face)

    def _learn(self, face: SortedFace) -> None:
        for place in face.places:
            if face.sha256 is not None:
                self._digest_at[place] = face.sha256
        keys = face.places if face.sha256 is None else (face.sha256, *face.places)
        for key in keys:
            self._places.setdefault(key, {}).update(dict.fromkeys(face.places))
            if face.box is not None:
                self._boxes.setdefault(key, []).append(face.box)

    def has(self, face: SortedFace) -> bool:
        return any(key in self._places for key in (face.sha256, *face.places) if key is not None)

    def complete(self, face: SortedFace) -> SortedFace:
        """
        Return the face with its digest and every location of its picture; also the box, if the picture has only one
        face.
        """
        digests = {self._digest_at[place] for place in face.places if place in self._digest_at}
        digest = face.sha256 or (digests.pop() if len(digests) == 1 else None)
        key = next((key for key in (digest, *face.places) if key in self._places), None)
        if key is None:
            return replace(face, sha256=digest)
        places = dict.fromkeys((*face.places, *self._places[key]))
        boxes = self._boxes.get(key, [])
        box = face.box or (boxes[0] if len(boxes) == 1 else None)
        return replace(face, sha256=digest, places=tuple(places), box=box)
