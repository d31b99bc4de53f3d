"""
Reference pictures in a grouping: rows that are confirmed to be an identity's, and that no result names.

Their face ids are below 0, so they are neither those of a stored face nor among the new faces of a library.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from immich_facesets.grouping.changes import GroupingPlan
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import Known
from immich_facesets.moderation.constraints import Constraints


@dataclass(frozen=True, slots=True)
class ReferenceFaces:
    """The faces of reference pictures in one space, and the digest of each picture, by face id."""

    table: FaceTable = field(repr=False)
    digests: Mapping[int, str]

    def owners(self, constraints: Constraints) -> dict[int, int]:
        """Return the identity of each face; a picture without a decision has none, and does not count."""
        found = ((face, constraints.references.get(digest)) for face, digest in sorted(self.digests.items()))
        return {face: number for face, number in found if number is not None}

    def members(self, constraints: Constraints, known: Iterable[Known]) -> dict[int, int]:
        """Return the same for the ``known`` identities: another one is created by the grouping."""
        numbers = {one.number for one in known}
        return {face: number for face, number in self.owners(constraints).items() if number in numbers}

    def of(self, number: int, constraints: Constraints) -> "ReferenceFaces":
        """Return those of one identity."""
        mine = {face for face, owner in self.owners(constraints).items() if owner == number}
        return ReferenceFaces(self.table, {face: digest for face, digest in self.digests.items() if face in mine})


def with_references(
    faces: FaceTable, references: ReferenceFaces, constraints: Constraints
) -> tuple[FaceTable, Constraints]:
    """Return the faces of a library and those of reference pictures, and constraints that place these."""
    owners = references.owners(constraints)
    if not owners:
        return faces, constraints
    used = references.table.rows(np.flatnonzero(references.table.is_among(owners)))
    both = {one.name: np.concatenate([getattr(faces, one.name), getattr(used, one.name)]) for one in fields(FaceTable)}
    return FaceTable(**both), replace(
        constraints,
        must={**constraints.must, **owners},
        confirmed=constraints.confirmed | owners.keys(),
    )


def without_references(plan: GroupingPlan, used: int) -> GroupingPlan:
    """Return a plan for the faces of the library alone; ``used``: how many reference pictures the grouping had."""
    if not used:
        return plan
    report = plan.report
    return replace(
        plan,
        joins=tuple(one for one in plan.joins if one.face_id >= 0),
        leaves=tuple(face for face in plan.leaves if face >= 0),
        dissolved=tuple(one for one in plan.dissolved if one.face_id >= 0),
        report=replace(report, faces=report.faces - used, members=report.members - used),
    )
