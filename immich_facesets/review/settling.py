"""Which decisions settle which questions, and which were put off."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from immich_facesets.moderation.constraints import Constraints
from immich_facesets.review.items import IMPOSSIBLE, Item, has_changed


@dataclass(frozen=True, slots=True)
class Settled:
    """
    The decisions that are in effect, and the ``locked`` identities.

    ``references``: the reference pictures that a decision gives to an identity.
    """

    constraints: Constraints
    locked: Collection[int] = ()
    references: Collection[int] = ()

    def leaves(self, item: Item) -> bool:
        """Return whether a question leaves the queue: it is answered, or put off with the same evidence."""
        return self.is_answered(item) or self.is_put_off(item)

    def is_answered(self, item: Item) -> bool:
        """Return whether a decision answers a question, or leaves nothing to ask."""
        after = self.constraints
        gone = after.strangers | after.forgotten
        if any(number in gone or after.current(number) != number for number in item.identities):
            return True
        match item.kind:
            case "merge":
                return tuple(sorted(item.identities)) in after.apart | after.parted
            case "mixed":
                return self._is_mixed_answered(item)
            case "member" | "ambiguous":
                return self._is_face_answered(item)
            case "reference":
                return item.reference is None or item.reference in self.references
            case "nearly":
                return any(face in after.must or face in after.ignored for face in item.part)
            case _:
                assert_never(item.kind)

    def is_put_off(self, item: Item) -> bool:
        """Return whether a moderator put exactly this question off, and its evidence is still what they saw."""
        return any(
            seen.kind == item.kind and not has_changed(seen, item.seen)
            for decision in self._later(item)
            if (seen := self.constraints.seen.get(decision)) is not None
        )

    def comes_last(self, item: Item) -> bool:
        """Return whether a moderator put off what a question is about."""
        return any(decision not in self.constraints.seen for decision in self._later(item))

    def _is_mixed_answered(self, item: Item) -> bool:
        """Return whether an identity is locked, a part of it was moved, or faces of both parts were confirmed."""
        after, (number,), part = self.constraints, item.identities, frozenset(item.part)
        if number in self.locked or any(after.must.get(face, number) != number for face in part):
            return True
        confirmed = {face for face in after.confirmed if after.must.get(face) == number}
        return bool(confirmed & part) and bool(confirmed - part)

    def _is_face_answered(self, item: Item) -> bool:
        after, face_id = self.constraints, item.face_id
        if item.reason in IMPOSSIBLE:
            return self._is_impossible_answered(item)
        if face_id is None or face_id in after.ignored or item.identities[0] in self.locked:
            return True
        if face_id in after.must and face_id not in after.put_back:  # an undo takes an answer back, and is none
            return True
        if any((face, item.identities[0]) in after.must_not for face in (face_id, *item.part)):
            return True
        return item.kind == "ambiguous" and any((face_id, number) in after.must_not for number in item.identities)

    def _is_impossible_answered(self, item: Item) -> bool:
        """Return whether a person looked at this very face; a lock, a move or a split of many does not say so."""
        after, face_id, number = self.constraints, item.face_id or 0, item.identities[0]
        if face_id in after.confirmed or face_id in after.ignored or after.must.get(face_id, number) != number:
            return True
        return any((face, number) in after.must_not for face in (face_id, *item.part))

    def _later(self, item: Item) -> list[int]:
        """Return the decisions that put off the face of a question, or its identities."""
        after = self.constraints
        faces = item.part if not item.identities else () if item.face_id is None else (item.face_id,)
        if found := {after.later_faces[face] for face in faces if face in after.later_faces}:
            return sorted(found)
        subjects = [tuple(sorted(item.identities)), *((number,) for number in item.identities)]
        return [after.later_identities[one] for one in subjects if one in after.later_identities]


NOTHING_SETTLED = Settled(Constraints())
