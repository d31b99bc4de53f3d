"""The items of the review queue: questions that only a person can settle."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from immich_facesets.moderation.decisions import Seen

Kind = Literal["merge", "mixed", "member", "ambiguous", "nearly", "reference"]
"""
The kinds of questions.

``merge``: two identities may be one person. ``mixed``: an identity may be several. ``member``: a member may be wrong.
``ambiguous``: a face lies between two identities. ``nearly``: faces of nobody may be a person. ``reference``: a
reference picture may show either of two identities.
"""

Reason = Literal[
    "alike",
    "overlapping",
    "parts",
    "nearer_to_another",
    "far",
    "twice_in_picture",
    "before_birth",
    "two_in_picture",
    "between_two",
    "pictures",
    "quality",
    "likeness",
    "moments",
]

IMPOSSIBLE: Collection[Reason] = ("before_birth", "two_in_picture")
"""
The reasons of members that cannot all be right: one from before the birth, two in one picture.

Grouping makes no such member. A decision or a lock may keep one where it is.
"""

NOT_EXPORTED = 0.1
"""The weight of what is never exported: it is wrong in the lists alone."""

MATERIAL = 0.1
"""A probability that moves by so much is other evidence."""

GROWTH = 1.5
"""So is an identity that has so many times as many faces, or as few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One question.

    ``key``: what it is about, the same in every run. ``identities``: those it is about, with the counts of their ``faces``;
    of a mixed identity the counts of its further parts follow. ``face_id``: of a question about one face. ``reference``: the id of a reference picture that it is about. ``part``: the
    faces that an answer moves: the further parts of a mixed identity, those that are nearly a person, or the other faces
    of the picture. ``probability``: that something is wrong now. ``settles``: how many faces an answer puts right.
    ``basis``: a number that changes with the faces and dates of the identities. ``evidence``: the ids of a few faces to
    compare, of the same years: of each of ``identities``, then of each of ``parts``; None where ``basis`` is known, so that
    the stored ones hold.
    """

    kind: Kind
    reason: Reason
    identities: tuple[int, ...]
    faces: tuple[int, ...]
    probability: float
    settles: int
    face_id: int | None = None
    reference: int | None = None
    part: tuple[int, ...] = ()
    is_exported: bool = True
    basis: int = 0
    evidence: tuple[tuple[int, ...], ...] | None = None

    @property
    def key(self) -> str:
        if self.face_id is not None:
            return f"face {self.face_id}"
        if self.reference is not None:
            return f"reference {self.reference}"
        return f"{self.kind} {' '.join(map(str, self.identities or self.part[:1]))}"

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Return ``part`` in the parts that it consists of: one, but of a mixed identity one for each further person."""
        ends = list(accumulate(self.faces[len(self.identities) :])) or [len(self.part)]
        return tuple(self.part[first:last] for first, last in pairwise((0, *ends)) if first < last)

    @property
    def benefit(self) -> float:
        """Return how many faces an answer is expected to put right; those that are never exported count less."""
        return self.probability * self.settles * (1.0 if self.is_exported else NOT_EXPORTED)

    @property
    def seen(self) -> Seen:
        """Return the evidence of this question, for a moderator who puts it off."""
        return Seen(self.kind, round(self.probability, 4), self.identities, self.faces)


def rank(item: Item) -> tuple[float, str]:
    """Return the sort key of an item: the greatest benefit first."""
    return (-item.benefit, item.key)


def has_changed(seen: Seen, now: Seen) -> bool:
    """Return whether the evidence of a question differs materially from the evidence that a moderator saw."""
    if seen.identities != now.identities or len(seen.faces) != len(now.faces):
        return True
    sizes = zip(seen.faces, now.faces, strict=True)
    return abs(seen.probability - now.probability) >= MATERIAL or any(
        one != two and max(one, two) >= GROWTH * min(one, two) for one, two in sizes
    )
