"""The input of a grouping: faces, memberships, constraints, distances and rules. Assertions extend constraints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import Centroids
from immich_facesets.grouping.clusterings import Clusterings
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import UNASSIGNED, Known
from immich_facesets.grouping.recognisability import clear_faces
from immich_facesets.grouping.row_constraints import RowConstraints, row_constraints
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints


@dataclass(frozen=True, slots=True)
class GroupingProblem:
    """
    The input of a grouping; rows are those of ``faces``, which is in the order of content.

    ``row_of``: by face id. ``before``: (n,) the identity of each row as stored, or ``UNASSIGNED``. ``is_clear``: (n,)
    rows that show enough of a person (module ``recognisability``). ``blank``: (k, d) the directions of crops that show
    nobody.
    """

    faces: FaceTable
    row_of: Mapping[int, int]
    before: NDArray[np.int64]
    is_clear: NDArray[np.bool_]
    centroids: Centroids
    clusterings: Clusterings
    constraints: RowConstraints
    thresholds: OperatingPoints
    rules: GroupingRules
    blank: NDArray[np.float32]


def grouping_problem(
    table: FaceTable,
    memberships: Mapping[int, int],
    known: Sequence[Known],
    constraints: Constraints,
    thresholds: OperatingPoints,
    rules: GroupingRules,
    blank: Sequence[Sequence[float]],
) -> GroupingProblem:
    """Return the problem of grouping the faces of ``table``; the arguments are those of ``plan_grouping``."""
    faces = table.in_order_of_content()
    row_of = {face: row for row, face in enumerate(faces.face_ids.tolist())}
    is_clear = clear_faces(faces, rules, thresholds.match) | faces.is_among(constraints.confirmed)
    return GroupingProblem(
        faces=faces,
        row_of=row_of,
        before=owners(row_of, memberships),
        is_clear=is_clear,
        centroids=Centroids(faces.vectors, is_clear, thresholds.near),
        clusterings=Clusterings(faces.vectors),
        constraints=row_constraints(faces, row_of, known, constraints),
        thresholds=thresholds,
        rules=rules,
        blank=np.array(blank, dtype=np.float32).reshape(len(blank), faces.vectors.shape[1]),
    )


def owners(row_of: Mapping[int, int], memberships: Mapping[int, int]) -> NDArray[np.int64]:
    """Return the identity of each row, (n,), or ``UNASSIGNED``; faces without a row are ignored."""
    owner = np.full(len(row_of), UNASSIGNED, dtype=np.int64)
    for face, number in memberships.items():
        if face in row_of:
            owner[row_of[face]] = number
    return owner
