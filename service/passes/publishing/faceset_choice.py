"""The choice of a publish: which face sets are wanted, of whom, and with which faces; their crops are checked here."""

from collections.abc import Collection, Mapping

import numpy as np
import structlog
from numpy.typing import NDArray

from immich_facesets.eras import EraRules
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import Check, ExportRules, Faceset
from immich_facesets.facesets.faceset_drafts import FacesetDraft, drafts, folder_of, rescue
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.embedders.pool import EmbedderPool
from service.passes.context import PassContext
from service.passes.publishing.candidates import Facts, candidates_of, gather_facts, hash_crops
from service.passes.publishing.counts import PublishCounts
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.enrich import Enrich
from service.passes.publishing.eras import Eras
from service.store import decisions, exports

log = structlog.get_logger(__name__)


class FacesetChoice:
    """The face sets that one publish wants."""

    def __init__(
        self,
        context: PassContext,
        pool: EmbedderPool,
        points: OperatingPoints,
        rules: ExportRules,
        checks: CropChecks,
        counts: PublishCounts,
    ) -> None:
        self._context = context
        self._store = context.store
        self._pool = pool
        self._points = points
        self._rules = rules
        self._checks = checks
        self._counts = counts

    async def gather(self, people: Collection[int] | None = None) -> Facts:
        """Return what is known of everybody, or of these people without any strays; what is missing is measured first."""
        space = self._pool.info.space
        only = None if people is None else await self._faces_of(people)
        await hash_crops(self._store, space, self._context.crops_dir, only)
        enrich = Enrich(self._context, self._pool)
        await enrich.run(only)
        self._counts.enriched = enrich.count
        facts = await gather_facts(
            self._store,
            space,
            within=self._points.match,
            pad_ratio=self._rules.pad_ratio,
            min_face_short=self._rules.min_face_short,
            people=people,
        )
        self._checks.crops = facts.crops
        return facts

    async def of(self, facts: Facts) -> list[Faceset] | None:
        """Return the face sets of these identities, their crops checked; None when a stop interrupted it."""
        board = self._context.board
        board.update_stage("publish", done=0, total=len(facts.members), note="choosing faces")
        facesets: list[Faceset] = []
        centroids: dict[int, NDArray[np.float32]] = {}
        alone = next(iter(facts.members)) if len(facts.members) == 1 else None
        eras = await Eras.read(self._context, self._points, facts.birth_dates, alone)
        for number, members in facts.members.items():
            candidates, vectors = await candidates_of(self._store, facts, members, self._pool.info.dimension)
            kept = await eras.of(number, candidates, vectors)
            for draft in drafts(number, candidates, vectors, kept):
                found, centroid = await self._faceset(draft, facts, eras.rules)
                if draft.era is None:
                    centroids[number] = centroid
                facesets += [found] if found is not None else []
            if self._context.stop.is_set():
                return None
            board.update_stage("publish", done=board.stage("publish").done + 1)
        facesets += await self._rescue(facts, centroids)
        return None if self._context.stop.is_set() else facesets

    async def _faces_of(self, people: Collection[int]) -> frozenset[int]:
        space = self._pool.info.space
        members = [one for number in sorted(people) for one in await self._store.read(exports.members, space, number)]
        return frozenset(one.face.face_id for one in members)

    async def _rescue(self, facts: Facts, centroids: Mapping[int, NDArray[np.float32]]) -> list[Faceset]:
        """Return good faces without an identity that are near one, for review by a user."""
        info = self._pool.info
        strays, barred = facts.unclaimed(await self._store.read(decisions.constraints_now, info.space))
        candidates, vectors = await candidates_of(self._store, facts, strays, info.dimension)
        found = await compute(
            rescue,
            candidates,
            vectors,
            centroids,
            labels=facts.labels,
            within=self._points.drop,
            rules=self._rules,
            barred=barred,
        )
        return list(found)

    async def _faceset(
        self, draft: FacesetDraft, facts: Facts, rules: EraRules
    ) -> tuple[Faceset | None, NDArray[np.float32]]:
        """Return the faceset of a draft, its crops checked, and the centroid of its faces."""
        shortlist = await compute(curate, draft.candidates, draft.vectors, self._rules)
        checks: dict[int, Check] = {}
        while (choice := choose(shortlist, checks)).unchecked:
            checks |= await self._checks.of(choice.unchecked, draft.identity, shortlist.centroid)
            self._counts.checked = self._checks.count
            if self._context.stop.is_set():
                return None, shortlist.centroid
        if draft.era is None:
            choice = choice.without(facts.too_small(facts.members[draft.identity]))
        label = facts.labels.get(draft.identity)
        folder = folder_of(draft, len(choice.faces), rules)
        built = build_faceset(choice, identity=draft.identity, label=label, era=draft.era, folder=folder)
        if built is None and draft.era is not None and draft.candidates:
            log.info("era_without_faces", identity=draft.identity, left_out=len(choice.omitted))
        return built, shortlist.centroid
