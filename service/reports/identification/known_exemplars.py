"""The bank of exemplars in memory: built at the first question, and brought up to date before each later one."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.identification.bank import ExemplarBank
from immich_facesets.identification.exemplars import Members, choose_exemplars
from immich_facesets.spaces import OperatingPoints
from service.computation import compute
from service.passes.group_inputs.operating_points import points_today
from service.settings import Settings
from service.store.database import Store
from service.store.exemplars import KnownPeople, MembersVersion, Version, known_people, members_for_exemplars
from service.store.faces import dimension_of

_FACES_AT_ONCE = 10_000
"""How many faces are read at once, with 2 kB each: a few tenths of a second, after which a stop is obeyed."""

_ROUNDS = 3
"""How often what changed while the bank was read is read again: a sync may change something at each moment."""


@dataclass(frozen=True, slots=True)
class Known:
    """The bank, the facts about its identities, and the store's number of changes that both include at least."""

    bank: ExemplarBank
    people: KnownPeople
    points: OperatingPoints
    changes: int

    @property
    def space(self) -> str:
        return self.people.used.space


@dataclass(frozen=True, slots=True)
class _Held:
    """The exemplars of one identity, (k, d), and what they were chosen from."""

    version: Version
    vectors: NDArray[np.float32]


class KnownExemplars:
    """
    The exemplars of all identities.

    While nothing was written since the last question, none is read. Otherwise a few statements tell which identities have
    other members, eras or confirmed faces, and only the faces of those are read. An exemplar costs 2 kB of memory.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._known: Known | None = None
        self._held: dict[int, _Held] = {}
        self._turn = asyncio.Lock()

    async def now(self) -> Known:
        """Return the bank as it is now; ``SetupError`` before the first grouping."""
        async with self._turn:
            for _ in range(_ROUNDS):
                if self._known is not None and self._known.changes == self._store.changes:
                    break
                self._known = await self._updated(self._known)
            if self._known is None:
                raise RuntimeError("at least one round reads the bank")
            return self._known

    async def _updated(self, before: Known | None) -> Known:
        changes = self._store.changes  # first: later changes are found at the next question
        people = await self._store.read(known_people, None if before is None else before.people)
        points = points_today(self._settings, people.used)
        if before is None or (before.space, before.points.outlier) != (people.used.space, points.outlier):
            self._held = {}
        stale = {
            number: one
            for number, one in people.versions.items()
            if number not in self._held or self._held[number].version != one.version
        }
        gone = self._held.keys() - people.versions.keys()
        if before is not None and not stale and not gone and self._held:
            return replace(before, people=people, points=points, changes=changes)
        for number in gone:
            del self._held[number]
        for some in _portions(stale):
            await self._read(some, people, points.outlier)
        bank = await compute(self._pooled, await self._store.read(dimension_of, people.used.space))
        return Known(bank, people, points, changes)

    async def _read(self, some: Mapping[int, MembersVersion], people: KnownPeople, outlier: float) -> None:
        members = await self._store.read(
            members_for_exemplars, list(some), people.used.space, self._settings.gate, people.placed
        )
        chosen = await compute(_chosen, members, outlier)
        for number, one in some.items():
            self._held.pop(number, None)
            if number in chosen:
                self._held[number] = _Held(one.version, chosen[number])

    def _pooled(self, dimension: int) -> ExemplarBank:
        """Return the bank of all that is held; each identity then holds a part of it, not a copy. Blocks."""
        bank = ExemplarBank.of({number: one.vectors for number, one in self._held.items()}, dimension)
        parts = zip(bank.numbers.tolist(), bank.starts.tolist(), bank.counts.tolist(), strict=True)
        for number, start, count in parts:
            self._held[number] = replace(self._held[number], vectors=bank.vectors[start : start + count])
        return bank


def _chosen(members: Mapping[int, Members], outlier: float) -> dict[int, NDArray[np.float32]]:
    """Return the exemplars of each of these identities. Blocks."""
    return {number: one.vectors[choose_exemplars(one, outlier)] for number, one in members.items()}


def _portions(versions: Mapping[int, MembersVersion]) -> Iterator[dict[int, MembersVersion]]:
    """Yield the identities, as many at a time as have about ``_FACES_AT_ONCE`` faces."""
    some: dict[int, MembersVersion] = {}
    faces = 0
    for number, one in sorted(versions.items()):
        some[number] = one
        faces += one.faces
        if faces >= _FACES_AT_ONCE:
            yield some
            some, faces = {}, 0
    if some:
        yield some
