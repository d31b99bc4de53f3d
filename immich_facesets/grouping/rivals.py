"""Members and the other identity that each is nearest to: faces between two identities, and members that may be wrong."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.confidence import AT_NO_MARGIN, PER_MARGIN, confidences
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState, PlacedIdentities

LEAST_DOUBT = 0.2
"""The least probability of being wrong at which a member is named. Below it, hardly any is (docs/review.md)."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """
    A face that may belong to ``other`` as well as to ``identity``: the two distances differ only by ``margin``.

    ``is_member``: whether it is a member of ``identity``; otherwise it was left unassigned because of the doubt.
    """

    face_id: int
    identity: int
    other: int
    margin: float
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class Doubtful:
    """
    A member that may be wrong, with the probability of that, by its confidence.

    ``distance``: to the centroid of its identity. ``other``: the identity that is nearest beside its own, None where there
    is no other; ``to_other``: the distance to that one.
    """

    face_id: int
    identity: int
    other: int | None
    probability: float
    distance: float
    to_other: float


@dataclass(frozen=True, slots=True)
class Rivals:
    """
    The members that grouping may move: their rows (m,), and of each the places of two identities in ``placed``.

    ``own``, ``other`` (m,): its own identity, and the nearest one beside it, -1 without one. ``own_distance``,
    ``other_distance`` (m,): to their centroids.
    """

    rows: Rows
    own: NDArray[np.intp]
    own_distance: NDArray[np.float64]
    other: NDArray[np.intp]
    other_distance: NDArray[np.float64]


def rivals(problem: GroupingProblem, state: GroupingState, placed: PlacedIdentities) -> Rivals:
    """Return the members that may be moved, each with the identity that it is nearest to beside its own."""
    rows = np.flatnonzero((state.owner != UNASSIGNED) & ~problem.constraints.is_fixed(state.owner))
    own = np.searchsorted(placed.numbers, state.owner[rows])
    other, distances = np.full(len(rows), -1, dtype=np.intp), np.full((2, len(rows)), np.inf)
    for part in row_blocks(len(rows), len(placed.numbers)):
        found = cosine_distances(problem.faces.vectors[rows[part]], placed.centroids)
        here = np.arange(len(found))
        distances[0, part] = found[here, own[part]]
        found[here, own[part]] = np.inf
        if len(placed.numbers) > 1:
            other[part] = found.argmin(axis=1)
            distances[1, part] = found[here, other[part]]
    return Rivals(rows, own, distances[0], other, distances[1])


def ambiguous_members(problem: GroupingProblem, placed: PlacedIdentities, found: Rivals) -> list[Ambiguous]:
    """Return the movable faces for which another identity is within reach and hardly farther than their own."""
    margin = found.other_distance - found.own_distance
    is_doubtful = (found.other_distance <= problem.thresholds.match) & (margin < problem.rules.margin)
    return [
        Ambiguous(
            int(problem.faces.face_ids[found.rows[at]]),
            int(placed.numbers[found.own[at]]),
            int(placed.numbers[found.other[at]]),
            float(margin[at]),
        )
        for at in np.flatnonzero(is_doubtful).tolist()
        if (int(found.rows[at]), int(placed.numbers[found.other[at]])) not in problem.constraints.cannot_link
    ]


def doubtful_members(
    problem: GroupingProblem, state: GroupingState, placed: PlacedIdentities, found: Rivals
) -> tuple[Doubtful, ...]:
    """Return the members that may be moved and are wrong with ``LEAST_DOUBT`` or more, the most doubtful first."""
    at = np.flatnonzero(_least_margins(problem, placed, found) <= _margin_at(LEAST_DOUBT))
    doubt = 1.0 - confidences(found.rows[at], state.owner, problem.faces.vectors, problem.centroids)
    named = [
        Doubtful(
            int(problem.faces.face_ids[found.rows[place]]),
            int(placed.numbers[found.own[place]]),
            None if found.other[place] < 0 else int(placed.numbers[found.other[place]]),
            round(probability, 4),
            max(0.0, float(found.own_distance[place])),
            float(found.other_distance[place]),
        )
        for place, probability in zip(at.tolist(), doubt.tolist(), strict=True)
        if probability >= LEAST_DOUBT  # not NaN, which is a face alone
    ]
    return tuple(sorted(named, key=lambda one: (-one.probability, one.face_id)))


def _margin_at(doubt: float) -> float:
    """Return the margin of likenesses at which a membership has this probability of being wrong."""
    return (math.log(1.0 / doubt - 1.0) - AT_NO_MARGIN) / PER_MARGIN


def _least_margins(problem: GroupingProblem, placed: PlacedIdentities, found: Rivals) -> NDArray[np.float64]:
    """
    Return a lower bound of the margin that the confidence of each member depends on, (m,).

    It costs no product of vectors: a face is taken out of its identity's sum by its distance alone, as if it weighed most,
    or nothing.
    """
    masses = [problem.centroids.mass(rows) for rows in placed.members]
    lengths = np.array([np.linalg.norm(mass.total) for mass in masses])[found.own]
    weights = np.array([mass.weight for mass in masses])[found.own]
    likeness = 1.0 - found.own_distance
    rest = np.sqrt(np.maximum(lengths**2 - 2.0 * likeness * lengths + 1.0, 0.0))
    without = (likeness * lengths - 1.0) / np.sqrt(np.maximum((weights - 1.0) * rest, 1e-9))
    own = np.minimum(without, likeness * np.sqrt(lengths / weights))
    margins: NDArray[np.float64] = own - np.maximum(1.0 - found.other_distance, 0.0)
    return margins
