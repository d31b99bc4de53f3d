"""The matching step: assign each loose face to the nearest identity that it may join."""

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import BLOCK_ROWS, cosine_distances
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.state import GroupingState


@dataclass(frozen=True, slots=True)
class Candidates:
    """(row, identity) pairs within a distance, nearest first."""

    rows: NDArray[np.intp]
    numbers: NDArray[np.int64]
    gaps: NDArray[np.float64]


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
    found_rows, found_columns, found_gaps = [rows[:0]], [rows[:0]], [np.zeros(0)]
    for start in range(0, len(rows) if len(numbers) else 0, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        gaps = cosine_distances(vectors[block], centroids)
        row, column = np.nonzero(gaps <= limit)
        found_rows.append(block[row])
        found_columns.append(column)
        found_gaps.append(gaps[row, column])
    row, column, gap = np.concatenate(found_rows), np.concatenate(found_columns), np.concatenate(found_gaps)
    order = np.lexsort((column, row, gap))
    return Candidates(row[order], numbers[column[order]], gap[order])


def near_rows(vectors: NDArray[np.float32], rows: Rows, others: NDArray[np.float32], limit: float) -> Rows:
    """Return those of ``rows`` that are within ``limit`` of any of the unit vectors ``others`` (m, d)."""
    found = [rows[:0]]
    for start in range(0, len(rows) if len(others) else 0, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        found.append(block[cosine_distances(vectors[block], others).min(axis=1) <= limit])
    return np.concatenate(found)


def stand_out(pairs: Candidates, limit: float, margin: float) -> Candidates:
    """
    Return the nearest pair of each row, if it is clear enough.

    It must be within ``limit``, and the row's next pair must be farther by at least ``margin``.
    """
    _, first = np.unique(pairs.rows, return_index=True)  # pairs come nearest first
    is_other = np.ones(len(pairs.rows), dtype=np.bool_)
    is_other[first] = False
    _, second = np.unique(pairs.rows[is_other], return_index=True)
    others = np.flatnonzero(is_other)[second]
    next_gap = dict(zip(pairs.rows[others].tolist(), pairs.gaps[others].tolist(), strict=True))
    kept = [
        place
        for place in np.sort(first).tolist()
        if pairs.gaps[place] <= limit and next_gap.get(int(pairs.rows[place]), np.inf) - pairs.gaps[place] >= margin
    ]
    return Candidates(pairs.rows[kept], pairs.numbers[kept], pairs.gaps[kept])


@dataclass(frozen=True, slots=True)
class Matches:
    """The rows that join, and those that wait because the identity is locked, as (row, identity, distance)."""

    joins: list[tuple[int, int, float]]
    waiting: list[tuple[int, int, float]]


def assign(
    pairs: Candidates,
    *,
    pictures: NDArray[np.int64],
    is_open: NDArray[np.bool_],
    taken: set[tuple[int, int]],
    barred: Container[tuple[int, int]],
    locked: Container[int],
) -> Matches:
    """
    Assign each row to its nearest identity, one to one within a picture; nearer faces of a picture come first.

    ``taken``: the (identity, picture) pairs that have a face already; it is extended in place. Rows marked in
    ``is_open`` are exempt. A row whose nearest identity is locked takes the picture's place there and waits.
    """
    matches = Matches([], [])
    settled: set[int] = set()
    for row, number, gap in zip(pairs.rows.tolist(), pairs.numbers.tolist(), pairs.gaps.tolist(), strict=True):
        if row in settled or (row, number) in barred:
            continue
        seat = (number, int(pictures[row]))
        if not is_open[row]:
            if seat in taken:
                continue
            taken.add(seat)
        settled.add(row)
        (matches.waiting if number in locked else matches.joins).append((row, number, gap))
    return matches


def match(draft: GroupingState) -> bool:
    """Assign all loose rows to identities within reach; return whether any joined."""
    standing = draft.standing()
    pairs = candidates(draft.faces.vectors, draft.loose(), standing.centroids, standing.numbers, draft.points.match)
    matches = assign(
        pairs,
        pictures=draft.faces.pictures,
        is_open=draft.is_open,
        taken=draft.taken(),
        barred=draft.barred,
        locked=draft.locked,
    )
    draft.is_waiting[:] = False
    for row, _, _ in matches.waiting:
        draft.is_waiting[row] = True
    for row, number, gap in matches.joins:
        draft.place(row, number, "matched", gap)
    return bool(matches.joins)
