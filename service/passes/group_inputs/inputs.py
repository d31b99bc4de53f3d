"""Decide what a grouping would change now: all its inputs are read, and nothing is written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from immich_facesets.calibration.thresholds import PointsInUse
from immich_facesets.grouping.plan import Carried, FaceTable, GroupingPlan, GroupingRules, plan_grouping
from immich_facesets.grouping.references import with_references, without_references
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import SpaceFacts, measure_points, points_in_use
from service.passes.group_inputs.scope import basis_of, fresh_faces
from service.store import (
    births,
    contents,
    decisions,
    face_tables,
    former_members,
    identities,
    reference_pictures,
    runs,
    spaces,
)
from service.store.database import Store
from service.store.faces import dimension_of
from service.store.named_values import Scope, read_scope

NOTHING_CARRIED: Mapping[int, Carried] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Decided:
    """
    A plan, the faces it covers, and the facts to store with it.

    ``measured`` is None when only new faces were examined: the distances then stay unchanged.
    """

    plan: GroupingPlan
    table: FaceTable = field(repr=False)
    points: OperatingPoints
    rules: GroupingRules
    measured: PointsInUse | None
    scope: Scope


async def current_faces(store: Store, space: SpaceFacts) -> FaceTable:
    """Return all faces except those in orphaned contents, which the next sync drops."""
    table = await store.read(face_tables.face_table, space.space, space.dimension)
    orphans = await store.read(contents.orphaned_faces, space.space)
    return table.rows(np.flatnonzero(~np.isin(table.face_ids, list(orphans)))) if orphans else table


async def decide(
    context: PassContext,
    space: SpaceFacts,
    table: FaceTable,
    *,
    carried: Mapping[int, Carried] = NOTHING_CARRIED,
    is_another_space: bool = False,
) -> Decided:
    """
    Decide which of these faces belongs to which identity.

    ``carried``: memberships to be restored. They are the only ones where the faces are those of another space.
    """
    store, settings, now = context.store, context.settings, context.clock()
    context.board.update_stage("group", total=len(table.face_ids))
    decided = await store.read(decisions.last_id)
    memberships = {} if is_another_space else await store.read(identities.all_memberships)
    known = await store.read(identities.all_known)
    asserted = await store.read(identities.assertions, space.space)
    constraints: Constraints = await store.read(decisions.constraints_now, space.space)
    references = await store.read(reference_pictures.reference_faces, space.space, space.dimension)
    owners = references.owners(constraints)
    highest = await store.read(runs.highest_number)
    points, measured = await points_in_use(context, space), None
    born = await store.read(births.births_of_people)
    rules = settings.grouping_rules(table.picture_count)
    basis = basis_of(space.space, points, rules, decided, born, owners)
    before = await store.read(read_scope)
    fresh = fresh_faces(table.face_ids, before, basis, now, settings.full_listing_interval)
    if fresh is None:
        measured = await measure_points(context, space, table, asserted, constraints)
        points = measured.points
        basis = basis_of(space.space, points, rules, decided, born, owners)
    incomplete, dissolved = await _absent(store, space.space, carried, is_another_space=is_another_space)
    whole_at = now if fresh is None or before is None else before.whole_at
    faces, placed = with_references(table, references, constraints)
    plan = await compute(
        plan_grouping,
        faces,
        memberships={**memberships, **references.members(constraints, known)},
        known=known,
        assertions=asserted,
        constraints=placed,
        thresholds=points,
        rules=rules,
        next_number=highest + 1,
        carried=carried,
        incomplete=incomplete,
        dissolved=dissolved,
        fresh=fresh,
        blank=space.blank,
    )
    plan = without_references(plan, len(owners))
    scope = Scope(basis, int(table.face_ids.max(initial=0)), whole_at)
    return Decided(plan, table, points, rules, measured, scope)


async def _absent(
    store: Store, space: str, carried: Mapping[int, Carried], *, is_another_space: bool
) -> tuple[Collection[int], Mapping[int, int]]:
    """
    Return the identities with members that may come back, and the dissolved identities of faces.

    Nothing is placed anew when another space comes into use: its distances say little yet of each identity.
    """
    if is_another_space:
        incomplete: Collection[int] = {member.identity for member in carried.values()}
    else:
        incomplete = await store.read(former_members.incomplete_identities, space)
    return incomplete, await store.read(former_members.dissolved_members, space)


async def space_in_use(context: PassContext) -> SpaceFacts:
    """Return the space of the identities, from the store; ``SetupError`` before the first grouping."""
    store = context.store
    used = await store.read(spaces.grouped_points)
    dimension = await store.read(dimension_of, used.space)
    return SpaceFacts(used.space, used.family, dimension, used.stated, used.blank)
