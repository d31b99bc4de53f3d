"""
The identities that seem to hold several people.

A cheap screen names the identities whose faces fall into two parts that differ: 2-means of directions. Whether these are
two people, and which faces are whose, is decided by ``grouping.split_proposal`` alone.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.linkage import split_by
from immich_facesets.grouping.cluster_linking import least_likeness, scales
from immich_facesets.grouping.face_table import FaceTable, Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import owners
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.grouping.split_proposal import SplitProposal, propose_split
from immich_facesets.review.marks import marks_of, sum_of_marks
from immich_facesets.spaces import OperatingPoints

FEWEST_FACES, FEWEST_OF_PART = 8, 3
"""The fewest faces of an identity that is looked at, and of a part that is more than a few wrong members."""

SCREEN = 0.1
"""
The reach of two parts above which they are one person, and no proposal is made.

Of 327 identities of several people it stops 4, and of 810 of one person it lets 31 through (``tests/bench/bench_review.py
--fit``).
"""

_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Parting:
    """
    The proposal for an identity that the screen named.

    ``basis``: a number that changes with the faces, their dates, and the distances. ``parts`` and ``unclear``: face ids as
    in `SplitProposal`; no parts where nothing separates clearly. ``reach``: the likeness of the largest part and of the
    part nearest to it, as clusters, above the least at which two clusters are linked.
    """

    basis: int
    reach: float = 0.0
    parts: tuple[tuple[int, ...], ...] = ()
    unclear: tuple[int, ...] = ()


def part_identities(
    table: FaceTable,
    memberships: Mapping[int, int],
    *,
    points: OperatingPoints,
    rules: GroupingRules,
    together: Collection[int] = (),
    before: Mapping[int, Parting] = {},
) -> dict[int, Parting]:
    """
    Return the proposals for the identities that the screen names, by number.

    ``points``, ``rules``, ``together``: as `propose_split` takes them. ``before``: earlier results, which hold while their
    basis is the same.
    """
    setup = zlib.crc32(repr((points, replace(rules, min_faces=0, min_known=None), sorted(together))).encode())
    marks, found = marks_of(table), dict[int, Parting]()
    for number, rows in _identities(table, memberships):
        checkpoint()
        basis = sum_of_marks(marks, rows) ^ setup
        known = before.get(number)
        if known is not None and known.basis == basis:
            found[number] = known
        elif _is_mixed_by_looks(table.vectors[rows], points.cluster):
            found[number] = _parting(table.rows(rows), points, rules, together, basis)
    return found


def _identities(table: FaceTable, memberships: Mapping[int, int]) -> Iterator[tuple[int, Rows]]:
    """Yield the identities that are large enough, with the rows of their faces in the order of the ids."""
    owner = owners({face: row for row, face in enumerate(table.face_ids.tolist())}, memberships)
    placed = np.flatnonzero(owner != UNASSIGNED)
    for part in split_by(owner[placed]):
        rows = placed[part]
        if len(rows) >= FEWEST_FACES:
            yield int(owner[rows[0]]), rows[np.argsort(table.face_ids[rows])]


def _is_mixed_by_looks(vectors: NDArray[np.float32], cut: float) -> bool:
    is_part = two_parts(vectors)
    if np.count_nonzero(is_part) < FEWEST_OF_PART:
        return False
    return reach(vectors[is_part], vectors[~is_part], cut) <= SCREEN


def _parting(
    faces: FaceTable, points: OperatingPoints, rules: GroupingRules, together: Collection[int], basis: int
) -> Parting:
    found: SplitProposal = propose_split(faces, points, rules, together=together)
    if len(found.parts) < 2:
        return Parting(basis)
    first, *others = (faces.vectors[np.isin(faces.face_ids, part)] for part in found.parts)
    nearest = max(reach(first, other, points.cluster) for other in others)
    return Parting(basis, round(nearest, 6), found.parts, found.unclear)


def two_parts(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """
    Return which unit vectors (n, d) are in the smaller of the two parts that differ most, (n,): 2-means of directions.

    The start is the direction in which the vectors spread most, so that the result depends on nothing else.
    """
    is_here = _start(vectors)
    for _ in range(_ROUNDS):
        checkpoint()
        if is_here.all() or not is_here.any():
            break
        sums = np.stack([vectors[is_here].sum(axis=0), vectors[~is_here].sum(axis=0)])
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        likeness = vectors @ sums.T
        again = likeness[:, 0] > likeness[:, 1]
        if np.array_equal(again, is_here):
            break
        is_here = again
    is_smaller = 2 * np.count_nonzero(is_here) <= len(is_here)
    return is_here if is_smaller else ~is_here


def reach(one: NDArray[np.float32], other: NDArray[np.float32], cut: float) -> float:
    """Return the likeness of two sets of unit vectors as clusters, above the least at which two are linked at this cut."""
    totals = np.stack([one.sum(axis=0), other.sum(axis=0)]).astype(np.float64)
    weights = np.array([len(one), len(other)], dtype=np.float64)
    return float(totals[0] @ totals[1] / scales(totals, weights).prod()) - least_likeness(cut)


def _start(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return on which side of their mean the vectors lie, along the direction in which they spread most."""
    spread = vectors - vectors.mean(axis=0)
    direction = spread[np.argmax((spread**2).sum(axis=1))]
    for _ in range(_ROUNDS):
        direction = spread.T @ (spread @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-9)
    is_here: NDArray[np.bool_] = spread @ direction > 0
    return is_here
