"""
The people that one identity seems to hold: a proposal for a split, which a user judges.

The faces are grouped anew among themselves, at distances that become stricter until some group separates clearly. Two
groups are two people when their faces of the same years say so. They are, too, when they are as far apart as strangers,
without years between them in which a person changes. Faces that belong to no group clearly stay unclear.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.contemporaries import Contemporaries, YearSums
from immich_facesets.grouping.face_table import FaceTable, Rows
from immich_facesets.grouping.matching import candidates, unambiguous
from immich_facesets.grouping.plan import plan_grouping
from immich_facesets.grouping.recognisability import clear_faces
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

STRICTNESS: Final = (1.0, 0.85, 0.7)
"""The shares of the distances in use at which the faces are grouped, one after the other (tests/bench/bench_split.py)."""

CHANGELESS_YEARS: Final = 3
"""The years in which nobody changes so much as to look like a stranger; groups farther apart in time may be one person."""

LEAST_PICTURES: Final = 3
"""The fewest pictures of a part: three faces of one year are the fewest whose distances say something."""


MOST_GROUPED: Final = 3000
"""
The most faces that are grouped anew, spread over all of an identity; the others join the part that is clearly nearest.

The time of a grouping grows with the square: 4 s for 3,000 faces of one person, 38 s for 8,000.
"""


@dataclass(frozen=True, slots=True)
class SplitProposal:
    """
    The face ids of each proposed part, the largest part first, and of the faces that belong to none clearly.

    ``distances``: of each part, the cosine distance from its centroid to that of the nearest other part. A single part
    means that nothing separates clearly; its distance is 0.
    """

    parts: tuple[tuple[int, ...], ...]
    distances: tuple[float, ...]
    unclear: tuple[int, ...]


def propose_split(
    table: FaceTable,
    thresholds: OperatingPoints,
    rules: GroupingRules,
    *,
    together: Collection[int] = (),
    most: int = MOST_GROUPED,
) -> SplitProposal:
    """
    Return the parts of an identity whose faces ``table`` has, at least one.

    ``thresholds`` and ``rules`` are those of the grouping. ``together``: ids of the faces in pictures that may hold one
    person twice. ``most``: the most faces that are grouped. The order of the rows does not matter.
    """
    faces = table.in_order_of_content()
    chosen = np.unique(np.linspace(0, len(faces) - 1, min(len(faces), most)).round().astype(np.intp))
    found: list[list[Rows]] = []
    for share in STRICTNESS:
        groups = _groups(faces.rows(chosen), _stricter(thresholds, share), rules, together)
        found.append(_Joining(faces, [chosen[rows] for rows in groups], thresholds, rules).parts())
        if len(found[-1]) > 1:
            return _proposal(faces, found[-1], thresholds, rules)
    if not found[0]:  # no face is clear enough for a group
        return SplitProposal((_ids(faces, np.arange(len(faces))),), (0.0,), ())
    return _proposal(faces, found[0], thresholds, rules)


def _stricter(thresholds: OperatingPoints, share: float) -> OperatingPoints:
    return replace(
        thresholds,
        match=share * thresholds.match,
        cluster=share * thresholds.cluster,
        merge=share * thresholds.merge,
        drop=share * thresholds.drop,
    )


def _groups(
    faces: FaceTable, thresholds: OperatingPoints, rules: GroupingRules, together: Collection[int]
) -> list[Rows]:
    """Return the rows of each group that a careful grouping of these faces alone finds."""
    plan = plan_grouping(
        faces,
        memberships={},
        known=[],
        assertions=[],
        constraints=Constraints(together=frozenset(together)),
        thresholds=thresholds,
        rules=replace(rules, method="careful", min_faces=LEAST_PICTURES, min_known=None),
        next_number=1,
    )
    row_of = {face: row for row, face in enumerate(faces.face_ids.tolist())}
    groups: dict[int, list[int]] = {}
    for join in plan.joins:
        groups.setdefault(join.identity, []).append(row_of[join.face_id])
    return [np.array(sorted(rows), dtype=np.intp) for rows in groups.values()]


class _Joining:
    """Groups that become parts: those that may be one person are joined, the nearest two first."""

    def __init__(
        self, faces: FaceTable, groups: Sequence[Rows], thresholds: OperatingPoints, rules: GroupingRules
    ) -> None:
        self._contemporaries = Contemporaries(faces, thresholds.near, thresholds.cluster)
        self._centroids = _centroids(faces, thresholds, rules)
        self._far = (1.0 + thresholds.drop) / 2.0
        self._margin = rules.margin
        self._groups: list[Rows] = sorted(groups, key=lambda rows: (-len(rows), rows[0]))
        self._years: list[YearSums] = [self._contemporaries.year_sums(rows) for rows in self._groups]
        self._matrix = self._centroids.matrix(self._groups)
        self._distances = np.zeros((len(self._groups),) * 2)
        self._is_apart = np.zeros((len(self._groups),) * 2, dtype=np.bool_)
        for place in range(len(self._groups)):
            self._compare(place)

    def parts(self) -> list[Rows]:
        """
        Return the parts, each two of them clearly two people.

        Of none are groups that could as well be of another part, and groups that are far from all without being clearly
        another person.
        """
        while (pair := self._nearest_pair()) is not None:
            one, other, is_clear = pair
            if is_clear:
                self._groups[one] = np.sort(np.concatenate([self._groups[one], self._groups[other]]))
                self._years[one] = self._contemporaries.year_sums(self._groups[one])
                self._matrix[one] = self._centroids.of(self._groups[one])
                self._compare(one)
            self._drop(other)
        return self._groups

    def _compare(self, one: int) -> None:
        """Compare a group with all groups."""
        checkpoint()
        row = cosine_distances(self._matrix[[one]], self._matrix)[0]
        are_apart = [
            place != one and self._are_apart(one, place, float(distance)) for place, distance in enumerate(row)
        ]
        self._distances[one] = self._distances[:, one] = row
        self._is_apart[one] = self._is_apart[:, one] = are_apart

    def _drop(self, place: int) -> None:
        del self._groups[place], self._years[place]
        self._matrix = np.delete(self._matrix, place, axis=0)
        for axis in (0, 1):
            self._distances = np.delete(self._distances, place, axis=axis)
            self._is_apart = np.delete(self._is_apart, place, axis=axis)

    def _nearest_pair(self) -> tuple[int, int, bool] | None:
        """
        Return the nearest two groups that may be one person, the larger first, and whether no third makes it doubtful.

        It is doubtful where the smaller could as well be the person of a third, which is not the larger one's.
        """
        is_open = np.triu(~self._is_apart, k=1)
        if not is_open.any():
            return None
        distances = np.where(is_open, self._distances, np.inf)
        one, other = divmod(int(np.argmin(distances)), len(distances))
        distance = float(distances[one, other])
        if distance > self._far:
            return one, other, False
        is_rival = self._is_apart[one] & ~self._is_apart[other]
        is_rival[[one, other]] = False
        return one, other, bool((self._distances[other, is_rival] - distance >= self._margin).all())

    def _are_apart(self, one: int, other: int, distance: float) -> bool:
        """Return whether two groups are two people: by the faces of the same years, or as far as strangers."""
        if self._contemporaries.are_two_people(self._years[one], self._years[other], is_strict=True):
            return True
        return distance > self._far and self._gap(one, other) <= CHANGELESS_YEARS

    def _gap(self, one: int, other: int) -> int:
        """Return the years between the two faces of two groups that are nearest in time; 0 where either has no date."""
        years = self._years[one].years, self._years[other].years
        if not all(map(len, years)):
            return 0
        return int(np.abs(years[0][:, None] - years[1][None]).min())


def _centroids(faces: FaceTable, thresholds: OperatingPoints, rules: GroupingRules) -> Centroids:
    return Centroids(faces.vectors, clear_faces(faces, rules, thresholds.match), thresholds.near)


def _proposal(
    faces: FaceTable, parts: Sequence[Rows], thresholds: OperatingPoints, rules: GroupingRules
) -> SplitProposal:
    """Return the proposal: faces of no part join the clearly nearest one, and the others are unclear."""
    centroids = _centroids(faces, thresholds, rules)
    matrix = centroids.matrix(list(parts))
    rest = np.setdiff1d(np.arange(len(faces)), np.concatenate(list(parts)))
    limit, margin = thresholds.match, rules.poor_margin
    pairs = candidates(faces.vectors, rest, matrix, np.arange(len(parts)), limit + margin)
    joined = unambiguous(pairs, limit, margin)
    grown = [np.concatenate([rows, joined.rows[joined.numbers == place]]) for place, rows in enumerate(parts)]
    order = sorted(range(len(grown)), key=lambda place: (-len(grown[place]), place))
    between = cosine_distances(matrix, matrix) + np.diag(np.full(len(parts), np.inf if len(parts) > 1 else 0.0))
    return SplitProposal(
        parts=tuple(_ids(faces, grown[place]) for place in order),
        distances=tuple(round(max(0.0, float(between[place].min())), 4) for place in order),
        unclear=_ids(faces, np.setdiff1d(rest, joined.rows)),
    )


def _ids(faces: FaceTable, rows: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(np.sort(faces.face_ids[rows]).tolist())
