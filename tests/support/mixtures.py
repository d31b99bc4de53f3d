"""Invented faces as vectors: people with a spread around a centre, and tables, plans and stores made of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.plan import Assertion, FaceTable, GroupingPlan, GroupingRules, Known, plan_grouping
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Return the vectors at length 1."""
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def people(
    rng: np.random.Generator, sizes: Sequence[int], spread: float, d: int = 64
) -> tuple[Vectors, NDArray[np.int64]]:
    """
    Unit vectors of ``len(sizes)`` people, and the person of each. Two faces of one person are about ``spread**2 / (1 +
    spread**2)`` apart, two people about 1.
    """
    centres = unit(rng.normal(size=(len(sizes), d)))
    who = np.repeat(np.arange(len(sizes)), sizes)
    return unit(centres[who] + spread / np.sqrt(d) * rng.normal(size=(len(who), d))), who


def table_of(
    vectors: NDArray[np.floating],
    *,
    face_ids: Sequence[int] | NDArray[np.int64] | None = None,
    pictures: Sequence[int] | NDArray[np.int64] | None = None,
    face_short: float | NDArray[np.float32] = 200.0,
    blur: float | NDArray[np.float32] = 100.0,
    det_score: float | NDArray[np.float32] = 0.9,
    light: float | NDArray[np.float32] = 1.0,
    taken: float | NDArray[np.float64] = np.nan,
    yaw: float | NDArray[np.float32] = 0.0,
    quality: float | NDArray[np.float32] = np.nan,
) -> FaceTable:
    """A face table; by default each face is good and has a picture of its own, and ids count from 1."""
    n = len(vectors)
    return FaceTable(
        face_ids=np.arange(1, n + 1) if face_ids is None else np.asarray(face_ids, dtype=np.int64),
        vectors=vectors.astype(np.float32),
        pictures=np.arange(n) if pictures is None else np.asarray(pictures, dtype=np.int64),
        face_short=np.broadcast_to(np.float32(face_short), n).copy(),
        blur=np.broadcast_to(np.float32(blur), n).copy(),
        det_score=np.broadcast_to(np.float32(det_score), n).copy(),
        light=np.broadcast_to(np.float32(light), n).copy(),
        taken=np.broadcast_to(np.float64(taken), n).copy(),
        yaw=np.broadcast_to(np.float32(yaw), n).copy(),
        quality=np.broadcast_to(np.float32(quality), n).copy(),
    )


@dataclass
class Library:
    """The grouping data of one space, with plans applied as the store does it."""

    table: FaceTable
    assertions: Sequence[Assertion] = ()
    constraints: Constraints = field(default_factory=Constraints)
    rules: GroupingRules = field(default_factory=lambda: GroupingRules(min_faces=3))
    points: OperatingPoints = field(default_factory=OperatingPoints)
    memberships: dict[int, int] = field(default_factory=dict)
    known: dict[int, Known] = field(default_factory=dict)
    fresh: frozenset[int] | None = None
    incomplete: Collection[int] = ()
    dissolved: Mapping[int, int] = field(default_factory=dict)
    blank: Sequence[Sequence[float]] = ()

    def plan(self) -> GroupingPlan:
        return plan_grouping(
            self.table,
            memberships=self.memberships,
            known=list(self.known.values()),
            assertions=self.assertions,
            constraints=self.constraints,
            thresholds=self.points,
            rules=self.rules,
            next_number=max(self.known, default=0) + 1,
            incomplete=self.incomplete,
            dissolved=self.dissolved,
            fresh=self.fresh,
            blank=self.blank,
        )

    def group(self) -> GroupingPlan:
        """Make a plan and apply it."""
        plan = self.plan()
        for new in plan.new:
            assert new.number not in self.known
            self.known[new.number] = Known(new.number, new.origin, is_locked=False, people=frozenset())
        for face_id in plan.leaves:
            del self.memberships[face_id]
        for join in plan.joins:
            assert join.identity in self.known
            self.memberships[join.face_id] = join.identity
        ended = {**self.dissolved, **{one.face_id: one.identity for one in plan.dissolved}}
        self.dissolved = {face: number for face, number in ended.items() if face not in self.memberships}
        attached = {person: one.number for one in self.known.values() for person in one.people}
        attached |= {(link.source, link.person_id): link.identity for link in plan.links}
        shown = {one.identity: (one.source, one.person_id) for one in plan.namings}
        for number, one in self.known.items():
            mine = frozenset(person for person, to in attached.items() if to == number)
            named_by = shown.get(number, one.named_by)
            self.known[number] = replace(one, people=mine, named_by=named_by)
        return plan

    def lock(self, number: int) -> None:
        self.known[number] = replace(self.known[number], is_locked=True)

    def faces_of(self, number: int) -> set[int]:
        return {face for face, to in self.memberships.items() if to == number}

    def labels(self) -> list[int]:
        """Return the identity of each row, a different one for each unassigned face."""
        return [self.memberships.get(face, -face) for face in self.table.face_ids.tolist()]

    def parts(self) -> set[frozenset[int]]:
        """The identities as sets of face ids, whatever their numbers."""
        return {frozenset(self.faces_of(number)) for number in self.memberships.values()}


def extended(table: FaceTable, vectors: NDArray[np.floating], pictures: Sequence[int] | None = None) -> FaceTable:
    """The table after new faces arrived, with higher ids, in new pictures unless these are given."""
    n = len(table)
    more = table_of(vectors, pictures=pictures)
    new_pictures = more.pictures if pictures is not None else more.pictures + int(table.pictures.max(initial=0)) + 1
    return FaceTable(
        face_ids=np.concatenate([table.face_ids, more.face_ids + int(table.face_ids.max(initial=0))]),
        vectors=np.concatenate([table.vectors, more.vectors]) if n else more.vectors,
        pictures=np.concatenate([table.pictures, new_pictures]),
        face_short=np.concatenate([table.face_short, more.face_short]),
        blur=np.concatenate([table.blur, more.blur]),
        det_score=np.concatenate([table.det_score, more.det_score]),
        light=np.concatenate([table.light, more.light]),
        taken=np.concatenate([table.taken, more.taken]),
        yaw=np.concatenate([table.yaw, more.yaw]),
        quality=np.concatenate([table.quality, more.quality]),
    )


def told(face_ids: Mapping[str, Sequence[int]], source: str = "anna") -> list[Assertion]:
    """An assertion of a source: a person id and the faces of that person."""
    return [Assertion(source, person, person, tuple(faces)) for person, faces in face_ids.items()]
