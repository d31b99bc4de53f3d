"""Identities with their eras, for commands beside a running service: no request is sent to an embedder."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from immich_facesets.errors import RequestError
from immich_facesets.facesets.faceset_drafts import era_face_table
from immich_facesets.grouping.face_table import FaceTable
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import points_today
from service.passes.publishing.candidates import Facts, candidates_of, gather_facts
from service.passes.publishing.eras import Eras
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.faces import dimension_of
from service.store.past_people import dated_faces
from service.store.spaces import active_space, grouped_points


@dataclass(frozen=True)
class IdentityEras:
    """All identities that may be exported, with their stored eras."""

    store: Store
    facts: Facts
    eras: Eras
    dimension: int

    @classmethod
    async def read(cls, store: Store, settings: Settings) -> Self:
        """Read everything except the embeddings; a library that was never grouped raises a ``SetupError``."""
        used = await store.read(grouped_points)
        points = points_today(settings, used)
        facts = await gather_facts(
            store,
            used.space,
            within=points.match,
            pad_ratio=settings.crop_padding,
            min_face_short=settings.export_min_face_short,
        )
        context = PassContext(store, settings, ProgressBoard(), asyncio.Event())
        eras = await Eras.read(context, points, facts.birth_dates)
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


async def years_of_faces(store: Store) -> dict[int, int]:
    """Return the year of each dated face of the space in use, by face id."""
    space = await store.read(active_space)
    faces = [] if space is None else await store.read(dated_faces, space)
    return {face.face_id: face.taken.year for face in faces if face.taken is not None}
