"""Eras of one identity for API and pages: looked at closely, and changed. The commands call the same functions."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from immich_facesets.eras import EraChange, KeptEra, Part, Probe
from immich_facesets.eras.probing import BIN_WIDTH
from immich_facesets.errors import RequestError
from immich_facesets.moderation.records import Author
from service.passes.publishing.eras import EraPlan
from service.reports.library.shown import shown_crop
from service.reports.stored_eras import IdentityEras
from service.settings import Settings
from service.store.browsing.identity_lists import files_of_crops
from service.store.database import Store
from service.store.eras import StoredEras
from service.web.library import eras as shown
from service.web.library.identities import Crop

_EXAMPLES = 6
"""The faces that stand for an era."""


class EraReads:
    """The calls about eras; each reads what is stored now."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def calls(self) -> shown.EraCalls:
        return shown.EraCalls(probe=self.probe, plan=self.plan, make=self.make)

    async def probe(self, number: int) -> shown.EraProbe:
        identities = await IdentityEras.read(self._store, self._settings, number)
        return _shown_probe(await identities.probe(number))

    async def plan(self, number: int, change: EraChange) -> shown.EraPlanAnswer:
        identities = await IdentityEras.read(self._store, self._settings, number)
        return await self._answer(identities, number, await identities.plan(number, change))

    async def make(self, number: int, question: shown.EraQuestion, author: Author) -> shown.EraPlanAnswer:
        identities = await IdentityEras.read(self._store, self._settings, number)
        plan = await identities.plan(number, question.change)
        if question.version not in {None, _version(plan.before)}:
            raise RequestError(
                f"the eras of identity {number} were changed since you loaded them: load them again", status=412
            )
        made = await identities.make(number, plan, question.change, author)
        answer = await self._answer(identities, number, plan)
        return msgspec.structs.replace(answer, decision=made[0] if made else None)

    async def _answer(self, identities: IdentityEras, number: int, plan: EraPlan) -> shown.EraPlanAnswer:
        era_of = {face: era.name for era in plan.before.eras for face in era.face_ids}
        chosen = [face for kept in (plan.before, plan.after) for era in kept.eras for face in _examples(era.face_ids)]
        files = await self._store.read(files_of_crops, chosen)
        crops = {
            face: crop
            for face, file in files.items()
            if (crop := shown_crop(face, file, self._settings.base_path)) is not None
        }
        after = {face: era.name for era in plan.after.eras for face in era.face_ids}
        moved = sum(
            plan.moved.get(era_of.get(face, ""), era_of.get(face, "")) != after.get(face, "")
            for face in era_of.keys() | after.keys()
        )
        return shown.EraPlanAnswer(
            version=_version(plan.before),
            reason=await identities.reason(number, await identities.table(number)),
            before=_planned(plan.before.eras, era_of, crops),
            after=_planned(plan.after.eras, era_of, crops),
            moved=moved,
            is_done=plan.before.eras == plan.after.eras,
        )


def _planned(
    eras: Iterable[KeptEra], era_of: Mapping[int, str], crops: Mapping[int, Crop]
) -> tuple[shown.PlannedEra, ...]:
    return tuple(
        shown.PlannedEra(
            name=era.name,
            from_year=era.from_year,
            main_year=era.main_year,
            to_year=era.to_year,
            faces=len(era.face_ids),
            placed=sum(sure is not None for sure in era.joined.values()),
            from_eras=dict(
                sorted(
                    Counter(era_of.get(face, "") for face in era.face_ids).items(), key=lambda one: (-one[1], one[0])
                )
            ),
            examples=tuple(crops[face] for face in _examples(era.face_ids) if face in crops),
        )
        for era in sorted(eras, key=lambda era: (era.main_year is None, era.main_year or 0, era.name))
        if era.face_ids
    )


def _examples(faces: Iterable[int]) -> list[int]:
    ordered = sorted(faces)
    return ordered[:: max(1, len(ordered) // _EXAMPLES)][:_EXAMPLES]


def _version(eras: StoredEras) -> str:
    return "" if eras.version is None else eras.version.digest


def _shown_probe(found: Probe) -> shown.EraProbe:
    return shown.EraProbe(
        faces=found.faces,
        dated=found.dated,
        is_sortable=found.is_sortable,
        reason=found.reason,
        bin_width=BIN_WIDTH,
        cut=found.parts[1][0],
        within=found.within,
        between=tuple(every - same for every, same in zip(found.histogram, found.within, strict=True)),
        cuts=tuple(
            shown.EraGroups(distance=round(cut, 4), groups=tuple(map(_group, parts))) for cut, parts in found.parts
        ),
    )


def _group(part: Part) -> shown.EraGroup:
    return shown.EraGroup(faces=part.size, from_year=part.from_year, main_year=part.dominant_year, to_year=part.to_year)
