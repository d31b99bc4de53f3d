"""The face sets of a person as the decisions of now would make them, each beside the one that is written."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.errors import RequestError
from immich_facesets.exports.crop_checks import check, decoded
from immich_facesets.faces import Box
from immich_facesets.facesets.curation import Choice, Shortlist, curate, provisional
from immich_facesets.facesets.faceset import Candidate, Check, ExportRules, FacesetFolder, Omission
from immich_facesets.facesets.faceset_drafts import drafts, era_face_table, folder_of
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.names import faceset_name
from immich_facesets.quality.landmarks import details
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.files.export_reading import path_of_ours
from service.passes.context import PassContext
from service.passes.group_inputs.operating_points import points_today
from service.passes.publishing.candidates import candidates_of, facts_of_person
from service.passes.publishing.crop_checks import outlier_of
from service.passes.publishing.eras import Eras
from service.passes.publishing.export_rules import export_rules
from service.progress import ProgressBoard
from service.reports.library.shown import shown_face
from service.settings import Settings
from service.store import enrichments, exports
from service.store.browsing.identity_faces import browsed_faces
from service.store.browsing.standing import faces_at
from service.store.database import Store
from service.store.faces import dimension_of
from service.store.spaces import grouped_points
from service.web.library.facesets import LeftOutFace, PlannedSet, PlannedSetQuery

ALL_YEARS = PlannedSetQuery()

_MOST_SHOWN = 60
"""Faces that come in, and that go out; all of them are counted."""


class _WrittenFace(msgspec.Struct, frozen=True):
    sha256: str
    box: tuple[float, float, float, float]

    @property
    def ref(self) -> FaceRef:
        return FaceRef(self.sha256, Box(*self.box))


class _Written(msgspec.Struct, frozen=True):
    faces: tuple[_WrittenFace, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """
    The choice of now. ``unchecked``: the faces of it whose crops no detector has seen yet, by face id.

    ``eras``: the names of all eras.
    """

    choice: Choice
    unchecked: frozenset[int]
    omitted: tuple[Omission, ...]
    eras: tuple[str, ...]
    is_thin: bool = False


class PlannedSets:
    """The answers about face sets that are not written yet; no embedder is asked, and no picture is read."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def of(self, number: int, query: PlannedSetQuery = ALL_YEARS) -> PlannedSet:
        """
        Return the face set of all years, or of an era; ``SetupError`` before the first grouping.

        Crops that no detector has seen yet count as good. Reasons against swapping alone play no part. An era that the
        person does not have is a ``RequestError`` (404).
        """
        used = await self._store.read(grouped_points)
        points = points_today(self._settings, used)
        plan = await self._plan(number, query.era, used.space, points)
        written = await asyncio.to_thread(self._written, number, query.era)
        before = await self._ids(() if written is None else written.faces, used.space)
        after = [one.candidate.face.face_id for one in plan.choice.faces]
        comes = _without(after, before)
        goes = _without(before, after)
        refused = [one for one in plan.omitted if one.candidate.is_included]
        shown = [*comes[:_MOST_SHOWN], *goes[:_MOST_SHOWN], *(one.candidate.face.face_id for one in refused)]
        rows = await self._store.read(browsed_faces, shown)
        faces = {face_id: shown_face(row, self._settings.base_path) for face_id, row in rows.items()}
        lost = 0 if written is None else len(written.faces) - len(before)
        return PlannedSet(
            era=query.era,
            eras=plan.eras,
            is_thin=plan.is_thin,
            faces=len(after),
            written=None if written is None else len(written.faces),
            coming=len(comes),
            going=len(goes) + lost,
            comes_in=tuple(faces[one] for one in comes[:_MOST_SHOWN] if one in faces),
            goes_out=tuple(faces[one] for one in goes[:_MOST_SHOWN] if one in faces),
            included=sum(one.candidate.is_included for one in plan.choice.faces),
            refused=tuple(
                LeftOutFace(reason=str(one.reason), face=faces[one.candidate.face.face_id])
                for one in refused
                if one.candidate.face.face_id in faces
            ),
            unchecked=len(plan.unchecked),
            left_out=dict(sorted(Counter(str(one.reason) for one in plan.omitted).items())),
        )

    async def _plan(self, number: int, era: str, space: str, points: OperatingPoints) -> _Plan:
        rules = export_rules(self._settings, points)
        facts = await facts_of_person(
            self._store, space, number, pad_ratio=rules.pad_ratio, min_face_short=rules.min_face_short
        )
        members = facts.members.get(number, ())
        face_ids = [one.face.face_id for one in members]
        enriched = await self._store.read(enrichments.enriched_of, face_ids)
        facts = replace(facts, details={face_id: details(found) for face_id, found in enriched.items()})
        dimension = await self._store.read(dimension_of, space)
        candidates, vectors = await candidates_of(self._store, facts, members, dimension)
        seen = await self._store.read(exports.crop_facts, face_ids, None)
        context = PassContext(self._store, self._settings, ProgressBoard(), asyncio.Event())
        eras = await Eras.read(context, points, facts.birth_dates, number)
        kept = (await eras.plan(number, await compute(era_face_table, candidates, vectors))).after.eras
        all_years, *of_eras = drafts(number, candidates, vectors, kept)
        names = {draft.era.name: draft for draft in of_eras if draft.era is not None}
        if era and era not in names:
            raise RequestError(f"identity {number} has no era of that name now", status=404)
        draft = names[era] if era else all_years
        choice, unchecked = await compute(_choice, draft.candidates, draft.vectors, rules, seen)
        if era:
            is_thin = folder_of(draft, len(choice.faces), eras.rules) is FacesetFolder.THIN
            return _Plan(choice, unchecked, choice.omitted, tuple(names), is_thin)
        return _Plan(choice, unchecked, choice.without(facts.too_small(members)).omitted, tuple(names))

    def _written(self, number: int, era: str) -> _Written | None:
        """Return what is written of the face set; None where there is none. Blocks."""
        name = faceset_name(number, era or None)
        for directory in (name, f"{FacesetFolder.THIN}/{name}"):
            path = path_of_ours(self._settings.export_dir, directory, MANIFEST)
            if path is not None:
                return _read(path)
        return None

    async def _ids(self, faces: Sequence[_WrittenFace], space: str) -> list[int]:
        """Return the faces of a manifest that are still known, in its order."""
        refs = {place: one.ref for place, one in enumerate(faces)}
        found: Mapping[int, int] = await self._store.read(faces_at, refs, space)
        return [found[place] for place in sorted(found)]


def _without(some: Sequence[int], others: Sequence[int]) -> list[int]:
    """Return those that are not among others, in their order."""
    gone = set(others)
    return [one for one in some if one not in gone]


def _choice(
    candidates: Sequence[Candidate], vectors: NDArray[np.float32], rules: ExportRules, seen: Mapping[int, bytes]
) -> tuple[Choice, frozenset[int]]:
    shortlist = curate(candidates, vectors, rules)
    return provisional(shortlist, _checks(shortlist, rules, seen))


def _checks(shortlist: Shortlist, rules: ExportRules, seen: Mapping[int, bytes]) -> dict[int, Check]:
    """Return the checks of the crops that a detector has seen, by face id."""
    included = {one.candidate.face.face_id: one.candidate.is_included for one in shortlist.ranked}
    return {
        face_id: check(decoded(seen[face_id]), shortlist.centroid, outlier_of(rules, is_included=is_included))
        for face_id, is_included in included.items()
        if face_id in seen
    }


def _read(path: Path) -> _Written | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Written)
    except (OSError, msgspec.DecodeError):  # replaced meanwhile, or written by another version
        return None
