"""The rules of grouping, and the counts of the faces that pass its gates."""

from dataclasses import dataclass, field
from typing import Literal

from immich_facesets.faces import Gate

Method = Literal["careful", "plain"]


@dataclass(frozen=True, slots=True)
class GroupingRules:
    """
    The rules for new identities and for warnings, beside the distances of the space (docs/grouping.md).

    ``min_faces``: different pictures that a discovered identity needs; near-identical ones count once. ``min_known``: those
    by which one keeps its number, None for as many; fewer, so that none ends when a growing library asks for more.
    ``min_asserted``: faces that an asserted identity needs. ``margin``: two identities whose distances differ by less are both possible. ``singleton_share`` and
    ``largest_share``: the guardrails. ``method``: ``plain`` uses one threshold and one centroid; ``careful`` is module
    ``careful``. There a poor face joins an identity only when it is nearer than every other by ``poor_margin``.
    """

    method: Method = "careful"
    poor_margin: float = 0.1

    min_faces: int = 15
    min_known: int | None = None
    min_asserted: int = 1
    gate: Gate = field(default_factory=Gate)
    margin: float = 0.05
    singleton_share: float = 0.5
    largest_share: float = 0.6

    @property
    def pictures_of_known(self) -> int:
        """Return how many different pictures an identity that has a number needs."""
        return self.min_faces if self.min_known is None else min(self.min_known, self.min_faces)


@dataclass(frozen=True, slots=True)
class GateCounts:
    """
    How many faces of a cluster that may become an identity remain after each gate.

    ``faces``: all of its faces; ``clear``: those that show enough of a person; ``near``: of these, those near its
    centre; ``pictures``: the different pictures that these are in, without second faces of another identity's pictures.
    """

    faces: int
    clear: int
    near: int
    pictures: int
