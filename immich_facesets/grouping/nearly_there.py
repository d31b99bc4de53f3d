"""The people whom grouping nearly found: how many there are, and what keeps each from a number."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from immich_facesets.faces import Gate
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.discovery import Discovery, gate_counts, one_per_picture, without_poor_and_far
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import GroupingState, placed_identities

MOST_LOOSE: Final = 20_000
"""The most faces of nobody that are clustered once more, poor ones among them, only to be counted."""

MOST_OFTEN: Final = 2_000
"""The same where only new faces were looked at, which must cost little."""

HeldBy = Literal["pictures", "quality", "likeness", "moments"]
"""
The first obstacle between a group of faces and a number.

``pictures``: it is in too few. ``quality``: enough pictures, and too few of its faces are clear. ``likeness``: too few are
near its centre. ``moments``: too many of the pictures are of one moment, or copies.
"""


@dataclass(frozen=True, slots=True)
class PoorFaces:
    """How many of ``faces`` without an identity fail each gate; a face may fail several."""

    faces: int = 0
    small: int = 0
    blurred: int = 0
    dark: int = 0
    unsure: int = 0


@dataclass(frozen=True, slots=True)
class NearlyThere:
    """
    The groups of faces with at least half of the ``needed`` different pictures and no number.

    ``library``: the pictures with faces, which say how many are needed. ``most``: the different pictures that count of
    the group with the most. ``identities``: the people that there are.
    """

    needed: int
    library: int
    identities: int
    pictures: int = 0
    quality: int = 0
    likeness: int = 0
    moments: int = 0
    most: int = 0
    poor: PoorFaces = PoorFaces()

    @property
    def people(self) -> int:
        return self.pictures + self.quality + self.likeness + self.moments


@dataclass(frozen=True, slots=True)
class NearlyPerson:
    """A group of faces, one of each picture, that is nearly a person, and the reason why it is none yet."""

    face_ids: tuple[int, ...]
    held: HeldBy


def held_by(counts: GateCounts, needed: int) -> HeldBy | None:
    """Return why a group of faces, one of each picture, is no person yet; None with less than half of the pictures."""
    if counts.faces < 2 or 2 * counts.faces < needed:
        return None
    gates: tuple[tuple[HeldBy, int], ...] = (
        ("pictures", counts.faces),
        ("quality", counts.clear),
        ("likeness", counts.near),
    )
    return next((gate for gate, left in gates if left < needed), "moments")


def count_nearly_there(groups: Iterable[GateCounts], result: NearlyThere) -> NearlyThere:
    """Return ``result`` with the groups counted that are nearly a person."""
    found = [(held, counts) for counts in groups if (held := held_by(counts, result.needed)) is not None]
    several = Counter(held for held, _ in found)
    return replace(
        result,
        pictures=several["pictures"],
        quality=several["quality"],
        likeness=several["likeness"],
        moments=several["moments"],
        most=max((counts.pictures for _, counts in found), default=0),
    )


Group = tuple[Rows, GateCounts]
"""A cluster of faces that did not become an identity, one face of each picture, and its counts."""


def loose_groups(
    problem: GroupingProblem, state: GroupingState, last: Discovery, *, is_complete: bool
) -> list[Group] | None:
    """
    Return the groups of faces of nobody after a grouping; None where only new faces were looked at, and many are loose.

    ``last``: the last discovery. In a large library it alone is judged, which knows clear faces only.
    """
    loose = _loose(problem, state)
    if not is_complete and len(loose) > MOST_OFTEN:
        return None
    if len(loose) <= MOST_LOOSE:
        return _groups(problem, state, loose)
    return list(zip(last.rejected_rows, last.rejected, strict=True))


def nearly_there(problem: GroupingProblem, state: GroupingState, groups: Sequence[Group] | None) -> NearlyThere | None:
    """Return how many of the loose groups are nearly there; None where the groups are not known."""
    if groups is None:
        return None
    result = NearlyThere(
        needed=problem.rules.min_faces,
        library=problem.faces.picture_count,
        identities=len(np.unique(state.owner[state.owner != UNASSIGNED])),
        poor=_poor(problem, _loose(problem, state)),
    )
    return count_nearly_there((counts for _, counts in groups), result)


def nearly_people(problem: GroupingProblem, groups: Sequence[Group] | None) -> tuple[NearlyPerson, ...]:
    """Return those of the loose groups that are nearly a person, the largest first."""
    named = [
        NearlyPerson(tuple(sorted(problem.faces.face_ids[rows].tolist())), held)
        for rows, counts in groups or ()
        if (held := held_by(counts, problem.rules.min_faces)) is not None
    ]
    return tuple(sorted(named, key=lambda one: (-len(one.face_ids), one.face_ids)))


def _loose(problem: GroupingProblem, state: GroupingState) -> Rows:
    is_free = (state.owner == UNASSIGNED) & ~problem.constraints.is_ignored & ~state.is_held & ~state.is_waiting
    return np.flatnonzero(is_free)


def _groups(problem: GroupingProblem, state: GroupingState, loose: Rows) -> list[Group]:
    """Return each cluster of loose faces that is not near an identity, with its counts."""
    clusters = [rows for rows in problem.clusterings.of(loose, problem.thresholds.cluster) if len(rows) > 1]
    if not clusters:
        return []
    placed = placed_identities(state.owner, problem.centroids)
    distances = cosine_distances(problem.centroids.matrix(clusters), placed.centroids)
    nearest = distances.min(axis=1, initial=np.inf).tolist()
    groups = []
    for cluster, distance in zip(clusters, nearest, strict=True):
        if distance > problem.thresholds.cluster:
            rows = one_per_picture(cluster, problem.constraints, problem.centroids)
            kept = without_poor_and_far(problem, rows)
            groups.append((rows, gate_counts(problem, state, rows, kept, problem.rules.min_faces)))
    return groups


def _poor(problem: GroupingProblem, loose: Rows) -> PoorFaces:
    """Count how many of the loose faces fail each gate of quality."""
    faces, gate = problem.faces, problem.rules.gate
    nothing = Gate(face_short=-np.inf, blur=-np.inf, det_score=-np.inf, light=-np.inf)
    gates = (
        replace(nothing, face_short=gate.face_short),
        replace(nothing, blur=gate.blur),
        replace(nothing, light=gate.light),
        replace(nothing, det_score=gate.det_score),
    )
    return PoorFaces(len(loose), *(int(np.count_nonzero(~faces.admitted(one)[loose])) for one in gates))
