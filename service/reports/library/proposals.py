"""Proposals about one identity, computed when they are asked for: a split, and further faces."""

import numpy as np

from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import Known
from immich_facesets.grouping.references import with_references
from immich_facesets.grouping.rules import GroupingRules
from immich_facesets.grouping.similar_faces import OtherIdentities, SimilarFace, centroid_of, similar_faces
from immich_facesets.grouping.split_proposal import SplitProposal, propose_split
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.passes.group_inputs.operating_points import points_today
from service.reports.library.known_figures import KnownFigures
from service.settings import Settings
from service.store.decisions import constraints_now
from service.store.face_tables import members_and_near, members_table
from service.store.faces import dimension_of
from service.store.identities import all_known
from service.store.reading import Reader
from service.store.reference_pictures import reference_faces
from service.store.spaces import grouped_points


class Proposals:
    """The proposals from what is stored now; no request is sent to an embedder."""

    def __init__(self, store: Reader, settings: Settings, figures: KnownFigures) -> None:
        self._store = store
        self._settings = settings
        self._figures = figures

    async def split(self, number: int) -> SplitProposal:
        """Return the people that an identity seems to hold; no part where it has no faces."""
        space, points, table, rules = await self._identity(number)
        if len(table) == 0:
            return SplitProposal((), (), ())
        constraints = await self._store.read(constraints_now, space)
        return await compute(propose_split, table, points, rules, together=constraints.together)

    async def similar(self, number: int) -> tuple[SimilarFace, ...]:
        """Return the faces of nobody that look like an identity or its reference pictures, the nearest first."""
        store = self._store
        space, points, table, rules = await self._identity(number)
        constraints = await store.read(constraints_now, space)
        every = await store.read(reference_faces, space, await store.read(dimension_of, space))
        references = every.of(number, constraints)
        known_faces, _ = with_references(table, references, constraints)
        if len(known_faces) == 0:
            return ()
        centroid = await compute(centroid_of, known_faces, points, rules)
        near = await store.read(members_and_near, space, number, centroid, points.drop)
        faces, placed = with_references(near, references, constraints)
        known = {one.number: one for one in await store.read(all_known)}
        return await compute(
            similar_faces,
            faces,
            known.get(number, Known(number, "asserted", is_locked=False, people=frozenset())),
            frozenset(known_faces.face_ids.tolist()),
            await self._others(number),
            placed,
            points,
            rules,
        )

    async def _identity(self, number: int) -> tuple[str, OperatingPoints, FaceTable, GroupingRules]:
        """Return the space in use, its distances, the faces of an identity, and the rules."""
        used = await self._store.read(grouped_points)
        dimension = await self._store.read(dimension_of, used.space)
        table = await self._store.read(members_table, used.space, dimension, number)
        return used.space, points_today(self._settings, used), table, self._settings.grouping_rules(table.picture_count)

    async def _others(self, number: int) -> OtherIdentities:
        means = await self._figures.means()
        others = [one for one in sorted(means) if one != number]
        vectors = [means[one].vector for one in others]
        stacked = np.stack(vectors) if vectors else np.zeros((0, 1), dtype=np.float32)
        return OtherIdentities(np.array(others, dtype=np.int64), stacked)
