"""Group: give faces to identities. Everything is decided by one pure function and written in one transaction."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from immich_facesets.constraints import Constraints
from immich_facesets.errors import SetupError
from immich_facesets.grouping import GroupingPlan, GroupingReport, GroupingRules, plan_grouping
from immich_facesets.wire import Info
from service import crop_files
from service.passes.conditions import Conditions
from service.passes.embed import recipe_of
from service.store import contents, decisions, facts, identities, runs, spaces

log = structlog.get_logger(__name__)

GUARDRAILS = "guardrails"


@dataclass
class GroupCounts:
    """What one group did, for the run's row."""

    joined: int = 0
    left: int = 0
    new_identities: int = 0
    dropped_contents: int = 0


class Group:
    """One run over all faces of the space in use."""

    def __init__(self, conditions: Conditions, info: Info, *, sources: Collection[str]) -> None:
        self._conditions = conditions
        self._store = conditions.store
        self._info = info
        self._sources = tuple(sources)
        self.counts = GroupCounts()

    async def run(self) -> GroupingReport:
        """Drop what is gone, switch to the embedder's space, decide, write; returns what a person should know."""
        store = self._store
        self.counts.dropped_contents = await store.write(contents.drop_orphans)
        await self._use_space()
        needed = await store.read(contents.crop_files)
        await asyncio.to_thread(crop_files.tidy, self._conditions.crops_dir, needed)
        plan = await self._plan()
        if plan.new or plan.joins or plan.leaves or plan.links:
            await store.write(identities.apply_grouping, plan, self._conditions.clock())
        await store.write(facts.write_fact, GUARDRAILS, list(plan.report.guardrails))
        for message in plan.report.guardrails:
            log.warning("guardrail", message=message)
        self.counts.joined = len(plan.joins)
        self.counts.left = len(plan.leaves)
        self.counts.new_identities = len(plan.new)
        self._conditions.board.update_stage("group", done=plan.report.faces, total=plan.report.faces)
        return plan.report

    async def _use_space(self) -> None:
        """Switch to the embedder's space, once everything is embedded in it that there still is a source for."""
        store = self._store
        active = await store.read(spaces.active_space)
        if active is not None and active != self._info.space:
            recipe = recipe_of(self._info.space, self._conditions.settings)
            now = self._conditions.clock()
            missing = await store.read(contents.count_to_embed, recipe, now, sources=self._sources)
            if missing:
                raise SetupError(
                    f"the embedder serves another space now, and {missing} pictures are not embedded in it yet: sync all "
                    "sources, not one; until then identities and face sets stay as they are"
                )
        await store.write(spaces.use_space, self._info.space)

    async def _plan(self) -> GroupingPlan:
        store, settings = self._store, self._conditions.settings
        table = await store.read(identities.face_table, self._info.space, self._info.dimension)
        self._conditions.board.update_stage("group", total=len(table.face_ids))
        memberships = await store.read(identities.all_memberships)
        known = await store.read(identities.all_known)
        asserted = await store.read(identities.assertions, self._info.space)
        constraints: Constraints = await store.read(decisions.constraints_now, self._info.space)
        highest = await store.read(runs.highest_number)
        return await asyncio.to_thread(
            plan_grouping,
            table,
            memberships=memberships,
            known=known,
            assertions=asserted,
            constraints=constraints,
            points=settings.points(self._info.family, self._info.distances),
            rules=GroupingRules(min_faces=settings.min_faces, gate=settings.gate),
            next_number=highest + 1,
        )
