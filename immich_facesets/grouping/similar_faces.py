"""
Faces of nobody that look like one identity: proposals for a user after a decision, before the next grouping.

The rules are those by which grouping places a single face: distance to the centroid, one face of a picture, birth dates
and decisions. A face that is nearer to another identity is no proposal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import UNASSIGNED, Known
from immich_facesets.grouping.matching import assign, candidates
from immich_facesets.grouping.problem import GroupingProblem, grouping_problem
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints


@dataclass(frozen=True, slots=True)
class SimilarFace:
    """
    A face of nobody, and its cosine distance from the centroid of the identity.

    ``rival``: the nearest other identity, None where there is none, and its distance. ``is_clear``: it is near enough
    for grouping, and clearly nearer than the rival.
    """

    face_id: int
    distance: float
    rival: int | None
    rival_distance: float | None
    is_clear: bool


@dataclass(frozen=True, slots=True)
class OtherIdentities:
    """The other identities: ``numbers`` (k,), and their mean vectors, (k, d), of unit length."""

    numbers: NDArray[np.int64]
    means: NDArray[np.float32]


def centroid_of(members: FaceTable, thresholds: OperatingPoints, rules: GroupingRules) -> NDArray[np.float32]:
    """Return the centroid of an identity from its members, at least one, as grouping computes it: (d,)."""
    problem = grouping_problem(members, {}, [], Constraints(), thresholds, rules, ())
    return problem.centroids.of(np.arange(len(members)))


def similar_faces(
    table: FaceTable,
    identity: Known,
    members: frozenset[int],
    rivals: OtherIdentities,
    constraints: Constraints,
    thresholds: OperatingPoints,
    rules: GroupingRules,
) -> tuple[SimilarFace, ...]:
    """
    Return the faces of nobody that look like an identity, the nearest first.

    ``table`` has the faces of the identity, ``members`` of them, and those of nobody near it. A face is as far as
    ``drop`` at most, the distance at which grouping gives a member up. A locked identity gets proposals, too.
    """
    number = identity.number
    problem = grouping_problem(table, dict.fromkeys(members, number), [identity], constraints, thresholds, rules, ())
    own = np.flatnonzero(problem.before == number)
    is_loose = (problem.before == UNASSIGNED) & ~problem.constraints.is_ignored
    if len(own) == 0:
        return ()
    centroid = problem.centroids.of(own)[None]
    pairs = candidates(
        problem.faces.vectors, np.flatnonzero(is_loose), centroid, np.array([number]), limit=thresholds.drop
    )
    matches = assign(
        pairs,
        pictures=problem.constraints.pictures,
        may_repeat=problem.constraints.may_repeat,
        occupied=problem.constraints.occupied(problem.before),
        cannot_link=problem.constraints.cannot_link,
        locked=(),
    )
    found = (_similar(problem, row, distance, rivals) for row, _, distance in matches.joins)
    return tuple(one for one in found if one.rival_distance is None or one.distance < one.rival_distance)


def _similar(problem: GroupingProblem, row: int, distance: float, rivals: OtherIdentities) -> SimilarFace:
    rival, rival_distance, rules = None, None, problem.rules
    if len(rivals.numbers):
        distances = cosine_distances(problem.faces.vectors[[row]], rivals.means)[0]
        nearest = int(np.argmin(distances))
        rival, rival_distance = int(rivals.numbers[nearest]), float(distances[nearest])
    margin = rules.margin if problem.is_clear[row] else rules.poor_margin
    gap = np.inf if rival_distance is None else rival_distance - distance
    return SimilarFace(
        face_id=int(problem.faces.face_ids[row]),
        distance=round(max(0.0, distance), 4),
        rival=rival,
        rival_distance=None if rival_distance is None else round(max(0.0, rival_distance), 4),
        is_clear=bool(distance <= problem.thresholds.match and gap >= margin),
    )
