"""The facts on which the answer to a request depends: the faces, identities, names and decisions that it touches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from immich_facesets.errors import RequestError
from immich_facesets.faces import SAME_FACE_IOU
from immich_facesets.moderation.active_decisions import Resolve
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.records import Record
from immich_facesets.moderation.requests import Chosen

Nearest = Callable[[Sequence[int], Mapping[int, Sequence[int]]], dict[int, int]]
"""A function that gives each of some faces the number of the identity, of several with their faces, that it is nearest to."""

_LISTED = 5


@dataclass(frozen=True, slots=True)
class KnownFace:
    """A face of the space in use: where it is, and of which identity it is a member (None: of none)."""

    face_id: int
    ref: FaceRef
    identity: int | None


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """
    An identity. ``label``: the name that is shown; ``own_label``: that of a moderator. ``people``: (source, person id), also
    those who are gone.
    """

    number: int
    label: str | None = field(default=None, repr=False)
    own_label: str | None = field(default=None, repr=False)
    is_locked: bool = False
    is_hidden: bool = False
    cover: FaceRef | None = None
    people: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KnownReference:
    """A reference picture: what is kept of it, the face in the picture that was sent, and for whom it was sent."""

    reference_id: int
    digest: str
    face: FaceRef
    sent_for: int


@dataclass(frozen=True, slots=True)
class Facts:
    """
    All facts about what a request touches.

    ``faces``: by id, the members of the identities, and all faces of the pictures of the faces that it names.
    ``identities``: by number. ``named``: the identities with faces or reference pictures that have a name, by ``name_key``. ``records``: all
    decisions by id, and ``constraints``, what follows from them. ``next_number``: one past the highest ever used.
    ``references``: the reference pictures that it names, by id. ``profiles``: the names of the export profiles that can be
    switched off.
    ``resolve`` finds the face of a reference, and ``nearest`` the identity to which a face that came later belongs.
    """

    faces: Mapping[int, KnownFace]
    identities: Mapping[int, KnownIdentity]
    named: Mapping[str, tuple[int, ...]]
    records: Mapping[int, Record]
    constraints: Constraints
    next_number: int
    resolve: Resolve = field(repr=False)
    nearest: Nearest = field(repr=False)
    references: Mapping[int, KnownReference] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()

    def identity(self, number: int) -> KnownIdentity:
        """Return the current identity of a number; ``RequestError`` (404) where there is none."""
        found = self.identities.get(current_number(number, self.constraints))
        if found is None:
            raise RequestError(
                f"there is no identity {number}: 'immich-facesets identities list' lists those that have faces",
                status=404,
            )
        return found

    def reference(self, reference_id: int) -> KnownReference:
        """Return a reference picture; ``RequestError`` (404) where there is none."""
        found = self.references.get(reference_id)
        if found is None:
            raise RequestError(
                f"there is no reference picture {reference_id}: 'immich-facesets identities references N' lists those of a "
                "person",
                status=404,
            )
        return found

    def members(self, number: int) -> tuple[KnownFace, ...]:
        """Return the faces of an identity, by id."""
        found = (face for face in self.faces.values() if face.identity == number)
        return tuple(sorted(found, key=lambda face: face.face_id))

    def find(self, chosen: Iterable[Chosen]) -> tuple[KnownFace, ...]:
        """Return the faces that a request names, each once, by id; ``RequestError`` (404) with those that are not there."""
        found, at = dict[int, KnownFace](), dict[str, list[KnownFace]]()
        missing: list[str] = []
        for known in self.faces.values():
            at.setdefault(known.ref.sha256, []).append(known)
        for one in chosen:
            face = self.faces.get(one) if isinstance(one, int) else _at(one, at.get(one.sha256, ()))
            if face is None:
                missing.append(
                    f"face {one}" if isinstance(one, int) else f"a face at that box of picture {one.sha256[:12]}"
                )
            else:
                found[face.face_id] = face
        if missing:
            raise RequestError(
                f"there is no {some(missing)}: 'immich-facesets identities show N --json' gives the ids of a person's faces",
                status=404,
            )
        return tuple(found[face_id] for face_id in sorted(found))


def _at(ref: FaceRef, here: Sequence[KnownFace]) -> KnownFace | None:
    """Return which of the faces of a picture is at the box of a reference."""
    best = max(here, key=lambda face: (ref.box.iou(face.ref.box), -face.face_id), default=None)
    return None if best is None or ref.box.iou(best.ref.box) < SAME_FACE_IOU else best


def current_number(number: int, decided: Constraints) -> int:
    """Return the current number of an identity, after merges; ``RequestError`` (410) where its data was erased."""
    current = decided.current(number)
    if current in decided.forgotten:
        raise RequestError(f"the data of identity {number} was erased: nothing is known of it", status=410)
    return current


def refs(faces: Iterable[KnownFace]) -> tuple[FaceRef, ...]:
    """Return the references of faces."""
    return tuple(face.ref for face in faces)


def some(words: Sequence[object]) -> str:
    """Return the first of several words, and how many follow."""
    listed = ", ".join(str(word) for word in words[:_LISTED])
    return listed if len(words) <= _LISTED else f"{listed} and {len(words) - _LISTED} more"
