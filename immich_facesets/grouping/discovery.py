"""The discovery step: cluster loose faces, merge over-split clusters, and found identities on the reliable ones."""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.matching import candidates
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import GroupingState, PlacedIdentities


def discover(draft: GroupingState) -> "Discovery":
    """Cluster the loose faces that are not waiting; add clusters to identities, and found new identities."""
    loose = draft.loose()
    loose = loose[~draft.is_waiting[loose]]
    clusters = [loose[part] for part in split_by(average_linkage(draft.faces.vectors[loose], draft.points.cluster))]
    found = Discovery(clusters)
    several = [one_a_picture(draft, rows) for rows in clusters if len(rows) > 1]
    merged = merge_clusters(
        [rows for rows in several if len(rows) > 1],
        draft.centroids,
        [draft.closed_pictures(rows) for rows in several if len(rows) > 1],
        draft.points.merge,
    )
    merged.sort(key=lambda rows: (-len(np.unique(draft.faces.pictures[rows])), rows[0]))
    standing = draft.standing()
    for rows in merged:
        if _is_somebody(draft, standing, rows, found):
            continue
        found_identity(draft, rows, found)
    return found


class Discovery:
    """
    The result of one discovery step.

    ``singletons``: faces alone in their cluster; ``largest``: faces in the largest cluster; ``changes``: faces that
    were placed. ``nobody``: gate counts of the clusters that did not become identities.
    """

    def __init__(self, clusters: Sequence[Rows]) -> None:
        self.singletons = sum(len(rows) == 1 for rows in clusters)
        self.largest = max((len(rows) for rows in clusters), default=0)
        self.changes = 0
        self.nobody: list[GateCounts] = []


def found_identity(draft: GroupingState, rows: Rows, found: Discovery) -> None:
    """Found an identity if the faces that pass the gates come from enough pictures."""
    kept = refine(draft, rows)
    pictures = len(np.unique(draft.faces.pictures[kept]))
    sifting = GateCounts(len(rows), int(draft.is_good[rows].sum()), len(kept), pictures)
    if pictures < max(1, draft.rules.min_faces):
        found.nobody += [sifting] if len(rows) > 1 else []
        return
    number = draft.create("discovered")
    draft.founded[number] = sifting
    found.changes += len(kept)
    for row, gap in zip(kept.tolist(), draft.centroids.distances(kept).tolist(), strict=True):
        draft.place(row, number, "discovered", gap)


def one_a_picture(draft: GroupingState, rows: Rows) -> Rows:
    """Keep of each picture the face nearest to the centroid, or all where a picture may hold a person twice."""
    pictures = draft.faces.pictures[rows]
    if len(np.unique(pictures)) == len(rows):
        return rows
    nearest_first = np.lexsort((rows, draft.centroids.distances(rows)))
    is_first = np.zeros(len(rows), dtype=np.bool_)
    is_first[nearest_first[np.unique(pictures[nearest_first], return_index=True)[1]]] = True
    return rows[is_first | draft.is_open[rows]]


def merge_clusters(
    clusters: Sequence[Rows], centroids: Centroids, pictures: Sequence[set[int]], limit: float
) -> list[Rows]:
    """
    Merge clusters whose centroids are within ``limit``, the nearest two first; each merge gets a new centroid.

    ``pictures``: for each cluster, the pictures that may hold a person only once. Clusters that share one are not
    merged.
    """
    parts: dict[int, tuple[Rows, set[int]]] = dict(enumerate(zip(clusters, pictures, strict=True)))
    matrix = centroids.matrix(list(clusters))
    matrix = np.concatenate([matrix, np.empty_like(matrix)])
    queue: list[tuple[float, int, int]] = []
    _enqueue(queue, matrix, np.arange(len(clusters)), len(clusters), limit)
    count = len(clusters)
    while queue:
        _, one, two = heapq.heappop(queue)
        if one not in parts or two not in parts or not parts[one][1].isdisjoint(parts[two][1]):
            continue
        (one_rows, one_pictures), (two_rows, two_pictures) = parts.pop(one), parts.pop(two)
        rows = np.sort(np.concatenate([one_rows, two_rows]))
        parts[count] = (rows, one_pictures | two_pictures)
        matrix[count] = centroids.of(rows)
        alive = np.fromiter((place for place in parts if place != count), dtype=np.intp, count=len(parts) - 1)
        near = cosine_distances(matrix[alive], matrix[count][None])[:, 0]
        for place, gap in zip(alive[near <= limit].tolist(), near[near <= limit].tolist(), strict=True):
            heapq.heappush(queue, (gap, place, count))
        count += 1
    return [rows for rows, _ in parts.values()]


def _enqueue(
    queue: list[tuple[float, int, int]], matrix: NDArray[np.float32], rows: Rows, count: int, limit: float
) -> None:
    """Add every pair of the first ``count`` centroids within ``limit`` to the queue."""
    pairs = candidates(matrix, rows, matrix[:count], np.arange(count), limit)
    is_upper = pairs.rows < pairs.numbers
    queue.extend(
        zip(pairs.gaps[is_upper].tolist(), pairs.rows[is_upper].tolist(), pairs.numbers[is_upper].tolist(), strict=True)
    )
    heapq.heapify(queue)


def refine(draft: GroupingState, rows: Rows) -> Rows:
    """Return the faces of a cluster that pass the gate; of four or more, only those near the centroid."""
    good = rows[draft.is_good[rows]]
    if len(good) < 4:
        return good
    return good[draft.centroids.distances(good) <= draft.points.drop]


def _is_somebody(draft: GroupingState, standing: PlacedIdentities, rows: Rows, found: Discovery) -> bool:
    """
    Return whether a cluster is an over-split part of an existing identity; add its faces unless that is locked.

    The threshold is that for merging clusters. As there, a cluster and an identity that share a picture are two people.
    """
    gaps = cosine_distances(draft.centroids.of(rows)[None], standing.centroids)[0]
    for place in np.argsort(gaps, kind="stable"):
        if gaps[place] > draft.points.merge:
            return False
        number = int(standing.numbers[place])
        if not draft.closed_pictures(rows).isdisjoint(draft.closed_pictures(draft.members(number))):
            continue
        if number in draft.locked:
            return True
        reach = cosine_distances(draft.faces.vectors[rows], standing.centroids[place][None])[:, 0]
        joined = [
            (row, gap)
            for row, gap in zip(rows.tolist(), reach.tolist(), strict=True)
            if gap <= draft.points.drop and (row, number) not in draft.barred
        ]
        if not joined:
            continue
        for row, gap in joined:
            draft.place(row, number, "matched", gap)
        found.changes += len(joined)
        return True
    return False
