"""Assertions of sources: accept the faces that belong to a named person, and choose the person's identity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.centroids import cosine_distances, without_outliers
from immich_facesets.grouping.face_table import Assertion, Rows
from immich_facesets.grouping.identities import UNASSIGNED, Identities
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState, placed_identities


@dataclass(frozen=True, slots=True)
class CleanedAssertion:
    """An assertion without its outliers: the accepted rows, and the distance of each from their centroid."""

    assertion: Assertion
    accepted: Rows
    distances: list[float]
    dropped: tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A claim of a person's identity on a row, with the row's distance from the asserted faces; nearest first."""

    distance: float
    row: int
    person: tuple[str, str]
    number: int


def apply_assertions(
    problem: GroupingProblem, state: GroupingState, assertions: Sequence[Assertion]
) -> list[CleanedAssertion]:
    """
    Attach every asserted person to an identity, a new one if necessary, and move the accepted faces there.

    Members that are older than the person are released: they are of somebody else, or their dates are wrong.

    ``assertions``: one for each person. Once a person is attached, nothing here depends on distances to identities, so
    planning again gives the same result.
    """
    cleaned = [drop_outliers(problem, assertion) for assertion in assertions]
    cleaned.sort(key=lambda one: (-len(one.accepted), one.accepted.tolist(), one.assertion.person))
    accepted = [one for one in cleaned if len(one.accepted)]
    is_new = [one.assertion.person not in state.identities.people.identity_of for one in accepted]
    constraints, is_fixed = problem.constraints, problem.constraints.is_fixed(state.owner)
    provisional = state.owner.copy()  # as if every claim succeeded; all are resolved below
    claims = []
    for place in np.argsort(is_new, kind="stable"):  # attached people first: they affect the choice for the others
        one = accepted[place]
        number = _identity_of(problem, state.identities, provisional, one, is_fixed)
        if number is None:
            continue
        constraints.cannot_link.birthdays.add(number, one.assertion.born)
        allowed = one.accepted[[(row, number) not in constraints.cannot_link for row in one.accepted.tolist()]]
        if number in constraints.locked:
            state.is_held[allowed[state.owner[allowed] == UNASSIGNED]] = True  # held until the identity is unlocked
            continue
        movable = allowed[~is_fixed[allowed]]
        provisional[movable] = number
        distance_of = dict(zip(one.accepted.tolist(), one.distances, strict=True))
        claims += [Claim(distance_of[row], row, one.assertion.person, number) for row in movable.tolist()]
    _resolve_claims(problem, state, claims)
    for row in constraints.unborn(state.owner).tolist():  # a birthday may be newer than the members
        state.release(row)
    return cleaned


def drop_outliers(problem: GroupingProblem, assertion: Assertion) -> CleanedAssertion:
    """Remove bystanders and wrong assignments from an assertion."""
    found = {problem.row_of[face] for face in assertion.face_ids if face in problem.row_of}
    rows = np.array(sorted(row for row in found if not problem.constraints.is_ignored[row]), dtype=np.intp)
    accepted = without_outliers(rows, problem.centroids, problem.thresholds.drop, problem.thresholds.outlier)
    distances = problem.centroids.distances(accepted).tolist() if len(accepted) else []
    dropped = np.sort(problem.faces.face_ids[np.setdiff1d(rows, accepted)])
    return CleanedAssertion(assertion, accepted, distances, tuple(dropped.tolist()))


def _identity_of(
    problem: GroupingProblem,
    identities: Identities,
    owner: NDArray[np.int64],
    cleaned: CleanedAssertion,
    is_fixed: NDArray[np.bool_],
) -> int | None:
    """
    Return the identity of an asserted person; None where a new one may not be created.

    In this order: the identity attached before, the one that holds most of the faces, the nearest one, or a new one.
    """
    person = cleaned.assertion.person
    attached = identities.people.identity_of.get(person)
    if attached is not None:
        return attached
    number = _holder(identities, owner, cleaned)
    if number is None:
        number = _nearest(problem, identities, owner, cleaned)
    if number is None:
        if len(cleaned.accepted) < problem.rules.min_asserted or is_fixed[cleaned.accepted].all():
            return None
        number = identities.create("asserted")
    identities.people.attach(person, number)
    return number


def _holder(identities: Identities, owner: NDArray[np.int64], cleaned: CleanedAssertion) -> int | None:
    """Return the identity that holds more than half of the accepted faces, if the person may be attached to it."""
    owners = owner[cleaned.accepted]
    numbers, counts = np.unique(owners[owners != UNASSIGNED], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count * 2 > len(owners) and not identities.people.has_other(number, cleaned.assertion.person):
            return int(number)
    return None


def _nearest(
    problem: GroupingProblem, identities: Identities, owner: NDArray[np.int64], cleaned: CleanedAssertion
) -> int | None:
    """Return the nearest identity within the merge distance to which the person may be attached."""
    placed = placed_identities(owner, problem.centroids)
    distances = cosine_distances(problem.centroids.of(cleaned.accepted)[None], placed.centroids)[0]
    for place in np.argsort(distances, kind="stable"):
        if distances[place] > problem.thresholds.merge:
            break
        number = int(placed.numbers[place])
        if not identities.people.has_other(number, cleaned.assertion.person):
            return number
    return None


def _resolve_claims(problem: GroupingProblem, state: GroupingState, claims: Sequence[Claim]) -> None:
    """
    Assign each row to its nearest claim, and each identity at most one face per picture.

    Of two faces in one picture, decided ones take precedence over asserted ones, and these over the others.
    """
    constraints = problem.constraints
    is_fixed = constraints.is_fixed(state.owner)
    resolved: set[int] = set()
    occupants = constraints.occupants(state.owner)
    occupied = {pair for pair, rows in occupants.items() if is_fixed[rows].any()}
    for claim in sorted(claims):
        if claim.row in resolved:
            continue
        resolved.add(claim.row)
        if not constraints.may_repeat[claim.row]:
            pair = (claim.number, int(constraints.pictures[claim.row]))
            if pair in occupied:
                if state.owner[claim.row] == claim.number:
                    state.release(claim.row)
                continue
            occupied.add(pair)
            for other in occupants.get(pair, []):
                if other != claim.row and state.owner[other] == claim.number:
                    state.release(other)
        if state.owner[claim.row] != claim.number:
            state.place(claim.row, claim.number, "asserted", claim.distance)
