"""Merges of people that were undone: to whom their faces returned, and what was decided of these in between."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from immich_facesets.faces import SAME_FACE_IOU
from immich_facesets.moderation.decisions import Decision, EraFace, Eras, FaceRef, Merge, Minor, NeverExport


class _Homes:
    """The person of each face of a merge; another model, or a picture read again, has the face at a similar place."""

    def __init__(self, merge: Merge) -> None:
        self.numbers = frozenset(part.number for part in merge.parts)
        self._exact = {face: part.number for part in merge.parts for face in part.faces}
        self._places: dict[str, list[FaceRef]] = {}
        for face in self._exact:
            self._places.setdefault(face.sha256, []).append(face)

    def of(self, face: FaceRef) -> int | None:
        """Return the person of a face; None of one that is in no part of the merge."""
        if face in self._exact:
            return self._exact[face]
        same = [(face.box.iou(one.box), self._exact[one]) for one in self._places.get(face.sha256, ())]
        overlap, number = max(same, default=(0.0, 0))
        return number if overlap >= SAME_FACE_IOU else None


class UndoneMerges:
    """
    The merges whose undo comes later in a replay of decisions, in the order in which they were made.

    Decisions about faces of the merged person in between hold for the person to whom the faces returned.
    ``followed``: a function to the current number of an identity.
    """

    def __init__(self, followed: Callable[[int], int]) -> None:
        self._parts: dict[int, tuple[int, _Homes]] = {}
        self._followed = followed

    def add(self, decision_id: int, merge: Merge) -> None:
        self._parts[decision_id] = (merge.into, _Homes(merge))

    def end(self, decision_id: int) -> None:
        """Note that the undo of a decision is in effect: what follows is about people who are apart."""
        self._parts.pop(decision_id, None)

    def way_of(self, face: FaceRef, number: int) -> tuple[int, ...]:
        """Return the identities through which a face returned, from that one to the person whose face it is since."""
        way = [number]
        for into, homes in reversed(self._parts.values()):
            home = homes.of(face)
            if home is not None and self._followed(into) == self._followed(way[-1]):
                way.append(home)
        return tuple(way)

    def concerned(self, decision: NeverExport | Minor) -> set[int]:
        """Return whom a decision is about: one that keeps a person out is about each person in it at that time."""
        found = {decision.identity}
        if not decision.is_on:
            return found
        for into, homes in reversed(self._parts.values()):
            if self._followed(into) in {self._followed(one) for one in found}:
                found |= homes.numbers
        return found

    def by_person(self, faces: Iterable[FaceRef], number: int) -> dict[int, list[FaceRef]]:
        """Return the faces of an identity by the person to whom they returned since, or by the identity itself."""
        found: dict[int, list[FaceRef]] = {}
        for face in faces:
            found.setdefault(self.way_of(face, number)[-1], []).append(face)
        return found

    def eras_by_person(self, decision: Eras) -> Iterator[tuple[int, Eras, frozenset[int]]]:
        """
        Yield each person of a change of eras, with the part of it that is about that person's own faces.

        With it, the spans that faces of others have, or may have, too; none of the identity of the change itself. A change
        names all faces of the eras that it touches, and of other eras only those that no earlier one named.
        """
        touched = _spans_of(one for one in decision.placed if one.was != one.now)
        untouched = _spans_of(decision.placed) - touched
        placed: dict[int, list[EraFace]] = {}
        for one in decision.placed:
            placed.setdefault(self.way_of(one.face, decision.identity)[-1], []).append(one)
        for number, mine in placed.items():
            others = (one for home, theirs in placed.items() if home != number for one in theirs)
            shared = _spans_of(others) | untouched if number != decision.identity else frozenset[int]()
            yield number, msgspec.structs.replace(decision, placed=tuple(mine)), shared


def _spans_of(placed: Iterable[EraFace]) -> frozenset[int]:
    return frozenset(place.era for one in placed for place in (one.was, one.now) if place is not None)


def merged_ever(made: Iterable[Decision], numbers: Iterable[int]) -> set[int]:
    """Return these identities with all that a merge ever joined with them, also one that was undone."""
    groups = [{one.into, *(part.number for part in one.parts)} for one in made if isinstance(one, Merge)]
    found = {*numbers}
    while joined := [group for group in groups if group & found and not group <= found]:
        found.update(*joined)
    return found
