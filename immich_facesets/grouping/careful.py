"""
The careful method: whole clusters find their identity, clear faces before poor ones, and doubt goes to a person.

First clear faces are clustered so closely that hardly any cluster is mixed. Then clusters and identities are linked
(``linking``), which finds again what the first pass left apart. Poor faces come last: they join an identity that is
near and stands out among all, and neither found nor move one.
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
    """Place what is loose until nobody finds a place any more; the last look, which found nothing new."""
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
    Look again at resting faces that something new came near: a fresh face, another such face, or an identity that grew.

    Near is what could be linked, face by face. What two clusters would only do as a whole waits for a whole grouping.
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
    """A cluster of clear loose faces, and the identities that one of them must not join."""

    rows: Rows
    barred: set[int]  # by decisions; birthdays add theirs


def _place_clear(draft: GroupingState) -> Discovery:
    """Link clusters of clear loose faces with identities and with one another."""
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
    The identities that may take somebody: asserted, or with clear faces in half the pictures that found one.

    A small library does not show yet what poor faces have in common; what it took for a person must not grow by it.
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
    """A cluster as clusters that are allowed: one face of a picture, and whoever must not join somebody alone."""
    alone = [row for row in rows.tolist() if row in draft.barred_of]
    rows = np.setdiff1d(rows, alone)
    parts = [_Loose(np.array([row]), draft.barred_of[row]) for row in alone]
    while len(rows):
        first = one_a_picture(draft, rows)
        parts.append(_Loose(first, set()))
        rows = np.setdiff1d(rows, first)
    return parts


def _clusters(draft: GroupingState, standing: PlacedIdentities, loose: list[_Loose]) -> Clusters:
    """Identities and loose clusters as what can be linked; near-identical pictures weigh as one."""
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
    """Let those of a cluster join that are not far off; how many did. A locked identity takes nobody: they wait."""
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
    """Let poor faces join the identity that stands out; how many did."""
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
    """The pairs that nothing forbids: who cannot be the one makes nobody doubt another."""
    kept = [
        place
        for place, (row, number) in enumerate(zip(pairs.rows.tolist(), pairs.numbers.tolist(), strict=True))
        if (row, number) not in draft.barred
        and (draft.is_open[row] or (number, int(draft.faces.pictures[row])) not in taken)
    ]
    return Candidates(pairs.rows[kept], pairs.numbers[kept], pairs.gaps[kept])
