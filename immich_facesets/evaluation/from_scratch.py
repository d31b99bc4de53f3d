"""Grouping from the faces alone, for comparison with labels and other methods."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.plan import FaceTable, GroupingRules, plan_grouping
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints


def partition(table: FaceTable, points: OperatingPoints, rules: GroupingRules) -> NDArray[np.int64]:
    """
    Group all faces without memberships, names or decisions. Return (n,) labels in the order of the table.

    One picture is enough to found an identity, so that every face can be judged; all other ``rules`` apply. A face
    without an identity gets a label of its own.
    """
    if len(table) == 0:
        return np.zeros(0, dtype=np.int64)
    plan = plan_grouping(
        table,
        memberships={},
        known=(),
        assertions=(),
        constraints=Constraints(),
        thresholds=points,
        rules=replace(rules, min_faces=1),
        next_number=1,
    )
    owner = {join.face_id: join.identity for join in plan.joins}
    return identity_labels([owner.get(face) for face in table.face_ids.tolist()])


def identity_labels(identities: list[int] | list[int | None]) -> NDArray[np.int64]:
    """Return identity numbers as labels; each face without an identity (None) gets its own label below zero."""
    return np.array([-1 - row if one is None else one for row, one in enumerate(identities)], dtype=np.int64)
