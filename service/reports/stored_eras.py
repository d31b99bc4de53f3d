"""Identities with their eras, looked at and changed: for commands beside a running service, API and pages."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import structlog

from immich_facesets.eras import EraChange, EraRules, Probe, Verdict, probe, verdict_of, years_of
from immich_facesets.errors import RequestError
from immich_facesets.facesets.faceset_drafts import era_face_table
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.moderation.records import Author
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import points_today
from service.passes.publishing.candidates import Facts, candidates_of, facts_of_person, gather_facts
from service.passes.publishing.eras import EraPlan, Eras
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.faces import dimension_of
from service.store.past_people import dated_faces
from service.store.spaces import active_space, grouped_points

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class IdentityEras:
    """All identities that may be exported, or one of them, with their stored eras."""

    store: Store
    facts: Facts
    eras: Eras
    dimension: int

    @classmethod
    async def read(cls, store: Store, settings: Settings, identity: int | None = None) -> Self:
        """
        Read everything except the embeddings, of all or of one; a library that was never grouped raises a ``SetupError``.

        Of one, only names and birth dates of the others are read.
        """
        used = await store.read(grouped_points)
        points = points_today(settings, used)
        pad, short = settings.crop_padding, settings.export_min_face_short
        if identity is None:
            facts = await gather_facts(store, used.space, within=points.match, pad_ratio=pad, min_face_short=short)
        else:
            facts = await facts_of_person(store, used.space, identity, pad_ratio=pad, min_face_short=short)
        context = PassContext(store, settings, ProgressBoard(), asyncio.Event())
        eras = await Eras.read(context, points, facts.birth_dates, identity)
        return cls(store, facts, eras, await store.read(dimension_of, used.space))

    @property
    def labels(self) -> Mapping[int, str]:
        return self.facts.labels

    async def table(self, identity: int) -> FaceTable:
        """Return the faces of one identity that may be exported."""
        members = self.facts.members.get(identity)
        if members is None:
            raise RequestError(
                f"there is no identity {identity} that has faces and may be exported; 'immich-facesets identities list' "
                "lists them",
                status=404,
            )
        found = await candidates_of(self.store, self.facts, members, self.dimension)
        return await compute(era_face_table, *found)

    async def probe(self, identity: int) -> Probe:
        """Return whether an identity can be sorted by age, with the evidence."""
        return await compute(_probed, await self.table(identity), self.eras.rules)

    async def plan(self, identity: int, change: EraChange) -> EraPlan:
        """Return what a change would write; an impossible one is a ``RequestError``."""
        return await self.eras.plan_change(identity, await self.table(identity), change)

    async def make(self, identity: int, plan: EraPlan, change: EraChange, author: Author) -> tuple[int, ...]:
        """
        Write the plan of a change, as a decision, and return its id; none of a split that moves no face.

        A ``RequestError`` when the eras were changed meanwhile.
        """
        if plan.is_done:
            return ()
        made = await self.eras.decide(identity, plan, change, author)
        if made is None:
            raise RequestError(
                f"the eras of identity {identity} were changed meanwhile: look at them again, and repeat this"
            )
        if made:
            log.info("decided", decisions=list(made), kinds=["eras"], made_from=author.made_from)
        return made

    async def reason(self, identity: int, table: FaceTable) -> str:
        """Return why the faces of an identity can be sorted by age, or why not."""
        childhood = self.eras.childhood(identity)
        if childhood is not None:
            return f"by age, from {childhood.born}"
        verdict, reason = await compute(verdict_of, table, self.eras.rules)
        return reason if verdict is Verdict.SORTABLE else f"cannot be sorted by age: {reason}"


def _probed(table: FaceTable, rules: EraRules) -> Probe:
    years = [year or None for year in years_of(table.taken).tolist()]
    return probe(table.vectors, years, rules, taken=table.taken)


async def years_of_faces(store: Store) -> dict[int, int]:
    """Return the year of each dated face of the space in use, by face id."""
    space = await store.read(active_space)
    faces = [] if space is None else await store.read(dated_faces, space)
    return {face.face_id: face.taken.year for face in faces if face.taken is not None}
