"""
The effect of decisions on memberships, at once and as the next grouping finds it.

The rules are those by which a grouping begins (``immich_facesets.grouping.state``): must-links, cannot-links, merges and
recorded members. A test compares the two.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from immich_facesets.errors import RequestError, TwiceInPictureError
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.facts import KnownFace, some

Owners = Mapping[int, int | None]
"""The identity of each face, by face id; None: of none."""


class Change(msgspec.Struct, frozen=True):
    """How an identity changes: faces that join and leave it, and those it has then."""

    identity: int
    joins: int
    leaves: int
    faces: int


class Effect(msgspec.Struct, frozen=True):
    """
    The changes that decisions make, by numbers and counts, without names.

    ``released``: faces that are of nobody from now on. ``merged``: pairs of a number and the one that it leads to now.
    ``settings``: (identity, what was set).
    """

    changes: tuple[Change, ...] = ()
    released: int = 0
    new: tuple[int, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    settings: tuple[tuple[int, str], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.changes or self.released or self.new or self.merged or self.settings or self.others)

    @property
    def is_of_facesets(self) -> bool:
        """Whether face sets may differ then; a lock, and what only questions depend on, leave them as they are."""
        if self.changes or self.released or self.new or self.merged or any(name != "lock" for _, name in self.settings):
            return True
        return not {"confirmed", "not_for_sets", "for_sets", "of_age"}.isdisjoint(self.others)


class Erasure(msgspec.Struct, frozen=True):
    """
    Counts of what was erased of a person: of every space, and of decisions that have less in them now, or nothing.

    ``crops``: files, cuts of originals among them. ``facesets``: directories of the person in the export folder. ``references``: pictures. ``copies``:
    where exports were written outside of it, which may have the person, and are not ours to delete.
    """

    faces: int
    vectors: int
    crops: int
    facesets: int
    people: int
    decisions: int
    references: int = 0
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The faces that decisions may move.

    ``faces``: by id, all members of the touched identities, and all faces of the touched pictures. ``locked``:
    identities that keep their other faces.
    """

    faces: Mapping[int, KnownFace]
    locked: frozenset[int] = frozenset()
    owners: Owners = field(default_factory=dict)

    @classmethod
    def of(cls, faces: Mapping[int, KnownFace], locked: Iterable[int]) -> "Scope":
        return cls(faces, frozenset(locked), {face_id: face.identity for face_id, face in faces.items()})


def owners_after(scope: Scope, after: Constraints) -> dict[int, int | None]:
    """Return the identity of each face when ``after`` is in effect."""
    may_repeat = repeated_pictures(scope.faces, after)
    owners: dict[int, int | None] = {}
    for face_id, before in scope.owners.items():
        number = None if before is None else after.current(before)
        if number in after.forgotten:
            number = None
        if number is not None and (face_id, number) in after.must_not:
            number = None
        if face_id in after.ignored and face_id not in after.must:
            number = None
        owners[face_id] = after.must.get(face_id, number)
    decided = {(owners[face_id], scope.faces[face_id].ref.sha256) for face_id in after.must.keys() & owners.keys()}
    for face_id, number in owners.items():
        picture = scope.faces[face_id].ref.sha256
        is_movable = number is not None and face_id not in after.must and number not in scope.locked
        if is_movable and (number, picture) in decided and picture not in may_repeat:
            owners[face_id] = None
    _restore_anchored(scope, after, owners, may_repeat)
    return owners


def _restore_anchored(
    scope: Scope, after: Constraints, owners: dict[int, int | None], may_repeat: frozenset[str]
) -> None:
    """Make faces of nobody members of the identity that a decision recorded for them, where its picture is free."""
    occupied = {(number, scope.faces[face_id].ref.sha256) for face_id, number in owners.items() if number is not None}
    for face_id in sorted(owners):
        number, picture = after.anchors.get(face_id), scope.faces[face_id].ref.sha256
        if number is None or owners[face_id] is not None:
            continue
        if (number, picture) not in occupied or picture in may_repeat:
            owners[face_id] = number
            occupied.add((number, picture))


def repeated_pictures(faces: Mapping[int, KnownFace], after: Constraints) -> frozenset[str]:
    """Return the pictures that may hold one person twice."""
    return frozenset(faces[face_id].ref.sha256 for face_id in after.together if face_id in faces)


def effect_of(scope: Scope, owners: Owners, before: Constraints, after: Constraints, known: Iterable[int]) -> Effect:
    """
    Return the differences that decisions make.

    ``owners``: the identity of each face afterwards. ``known``: the identities that exist.
    """
    moved = {face_id for face_id, number in owners.items() if number != scope.owners[face_id]}
    joins = Counter(number for face_id in moved if (number := owners[face_id]) is not None)
    leaves = Counter(number for face_id in moved if (number := scope.owners[face_id]) is not None)
    faces = Counter(number for number in owners.values() if number is not None)
    touched = sorted(joins.keys() | leaves.keys())
    settings, existing = _settings(before, after), set(known)
    named = {number for number, setting in settings if setting in {"label", "reference"}}
    return Effect(
        changes=tuple(Change(number, joins[number], leaves[number], faces[number]) for number in touched),
        released=sum(owners[face_id] is None for face_id in moved),
        new=tuple(number for number in sorted({*faces, *named}) if number not in existing),
        merged=tuple(sorted(set(after.merged.items()) - set(before.merged.items()))),
        settings=settings,
        others=_others(before, after),
    )


def _settings(before: Constraints, after: Constraints) -> tuple[tuple[int, str], ...]:
    """Return which settings of which identities differ."""
    names = ("locks", "labels", "hidden", "covers", "births", "minors", "eras")
    words = dict(zip(names, ("lock", "label", "never_export", "cover", "birth_date", "minor", "eras"), strict=True))
    found: list[tuple[int, str]] = []
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        found += [
            (number, words[name])
            for number in sorted(old.keys() | new.keys())
            if (old.get(number) or None) != (new.get(number) or None)
        ]
    found += _profiles(before, after)
    sent = before.references.items() ^ after.references.items()
    found += [(number, "reference") for number in sorted({number for _, number in sent})]
    found += [(number, "stranger") for number in sorted(before.strangers ^ after.strangers)]
    found += [(number, "forgotten") for number in sorted(after.forgotten - before.forgotten)]
    return tuple(found + [(number, "of_age") for number in sorted(before.adults ^ after.adults)])


def _profiles(before: Constraints, after: Constraints) -> list[tuple[int, str]]:
    """Return the identities for which another list of profiles is written: fewer, or only more."""
    found: list[tuple[int, str]] = []
    for number in sorted(before.profiles_off.keys() | after.profiles_off.keys()):
        old, new = ({*one.profiles_off.get(number, ())} for one in (before, after))
        found += [(number, "profiles_off" if new - old else "profiles_on")] if old != new else []
    return found


def _others(before: Constraints, after: Constraints) -> tuple[str, ...]:
    """Return which other constraints differ."""
    names = (
        "must",
        "must_not",
        "confirmed",
        "ignored",
        "no_faces",
        "apart",
        "attached",
        "together",
        "not_for_sets",
        "for_sets",
        "later_faces",
        "later_identities",
        "of_age",
    )
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def refuse_impossible(scope: Scope, owners: Owners, after: Constraints, *, even_if_locked: bool) -> None:
    """
    Raise a ``TwiceInPictureError`` where an identity would have two faces of one picture, and a ``RequestError`` where a
    locked one would change.

    Pairs of faces that an identity has already are not counted.
    """
    pairs = _twice(scope, owners, after)
    if pairs:
        before = _twice(scope, scope.owners, after)
        pairs = {key: faces for key, faces in pairs.items() if key not in before}
    if pairs:
        faces = sorted(face_id for several in pairs.values() for face_id in several)
        numbers = sorted({number for number, _ in pairs})
        raise TwiceInPictureError(
            f"identity {some(numbers)} would be twice in {len(pairs)} picture{'s' if len(pairs) > 1 else ''} (faces "
            f"{some(faces)}): they show two people, or one face is wrong and is to be rejected first; in a mirror or "
            "collage, allow the picture to show one person twice first (allow-twice)",
            faces=tuple(faces),
            pictures=len({picture for _, picture in pairs}),
        )
    moved = [face_id for face_id, number in owners.items() if number != scope.owners[face_id]]
    changed = {number for face_id in moved for number in (owners[face_id], scope.owners[face_id])}
    locked = sorted(number for number in changed if number is not None and number in scope.locked)
    if locked and not even_if_locked:
        raise RequestError(
            f"identity {some(locked)} is locked: unlock it first, or say that it is to be changed all the same "
            "(--even-if-locked)",
            status=423,
        )


def _twice(scope: Scope, owners: Owners, after: Constraints) -> dict[tuple[int, str], list[int]]:
    """Return the faces of each identity that are together in one picture that may not hold a person twice."""
    may_repeat = repeated_pictures(scope.faces, after)
    places = Counter(
        (number, picture)
        for face_id, number in owners.items()
        if number is not None and (picture := scope.faces[face_id].ref.sha256) not in may_repeat
    )
    found: dict[tuple[int, str], list[int]] = {key: [] for key, count in places.items() if count > 1}
    for face_id, number in owners.items() if found else ():
        key = (number, scope.faces[face_id].ref.sha256)
        if number is not None and key in found:
            found[number, key[1]].append(face_id)
    return found
