"""The discovery step: cluster loose faces, merge over-split clusters, and create identities from the reliable ones."""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.former_numbers import former_number
from immich_facesets.grouping.founders import founding_pictures, moments
from immich_facesets.grouping.matching import candidates
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.recognisability import shows_nobody
from immich_facesets.grouping.row_constraints import RowConstraints
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import GroupingState, PlacedIdentities, placed_identities


def discover(problem: GroupingProblem, state: GroupingState) -> "Discovery":
    """Cluster the loose faces that are not waiting; add clusters to identities, and create new identities."""
    constraints = problem.constraints
    loose = state.loose(constraints)
    loose = loose[~state.is_waiting[loose]]
    clusters = problem.clusterings.of(loose, problem.thresholds.cluster)
    found = Discovery(clusters)
    several = [one_per_picture(rows, constraints, problem.centroids) for rows in clusters if len(rows) > 1]
    several = [rows for rows in several if len(rows) > 1]
    pictures = [constraints.exclusive_pictures(rows) for rows in several]
    merged = merge_clusters(several, problem.centroids, pictures, problem.thresholds.merge)
    merged.sort(key=lambda rows: (-len(np.unique(constraints.pictures[rows])), rows[0]))
    placed = placed_identities(state.owner, problem.centroids)
    for rows in merged:
        if not _belongs_to_existing(problem, state, placed, rows, found):
            create_identity(problem, state, rows, found)
    return found


class Discovery:
    """
    The result of one discovery step.

    ``singletons``: faces alone in their cluster; ``largest``: faces in the largest cluster; ``changes``: faces that
    were placed. ``rejected``: gate counts of the clusters that did not become identities,
    and ``rejected_rows``, their faces.
    """

    def __init__(self, clusters: Sequence[Rows]) -> None:
        self.singletons = sum(len(rows) == 1 for rows in clusters)
        self.largest = max((len(rows) for rows in clusters), default=0)
        self.changes = 0
        self.rejected: list[GateCounts] = []
        self.rejected_rows: list[Rows] = []


def create_identity(problem: GroupingProblem, state: GroupingState, rows: Rows, found: Discovery) -> None:
    """
    Create an identity of a cluster if the faces that pass the gates come from enough different pictures.

    If they are those of a former identity, it has its number again; for that fewer pictures are enough.
    """
    kept = without_poor_and_far(problem, rows)
    number, needed = _known_number(problem, state, kept)
    counts = gate_counts(problem, state, rows, kept, needed)
    if number is not None:
        allowed = problem.constraints.claimable(kept, number, state.owner)
        is_back = counts.pictures >= needed and moments(problem, allowed) >= needed
        number, kept = (number, allowed) if is_back else (None, kept)
    if number is None and counts.pictures < max(1, problem.rules.min_faces):
        found.rejected += [counts] if len(rows) > 1 else []
        found.rejected_rows += [rows] if len(rows) > 1 else []
        return
    if number is None:
        number = state.identities.create("discovered")
    state.identities.gate_counts[number] = counts
    found.changes += len(kept)
    for row, distance in zip(kept.tolist(), problem.centroids.distances(kept).tolist(), strict=True):
        state.place(row, number, "discovered", distance)


def gate_counts(problem: GroupingProblem, state: GroupingState, rows: Rows, kept: Rows, needed: int) -> GateCounts:
    """
    Return how many faces of a cluster remain after each gate of a new identity.

    ``kept``: those that ``without_poor_and_far`` keeps. ``needed``: second faces are left out from so many pictures on.
    """
    pictures = founding_pictures(problem, state, kept, needed)
    return GateCounts(len(rows), int(problem.is_clear[rows].sum()), len(kept), pictures)


def _known_number(problem: GroupingProblem, state: GroupingState, rows: Rows) -> tuple[int | None, int]:
    """
    Return the number that rows bring back, and how many different pictures it takes for that.

    Only a number from before this grouping comes back with fewer pictures than a new identity needs.
    """
    rules = problem.rules
    number = former_number(problem, state, rows) if len(rows) >= rules.pictures_of_known else None
    is_stored = number is not None and number < state.identities.first_new
    return number, max(1, rules.pictures_of_known if is_stored else rules.min_faces)


def one_per_picture(rows: Rows, constraints: RowConstraints, centroids: Centroids) -> Rows:
    """Return of each picture the row nearest to the centroid, or all where a picture may hold a person twice."""
    pictures = constraints.pictures[rows]
    if len(np.unique(pictures)) == len(rows):
        return rows
    nearest_first = np.lexsort((rows, centroids.distances(rows)))
    is_first = np.zeros(len(rows), dtype=np.bool_)
    is_first[nearest_first[np.unique(pictures[nearest_first], return_index=True)[1]]] = True
    return rows[is_first | constraints.may_repeat[rows]]


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
        others = np.fromiter((place for place in parts if place != count), dtype=np.intp, count=len(parts) - 1)
        distances = cosine_distances(matrix[others], matrix[count][None])[:, 0]
        is_near = distances <= limit
        for place, distance in zip(others[is_near].tolist(), distances[is_near].tolist(), strict=True):
            heapq.heappush(queue, (distance, place, count))
        count += 1
    return [rows for rows, _ in parts.values()]


def _enqueue(
    queue: list[tuple[float, int, int]], matrix: NDArray[np.float32], rows: Rows, count: int, limit: float
) -> None:
    """Add every pair of the first ``count`` centroids within ``limit`` to the queue."""
    pairs = candidates(matrix, rows, matrix[:count], np.arange(count), limit)
    is_upper = pairs.rows < pairs.numbers
    columns = (pairs.distances[is_upper], pairs.rows[is_upper], pairs.numbers[is_upper])
    queue.extend(zip(*(column.tolist() for column in columns), strict=True))
    heapq.heapify(queue)


def without_poor_and_far(problem: GroupingProblem, rows: Rows) -> Rows:
    """Return the clear faces of a cluster that shows somebody; of four or more, only those near the centroid."""
    clear = rows[problem.is_clear[rows]]
    if len(clear) and shows_nobody(problem.centroids.of(clear), problem.blank):
        return clear[:0]
    if len(clear) < 4:
        return clear
    return clear[problem.centroids.distances(clear) <= problem.thresholds.drop]


def _belongs_to_existing(
    problem: GroupingProblem, state: GroupingState, placed: PlacedIdentities, rows: Rows, found: Discovery
) -> bool:
    """
    Return whether a cluster is an over-split part of an existing identity; add its faces unless that is locked.

    The threshold is that for merging clusters. As there, a cluster and an identity that share a picture are two people.
    """
    constraints = problem.constraints
    pictures = constraints.exclusive_pictures(rows)
    distances = cosine_distances(problem.centroids.of(rows)[None], placed.centroids)[0]
    for place in np.argsort(distances, kind="stable"):
        if distances[place] > problem.thresholds.merge:
            return False
        number = int(placed.numbers[place])
        if not pictures.isdisjoint(constraints.exclusive_pictures(state.members(number))):
            continue
        if number in constraints.locked:
            return True
        to_centroid = cosine_distances(problem.faces.vectors[rows], placed.centroids[place][None])[:, 0]
        joined = joinable(problem, number, rows, to_centroid)
        if not joined:
            continue
        for row, distance in joined:
            state.place(row, number, "matched", distance)
        found.changes += len(joined)
        return True
    return False


def joinable(
    problem: GroupingProblem, number: int, rows: Rows, distances: NDArray[np.float64]
) -> list[tuple[int, float]]:
    """Return the rows of a cluster that may join an identity and are near enough to it, with their distances."""
    return [
        (row, distance)
        for row, distance in zip(rows.tolist(), distances.tolist(), strict=True)
        if distance <= problem.thresholds.drop and (row, number) not in problem.constraints.cannot_link
    ]
