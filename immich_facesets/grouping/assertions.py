"""Assertions of sources: accept the faces that belong to a named person, and choose the person's identity."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.attachment import attach_people
from immich_facesets.grouping.centroids import without_outliers
from immich_facesets.grouping.face_table import Assertion, Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState


@dataclass(frozen=True, slots=True)
class CleanedAssertion:
    """
    An assertion without its outliers: the accepted rows, and the distance of each from their centroid.

    ``evidence``: the accepted rows whose vectors agree. ``dropped``: the face ids of the outliers. ``given`` and
    ``taken``: the rows that the owner moved by hand to the person, and away. ``contradicted``: the given rows that are
    outliers by their vectors.
    """

    assertion: Assertion
    accepted: Rows
    evidence: Rows
    distances: list[float]
    dropped: tuple[int, ...]
    given: Rows
    taken: Rows
    contradicted: Rows


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """
    A claim of a person's identity on a row, with the row's distance from the asserted faces.

    Claims by an owner's own hand come first, then the nearest.
    """

    is_usual: bool
    distance: float
    row: int
    person: PersonKey
    number: int


def apply_assertions(
    problem: GroupingProblem, state: GroupingState, assertions: Sequence[Assertion]
) -> list[CleanedAssertion]:
    """
    Attach every asserted person to an identity, and move the accepted faces there.

    Members that are older than the person are released: they are of somebody else, or their dates are wrong. Faces that
    their owner took from a person leave that person's identity, and do not return to it.

    ``assertions``: one for each person.
    """
    cleaned = [drop_outliers(problem, assertion) for assertion in assertions]
    cleaned.sort(key=lambda one: (-len(one.accepted), one.accepted.tolist(), one.assertion.person))
    accepted = [one for one in cleaned if len(one.accepted)]
    evidence = {one.assertion.person: one.evidence for one in accepted}
    attach_people(problem, state, evidence, {one.assertion.person: _rows(problem, one.dropped) for one in accepted})
    _forbid_taken(problem, state, cleaned)
    constraints, number_of = problem.constraints, state.identities.people.identity_of
    claims = []
    for one in accepted:
        number = number_of.get(one.assertion.person)
        if number is None:
            continue
        constraints.cannot_link.birthdays.add(number, one.assertion.born)
        if number in constraints.locked:
            allowed = one.accepted[[(row, number) not in constraints.cannot_link for row in one.accepted.tolist()]]
            state.is_held[allowed[state.owner[allowed] == UNASSIGNED]] = True  # held until the identity is unlocked
            continue
        distance_of = dict(zip(one.accepted.tolist(), one.distances, strict=True))
        given = set(one.given.tolist())
        claims += [
            Claim(row not in given, distance_of[row], row, one.assertion.person, number)
            for row in constraints.claimable(one.accepted, number, state.owner).tolist()
        ]
    _resolve_claims(problem, state, claims)
    for row in constraints.unborn(state.owner).tolist():  # a birthday may be newer than the members
        state.release(row)
    return cleaned


def _forbid_taken(problem: GroupingProblem, state: GroupingState, cleaned: Sequence[CleanedAssertion]) -> None:
    """Bar each face from the identity of the person from whom its owner took it, unless somebody gave it there."""
    number_of, constraints = state.identities.people.identity_of, problem.constraints
    given = {(row, number_of.get(one.assertion.person)) for one in cleaned for row in one.given.tolist()}
    is_fixed = constraints.is_fixed(state.owner)
    for one in cleaned:
        number = number_of.get(one.assertion.person)
        for row in one.taken.tolist() if number is not None else ():
            if number is None or (row, number) in given or constraints.must_link[row] == number:
                continue
            constraints.cannot_link.forbid(row, number)
            if state.owner[row] == number and not is_fixed[row]:
                state.release(row)


def drop_outliers(problem: GroupingProblem, assertion: Assertion) -> CleanedAssertion:
    """
    Remove bystanders and wrong assignments from an assertion, people beside the person first.

    A face that the owner gave to the person stays, whatever its distance. The others alone tell whether it is alike.
    """
    rows, thresholds = _rows(problem, assertion.face_ids), problem.thresholds
    given = np.intersect1d(_rows(problem, assertion.given), rows)
    usual = np.setdiff1d(rows, given) if len(given) < len(rows) else rows
    usual = without_bystanders(problem, usual)
    evidence = without_outliers(usual, problem.centroids, thresholds.drop, thresholds.outlier)
    if len(given) and len(evidence):
        evidence = np.union1d(evidence, given[problem.centroids.distances_to(evidence, given) <= thresholds.outlier])
    accepted = np.union1d(evidence, given)
    if len(evidence) == 0:
        evidence = accepted
    distances: list[float] = problem.centroids.distances_to(evidence, accepted).tolist() if len(accepted) else []
    return CleanedAssertion(
        assertion=assertion,
        accepted=accepted,
        evidence=evidence,
        distances=distances,
        dropped=_ids(problem, np.setdiff1d(rows, accepted)),
        given=given,
        taken=_rows(problem, assertion.taken),
        contradicted=np.setdiff1d(given, evidence),
    )


def without_bystanders(problem: GroupingProblem, rows: Rows) -> Rows:
    """
    Return the rows of a person without those of people who stand beside them.

    A folder of one person may show a partner on nearly every picture, and the centroid of both would be near to both.
    Of the clusters of its faces, the one in the most pictures is the person's. Clusters with a face beside one of these
    are other people.
    """
    constraints = problem.constraints
    exclusive = rows[~constraints.may_repeat[rows]]
    if len(np.unique(constraints.pictures[exclusive])) == len(exclusive):
        return rows
    clusters = problem.clusterings.of(rows, problem.thresholds.cluster)
    pictures = [constraints.exclusive_pictures(cluster) for cluster in clusters]
    own = max(range(len(clusters)), key=lambda place: (len(pictures[place]), -clusters[place][0]))
    kept = [
        cluster for place, cluster in enumerate(clusters) if place == own or pictures[place].isdisjoint(pictures[own])
    ]
    return np.sort(np.concatenate(kept))


def disregard_contradicted(problem: GroupingProblem, assertions: Sequence[Assertion]) -> None:
    """Let no face that its owner gave to a person by hand move a centroid, where it looks unlike the person."""
    cleaned = [drop_outliers(problem, one) for one in assertions if one.given]
    rows = [row for one in cleaned for row in one.contradicted.tolist()]
    if rows:
        problem.is_clear[rows] = False
        problem.centroids.forget()


def _rows(problem: GroupingProblem, face_ids: Iterable[int]) -> Rows:
    """Return the rows of those faces that are in the table and not ignored, ascending."""
    found = {problem.row_of[face] for face in face_ids if face in problem.row_of}
    return np.array(sorted(row for row in found if not problem.constraints.is_ignored[row]), dtype=np.intp)


def _ids(problem: GroupingProblem, rows: Rows) -> tuple[int, ...]:
    return tuple(np.sort(problem.faces.face_ids[rows]).tolist())


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
