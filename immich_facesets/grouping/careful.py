"""
The careful grouping method: assign whole clusters, clear faces before poor ones, and report doubtful cases to a user.

First, clear faces are clustered so tightly that hardly any cluster is mixed. Then clusters and identities are linked
(``cluster_linking``), which joins what the first pass left apart. Poor faces come last. They join an identity that is
near and clearly nearer than all others; they neither create an identity nor move its centroid.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.cluster_linking import Clusters, least_likeness, link
from immich_facesets.grouping.contemporaries import Contemporaries
from immich_facesets.grouping.discovery import Discovery, create_identity, joinable, one_per_picture
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.founders import moments
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.matching import Candidates, assign, candidates, near_rows, unambiguous
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.row_constraints import RowConstraints
from immich_facesets.grouping.state import GroupingState, PlacedIdentities, placed_identities


def place_carefully(problem: GroupingProblem, state: GroupingState) -> Discovery:
    """Place loose faces until no more can be placed; return the last discovery, which changed nothing."""
    grown = set(state.owner[(state.owner != problem.before) & (state.owner != UNASSIGNED)].tolist())
    while True:
        _activate(problem, state, grown)
        before = state.owner.copy()
        found = _place_clear(problem, state)
        found.changes += _place_poor(problem, state)
        if not found.changes:
            return found
        grown = set(state.owner[state.owner != before].tolist())


def _activate(problem: GroupingProblem, state: GroupingState, grown: Collection[int]) -> None:
    """
    Activate the inactive faces near something new: a fresh face, another activated face, or an identity that grew.

    "Near" means that two single faces could be linked. Links that only whole clusters would make are left to the next
    grouping of all faces.
    """
    inactive = state.inactive(problem.constraints)
    if len(inactive) == 0:
        return
    vectors, least = problem.faces.vectors, least_likeness(problem.thresholds.cluster)
    if grown:
        centroids = problem.centroids.matrix([state.members(number) for number in sorted(grown)])
        reach = max(1.0 - least, problem.thresholds.match + problem.rules.poor_margin)
        state.is_active[near_rows(vectors, inactive, centroids, reach)] = True
    front = state.loose(problem.constraints)
    front = front[problem.is_clear[front]]
    while len(front):
        inactive = state.inactive(problem.constraints)
        inactive = inactive[problem.is_clear[inactive]]
        front = near_rows(vectors, inactive, vectors[front], 1.0 - least)
        state.is_active[front] = True


@dataclass(frozen=True)
class _LooseCluster:
    """A cluster of clear loose faces, and the identities that decisions forbid for one of its faces."""

    rows: Rows
    cannot_link: frozenset[int]


def _place_clear(problem: GroupingProblem, state: GroupingState) -> Discovery:
    """Link clusters of clear loose faces with identities and with each other."""
    state.ambiguous.clear()
    loose = state.loose(problem.constraints)
    state.is_waiting[loose] = False
    clusters = _loose_clusters(problem, loose[problem.is_clear[loose]])
    placed = _growable(problem, state)
    anchors = len(placed.numbers)
    linked = link(
        _linkage_input(problem, placed, clusters),
        least=least_likeness(problem.thresholds.cluster),
        margin=problem.rules.margin,
    )
    groups = []
    for places in linked.groups:
        several = [clusters[place - anchors].rows for place in places if place >= anchors]
        if several:
            groups.append((places[0], np.sort(np.concatenate(several))))
    found = Discovery([rows for _, rows in groups])
    new = []
    for first, rows in groups:
        if first < anchors:
            found.changes += _join(problem, state, int(placed.numbers[first]), rows)
        elif first in linked.ambiguous:
            one, other = (int(placed.numbers[anchor]) for anchor in linked.ambiguous[first])
            state.ambiguous.update(dict.fromkeys(rows.tolist(), (one, other)))
        else:
            new.append(rows)
    new.sort(key=lambda rows: (-len(np.unique(problem.faces.pictures[rows])), rows[0]))
    for rows in new:
        create_identity(problem, state, rows, found)
    return found


def _growable(problem: GroupingProblem, state: GroupingState) -> PlacedIdentities:
    """
    Return the identities that may grow: named and asserted ones, or those with clear faces in half of the pictures they need.

    A small library does not yet show what poor faces have in common. An identity that was created from poor faces by
    mistake must not grow.
    """
    placed = placed_identities(state.owner, problem.centroids)
    named = state.identities.people.named()
    kept = [
        place
        for place, (number, rows) in enumerate(zip(placed.numbers.tolist(), placed.members, strict=True))
        if number in named
        or state.identities.is_asserted(number)
        or 2 * moments(problem, rows[problem.is_clear[rows]]) >= problem.rules.pictures_of_known
    ]
    return PlacedIdentities(placed.numbers[kept], [placed.members[place] for place in kept], placed.centroids[kept])


def _loose_clusters(problem: GroupingProblem, loose: Rows) -> list[_LooseCluster]:
    """
    Cluster rows tightly.

    A cluster is split so that each part has one face per picture, and each face for which a decision forbids an
    identity is alone.
    """
    by_row = problem.constraints.cannot_link.by_row
    parts = []
    for rows in problem.clusterings.of(loose, problem.thresholds.match):
        checkpoint()
        alone = [row for row in rows.tolist() if row in by_row]
        rest = np.setdiff1d(rows, alone)
        parts += [_LooseCluster(np.array([row]), by_row[row]) for row in alone]
        while len(rest):
            first = one_per_picture(rest, problem.constraints, problem.centroids)
            parts.append(_LooseCluster(first, frozenset()))
            rest = np.setdiff1d(rest, first)
    return parts


def _linkage_input(problem: GroupingProblem, placed: PlacedIdentities, loose: list[_LooseCluster]) -> Clusters:
    """Return identities and loose clusters as input for ``link``; near-identical pictures weigh as one."""
    constraints = problem.constraints
    sets = [*placed.members, *(one.rows for one in loose)]
    masses = [problem.centroids.mass(rows) for rows in sets]
    place_of = {int(number): place for place, number in enumerate(placed.numbers)}
    cannot_link = [set[int]() for _ in placed.numbers]
    for one in loose:
        numbers = one.cannot_link | constraints.cannot_link.before_birth(one.rows)
        cannot_link.append({place_of[number] for number in numbers if number in place_of})
    return Clusters(
        sums=np.array([mass.total for mass in masses]).reshape(len(masses), problem.faces.vectors.shape[1]),
        weights=np.array([mass.weight for mass in masses]),
        pictures=[constraints.exclusive_pictures(rows) for rows in sets],
        cannot_link=cannot_link,
        anchors=len(placed.numbers),
        rows=sets,
        contemporaries=Contemporaries(problem.faces, problem.thresholds.near, problem.thresholds.cluster),
    )


def _join(problem: GroupingProblem, state: GroupingState, number: int, rows: Rows) -> int:
    """
    Add the faces of a cluster that are near enough to an identity; return how many.

    A locked identity accepts no faces: they are marked as waiting.
    """
    if number in problem.constraints.locked:
        state.is_waiting[rows] = True
        return 0
    distances = problem.centroids.distances_to(state.members(number), rows)
    joined = joinable(problem, number, rows, distances)
    for row, distance in joined:
        state.place(row, number, "matched", distance)
    return len(joined)


def _place_poor(problem: GroupingProblem, state: GroupingState) -> int:
    """Add each poor face to the identity that is clearly the nearest; return how many were added."""
    constraints, margin = problem.constraints, problem.rules.poor_margin
    loose = state.loose(constraints)
    loose = loose[~problem.is_clear[loose]]
    placed = _growable(problem, state)
    limit = problem.thresholds.match
    pairs = candidates(problem.faces.vectors, loose, placed.centroids, placed.numbers, limit + margin)
    occupied = constraints.occupied(state.owner)
    matches = assign(
        unambiguous(_allowed(pairs, constraints, occupied), limit, margin),
        pictures=constraints.pictures,
        may_repeat=constraints.may_repeat,
        occupied=occupied,
        cannot_link=constraints.cannot_link,
        locked=constraints.locked,
    )
    for row, _, _ in matches.waiting:
        state.is_waiting[row] = True
    for row, number, distance in matches.joins:
        state.place(row, number, "matched", distance)
    return len(matches.joins)


def _allowed(pairs: Candidates, constraints: RowConstraints, occupied: set[tuple[int, int]]) -> Candidates:
    """Return the pairs that no constraint forbids; a forbidden identity must not make another look ambiguous."""
    kept = [
        place
        for place, (row, number) in enumerate(zip(pairs.rows.tolist(), pairs.numbers.tolist(), strict=True))
        if (row, number) not in constraints.cannot_link
        and (constraints.may_repeat[row] or (number, int(constraints.pictures[row])) not in occupied)
    ]
    return Candidates(pairs.rows[kept], pairs.numbers[kept], pairs.distances[kept])
