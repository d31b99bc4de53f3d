"""Alternative identities of a face: the others within reach of it, besides the one it is a member of."""

from collections.abc import Mapping
from dataclasses import dataclass

from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.matching import candidates
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.grouping.state import GroupingState
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints


@dataclass(frozen=True, slots=True)
class Rival:
    """Another identity, and the distance of its centroid from the face."""

    identity: int
    distance: float


def rivals_of(
    table: FaceTable,
    memberships: Mapping[int, int],
    number: int,
    points: OperatingPoints,
    rules: GroupingRules,
) -> dict[int, tuple[Rival, ...]]:
    """
    Return, for each face of an identity, the other identities within the match distance, nearest first.

    Faces without any are missing. The centroids are those that grouping uses. Decisions are ignored: they determine
    memberships, not distances.
    """
    draft = GroupingState(table, memberships, [], Constraints(), points, rules, next_number=1)
    standing = draft.standing()
    pairs = candidates(draft.faces.vectors, draft.members(number), standing.centroids, standing.numbers, points.match)
    found: dict[int, list[Rival]] = {}
    for row, other, gap in zip(pairs.rows.tolist(), pairs.numbers.tolist(), pairs.gaps.tolist(), strict=True):
        if other != number:
            found.setdefault(int(draft.faces.face_ids[row]), []).append(Rival(other, round(max(0.0, gap), 4)))
    return {face: tuple(others) for face, others in found.items()}
