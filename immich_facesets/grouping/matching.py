"""The matching step: assign each loose face to the nearest identity that it may join."""

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.grouping.centroids import BLOCK_ROWS, cosine_distances
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState, placed_identities


@dataclass(frozen=True, slots=True)
class Candidates:
    """(row, identity) pairs within a distance, nearest first."""

    rows: NDArray[np.intp]
    numbers: NDArray[np.int64]
    distances: NDArray[np.float64]


def candidates(
    vectors: NDArray[np.float32],
    rows: Rows,
    centroids: NDArray[np.float32],
    numbers: NDArray[np.int64],
    limit: float,
) -> Candidates:
    """
    Return every pair of a row of ``rows`` and an identity within ``limit`` (inclusive), nearest first.

    ``vectors``: (n, d); ``centroids``: (k, d), those of ``numbers`` (k,). Takes O(rows k d) time, in blocks.
    """
    found_rows, found_columns, found_distances = [rows[:0]], [rows[:0]], [np.zeros(0)]
    for part in row_blocks(len(rows) if len(numbers) else 0, len(numbers)):
        block = rows[part]
        distances = cosine_distances(vectors[block], centroids)
        row, column = np.nonzero(distances <= limit)
        found_rows.append(block[row])
        found_columns.append(column)
        found_distances.append(distances[row, column])
    row, column = np.concatenate(found_rows), np.concatenate(found_columns)
    distance = np.concatenate(found_distances)
    order = np.lexsort((column, row, distance))
    return Candidates(row[order], numbers[column[order]], distance[order])


def near_rows(vectors: NDArray[np.float32], rows: Rows, others: NDArray[np.float32], limit: float) -> Rows:
    """Return those of ``rows`` that are within ``limit`` of any of the unit vectors ``others`` (m, d)."""
    is_near = np.zeros(len(rows), dtype=np.bool_)
    for part in row_blocks(len(others), BLOCK_ROWS):
        for start in range(0, len(rows), BLOCK_ROWS):
            far = start + np.flatnonzero(~is_near[start : start + BLOCK_ROWS])
            is_near[far] = (cosine_distances(vectors[rows[far]], others[part]) <= limit).any(axis=1)
    return rows[is_near]


def unambiguous(pairs: Candidates, limit: float, margin: float) -> Candidates:
    """
    Return the nearest pair of each row, if it is clear enough.

    It must be within ``limit``, and the row's next pair must be farther by at least ``margin``.
    """
    _, first = np.unique(pairs.rows, return_index=True)  # pairs come nearest first
    is_other = np.ones(len(pairs.rows), dtype=np.bool_)
    is_other[first] = False
    _, second = np.unique(pairs.rows[is_other], return_index=True)
    others = np.flatnonzero(is_other)[second]
    distance_to_next = dict(zip(pairs.rows[others].tolist(), pairs.distances[others].tolist(), strict=True))
    kept = [
        place
        for place in np.sort(first).tolist()
        if pairs.distances[place] <= limit
        and distance_to_next.get(int(pairs.rows[place]), np.inf) - pairs.distances[place] >= margin
    ]
    return Candidates(pairs.rows[kept], pairs.numbers[kept], pairs.distances[kept])


@dataclass(frozen=True, slots=True)
class Matches:
    """The rows that join, and those that wait because the identity is locked, as (row, identity, distance)."""

    joins: list[tuple[int, int, float]]
    waiting: list[tuple[int, int, float]]


def assign(
    pairs: Candidates,
    *,
    pictures: NDArray[np.int64],
    may_repeat: NDArray[np.bool_],
    occupied: set[tuple[int, int]],
    cannot_link: Container[tuple[int, int]],
    locked: Container[int],
) -> Matches:
    """
    Assign each row to its nearest identity, one to one within a picture; nearer faces of a picture come first.

    ``occupied``: the (identity, picture) pairs that have a face already; it is extended in place. Rows marked in
    ``may_repeat`` are exempt. A row whose nearest identity is locked takes the picture's place there and waits.
    """
    matches = Matches([], [])
    assigned: set[int] = set()
    for row, number, distance in zip(
        pairs.rows.tolist(), pairs.numbers.tolist(), pairs.distances.tolist(), strict=True
    ):
        if row in assigned or (row, number) in cannot_link:
            continue
        pair = (number, int(pictures[row]))
        if not may_repeat[row]:
            if pair in occupied:
                continue
            occupied.add(pair)
        assigned.add(row)
        (matches.waiting if number in locked else matches.joins).append((row, number, distance))
    return matches


def match(problem: GroupingProblem, state: GroupingState) -> bool:
    """Assign all loose rows to identities within reach; return whether any joined."""
    constraints = problem.constraints
    placed = placed_identities(state.owner, problem.centroids)
    loose, limit = state.loose(constraints), problem.thresholds.match
    matches = assign(
        candidates(problem.faces.vectors, loose, placed.centroids, placed.numbers, limit),
        pictures=constraints.pictures,
        may_repeat=constraints.may_repeat,
        occupied=constraints.occupied(state.owner),
        cannot_link=constraints.cannot_link,
        locked=constraints.locked,
    )
    state.is_waiting[:] = False
    for row, _, _ in matches.waiting:
        state.is_waiting[row] = True
    for row, number, distance in matches.joins:
        state.place(row, number, "matched", distance)
    return bool(matches.joins)
