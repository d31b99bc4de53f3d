"""Faces as another tool sorted them: identified by the picture and the location in it, never by our row numbers."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.names import faceset_name


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a life that faces were sorted into. ``name`` is the text after ``_era_``; years are inclusive."""

    name: str
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class SortedFace:
    """
    A face that a user put into a set.

    ``sha256`` of the file, None where the other tool stored none; ``places``: the paths of the picture, as written
    there; ``box`` in upright original pixels.
    """

    sha256: str | None
    places: tuple[str, ...] = field(repr=False)
    box: Box | None
    period: Period | None = None

    @property
    def is_placeable(self) -> bool:
        """Return whether anything identifies its picture."""
        return self.sha256 is not None or bool(self.places)

    @property
    def key(self) -> str:
        """Return an identifier of the face within its set, 40 hex digits."""
        corners = None if self.box is None else [self.box.x1, self.box.y1, self.box.x2, self.box.y2]
        content = json.dumps([self.sha256 or min(self.places, default=""), corners])
        return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()

    def is_same(self, other: "SortedFace") -> bool:
        """Return whether both are one face, given that they share a content or a location."""
        if self.sha256 is not None and other.sha256 is not None and self.sha256 != other.sha256:
            return False
        return self.box is None or other.box is None or self.box.iou(other.box) >= SAME_FACE_IOU


@dataclass(frozen=True, slots=True)
class SortedSet:
    """A person: ``faceset_NNN`` with all of its periods. ``label`` is the person's name, None where unknown."""

    number: int
    label: str | None = field(repr=False)
    faces: tuple[SortedFace, ...]

    @property
    def name(self) -> str:
        return faceset_name(self.number)

    @property
    def periods(self) -> tuple[Period, ...]:
        """Return every period that a face of the set is in, by name."""
        found = {face.period.name: face.period for face in self.faces if face.period is not None}
        return tuple(found[name] for name in sorted(found))


class DistinctFaces:
    """The faces of one set, each once, even if several sources describe it differently."""

    def __init__(self, faces: Iterable[SortedFace] = ()) -> None:
        self._faces: list[SortedFace] = []
        self._at: dict[str, list[int]] = {}
        for face in faces:
            self.add(face)

    @property
    def faces(self) -> tuple[SortedFace, ...]:
        return tuple(self._faces)

    def holds(self, face: SortedFace) -> bool:
        """Return whether the set holds this face."""
        return self._find(face) is not None

    def add(self, face: SortedFace) -> None:
        """Add a face; for one that is there already, add the new facts about it."""
        number = self._find(face)
        if number is None:
            number = len(self._faces)
            self._faces.append(face)
        else:
            known = self._faces[number]
            self._faces[number] = replace(
                known,
                sha256=known.sha256 or face.sha256,
                places=tuple(dict.fromkeys((*known.places, *face.places))),
                box=known.box or face.box,
                period=known.period or face.period,
            )
        for key in _keys(self._faces[number]):
            places = self._at.setdefault(key, [])
            if number not in places:
                places.append(number)

    def _find(self, face: SortedFace) -> int | None:
        near = sorted({number for key in _keys(face) for number in self._at.get(key, ())})
        return next((number for number in near if self._faces[number].is_same(face)), None)


def _keys(face: SortedFace) -> tuple[str, ...]:
    return face.places if face.sha256 is None else (face.sha256, *face.places)
