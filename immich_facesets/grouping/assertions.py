"""Assertions of sources: accept the faces that belong to a named person, and choose the person's identity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import cosine_distances, without_outliers
from immich_facesets.grouping.face_table import Assertion, Rows
from immich_facesets.grouping.state import NOBODY, GroupingState


@dataclass(frozen=True, slots=True)
class CleanedAssertion:
    """An assertion without its outliers: the accepted rows, and the distance of each from their centroid."""

    assertion: Assertion
    accepted: Rows
    gaps: list[float]
    dropped: tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A claim of a person's identity on a row, with the row's distance from the asserted faces; nearest first."""

    gap: float
    row: int
    person: tuple[str, str]
    number: int


def apply_assertions(draft: GroupingState, assertions: Sequence[Assertion]) -> list[CleanedAssertion]:
    """
    Attach every asserted person to an identity, a new one if necessary, and move the accepted faces there.

    ``assertions``: one for each person. Once a person is attached, nothing here depends on distances to identities, so
    planning again gives the same result.
    """
    hearings = [drop_outliers(draft, assertion) for assertion in assertions]
    hearings.sort(key=lambda one: (-len(one.accepted), one.accepted.tolist(), one.assertion.person))
    heard = [one for one in hearings if len(one.accepted)]
    is_new = [one.assertion.person not in draft.people.identity_of for one in heard]
    owner, is_fixed = draft.owner, draft.is_fixed
    draft.owner = owner.copy()
    claims = []
    for place in np.argsort(is_new, kind="stable"):  # attached people first: they affect the choice for the others
        hearing = heard[place]
        number = _identity_of(draft, hearing, is_fixed)
        if number is None:
            continue
        may = hearing.accepted[[(row, number) not in draft.barred for row in hearing.accepted.tolist()]]
        if number in draft.locked:
            draft.is_held[may[owner[may] == NOBODY]] = True  # held until the identity is unlocked
            continue
        draft.owner[may[~is_fixed[may]]] = number  # provisional; all claims are settled below
        gap_of = dict(zip(hearing.accepted.tolist(), hearing.gaps, strict=True))
        claims += [Claim(gap_of[row], row, hearing.assertion.person, number) for row in may[~is_fixed[may]].tolist()]
    draft.owner = owner
    _settle_claims(draft, claims)
    return hearings


def drop_outliers(draft: GroupingState, assertion: Assertion) -> CleanedAssertion:
    """Remove bystanders and wrong assignments from an assertion."""
    found = {draft.row_of[face] for face in assertion.face_ids if face in draft.row_of}
    rows = np.array(sorted(row for row in found if not draft.is_ignored[row]), dtype=np.intp)
    accepted = without_outliers(rows, draft.centroids, draft.points.drop, draft.points.outlier)
    gaps = draft.centroids.distances(accepted).tolist() if len(accepted) else []
    dropped = np.sort(draft.faces.face_ids[np.setdiff1d(rows, accepted)])
    return CleanedAssertion(assertion, accepted, gaps, tuple(dropped.tolist()))


def _identity_of(draft: GroupingState, hearing: CleanedAssertion, is_fixed: NDArray[np.bool_]) -> int | None:
    """
    Return the identity of an asserted person; None where a new one may not be created.

    In this order: the identity attached before, the one that holds most of the faces, the nearest one, or a new one.
    """
    person = hearing.assertion.person
    attached = draft.people.identity_of.get(person)
    if attached is not None:
        return attached
    number = _holder(draft, hearing)
    if number is None:
        number = _nearest(draft, hearing)
    if number is None:
        if len(hearing.accepted) < draft.rules.min_asserted or is_fixed[hearing.accepted].all():
            return None
        number = draft.create("asserted")
    draft.people.attach(person, number)
    return number


def _holder(draft: GroupingState, hearing: CleanedAssertion) -> int | None:
    """Return the identity that holds more than half of the accepted faces, if the person may be attached to it."""
    owners = draft.owner[hearing.accepted]
    numbers, counts = np.unique(owners[owners != NOBODY], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count * 2 > len(owners) and not draft.people.has_other(number, hearing.assertion.person):
            return int(number)
    return None


def _nearest(draft: GroupingState, hearing: CleanedAssertion) -> int | None:
    """Return the nearest identity within the merge distance to which the person may be attached."""
    standing = draft.standing()
    gaps = cosine_distances(draft.centroids.of(hearing.accepted)[None], standing.centroids)[0]
    for place in np.argsort(gaps, kind="stable"):
        if gaps[place] > draft.points.merge:
            break
        number = int(standing.numbers[place])
        if not draft.people.has_other(number, hearing.assertion.person):
            return number
    return None


def _settle_claims(draft: GroupingState, claims: Sequence[Claim]) -> None:
    """
    Assign each row to its nearest claim, and each identity at most one face per picture.

    Of two faces in one picture, decided ones take precedence over asserted ones, and these over the others.
    """
    pictures = draft.faces.pictures
    is_fixed = draft.is_fixed
    settled: set[int] = set()
    seats: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero((draft.owner != NOBODY) & ~draft.is_open).tolist():
        seats.setdefault((int(draft.owner[row]), int(pictures[row])), []).append(row)
    taken = {seat for seat, rows in seats.items() if is_fixed[rows].any()}
    for claim in sorted(claims):
        if claim.row in settled:
            continue
        settled.add(claim.row)
        if not draft.is_open[claim.row]:
            seat = (claim.number, int(pictures[claim.row]))
            if seat in taken:
                if draft.owner[claim.row] == claim.number:
                    draft.release(claim.row)
                continue
            taken.add(seat)
            for other in seats.get(seat, []):
                if other != claim.row and draft.owner[other] == claim.number:
                    draft.release(other)
        if draft.owner[claim.row] != claim.number:
            draft.place(claim.row, claim.number, "asserted", claim.gap)
