"""The constraints on grouping, by row of the face table: what decisions, birth dates and pictures allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.dates import day_of
from immich_facesets.grouping.face_table import FaceTable, Rows
from immich_facesets.grouping.identities import UNASSIGNED, Birthdays, Known
from immich_facesets.moderation.constraints import Constraints

_TIME_ZONES = 1.0
"""Days that local dates and UTC may be apart."""


@dataclass(frozen=True, slots=True)
class CannotLink:
    """
    The cannot-link constraints, as (row, identity) pairs: forbidden by a decision, or taken before the person's birth.

    ``by_row``: the identities that decisions, or the owners of pictures, forbid; for the rows that have any.
    ``taken_days``: (n,) days since 1970. NaN never counts as too early. ``birthdays`` grow while people are attached.
    """

    by_row: dict[int, frozenset[int]]
    taken_days: NDArray[np.float64]
    birthdays: Birthdays

    def __contains__(self, pair: object) -> bool:
        if not isinstance(pair, tuple):
            return False
        row, number = pair
        if number in self.by_row.get(row, ()):
            return True
        return self.is_before_birth(row, number)

    def is_before_birth(self, row: int, number: int) -> bool:
        """Return whether a row was certainly taken before the birth of the person."""
        return bool(self.taken_days[row] < self.birthdays.of(number) - _TIME_ZONES)

    def forbid(self, row: int, number: int) -> None:
        """Bar a row from an identity, from now on."""
        self.by_row[row] = self.by_row.get(row, frozenset()) | {number}

    def renumber(self, final: Mapping[int, int]) -> None:
        """Replace provisional numbers, the keys of ``final``."""
        for row, numbers in self.by_row.items():
            self.by_row[row] = frozenset(final.get(number, number) for number in numbers)
        self.birthdays.renumber(final)

    def before_birth(self, rows: Rows) -> set[int]:
        """Return the identities born after all of those rows were taken; empty if any of their dates is unknown."""
        last = self.taken_days[rows].max()  # NaN if any is NaN: then no identity matches
        return {number for number, born in self.birthdays.known() if last < born - _TIME_ZONES}


@dataclass(frozen=True, slots=True)
class RowConstraints:
    """
    All constraints on the rows of one face table. None changes but ``cannot_link``, which assertions extend.

    ``must_link``: (n,) the identity that a decision requires, or ``UNASSIGNED``. ``anchors``: (n,) the identity of which a
    row was a member when a decision mentioned it, or ``UNASSIGNED``. ``cannot_link``: the forbidden
    (row, identity) pairs. ``is_ignored``: (n,) rows that belong to no identity. ``locked``: identities whose faces do
    not change. ``decided``: identities that a decision mentions. ``apart``: pairs of identities (lower first) that are
    two people. ``pictures``: (n,) an identity has one face of each at most, except in rows marked in ``may_repeat``,
    (n,).
    """

    must_link: NDArray[np.int64]
    anchors: NDArray[np.int64]
    cannot_link: CannotLink
    is_ignored: NDArray[np.bool_]
    locked: frozenset[int]
    decided: frozenset[int]
    apart: frozenset[tuple[int, int]]
    pictures: NDArray[np.int64]
    may_repeat: NDArray[np.bool_]

    def is_fixed(self, owner: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the rows that grouping does not move: decided, or in a locked identity."""
        is_fixed: NDArray[np.bool_] = (self.must_link != UNASSIGNED) | np.isin(owner, list(self.locked))
        return is_fixed

    def is_free(self, number: int) -> bool:
        """Return whether neither a lock nor a decision has settled an identity."""
        return number not in self.locked and number not in self.decided

    def unborn(self, owner: NDArray[np.int64]) -> Rows:
        """Return the rows that grouping may move and that are older than the person they are assigned to."""
        return np.flatnonzero(self.is_unborn(owner) & ~self.is_fixed(owner))

    def is_unborn(self, owner: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows were taken before the birth of the person that they are assigned to, (n,)."""
        numbers, places = np.unique(owner, return_inverse=True)
        birthdays = np.array([self.cannot_link.birthdays.of(number) for number in numbers.tolist()], dtype=np.float64)
        is_older: NDArray[np.bool_] = self.cannot_link.taken_days < birthdays[places] - _TIME_ZONES
        return is_older

    def claimable(self, rows: Rows, number: int, owner: NDArray[np.int64]) -> Rows:
        """Return those of ``rows`` that may move to an identity, given the owner of each row, (n,)."""
        is_fixed = (self.must_link[rows] != UNASSIGNED) | np.isin(owner[rows], list(self.locked))
        is_allowed = np.array([(row, number) not in self.cannot_link for row in rows.tolist()], dtype=np.bool_)
        found: Rows = rows[is_allowed & ~is_fixed]
        return found

    def exclusive_pictures(self, rows: Rows) -> set[int]:
        """Return the pictures of ``rows`` that may hold a person only once."""
        return set(self.pictures[rows[~self.may_repeat[rows]]].tolist())

    def occupied(self, owner: NDArray[np.int64]) -> set[tuple[int, int]]:
        """Return the (identity, picture) pairs where a second face of that picture may not join."""
        rows = np.flatnonzero((owner != UNASSIGNED) & ~self.may_repeat)
        return set(zip(owner[rows].tolist(), self.pictures[rows].tolist(), strict=True))

    def occupants(self, owner: NDArray[np.int64]) -> dict[tuple[int, int], list[int]]:
        """Return the rows at each of the ``occupied`` pairs."""
        found: dict[tuple[int, int], list[int]] = {}
        for row in np.flatnonzero((owner != UNASSIGNED) & ~self.may_repeat).tolist():
            found.setdefault((int(owner[row]), int(self.pictures[row])), []).append(row)
        return found


def row_constraints(
    faces: FaceTable, row_of: Mapping[int, int], known: Sequence[Known], constraints: Constraints
) -> RowConstraints:
    """Return the constraints on the rows of ``faces``; faces that are not in the table have none."""
    must_link = _numbers(constraints.must, row_of)
    by_row: dict[int, set[int]] = {}
    for face, number in constraints.must_not:
        if face in row_of:
            by_row.setdefault(row_of[face], set()).add(number)
    forbidden = {row: frozenset(numbers) for row, numbers in by_row.items()}
    repeated = faces.pictures[faces.is_among(constraints.together)]
    return RowConstraints(
        must_link=must_link,
        anchors=_numbers(constraints.anchors, row_of),
        cannot_link=CannotLink(forbidden, faces.taken, _birthdays(known, constraints)),
        is_ignored=faces.is_among(constraints.ignored) & (must_link == UNASSIGNED),
        locked=_locked(known, constraints),
        decided=_decided(constraints),
        apart=constraints.apart,
        pictures=faces.pictures,
        may_repeat=np.isin(faces.pictures, repeated),
    )


def _numbers(numbers: Mapping[int, int], row_of: Mapping[int, int]) -> NDArray[np.int64]:
    """Return the numbers of faces by row, (n,)."""
    by_row = np.full(len(row_of), UNASSIGNED, dtype=np.int64)
    for face, number in numbers.items():
        if face in row_of:
            by_row[row_of[face]] = number
    return by_row


def _locked(known: Sequence[Known], constraints: Constraints) -> frozenset[int]:
    locks = {identity.number: identity.is_locked for identity in known} | dict(constraints.locks)
    return frozenset(number for number, is_on in locks.items() if is_on and number not in constraints.merged)


def _decided(constraints: Constraints) -> frozenset[int]:
    """Return the identities that any decision mentions."""
    settings = (constraints.locks, constraints.labels, constraints.hidden, constraints.covers, constraints.births)
    apart = {number for pair in constraints.apart for number in pair}
    named = constraints.numbers() | apart | constraints.strangers | constraints.forgotten | constraints.adults
    return frozenset(named.union(*settings, constraints.minors))


def _birthdays(known: Sequence[Known], constraints: Constraints) -> Birthdays:
    """Return the birthdays by current number."""
    birthdays = Birthdays()
    for identity in known:
        birthdays.add(constraints.current(identity.number), identity.born)
    for number, born in constraints.births.items():
        birthdays.add(number, day_of(born))
    return birthdays
