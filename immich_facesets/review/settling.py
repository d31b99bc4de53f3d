"""Which decisions settle which questions, and which were put off."""

from collections.abc import Collection
from dataclasses import dataclass

from immich_facesets.moderation.constraints import Constraints
from immich_facesets.review.items import Item, has_changed


@dataclass(frozen=True, slots=True)
class Settled:
    """The decisions that are in effect, and the ``locked`` identities."""

    constraints: Constraints
    locked: Collection[int] = ()

    def is_answered(self, item: Item) -> bool:
        """Return whether a decision answers a question, or leaves nothing to ask."""
        after = self.constraints
        gone = after.strangers | after.forgotten
        if any(number in gone or after.current(number) != number for number in item.identities):
            return True
        return self._is_pair_answered(item) if item.face_id is None else self._is_face_answered(item, item.face_id)

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

    def _is_pair_answered(self, item: Item) -> bool:
        return tuple(sorted(item.identities)) in self.constraints.apart | self.constraints.parted

    def _is_face_answered(self, item: Item, face_id: int) -> bool:
        after = self.constraints
        if face_id in after.must or face_id in after.ignored or item.identities[0] in self.locked:
            return True
        rejected = {number for number in item.identities if (face_id, number) in after.must_not}
        return bool(rejected) if item.kind == "ambiguous" else item.identities[0] in rejected

    def _later(self, item: Item) -> list[int]:
        """Return the decisions that put off the face of a question, or its identities."""
        after = self.constraints
        if item.face_id is not None and item.face_id in after.later_faces:
            return [after.later_faces[item.face_id]]
        subjects = [tuple(sorted(item.identities)), *((number,) for number in item.identities)]
        return [after.later_identities[one] for one in subjects if one in after.later_identities]
