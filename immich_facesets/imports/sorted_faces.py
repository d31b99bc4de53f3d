"""Faces as another tool sorted them: by the picture and the place in it, never by a row of ours."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from immich_facesets.faces import Box

SAME_FACE_IOU = 0.5
"""Two detectors draw one face differently, but never less alike than this."""


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a life that faces were sorted into. ``name`` is what follows ``_era_``; years are inclusive."""

    name: str
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class SortedFace:
    """
    A face that somebody put into a set.

    ``sha256`` of the file, None where the other tool kept none; ``places``: the paths of the picture, as written there;
    ``box`` in upright original pixels.
    """

    sha256: str | None
    places: tuple[str, ...] = field(repr=False)
    box: Box | None
    period: Period | None = None

    @property
    def is_placeable(self) -> bool:
        """Whether anything says which picture it is in."""
        return self.sha256 is not None or bool(self.places)

    @property
    def key(self) -> str:
        """Names the face among those of its set, 40 hex digits."""
        corners = None if self.box is None else [self.box.x1, self.box.y1, self.box.x2, self.box.y2]
        said = json.dumps([self.sha256 or min(self.places, default=""), corners])
        return hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()

    def is_same(self, other: "SortedFace") -> bool:
        """Whether both are one face, given that they share a content or a place."""
        if self.sha256 is not None and other.sha256 is not None and self.sha256 != other.sha256:
            return False
        return self.box is None or other.box is None or self.box.iou(other.box) >= SAME_FACE_IOU


@dataclass(frozen=True, slots=True)
class SortedSet:
    """A person: ``faceset_NNN`` with all of its periods. ``label`` is what she is called, None where nobody said."""

    number: int
    label: str | None = field(repr=False)
    faces: tuple[SortedFace, ...]

    @property
    def name(self) -> str:
        return f"faceset_{self.number:03d}"

    @property
    def periods(self) -> tuple[Period, ...]:
        """Every period that a face of it is in, by name."""
        found = {face.period.name: face.period for face in self.faces if face.period is not None}
        return tuple(found[name] for name in sorted(found))


class Gathering:
    """The faces of one set, each once, whoever names it and however."""

    def __init__(self, faces: Iterable[SortedFace] = ()) -> None:
        self._faces: list[SortedFace] = []
        self._at: dict[str, list[int]] = {}
        for face in faces:
            self.add(face)

    @property
    def faces(self) -> tuple[SortedFace, ...]:
        return tuple(self._faces)

    def holds(self, face: SortedFace) -> bool:
        """Whether this face is among them."""
        return self._find(face) is not None

    def add(self, face: SortedFace) -> None:
        """Take a face in; of one that is there already, take what is new about it."""
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
