"""Preview or result of a grouping, as printable values."""

from collections import Counter

import msgspec

from immich_facesets.grouping.report import Survivors
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.spaces import OperatingPoints
from service.passes.context import PassContext
from service.passes.group_inputs.inputs import Decided
from service.store import identities


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """
    An identity that would be new.

    ``gates``: the remaining counts of its original cluster after each gate. It is None for an identity named by a
    source or a moderator. More faces may have joined it since.
    """

    identity: int
    origin: str
    faces: int
    pictures: int
    gates: GateCounts | None


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """Number of faces that would join an existing identity, by how they join."""

    identity: int
    label: str | None
    faces: int
    how: dict[str, int]


class GroupingPreview(msgspec.Struct, frozen=True, kw_only=True):
    """
    Summary of a grouping.

    ``looks_at_all`` is False when it covers only faces added since the last one, and those near to them. ``survivors``
    counts the faces that now have no identity. ``clusters`` holds what the gates leave of clusters that get no
    identity, largest first. ``undecided`` faces get no identity because two are equally near; ``waiting`` ones because
    an identity is locked.
    """

    space: str
    distances: OperatingPoints
    min_faces: int
    looks_at_all: bool
    faces: int
    survivors: Survivors
    new: tuple[NewPerson, ...]
    joins: tuple[Joining, ...]
    leaves: int
    clusters: tuple[GateCounts, ...]
    undecided: int
    waiting: int
    singleton_share: float
    largest_share: float
    guardrails: tuple[str, ...]


async def preview(context: PassContext, space: str, decided: Decided) -> GroupingPreview:
    """Summarise the decisions of a grouping."""
    plan, report = decided.plan, decided.plan.report
    labels = await context.store.read(identities.labels)
    joined: dict[int, Counter[str]] = {}
    for join in plan.joins:
        joined.setdefault(join.identity, Counter())[join.how] += 1
    new = {one.number: one for one in plan.new}
    picture_of = dict(zip(decided.table.face_ids.tolist(), decided.table.pictures.tolist(), strict=True))
    pictures: dict[int, set[int]] = {}
    for join in plan.joins:
        pictures.setdefault(join.identity, set()).add(picture_of[join.face_id])
    return GroupingPreview(
        space=space,
        distances=decided.points,
        min_faces=decided.rules.min_faces,
        looks_at_all=decided.measured is not None,
        faces=report.faces,
        survivors=report.survivors,
        new=tuple(
            NewPerson(
                identity=number,
                origin=one.origin,
                faces=joined[number].total(),
                pictures=len(pictures[number]),
                gates=report.gate_counts.get(number),
            )
            for number, one in sorted(new.items())
        ),
        joins=tuple(
            Joining(identity=number, label=labels.get(number), faces=how.total(), how=dict(how))
            for number, how in sorted(joined.items())
            if number not in new
        ),
        leaves=len(plan.leaves),
        clusters=report.rejected,
        undecided=sum(not one.is_member for one in report.ambiguous),
        waiting=report.waiting,
        singleton_share=round(report.singleton_share, 4),
        largest_share=round(report.largest_share, 4),
        guardrails=report.guardrails or (),
    )
