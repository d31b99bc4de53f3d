"""
Eras of the identities for publishing: stored eras, updated where anything changed.

Most identities are unchanged since the last check, which then costs only a digest.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.dates import read_date
from immich_facesets.eras import (
    Childhood,
    DecidedEras,
    EraChange,
    EraRules,
    KeptEra,
    MergeEras,
    RenameEra,
    SplitEras,
    Window,
    edit_eras,
    plan_eras,
    split_again,
)
from immich_facesets.errors import RequestError
from immich_facesets.facesets.faceset import Candidate
from immich_facesets.facesets.faceset_drafts import era_face_table
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.moderation.records import Author
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.passes.context import PassContext
from service.store import eras
from service.store.era_decisions import EraEdit, decide_eras
from service.store.eras import EraVersion, StoredEras

BY_YEARS, BY_AGES = "years", "ages"


@dataclass(frozen=True, slots=True)
class EraPlan:
    """
    The planned eras of one identity, and the previous ones. ``is_done``: there is nothing to write.

    ``moved``: old names to the name that their faces are under now.
    """

    before: StoredEras
    after: StoredEras
    leaves: frozenset[int]
    moved: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.before == self.after


def plan_identity_eras(
    table: FaceTable, before: StoredEras, rules: EraRules, childhood: Childhood | None, *, anew: bool = False
) -> EraPlan:
    """
    Plan the current eras of one identity. Eras by years and by age are not mixed: those of the other kind are removed.

    ``anew``: split again on purpose, regardless of the last check. Blocking.
    """
    basis = basis_of(childhood)
    is_same = before.version is None or before.version.basis == basis
    kept, decided = before.eras if is_same else (), DecidedEras(before.pins, basis)
    begun = decided.over(kept)
    if is_same and not anew and before.version == EraVersion(basis, _digest(table, rules, begun.eras)):
        return EraPlan(before, before, frozenset())
    if anew:
        before = replace(before, eras=begun.eras) if is_same else before
        found = split_again(table, begun.eras, rules, childhood)
    else:
        found = plan_eras(table, kept, rules, childhood, decided)
    if not found and before == StoredEras() and len(table) < rules.least_faces:
        return EraPlan(before, before, frozenset())  # repeating the check costs less than storing it
    members = {face for era in found for face in era.face_ids}
    leaves = {face for era in before.eras for face in era.face_ids} - members
    present = frozenset(table.face_ids.tolist())
    after = replace(before, eras=found, version=EraVersion(basis, _digest(table, rules, found)))
    return EraPlan(before, after, frozenset(leaves & present), begun.moved)


def basis_of(childhood: Childhood | None) -> str:
    """Return by what eras are found: years, or which ages since which birthday."""
    return BY_YEARS if childhood is None else f"{BY_AGES}:{childhood.born}:{_text(childhood.windows)}"


def plan_change(
    table: FaceTable, before: StoredEras, rules: EraRules, childhood: Childhood | None, change: EraChange
) -> EraPlan:
    """Plan a change that a person asks for; an impossible one is a ``RequestError``. Blocking."""
    if isinstance(change, SplitEras):
        return plan_identity_eras(table, before, rules, childhood, anew=True)
    basis = basis_of(childhood)
    if before.version is not None and before.version.basis != basis:
        raise RequestError(
            "these eras are of before the last change of a birth date or of FACESETS_ERA_AGES: split them anew first",
            status=409,
        )
    begun = DecidedEras(before.pins, basis).over(before.eras)
    edited = edit_eras(table, begun.eras, rules, change, childhood)
    version = EraVersion(basis, _digest(table, rules, edited.eras))
    after = replace(before, eras=edited.eras, version=version)
    return EraPlan(replace(before, eras=begun.eras), after, frozenset(), edited.moved)


class Eras:
    """The eras of all identities as stored at one moment, and their update."""

    def __init__(
        self, context: PassContext, rules: EraRules, births: Mapping[int, str], stored: Mapping[int, StoredEras]
    ) -> None:
        self._context = context
        self._births = births
        self.rules = rules
        self.stored = stored

    @classmethod
    async def read(
        cls, context: PassContext, points: OperatingPoints, births: Mapping[int, str], identity: int | None = None
    ) -> Self:
        """Read the stored eras of everybody, or of one identity. ``births``: ISO dates by identity."""
        settings = context.settings
        rules = EraRules.scaled(points, replace(settings.gate, face_short=settings.export_min_face_short))
        return cls(context, rules, births, await context.store.read(eras.stored_eras, identity))

    def childhood(self, identity: int) -> Childhood | None:
        """Return the age windows of an identity with a known birth date, if any are set."""
        windows, born = self._context.settings.era_windows, read_date(self._births.get(identity))
        return Childhood(born, windows) if born is not None and windows else None

    async def of(
        self, identity: int, candidates: Sequence[Candidate], vectors: NDArray[np.float32]
    ) -> tuple[KeptEra, ...]:
        """Return the current eras of one identity; new ones are stored first."""
        plan = await self.plan(identity, await compute(era_face_table, candidates, vectors))
        if plan.is_done or await self.record(identity, plan):
            return plan.after.eras
        return plan.before.eras  # a user split them meanwhile: the next sync continues from there

    async def plan(self, identity: int, table: FaceTable, *, anew: bool = False) -> EraPlan:
        """Return the eras that would be written. ``table``: all faces that may be exported."""
        before, childhood = self.stored.get(identity, StoredEras()), self.childhood(identity)
        return await compute(plan_identity_eras, table, before, self.rules, childhood, anew=anew)

    async def plan_change(self, identity: int, table: FaceTable, change: EraChange) -> EraPlan:
        """Return the eras that a change would write. ``table``: all faces that may be exported."""
        before = self.stored.get(identity, StoredEras())
        return await compute(plan_change, table, before, self.rules, self.childhood(identity), change)

    async def decide(self, identity: int, plan: EraPlan, change: EraChange, author: Author) -> tuple[int, ...] | None:
        """Write a change that a person made, with its decision, and return the id of that; None as ``record`` is False."""
        names: tuple[str, ...] = ()
        name: str | None = None
        match change:
            case SplitEras():
                pass
            case RenameEra():
                names, name = (change.era,), plan.moved[change.era]
            case MergeEras():
                names, name = change.eras, change.into
            case _:
                assert_never(change)
        edit = EraEdit(
            change=str(change.__struct_config__.tag),  # type: ignore[arg-type]  # the tags of both are the same
            before=plan.before,
            after=plan.after,
            names=names,
            name=name,
            leaves=plan.leaves,
            moved=tuple(plan.moved.items()),
        )
        return await self._context.store.write(decide_eras, identity, edit, author, self._context.clock())

    async def record(self, identity: int, plan: EraPlan) -> bool:
        """Write a plan; False when the eras have changed since they were read."""
        version = plan.after.version
        if version is None:
            return True
        return await self._context.store.write(
            eras.record_eras,
            identity,
            plan.after.eras,
            leaves=plan.leaves,
            before=plan.before.version,
            version=version,
            now=self._context.clock(),
            moved=plan.moved,
        )


def _text(windows: Sequence[Window]) -> str:
    return ",".join(f"{window.first}-{window.last}" for window in windows)


def _digest(table: FaceTable, rules: EraRules, kept: Sequence[KeptEra]) -> str:
    """Return a digest of all inputs and results of eras: the faces, the rules, and the members of each era."""
    order = np.argsort(table.face_ids)
    digest = hashlib.sha256(msgspec.json.encode(rules))
    for column in (table.face_ids, table.taken, table.face_short, table.blur, table.det_score, table.light):
        digest.update(np.ascontiguousarray(column[order]).tobytes())
    for era in sorted(kept, key=lambda era: era.name):
        digest.update(msgspec.json.encode((era.name, sorted(era.founders), sorted(era.joined.items()))))
    return digest.hexdigest()
