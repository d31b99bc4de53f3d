"""Group pass: assign faces to identities, decided by one pure function and written in one transaction."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import structlog

from immich_facesets.errors import TransientError
from immich_facesets.grouping.plan import GroupingPlan, GroupingReport
from immich_facesets.review.finding import find_items
from immich_facesets.review.mixing import part_identities
from immich_facesets.wire import Info
from service.computation import compute
from service.files import crops
from service.passes.context import PassContext
from service.passes.embed import recipe_of
from service.passes.group_inputs.inputs import Decided, decide
from service.passes.group_inputs.operating_points import SpaceFacts, remember_points
from service.passes.publishing.minors import keep_likenesses
from service.store import (
    contents,
    decisions,
    embedding_work,
    face_tables,
    former_members,
    identities,
    named_values,
    review_items,
    spaces,
)
from service.store.named_values import GUARDRAILS, QUESTIONS, write_scope
from service.store.spaces import Reembedding

log = structlog.get_logger(__name__)

_TURNS = 5
"""How often faces are grouped anew because a decision was made meanwhile."""

MOST_ALIKE = 5
"""The most pairs of identities that are named as alike, the nearest first."""


@dataclass
class GroupCounts:
    """
    Counts of one group pass, for the row of the run.

    ``undecided``: examined faces that are equally near to two identities. ``nearly_there``: people who were nearly found.
    """

    joined: int = 0
    left: int = 0
    new_identities: int = 0
    undecided: int = 0
    nearly_there: int = 0
    dropped_contents: int = 0


def questions(report: GroupingReport) -> tuple[str, ...]:
    """Return a sentence for each doubt that only a user can settle, by numbers and without names."""
    same = [
        f"{one.source} gives one name to people {one.identity} and {one.other}, whose faces are far apart: if they are one "
        "person, merge them; if not, give one of them another name in Immich"
        for one in report.same_names
    ]
    unlike = [
        f"{len(one.face_ids)} of the faces that {one.source} moved to person {one.identity} by hand look unlike the others: "
        "look at them again"
        for one in report.contradicted
    ]
    alike = [
        f"people {one.identity} and {one.other} look alike, and nothing says whether they are one person (their distance is "
        f"{one.distance:.2f}): answer it in the review, or give both one name in Immich"
        for one in report.suggested_merges[:MOST_ALIKE]
    ]
    if len(report.suggested_merges) > MOST_ALIKE:
        alike.append(f"{len(report.suggested_merges) - MOST_ALIKE} further pairs of people look alike")
    return (*same, *unlike, *alike)


class Group:
    """One group pass over all faces of the space in use."""

    def __init__(
        self, context: PassContext, info: Info, *, sources: Collection[str], unreadable: Collection[str] = ()
    ) -> None:
        """``sources``: the names of all sources in the settings; ``unreadable``: those that cannot be read now."""
        self._context = context
        self._store = context.store
        self._info = info
        self._sources = tuple(sources)
        self._readable = tuple(name for name in sources if name not in unreadable)
        self.waits_for: Reembedding | None = None
        self.counts = GroupCounts()

    async def run(self) -> GroupingReport | None:
        """
        Drop deleted contents, decide, and write; return the report for the user.

        The embedder's space is used once everything that still has a source is embedded in it. Until then nothing is
        changed, ``waits_for`` holds its progress, and None is returned.
        """
        store, space = self._store, self._info.space
        active = await store.read(spaces.active_space)
        is_another = active is not None and active != space
        if active is not None and is_another:
            self.waits_for = await self._missing(active)
            if self.waits_for is not None:
                return None
        await keep_likenesses(self._context)
        self.counts.dropped_contents = await store.write(contents.drop_orphans)
        for _ in range(_TURNS):
            last = await store.read(decisions.last_id)  # before the faces: a decision may erase some
            decided = await self._decide(active)
            if decided.measured is not None:
                await remember_points(store, decided.measured)
            if await self._apply(decided, active, last):
                break
            log.info("grouped_anew", reason="a decision was made meanwhile")
        else:
            raise TransientError("decisions were made while faces were grouped: the next sync groups them")
        plan = decided.plan
        if plan.report.guardrails is not None:
            await store.write(named_values.write_value, GUARDRAILS, list(plan.report.guardrails))
        if plan.report.nearly_there is not None:
            await store.write(named_values.write_nearly_there, plan.report.nearly_there)
        await store.write(named_values.write_value, QUESTIONS, list(questions(plan.report)))
        await self._write_queue(decided)
        await store.write(write_scope, decided.scope)  # written last: the next sync repeats an interrupted grouping
        needed = await store.read(contents.needed_files)
        await compute(crops.tidy, self._context.crops_dir, needed)
        self._count_and_log(plan, is_carried=is_another)
        return plan.report

    async def _decide(self, active: str | None) -> Decided:
        store, space = self._store, self._info.space
        is_another = active is not None and active != space
        carried = await store.read(former_members.returned_members, space)
        if active is not None and is_another:
            carried |= await store.read(spaces.carried_members, active, space)
        table = await store.read(face_tables.face_table, space, self._info.dimension)
        facts = SpaceFacts.of(self._info)
        return await decide(self._context, facts, table, carried=carried, is_another_space=is_another)

    async def _apply(self, decided: Decided, active: str | None, last: int) -> bool:
        """Write a plan, unless a decision was made since it was begun: that one knows better."""
        store, space, now = self._store, self._info.space, self._context.clock()
        if active != space:
            is_done = await store.write(spaces.use_space, space, decided.plan, now, last)
            if is_done:
                log.info("space_in_use", space=space, before=active)
            return is_done
        if decided.plan.is_empty:  # its report is of the faces before a decision, too
            return await store.read(decisions.last_id) == last
        return await store.write(identities.apply_grouping, decided.plan, now, last)

    async def _write_queue(self, decided: Decided) -> None:
        """Write what a person should look at now; after a kill before it, the next sync does so."""
        before = await self._store.read(review_items.stored_queue)
        memberships = await self._store.read(identities.all_memberships)
        constraints = before.settled.constraints
        parted = await compute(
            part_identities,
            decided.table,
            memberships,
            points=decided.points,
            rules=decided.rules,
            together=constraints.together,
            before=await self._store.read(named_values.read_partings),
        )
        await self._store.write(named_values.write_partings, parted)
        found = await compute(
            find_items,
            decided.plan.report,
            decided.table,
            memberships,
            points=decided.points,
            parted=parted,
            never_exported=before.never_exported,
            settled=before.settled,
            stored=before.items,
            references=before.references,
        )
        await self._store.write(review_items.write_queue, found)

    async def _missing(self, active: str) -> Reembedding | None:
        """
        Return the progress of the embedder's space while it must not be used yet, else None.

        It waits for every picture that can be embedded. For a limited time it also waits for members' pictures that
        are offline, set aside after failures, or of a source that cannot be read: the faces of these would leave their
        face sets.
        """
        store, space, now = self._store, self._info.space, self._context.clock()
        missing = await store.read(
            embedding_work.count_to_embed, recipe_of(space, self._context.settings), now, sources=self._readable
        )
        late = await store.read(spaces.count_late_members, active, space, self._sources)
        if not missing and not (late and await store.read(spaces.may_wait, now)):
            return None
        return replace(await store.read(spaces.progress_of, space, self._readable), late=late)

    def _count_and_log(self, plan: GroupingPlan, *, is_carried: bool) -> None:
        for message in plan.report.guardrails or ():
            log.warning("guardrail", message=message)
        self.counts.joined = 0 if is_carried else len(plan.joins)
        self.counts.left = len(plan.leaves)
        self.counts.new_identities = len(plan.new)
        self.counts.nearly_there = 0 if plan.report.nearly_there is None else plan.report.nearly_there.people
        self.counts.undecided = sum(not one.is_member for one in plan.report.ambiguous)
        self._context.board.update_stage("group", done=plan.report.faces, total=plan.report.faces)
