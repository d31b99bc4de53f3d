"""The faces that let a person compare two identities: a few of each, clear ones, from the same years."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import split_by
from immich_facesets.grouping.contemporaries import DAYS_OF_YEAR
from immich_facesets.grouping.face_table import FaceTable, Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import owners
from immich_facesets.quality.score import FULL_SIZE, HALF_SHARP, PROFILE_DEGREES
from immich_facesets.review.items import Item
from immich_facesets.review.marks import ODD, marks_of, sum_of_marks

MOST_FACES = 4
"""The most faces of each identity: more are not compared at a glance."""


class Gallery:
    """The members of identities by number, with the years and the clarity of each face."""

    def __init__(self, table: FaceTable, memberships: Mapping[int, int]) -> None:
        row_of = {face: row for row, face in enumerate(table.face_ids.tolist())}
        owner = owners(row_of, memberships)
        placed = np.flatnonzero(owner != UNASSIGNED)
        self._row_of = row_of
        self._ids, self._vectors = table.face_ids, table.vectors
        self._members: dict[int, Rows] = {int(owner[placed[part[0]]]): placed[part] for part in split_by(owner[placed])}
        self._years = np.floor(table.taken / DAYS_OF_YEAR)
        self._clarity = clarity(table)
        self._marks = marks_of(table)
        self.owner_of = dict(zip(table.face_ids.tolist(), owner.tolist(), strict=True))

    def numbers(self) -> list[int]:
        """Return the identities that have faces, ascending."""
        return sorted(self._members)

    def size(self, number: int) -> int:
        """Return how many faces an identity has."""
        return len(self._members.get(number, ()))

    def are_free(self, face_ids: Collection[int]) -> bool:
        """Return whether all these faces are there and of nobody."""
        return all(self.owner_of.get(face) == UNASSIGNED for face in face_ids)

    def by_likeness(self, number: int, face_ids: Collection[int]) -> list[int]:
        """Return some faces of an identity, the one most like its mean first."""
        if len(face_ids) < 2:
            return list(face_ids)
        rows = self._rows_of(face_ids)
        likeness = self._vectors[rows] @ self._vectors[self._members[number]].sum(axis=0)
        ordered: list[int] = self._ids[rows[np.lexsort((self._ids[rows], -likeness))]].tolist()
        return ordered

    def basis(self, item: Item) -> int:
        """Return a number that changes with the faces that the evidence of an item is chosen from, and with their dates."""
        faces = [face for face in (item.face_id, *item.part) if face is not None]
        sets = [self._members[one] for one in item.identities if one in self._members]
        sets += [self._rows_of(faces)] if faces else []
        total = 0
        for rows in sets:
            total = (total * int(ODD) + sum_of_marks(self._marks, rows)) % 2**63
        return total

    def evidence(self, item: Item, unclear: Collection[int] = ()) -> tuple[tuple[int, ...], ...]:
        """
        Return a few faces of each identity, then of each part that an answer moves.

        ``unclear``: faces that are shown for none of them.
        """
        if item.reference is not None:
            members = [self._members.get(number, self._rows_of(())) for number in item.identities]
            return tuple(self._faces(rows, _spread(self._known_years(rows))) for rows in members)
        if item.face_id is not None:
            sets = [self._members[number] for number in item.identities]
            sets += [self._rows_of(item.part)] if item.part else []
            return tuple(self._around(item.face_id, rows) for rows in sets)
        left_out = self._rows_of((*item.part, *unclear))
        whole = [rows for rows in map(self._members.get, item.identities) if rows is not None]
        first, *others = [rows[~np.isin(rows, left_out)] for rows in whole] + [self._rows_of(one) for one in item.parts]
        if not others:
            return (self._faces(first, _spread(self._known_years(first))),)
        compared = [self._compare(first, other) for other in others]
        return (compared[0][0], *(theirs for _, theirs in compared))

    def _rows_of(self, face_ids: Collection[int]) -> Rows:
        return np.sort(np.array([self._row_of[face] for face in face_ids], dtype=np.intp))

    def _compare(self, first: Rows, second: Rows) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return faces of two sets from the years that both have; else from the years that are nearest."""
        ours, theirs = self._known_years(first), self._known_years(second)
        shared = np.intersect1d(ours, theirs)
        if len(shared) or not (len(ours) and len(theirs)):
            years = _spread(shared)
            return self._faces(first, years), self._faces(second, years)
        gaps = np.abs(ours[:, None] - theirs[None, :])
        here, there = np.unravel_index(gaps.argmin(), gaps.shape)
        return self._faces(first, ours[[here]]), self._faces(second, theirs[[there]])

    def _around(self, face_id: int, rows: Rows) -> tuple[int, ...]:
        """Return some of these faces from about the year of a face, without that face."""
        row = self._row_of[face_id]
        year = self._years[[row]]
        return self._faces(rows[rows != row], year[np.isfinite(year)])

    def _known_years(self, rows: Rows) -> NDArray[np.float64]:
        years = self._years[rows]
        return np.unique(years[np.isfinite(years)])

    def _faces(self, rows: Rows, years: NDArray[np.float64]) -> tuple[int, ...]:
        """Return the ids of the clearest faces of these years in turn; of those nearest to them where there are none."""
        clarity = self._clarity[rows]
        if not len(years):
            chosen = np.lexsort((self._ids[rows], -clarity))
        else:
            gaps = np.abs(self._years[rows][:, None] - years[None, :])
            gaps[~np.isfinite(gaps)] = 1e6  # undated faces come last
            year, gap = gaps.argmin(axis=1), gaps.min(axis=1)
            order = np.lexsort((self._ids[rows], -clarity, gap, year))
            place = np.empty(len(rows), dtype=np.int64)
            place[order] = _places_within(year[order])
            chosen = np.lexsort((self._ids[rows], year, place, gap))
        return tuple(self._ids[rows[chosen[:MOST_FACES]]].tolist())


def clarity(table: FaceTable) -> NDArray[np.float64]:
    """Return how clearly each face shows its person, (n,) in [0, 1]: by size, sharpness, light, view and certainty."""
    blur = np.maximum(table.blur, 0.0).astype(np.float64)
    parts = (
        np.minimum(table.face_short / FULL_SIZE, 1.0),
        blur / (blur + HALF_SHARP),
        1.0 - np.minimum(np.abs(np.nan_to_num(table.yaw)), PROFILE_DEGREES) / PROFILE_DEGREES,
        table.det_score,
    )
    mean: NDArray[np.float64] = np.mean(parts, axis=0) * table.light
    return mean


def _spread(years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at most as many years as faces are shown, spread over all."""
    if len(years) <= MOST_FACES:
        return years
    return years[np.linspace(0, len(years) - 1, MOST_FACES).round().astype(np.intp)]


def _places_within(groups: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the place of each row within its group; the groups are sorted."""
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
