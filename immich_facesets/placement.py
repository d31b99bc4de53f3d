"""
The careful method: whole clusters find their identity, clear faces before poor ones, and doubt goes to a person.

First clear faces are clustered so closely that hardly any cluster is mixed. Then clusters and identities are linked
(``linking``), which finds again what the first pass left apart. Poor faces come last: they join an identity that is
near and stands out among all, and neither found nor move one.
"""

from dataclasses import dataclass

import numpy as np

from immich_facesets.discovery import Discovery, one_a_picture, refine
from immich_facesets.draft import Draft, Standing
from immich_facesets.identities import Rows, burst_weights
from immich_facesets.linkage import average_linkage, split_by
from immich_facesets.linking import Clusters, least_likeness, link
from immich_facesets.matching import assign, candidates, stand_out


def place_carefully(draft: Draft) -> Discovery:
    """Place what is loose until nobody finds a place any more; the last look, which found nothing new."""
    while True:
        draft.is_waiting[:] = False
        draft.torn.clear()
        found = _place_clear(draft)
        found.changes += _place_poor(draft)
        if not found.changes:
            return found


@dataclass(frozen=True)
class _Loose:
    """A cluster of clear loose faces, and the identities that one of them must not join."""

    rows: Rows
    barred: set[int]


def _place_clear(draft: Draft) -> Discovery:
    """Link clusters of clear loose faces with identities and with one another."""
    loose = draft.loose()
    loose = loose[draft.is_good[loose]]
    parts = [loose[part] for part in split_by(average_linkage(draft.faces.vectors[loose], draft.points.match))]
    clusters = [cluster for rows in parts for cluster in _apart(draft, rows)]
    standing = draft.standing()
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
        found.changes += _found(draft, rows)
    return found


def _apart(draft: Draft, rows: Rows) -> list[_Loose]:
    """A cluster as clusters that are allowed: one face of a picture, and whoever must not join somebody alone."""
    alone = [row for row in rows.tolist() if row in draft.barred_of]
    rows = np.setdiff1d(rows, alone)
    parts = [_Loose(np.array([row]), draft.barred_of[row]) for row in alone]
    while len(rows):
        first = one_a_picture(draft, rows)
        parts.append(_Loose(first, set()))
        rows = np.setdiff1d(rows, first)
    return parts


def _clusters(draft: Draft, standing: Standing, loose: list[_Loose]) -> Clusters:
    """Identities and loose clusters as what can be linked; near-identical pictures weigh as one."""
    vectors, near = draft.faces.vectors, draft.points.near
    members = [draft.centroids.counted(rows) for rows in standing.members] + [one.rows for one in loose]
    sums = np.empty((len(members), vectors.shape[1]))
    weights = np.empty(len(members))
    for place, rows in enumerate(members):
        share = burst_weights(vectors[rows], near)
        sums[place], weights[place] = share @ vectors[rows].astype(np.float64), share.sum()
    seats = [draft.closed_pictures(rows) for rows in (*standing.members, *(one.rows for one in loose))]
    barred = [set[int]() for _ in standing.numbers]
    place_of = {int(number): place for place, number in enumerate(standing.numbers)}
    barred += [{place_of[number] for number in one.barred if number in place_of} for one in loose]
    return Clusters(sums, weights, seats, barred, anchors=len(standing.numbers))


def _join(draft: Draft, number: int, rows: Rows) -> int:
    """Let those of a cluster join that are not far off; how many did. A locked identity takes nobody: they wait."""
    if number in draft.locked:
        draft.is_waiting[rows] = True
        return 0
    gaps = draft.gaps(rows, number)
    near = gaps <= draft.points.drop
    for row, gap in zip(rows[near].tolist(), gaps[near].tolist(), strict=True):
        draft.place(row, number, "matched", gap)
    return int(near.sum())


def _found(draft: Draft, rows: Rows) -> int:
    """Found an identity if enough pictures survive the gates; how many faces it has."""
    kept = refine(draft, rows)
    if len(np.unique(draft.faces.pictures[kept])) < max(1, draft.rules.min_faces):
        return 0
    number = draft.create("discovered")
    for row, gap in zip(kept.tolist(), draft.centroids.distances(kept).tolist(), strict=True):
        draft.place(row, number, "discovered", gap)
    return len(kept)


def _place_poor(draft: Draft) -> int:
    """Let poor faces join the identity that stands out; how many did."""
    loose = draft.loose()
    loose = loose[~draft.is_good[loose]]
    standing = draft.standing()
    reach = draft.points.match + draft.rules.poor_margin
    pairs = candidates(draft.faces.vectors, loose, standing.centroids, standing.numbers, reach)
    matches = assign(
        stand_out(pairs, draft.points.match, draft.rules.poor_margin),
        pictures=draft.faces.pictures,
        is_open=draft.is_open,
        taken=draft.taken(),
        barred=draft.barred,
        locked=draft.locked,
    )
    for row, _, _ in matches.waiting:
        draft.is_waiting[row] = True
    for row, number, gap in matches.joins:
        draft.place(row, number, "matched", gap)
    return len(matches.joins)
