"""Alternative identities of a face: the others within reach of it, besides the one it is a member of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from immich_facesets.grouping.centroids import Centroids
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.matching import candidates
from immich_facesets.grouping.problem import owners
from immich_facesets.grouping.recognisability import clear_faces
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.grouping.state import placed_identities
from immich_facesets.spaces import OperatingPoints


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another identity, and the distance of its centroid from the face."""

    identity: int
    distance: float


def alternatives(
    table: FaceTable,
    memberships: Mapping[int, int],
    number: int,
    thresholds: OperatingPoints,
    rules: GroupingRules,
) -> dict[int, tuple[Alternative, ...]]:
    """
    Return, for each face of an identity, the other identities within the match distance, nearest first.

    Faces without any are missing. The centroids are those that grouping uses. Decisions are ignored: they determine
    memberships, not distances.
    """
    faces = table.in_order_of_content()
    owner = owners({face: row for row, face in enumerate(faces.face_ids.tolist())}, memberships)
    centroids = Centroids(faces.vectors, clear_faces(faces, rules, thresholds.match), thresholds.near)
    placed = placed_identities(owner, centroids)
    rows = np.flatnonzero(owner == number)
    pairs = candidates(faces.vectors, rows, placed.centroids, placed.numbers, thresholds.match)
    found: dict[int, list[Alternative]] = {}
    for row, other, distance in zip(pairs.rows.tolist(), pairs.numbers.tolist(), pairs.distances.tolist(), strict=True):
        if other != number:
            found.setdefault(int(faces.face_ids[row]), []).append(Alternative(other, round(max(0.0, distance), 4)))
    return {face: tuple(others) for face, others in found.items()}
