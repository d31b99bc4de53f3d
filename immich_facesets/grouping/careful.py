"""
The careful grouping method: assign whole clusters, clear faces before poor ones, and report doubtful cases to a user.

First, clear faces are clustered so tightly that hardly any cluster is mixed. Then clusters and identities are linked
(``cluster_linking``), which joins what the first pass left apart. Poor faces come last. They join an identity that is
near and clearly nearer than all others; they neither found an identity nor move its centroid.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.grouping.cluster_linking import Clusters, least_likeness, link
from immich_facesets.grouping.discovery import Discovery, found_identity, one_a_picture
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.matching import Candidates, assign, candidates, near_rows, stand_out
from immich_facesets.grouping.state import NOBODY, GroupingState, PlacedIdentities


def place_carefully(draft: GroupingState) -> Discovery:
    """Place loose faces until no more can be placed; return the last discovery, which changed nothing."""
    grown = set(draft.owner[(draft.owner != draft.before) & (draft.owner != NOBODY)].tolist())
    while True:
        _wake(draft, grown)
        before = draft.owner.copy()
        found = _place_clear(draft)
        found.changes += _place_poor(draft)
        if not found.changes:
            return found
        grown = set(draft.owner[draft.owner != before].tolist())


def _wake(draft: GroupingState, grown: Collection[int]) -> None:
    """
    Reactivate resting faces near something new: a fresh face, another reactivated face, or an identity that grew.

    "Near" means that two single faces could be linked. Links that only whole clusters would make are left to the next
    grouping of all faces.
    """
    resting = draft.resting()
    if len(resting) == 0:
        return
    vectors, least = draft.faces.vectors, least_likeness(draft.points.cluster)
    if grown:
        members = [draft.members(number) for number in sorted(grown)]
        centroids = draft.centroids.matrix(members)
        reach = max(1.0 - least, draft.points.match + draft.rules.poor_margin)
        draft.is_active[near_rows(vectors, resting, centroids, reach)] = True
    front = draft.loose()
    front = front[draft.is_good[front]]
    while len(front):
        resting = draft.resting()
        resting = resting[draft.is_good[resting]]
        front = near_rows(vectors, resting, vectors[front], 1.0 - least)
        draft.is_active[front] = True


@dataclass(frozen=True)
class _Loose:
    """A cluster of clear loose faces, and the identities that one of its faces must not join."""

    rows: Rows
    barred: set[int]  # by decisions; birthdays are added later


def _place_clear(draft: GroupingState) -> Discovery:
    """Link clusters of clear loose faces with identities and with each other."""
    draft.torn.clear()
    loose = draft.loose()
    draft.is_waiting[loose] = False
    loose = loose[draft.is_good[loose]]
    parts = [loose[part] for part in split_by(average_linkage(draft.faces.vectors[loose], draft.points.match))]
    clusters = [cluster for rows in parts for cluster in _apart(draft, rows)]
    standing = _sound(draft)
    anchors = len(standing.numbers)
    linked = link(
        _clusters(draft, standing, clusters), least=least_likeness(draft.points.cluster), margin=draft.rules.margin
    )
    groups = [[place - anchors for place in group if place >= anchors] for group in linked.groups]
    found = Discovery([np.concatenate([clusters[place].rows for place in group]) for group in groups if group])
    new = []
    for places, group in zip(linked.groups, groups, strict=True):
        rows = np.sort(np.concatenate([clusters[place].rows for place in group])) if group else loose[:0]
        if len(rows) and places[0] < anchors:
            found.changes += _join(draft, int(standing.numbers[places[0]]), rows)
        elif len(rows) and places[0] in linked.torn:
            one, other = (int(standing.numbers[anchor]) for anchor in linked.torn[places[0]])
            draft.torn.update(dict.fromkeys(rows.tolist(), (one, other)))
        elif len(rows):
            new.append(rows)
    new.sort(key=lambda rows: (-len(np.unique(draft.faces.pictures[rows])), rows[0]))
    for rows in new:
        found_identity(draft, rows, found)
    return found


def _sound(draft: GroupingState) -> PlacedIdentities:
    """
    Return the identities that may grow: asserted ones, or those with clear faces in half of ``min_faces`` pictures.

    A small library does not yet show what poor faces have in common. An identity that was founded on poor faces by
    mistake must not grow.
    """
    standing = draft.standing()
    kept = [
        place
        for place, (number, rows) in enumerate(zip(standing.numbers.tolist(), standing.members, strict=True))
        if number in draft.asserted
        or draft.new.get(number) == "asserted"
        or 2 * len(np.unique(draft.faces.pictures[rows[draft.is_good[rows]]])) >= draft.rules.min_faces
    ]
    return PlacedIdentities(
        standing.numbers[kept], [standing.members[place] for place in kept], standing.centroids[kept]
    )


def _apart(draft: GroupingState, rows: Rows) -> list[_Loose]:
    """Split a cluster so that each part has one face per picture and each barred face is alone."""
    alone = [row for row in rows.tolist() if row in draft.barred_of]
    rows = np.setdiff1d(rows, alone)
    parts = [_Loose(np.array([row]), draft.barred_of[row]) for row in alone]
    while len(rows):
        first = one_a_picture(draft, rows)
        parts.append(_Loose(first, set()))
        rows = np.setdiff1d(rows, first)
    return parts


def _clusters(draft: GroupingState, standing: PlacedIdentities, loose: list[_Loose]) -> Clusters:
    """Return identities and loose clusters as input for ``link``; near-identical pictures weigh as one."""
    masses = [draft.centroids.mass(rows) for rows in (*standing.members, *(one.rows for one in loose))]
    sums = np.array([mass.total for mass in masses]).reshape(len(masses), draft.faces.vectors.shape[1])
    weights = np.array([mass.weight for mass in masses])
    seats = [draft.closed_pictures(rows) for rows in (*standing.members, *(one.rows for one in loose))]
    barred = [set[int]() for _ in standing.numbers]
    place_of = {int(number): place for place, number in enumerate(standing.numbers)}
    for one in loose:
        numbers = one.barred | draft.barred.before_birth(one.rows)
        barred.append({place_of[number] for number in numbers if number in place_of})
    return Clusters(sums, weights, seats, barred, anchors=len(standing.numbers))


def _join(draft: GroupingState, number: int, rows: Rows) -> int:
    """
    Add the faces of a cluster that are near enough to an identity; return how many.

    A locked identity accepts no faces: they are marked as waiting.
    """
    if number in draft.locked:
        draft.is_waiting[rows] = True
        return 0
    gaps = draft.gaps(rows, number).tolist()
    joined = [
        (row, gap)
        for row, gap in zip(rows.tolist(), gaps, strict=True)
        if gap <= draft.points.drop and (row, number) not in draft.barred
    ]
    for row, gap in joined:
        draft.place(row, number, "matched", gap)
    return len(joined)


def _place_poor(draft: GroupingState) -> int:
    """Add each poor face to the identity that is clearly the nearest; return how many were added."""
    loose = draft.loose()
    loose = loose[~draft.is_good[loose]]
    standing = _sound(draft)
    reach = draft.points.match + draft.rules.poor_margin
    pairs = candidates(draft.faces.vectors, loose, standing.centroids, standing.numbers, reach)
    taken = draft.taken()
    matches = assign(
        stand_out(_possible(draft, pairs, taken), draft.points.match, draft.rules.poor_margin),
        pictures=draft.faces.pictures,
        is_open=draft.is_open,
        taken=taken,
        barred=draft.barred,
        locked=draft.locked,
    )
    for row, _, _ in matches.waiting:
        draft.is_waiting[row] = True
    for row, number, gap in matches.joins:
        draft.place(row, number, "matched", gap)
    return len(matches.joins)


def _possible(draft: GroupingState, pairs: Candidates, taken: set[tuple[int, int]]) -> Candidates:
    """Return the pairs that no constraint forbids; a forbidden identity must not make another look ambiguous."""
    kept = [
        place
        for place, (row, number) in enumerate(zip(pairs.rows.tolist(), pairs.numbers.tolist(), strict=True))
        if (row, number) not in draft.barred
        and (draft.is_open[row] or (number, int(draft.faces.pictures[row])) not in taken)
    ]
    return Candidates(pairs.rows[kept], pairs.numbers[kept], pairs.gaps[kept])
