"""The mutable state of a grouping plan: current memberships, and which of them may still change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import split_by
from immich_facesets.grouping.centroids import Centroids, cosine_distances
from immich_facesets.grouping.face_table import FaceTable, Rows
from immich_facesets.grouping.identities import Known, Origin, People
from immich_facesets.grouping.recognisability import recognisable
from immich_facesets.grouping.rules import GateCounts, GroupingRules
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

How = Literal["asserted", "discovered", "matched", "decided"]

NOBODY = -1


@dataclass(frozen=True, slots=True)
class CannotLink:
    """
    The cannot-link constraints, as (row, identity) pairs: forbidden by a decision, or taken before the person's birth.

    ``taken``: (n,) days since 1970; ``born``: days since 1970 by identity, where known. NaN never counts as too early.
    """

    pairs: frozenset[tuple[int, int]]
    taken: NDArray[np.float64]
    born: Mapping[int, float]

    def __contains__(self, pair: object) -> bool:
        if not isinstance(pair, tuple):
            return False
        row, number = pair
        return pair in self.pairs or bool(self.taken[row] < self.born.get(number, -np.inf) - 1)  # a day for time zones

    def before_birth(self, rows: Rows) -> set[int]:
        """Return the identities born after all of those rows were taken; empty if any of their dates is unknown."""
        last = self.taken[rows].max()  # NaN if any is NaN: then no identity matches
        return {number for number, born in self.born.items() if last < born - 1}


@dataclass(frozen=True, slots=True)
class PlacedIdentities:
    """The identities that have faces: numbers (k,), ascending, the rows of each, and centroids (k, d)."""

    numbers: NDArray[np.int64]
    members: list[Rows]
    centroids: NDArray[np.float32]


class GroupingState:
    """
    The state that the steps of grouping change; rows are those of ``faces``, which is in the order of content.

    ``owner``: (n,) the identity of each row, or ``NOBODY``. ``is_held``: rows that a source assigns to a locked
    identity, which therefore wait. ``is_waiting``: rows whose nearest identity is locked. ``barred``: the cannot-link
    constraints on (row, identity). ``is_open``: rows of pictures that may hold one person twice.
    """

    def __init__(
        self,
        table: FaceTable,
        memberships: Mapping[int, int],
        known: Sequence[Known],
        constraints: Constraints,
        points: OperatingPoints,
        rules: GroupingRules,
        next_number: int,
        fresh: Collection[int] | None = None,
    ) -> None:
        faces = self.faces = table.in_order_of_content()
        self.points, self.rules, self.constraints = points, rules, constraints
        self.row_of = {face: row for row, face in enumerate(faces.face_ids.tolist())}
        is_plain = rules.method == "plain"
        self.is_good = faces.admitted(rules.gate) if is_plain else recognisable(faces, rules.gate, points.match)
        self.centroids = Centroids(faces.vectors, self.is_good, points.near)
        locks = {identity.number: identity.is_locked for identity in known} | dict(constraints.locks)
        self.locked = frozenset(number for number, is_on in locks.items() if is_on and number not in constraints.merged)
        self.new: dict[int, Origin] = {}
        self.founded: dict[int, GateCounts] = {}
        self.asserted = frozenset(constraints.current(one.number) for one in known if one.origin == "asserted")
        self.people = People({constraints.current(one.number): frozenset[tuple[str, str]]() for one in known})
        for identity in sorted(known, key=lambda one: one.number):
            for person in sorted(identity.people):
                self.people.attach(person, constraints.current(identity.number))
        for person, number in constraints.attached.items():
            self.people.attach(person, number)
        n = len(faces)
        self.before = np.full(n, NOBODY, dtype=np.int64)
        self.how: dict[int, tuple[How, float | None]] = {}
        self.is_held = np.zeros(n, dtype=np.bool_)
        self.is_waiting = np.zeros(n, dtype=np.bool_)
        self.is_decided = np.zeros(n, dtype=np.bool_)
        self.is_ignored = self._marked(constraints.ignored)
        self.is_open = np.isin(faces.pictures, faces.pictures[self._marked(constraints.together)])
        self.is_whole = fresh is None or rules.method == "plain"
        self.is_active = np.ones(n, dtype=np.bool_) if self.is_whole or fresh is None else self._marked(fresh)
        pairs = frozenset((self.row_of[face], number) for face, number in constraints.must_not if face in self.row_of)
        born: dict[int, float] = {}
        for identity in known:
            if identity.born is not None:
                number = constraints.current(identity.number)
                born[number] = min(identity.born, born.get(number, np.inf))
        self.barred = CannotLink(pairs, faces.taken, born)
        self.barred_of: dict[int, set[int]] = {}
        for row, number in sorted(pairs):
            self.barred_of.setdefault(row, set()).add(number)
        self.torn: dict[int, tuple[int, int]] = {}
        for face, number in memberships.items():
            if face in self.row_of:
                self.before[self.row_of[face]] = number
        used = {next_number - 1, *memberships.values(), *(one.number for one in known), *constraints.numbers()}
        self._next = self.first_new = max(used) + 1
        self._obey({one.number for one in known} | set(memberships.values()))

    def _marked(self, face_ids: Collection[int]) -> NDArray[np.bool_]:
        return np.isin(self.faces.face_ids, np.fromiter(face_ids, dtype=np.int64, count=len(face_ids)))

    def _obey(self, existing: set[int]) -> None:
        """Set the initial memberships: the stored ones, as changed by decisions."""
        constraints = self.constraints
        self.owner = np.array([constraints.current(number) for number in self.before.tolist()], dtype=np.int64)
        self.how = dict.fromkeys(np.flatnonzero(self.owner != self.before).tolist(), ("decided", None))
        for row, number in self.barred.pairs:
            if self.owner[row] == number:
                self.owner[row] = NOBODY
        self.owner[self.is_ignored] = NOBODY
        for face, number in constraints.must.items():
            if face not in self.row_of:
                continue
            row = self.row_of[face]
            self.is_decided[row] = True
            self.is_ignored[row] = False
            self.owner[row] = number
            self.how[row] = ("decided", None)
            if number not in existing:
                self.new[number] = "asserted"
        self._make_room()

    def _make_room(self) -> None:
        """Remove an identity's other, undecided faces of a picture where a decision placed a face."""
        decided = np.flatnonzero(self.is_decided & ~self.is_open)
        seats = set(zip(self.owner[decided].tolist(), self.faces.pictures[decided].tolist(), strict=True))
        for row in np.flatnonzero((self.owner != NOBODY) & ~self.is_fixed & ~self.is_open).tolist():
            if (int(self.owner[row]), int(self.faces.pictures[row])) in seats:
                self.owner[row] = NOBODY

    @property
    def is_fixed(self) -> NDArray[np.bool_]:
        """Rows that grouping does not move: decided, or in a locked identity."""
        return self.is_decided | np.isin(self.owner, list(self.locked))

    def loose(self) -> Rows:
        """Return the active rows without an identity that may get one."""
        return np.flatnonzero(self._is_free() & self.is_active)

    def resting(self) -> Rows:
        """Return the inactive rows without an identity that may get one: nothing new came near them."""
        return np.flatnonzero(self._is_free() & ~self.is_active)

    def _is_free(self) -> NDArray[np.bool_]:
        is_free: NDArray[np.bool_] = (self.owner == NOBODY) & ~self.is_ignored & ~self.is_held
        return is_free

    def members(self, number: int) -> Rows:
        return np.flatnonzero(self.owner == number)

    def gaps(self, rows: Rows, number: int) -> NDArray[np.float64]:
        """Return the distance of each of ``rows`` from the centroid of an identity."""
        return cosine_distances(self.faces.vectors[rows], self.centroids.of(self.members(number))[None])[:, 0]

    def standing(self) -> PlacedIdentities:
        """Return the identities that currently have faces."""
        placed = np.flatnonzero(self.owner != NOBODY)
        members = [placed[part] for part in split_by(self.owner[placed])]
        numbers = np.array([self.owner[rows[0]] for rows in members], dtype=np.int64)
        return PlacedIdentities(numbers, members, self.centroids.matrix(members))

    def taken(self) -> set[tuple[int, int]]:
        """Return the (identity, picture) pairs where a second face of that picture may not join."""
        rows = np.flatnonzero((self.owner != NOBODY) & ~self.is_open)
        return set(zip(self.owner[rows].tolist(), self.faces.pictures[rows].tolist(), strict=True))

    def closed_pictures(self, rows: Rows) -> set[int]:
        """Return the pictures of ``rows`` that may hold a person only once."""
        return set(self.faces.pictures[rows[~self.is_open[rows]]].tolist())

    def create(self, origin: Origin) -> int:
        """Create an identity and return its number, which is provisional until the plan is finished."""
        number, self._next = self._next, self._next + 1
        self.new[number] = origin
        return number

    def drop_empty(self) -> None:
        """Discard new identities without faces, and detach all people from them."""
        empty = self.new.keys() - set(self.owner.tolist())
        self.new = {number: origin for number, origin in self.new.items() if number not in empty}
        self.people.detach(empty)

    def place(self, row: int, number: int, how: How, distance: float) -> None:
        self.owner[row] = number
        self.how[row] = (how, distance)

    def release(self, row: int) -> None:
        self.owner[row] = NOBODY
        self.is_active[row] = True
