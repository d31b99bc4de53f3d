"""Questions that decisions settled, kept so that a decision that is taken back brings its questions back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from immich_facesets.review.items import Item

MOST_QUESTIONS, MOST_FACES = 1_000, 20_000
"""The limits of what is kept, the latest first: each decision reads it. Of older ones the next grouping asks again."""


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """
    A question that left the queue. ``number``: of its row.

    ``owners``: the identity of each face that it names (None: of nobody), as it was when the question was asked.
    """

    number: int
    item: Item
    owners: tuple[tuple[int, int | None], ...]

    def holds(self, owners: Mapping[int, int | None]) -> bool:
        """Return whether its faces are where they were; ``owners``: of all faces that are there."""
        return all(face in owners and owners[face] == number for face, number in self.owners)


def named_faces(item: Item) -> frozenset[int]:
    """Return the faces that a question names: the one in question, those that an answer moves, and its evidence."""
    own = () if item.face_id is None else (item.face_id,)
    return frozenset((*own, *item.part, *(face for faces in item.evidence or () for face in faces)))


def latest(answered: Sequence[AnsweredQuestion]) -> list[AnsweredQuestion]:
    """Return those that are kept, the oldest first, and of each question only the latest."""
    kept: dict[str, AnsweredQuestion] = {}
    faces = 0
    for one in reversed(answered):
        faces += len(one.owners)
        if len(kept) == MOST_QUESTIONS or faces > MOST_FACES:
            break
        kept.setdefault(one.item.key, one)
    return list(reversed(kept.values()))
