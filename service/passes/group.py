"""Group: give faces to identities. Everything is decided by one pure function and written in one transaction."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import structlog

from immich_facesets.constraints import Constraints
from immich_facesets.grouping import Carried, GroupingPlan, GroupingReport, plan_grouping
from immich_facesets.wire import Info
from service import crop_files
from service.passes.conditions import Conditions
from service.passes.embed import recipe_of
from service.passes.measuring import measured_points, points_in_use
from service.passes.scope import basis_of, days_of, fresh_faces
from service.store import contents, decisions, facts, identities, runs, spaces
from service.store.scope import Scope, read_scope, write_scope
from service.store.spaces import Reembedding

log = structlog.get_logger(__name__)

GUARDRAILS = "guardrails"


@dataclass
class GroupCounts:
    """What one group did, for the run's row. ``undecided``: faces it looked at that two identities are as near to."""

    joined: int = 0
    left: int = 0
    new_identities: int = 0
    undecided: int = 0
    dropped_contents: int = 0


class Group:
    """One run over all faces of the space in use."""

    def __init__(self, conditions: Conditions, info: Info, *, sources: Collection[str]) -> None:
        self._conditions = conditions
        self._store = conditions.store
        self._info = info
        self._sources = tuple(sources)
        self._scope: Scope | None = None
        self.waits_for: Reembedding | None = None
        self.counts = GroupCounts()

    async def run(self) -> GroupingReport | None:
        """
        Drop what is gone, decide, write; returns what a person should know.

        The embedder's space is used once everything is embedded in it that there still is a source for. Until then
        nothing is touched, ``waits_for`` says how far it is, and None is returned.
        """
        store, space = self._store, self._info.space
        active = await store.read(spaces.active_space)
        is_another = active is not None and active != space
        if is_another and await self._count_missing():
            self.waits_for = await store.read(spaces.progress_of, space)
            return None
        self.counts.dropped_contents = await store.write(contents.drop_orphans)
        carried = await store.read(spaces.carried_members, active, space) if active is not None and is_another else None
        plan = await self._plan(carried)
        if active != space:
            await store.write(spaces.use_space, space, plan, self._conditions.clock())
            log.info("space_in_use", space=space, before=active)
        elif not plan.is_empty:
            await store.write(identities.apply_grouping, plan, self._conditions.clock())
        if plan.report.guardrails is not None:
            await store.write(facts.write_fact, GUARDRAILS, list(plan.report.guardrails))
        if self._scope is not None:
            await store.write(write_scope, self._scope)  # last: cut off before, the next sync looks at as much again
        needed = await store.read(contents.crop_files)
        await asyncio.to_thread(crop_files.tidy, self._conditions.crops_dir, needed)
        self._tell(plan, is_carried=carried is not None)
        return plan.report

    async def _count_missing(self) -> int:
        """How many pictures that can be embedded are not, in the embedder's space. What rests does not count."""
        recipe = recipe_of(self._info.space, self._conditions.settings)
        now = self._conditions.clock()
        return await self._store.read(contents.count_to_embed, recipe, now, sources=self._sources)

    def _tell(self, plan: GroupingPlan, *, is_carried: bool) -> None:
        for message in plan.report.guardrails or ():
            log.warning("guardrail", message=message)
        self.counts.joined = 0 if is_carried else len(plan.joins)
        self.counts.left = len(plan.leaves)
        self.counts.new_identities = len(plan.new)
        self.counts.undecided = sum(not one.is_member for one in plan.report.ambiguous)
        self._conditions.board.update_stage("group", done=plan.report.faces, total=plan.report.faces)

    async def _plan(self, carried: Mapping[int, Carried] | None) -> GroupingPlan:
        store, settings = self._store, self._conditions.settings
        table = await store.read(identities.face_table, self._info.space, self._info.dimension)
        self._conditions.board.update_stage("group", total=len(table.face_ids))
        memberships = await store.read(identities.all_memberships)
        known = await store.read(identities.all_known)
        asserted = await store.read(identities.assertions, self._info.space)
        constraints: Constraints = await store.read(decisions.constraints_now, self._info.space)
        births = await store.read(identities.birth_dates)
        known = [replace(one, born=days_of(births.get(one.number))) for one in known]
        highest = await store.read(runs.highest_number)
        points = await points_in_use(self._conditions, self._info)
        decided = await store.read(decisions.last_id)
        basis = basis_of(self._info.space, points, settings.grouping_rules, decided)
        before = await store.read(read_scope)
        now = self._conditions.clock()
        fresh = fresh_faces(table.face_ids, before, basis, now, settings.full_listing_interval)
        if fresh is None:
            points = await measured_points(self._conditions, self._info, table, asserted, constraints)
            basis = basis_of(self._info.space, points, settings.grouping_rules, decided)
        whole_at = now if fresh is None or before is None else before.whole_at
        self._scope = Scope(basis, int(table.face_ids.max(initial=0)), whole_at)
        return await asyncio.to_thread(
            plan_grouping,
            table,
            memberships=memberships,
            known=known,
            assertions=asserted,
            constraints=constraints,
            points=points,
            rules=settings.grouping_rules,
            next_number=highest + 1,
            carried=carried,
            fresh=fresh,
        )
