"""The mutable state of a grouping: current memberships, and the faces that may still change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from immich_facesets.checkpoints import checkpoint
from immich_facesets.clustering.linkage import split_by
from immich_facesets.grouping.centroids import Centroids
from immich_facesets.grouping.face_table import Assertion, Rows
from immich_facesets.grouping.identities import UNASSIGNED, Identities, Known
from immich_facesets.grouping.problem import GroupingProblem, owners
from immich_facesets.grouping.row_constraints import RowConstraints
from immich_facesets.moderation.constraints import Constraints

How = Literal["asserted", "discovered", "matched", "decided"]


@dataclass(frozen=True, slots=True)
class PlacedIdentities:
    """The identities that have faces: numbers (k,), ascending, the rows of each, and centroids (k, d)."""

    numbers: NDArray[np.int64]
    members: list[Rows]
    centroids: NDArray[np.float32]


def placed_identities(owner: NDArray[np.int64], centroids: Centroids) -> PlacedIdentities:
    """Return the identities that have faces according to ``owner``, (n,)."""
    placed = np.flatnonzero(owner != UNASSIGNED)
    members = [placed[part] for part in split_by(owner[placed])]
    numbers = np.array([owner[rows[0]] for rows in members], dtype=np.int64)
    return PlacedIdentities(numbers, members, centroids.matrix(members))


@dataclass(slots=True)
class GroupingState:
    """
    The part of a grouping that its steps change; rows are those of the problem.

    ``owner``: (n,) the identity of each row, or ``UNASSIGNED``. ``former``: (n,) the same before this
    grouping, or before the identity was dissolved. ``how``: by row, the way and the distance of each new
    member. ``is_active``: (n,) rows to examine. ``is_held``: (n,) rows that a source assigns to a locked identity.
    ``is_waiting``: (n,) rows whose nearest identity is locked. ``ambiguous``: rows that are left unassigned because two
    identities are equally near, with these two. ``keeps_attached``: nobody leaves an identity any more (module ``oscillation``).
    """

    owner: NDArray[np.int64]
    former: NDArray[np.int64]
    how: dict[int, tuple[How, float | None]]
    identities: Identities
    is_active: NDArray[np.bool_]
    is_held: NDArray[np.bool_]
    is_waiting: NDArray[np.bool_]
    ambiguous: dict[int, tuple[int, int]] = field(default_factory=dict)
    keeps_attached: bool = False

    def loose(self, constraints: RowConstraints) -> Rows:
        """Return the active rows without an identity that may get one."""
        return np.flatnonzero(self._is_free(constraints) & self.is_active)

    def inactive(self, constraints: RowConstraints) -> Rows:
        """Return the inactive rows without an identity that may get one: nothing new came near them."""
        return np.flatnonzero(self._is_free(constraints) & ~self.is_active)

    def _is_free(self, constraints: RowConstraints) -> NDArray[np.bool_]:
        is_free: NDArray[np.bool_] = (self.owner == UNASSIGNED) & ~constraints.is_ignored & ~self.is_held
        return is_free

    def members(self, number: int) -> Rows:
        """Return the rows of an identity, ascending."""
        checkpoint()
        return np.flatnonzero(self.owner == number)

    def place(self, row: int, number: int, how: How, distance: float) -> None:
        """Make a row a member of an identity."""
        self.owner[row] = number
        self.how[row] = (how, distance)

    def release(self, row: int) -> None:
        """Take a row out of its identity, to be placed anew."""
        self.owner[row] = UNASSIGNED
        self.is_active[row] = True

    def release_all(self, rows: Rows) -> None:
        """Take rows out of their identities, to be placed anew; of rows that had none before, new numbers are remembered."""
        is_new = (self.former[rows] == UNASSIGNED) | (self.former[rows] >= self.identities.first_new)
        self.former[rows[is_new]] = self.owner[rows[is_new]]
        self.owner[rows] = UNASSIGNED
        self.is_active[rows] = True

    def restore(self, new: int, number: int) -> None:
        """Give a new identity the number of an existing one without faces."""
        self.owner[self.owner == new] = number
        self.ambiguous = {
            row: (number if one == new else one, number if other == new else other)
            for row, (one, other) in self.ambiguous.items()
        }
        self.identities.restore(new, number)

    def renumber(self, final: Mapping[int, int]) -> None:
        """Replace the provisional numbers of new identities, the keys of ``final``, wherever they are."""
        members = {number: self.members(number) for number in final}
        for number, rows in members.items():
            self.owner[rows] = final[number]
        self.ambiguous = {
            row: (final.get(one, one), final.get(other, other)) for row, (one, other) in self.ambiguous.items()
        }
        self.identities.renumber(final)


def initial_state(
    problem: GroupingProblem,
    constraints: Constraints,
    known: Sequence[Known],
    memberships: Mapping[int, int],
    next_number: int,
    fresh: Collection[int] | None,
    assertions: Sequence[Assertion],
    dissolved: Mapping[int, int],
) -> GroupingState:
    """Return the stored memberships as changed by decisions; the arguments are those of ``plan_grouping``."""
    existing = {one.number for one in known} | set(memberships.values())
    first_new = max({next_number - 1, *existing, *constraints.numbers(), *constraints.mentioned}) + 1
    names = {one.person: one.label for one in assertions}
    identities = Identities(known, constraints, first_new, names)
    must_link = problem.constraints.must_link
    n = len(problem.faces)
    merged = np.array([constraints.current(number) for number in problem.before.tolist()], dtype=np.int64)
    owner = _allowed_owners(merged, problem.constraints)
    for number in np.unique(owner[owner != UNASSIGNED]).tolist():
        if number not in existing:
            identities.origins[number] = "asserted"
    decided = np.flatnonzero((owner != UNASSIGNED) & (owner != problem.before) | (must_link != UNASSIGNED))
    return GroupingState(
        owner=owner,
        former=np.where(merged == UNASSIGNED, owners(problem.row_of, dissolved), merged),
        how=dict.fromkeys(decided.tolist(), ("decided", None)),
        identities=identities,
        is_active=np.ones(n, dtype=np.bool_) if fresh is None else problem.faces.is_among(fresh),
        is_held=np.zeros(n, dtype=np.bool_),
        is_waiting=np.zeros(n, dtype=np.bool_),
    )


def _allowed_owners(owner: NDArray[np.int64], constraints: RowConstraints) -> NDArray[np.int64]:
    """
    Return ``owner`` as decisions require it.

    Where a decision placed a face, the identity loses its other, undecided faces of that picture. Faces of nobody that were
    members when a decision mentioned their identity are members again.
    """
    owner = owner.copy()
    for row, numbers in constraints.cannot_link.by_row.items():
        if owner[row] in numbers:
            owner[row] = UNASSIGNED
    owner[constraints.is_ignored] = UNASSIGNED
    is_decided = constraints.must_link != UNASSIGNED
    owner[is_decided] = constraints.must_link[is_decided]
    decided_pairs = constraints.occupied(np.where(is_decided, owner, UNASSIGNED))
    movable = np.flatnonzero((owner != UNASSIGNED) & ~constraints.is_fixed(owner) & ~constraints.may_repeat)
    for row in movable.tolist() if decided_pairs else ():
        if (int(owner[row]), int(constraints.pictures[row])) in decided_pairs:
            owner[row] = UNASSIGNED
    _restore_anchored(owner, constraints)
    return owner


def _restore_anchored(owner: NDArray[np.int64], constraints: RowConstraints) -> None:
    """Make faces of nobody members of the identity that a decision recorded for them, where its picture is free."""
    rows = np.flatnonzero((owner == UNASSIGNED) & (constraints.anchors != UNASSIGNED) & ~constraints.is_ignored)
    occupied = constraints.occupied(owner) if len(rows) else set()
    for row in rows.tolist():
        number, pair = int(constraints.anchors[row]), (int(constraints.anchors[row]), int(constraints.pictures[row]))
        if (row, number) in constraints.cannot_link or (not constraints.may_repeat[row] and pair in occupied):
            continue
        owner[row] = number
        occupied.add(pair)
