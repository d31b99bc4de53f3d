"""The faces that count when an identity is founded: one of each moment, and none that another identity is kept from."""

import numpy as np

from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState, placed_identities


def moments(problem: GroupingProblem, rows: Rows) -> int:
    """Return how many different pictures ``rows`` (ascending) are in; near-identical ones count as one."""
    if len(rows) == 0:
        return 0
    different = round(problem.centroids.mass(rows).weight)
    return min(different, len(np.unique(problem.faces.pictures[rows])))


def founding_pictures(problem: GroupingProblem, state: GroupingState, rows: Rows, needed: int) -> int:
    """Return how many different pictures of ``rows`` (ascending) count for an identity, if there are as many as ``needed``."""
    found = moments(problem, rows)
    if found < needed:
        return found
    return moments(problem, _without_second_faces(problem, state, rows))


def _without_second_faces(problem: GroupingProblem, state: GroupingState, rows: Rows) -> Rows:
    """
    Return ``rows`` without those that an identity would have, if the picture did not hold one of its faces already.

    Mirrors and collages show one person twice. Such faces wait for a user's decision; another identity of them would be
    the same person.
    """
    placed = placed_identities(state.owner, problem.centroids)
    occupied = problem.constraints.occupied(state.owner)
    is_second = np.zeros(len(rows), dtype=np.bool_)
    distances = cosine_distances(problem.faces.vectors[rows], placed.centroids)
    for place, column in zip(*np.nonzero(distances <= problem.thresholds.match), strict=True):
        row, number = int(rows[place]), int(placed.numbers[column])
        is_barred = (number, int(problem.constraints.pictures[row])) in occupied
        is_second[place] |= is_barred and not problem.constraints.may_repeat[row]
    return rows[~is_second]
