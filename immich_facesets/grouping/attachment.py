"""
The identity of each asserted person, resolved again by evidence in every grouping.

The evidence of a person is the faces that a source gives them and that belong together. Neither the order of arrival nor
that of names decides anything: what earlier groupings attached is taken back, or joined, when the evidence has changed.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from immich_facesets.assets import PersonKey
from immich_facesets.checkpoints import checkpoint
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.former_numbers import former_number
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.matching import candidates
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState, placed_identities

Evidence = Mapping[PersonKey, Rows]
"""The accepted rows of each asserted person, at least one, ascending."""


def attach_people(
    problem: GroupingProblem, state: GroupingState, evidence: Evidence, dropped: Mapping[PersonKey, Rows]
) -> None:
    """
    Attach every person in ``evidence`` to an identity, a new one if necessary, and merge identities of one person.

    ``evidence``: in the order in which people without an identity choose one. ``dropped``: the rows that a source gives
    to a person by mistake.
    """
    if not state.keeps_attached:
        _detach_contradicted(problem, state, evidence, dropped)
    provisional = _claimed(problem, state, evidence)
    people = state.identities.people
    for person, rows in evidence.items():
        checkpoint()
        if person in people.identity_of:
            continue
        number = _choice(problem, state, provisional, person, rows)
        if number is None:
            continue
        people.attach(person, number)
        _claim(problem, state, provisional, rows, number)
    while (pair := _one_person(problem, state, evidence)) is not None:
        checkpoint()
        _absorb(problem, state, evidence, *pair)


def _claimed(problem: GroupingProblem, state: GroupingState, evidence: Evidence) -> NDArray[np.int64]:
    """Return the owner of each row, (n,), as if every claim of an attached person succeeded."""
    provisional = state.owner.copy()
    for person, rows in evidence.items():
        if (number := state.identities.people.identity_of.get(person)) is not None:
            _claim(problem, state, provisional, rows, number)
    return provisional


def _claim(
    problem: GroupingProblem, state: GroupingState, provisional: NDArray[np.int64], rows: Rows, number: int
) -> None:
    if number not in problem.constraints.locked:
        provisional[problem.constraints.claimable(rows, number, state.owner)] = number


def _detach_contradicted(
    problem: GroupingProblem, state: GroupingState, evidence: Evidence, dropped: Mapping[PersonKey, Rows]
) -> None:
    """
    Detach people from identities whose other faces are of somebody else.

    One wrong face may have attached a person before the others arrived. An identity that was created for a person
    remains theirs, unless it has such a face.
    """
    people = state.identities.people
    for number, attached in _attached(state, evidence).items():
        checkpoint()
        if not problem.constraints.is_free(number):
            continue
        members = state.members(number)
        if len(attached) == 1 and state.identities.is_asserted(number):
            (owner,) = attached
            has_wrong = bool(np.isin(dropped[owner], members).any())
            if not has_wrong:
                continue
        for person in sorted(attached, key=lambda one: (len(evidence[one]), evidence[one].tolist(), one)):
            if contradicts(problem, members, evidence[person]):
                people.detach_person(person)
                members = np.setdiff1d(members, evidence[person])


def contradicts(problem: GroupingProblem, members: Rows, evidence: Rows) -> bool:
    """Return whether most of an identity's faces are others, and too far from a person's own to be the same person."""
    rest = np.setdiff1d(members, evidence)
    if len(rest) <= len(evidence):
        return False
    centroids = problem.centroids
    distance = 1.0 - float(centroids.of(rest).astype(np.float64) @ centroids.of(evidence).astype(np.float64))
    return distance > problem.thresholds.drop


def _choice(
    problem: GroupingProblem, state: GroupingState, owner: NDArray[np.int64], person: PersonKey, rows: Rows
) -> int | None:
    """
    Return the identity of a person who has none; None where a new one may not be created.

    In this order: the identity that holds most of the faces, the nearest one, a former one of these faces, or a new one.
    """
    number = _holder(problem, state, owner, person, rows)
    if number is None:
        number = _nearest(problem, state, owner, person, rows)
    if number is None:
        is_fixed = problem.constraints.is_fixed(state.owner)
        if len(rows) < problem.rules.min_asserted or is_fixed[rows].all():
            return None
        number = former_number(problem, state, rows)
    return state.identities.create("asserted") if number is None else number


def _holder(
    problem: GroupingProblem, state: GroupingState, owner: NDArray[np.int64], person: PersonKey, rows: Rows
) -> int | None:
    """Return the identity that holds more than half of the accepted faces, if the person may be attached to it."""
    owners = owner[rows]
    numbers, counts = np.unique(owners[owners != UNASSIGNED], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count * 2 > len(owners) and _may_attach(problem, state, owner, person, rows, number):
            return int(number)
    return None


def _nearest(
    problem: GroupingProblem, state: GroupingState, owner: NDArray[np.int64], person: PersonKey, rows: Rows
) -> int | None:
    """Return the nearest identity within the merge distance to which the person may be attached."""
    placed = placed_identities(owner, problem.centroids)
    centroid = problem.centroids.of(rows)[None]
    pairs = candidates(centroid, np.zeros(1, dtype=np.intp), placed.centroids, placed.numbers, problem.thresholds.merge)
    for number in pairs.numbers.tolist():
        if _may_attach(problem, state, owner, person, rows, number):
            return int(number)
    return None


def _may_attach(
    problem: GroupingProblem,
    state: GroupingState,
    owner: NDArray[np.int64],
    person: PersonKey,
    rows: Rows,
    number: int,
) -> bool:
    if state.identities.people.has_other(number, person):
        return False
    return number in problem.constraints.locked or not contradicts(problem, np.flatnonzero(owner == number), rows)


def _attached(state: GroupingState, evidence: Evidence) -> dict[int, list[PersonKey]]:
    """Return the people with evidence who are attached to each identity, by number."""
    found: dict[int, list[PersonKey]] = {}
    for person in evidence:
        if (number := state.identities.people.identity_of.get(person)) is not None:
            found.setdefault(number, []).append(person)
    return dict(sorted(found.items()))


def _one_person(problem: GroupingProblem, state: GroupingState, evidence: Evidence) -> tuple[int, int] | None:
    """Return two identities that the sources' people show to be one person, the surest first; None without any."""
    attached = _attached(state, evidence)
    numbers = [number for number in attached if problem.constraints.is_free(number)]
    rows_of = {number: _union(evidence[person] for person in attached[number]) for number in numbers}
    for number in numbers:
        checkpoint()
        if (other := _covered(problem, state, rows_of[number], number, attached)) is not None:
            return min(number, other), max(number, other)
    centroids = problem.centroids.matrix([rows_of[number] for number in numbers])
    places = np.arange(len(numbers))
    near = candidates(centroids, places, centroids, places, problem.thresholds.merge)
    for place, other_place in zip(near.rows.tolist(), near.numbers.tolist(), strict=True):
        one, two = numbers[place], numbers[other_place]
        if one >= two or _are_apart(problem, state, one, two) or not _is_disjoint(problem, rows_of[one], rows_of[two]):
            continue
        members = _union([state.members(one), state.members(two), rows_of[one], rows_of[two]])
        if not any(contradicts(problem, members, evidence[person]) for person in (*attached[one], *attached[two])):
            return one, two
    return None


def _union(several: Iterable[Rows]) -> Rows:
    return np.unique(np.concatenate(list(several)))


def _covered(
    problem: GroupingProblem, state: GroupingState, rows: Rows, number: int, attached: Mapping[int, Sequence[PersonKey]]
) -> int | None:
    """
    Return an identity of which a person's faces are more than half, and that no other person has; None without any.

    Where two people are merged at a source, all faces of one become the other's. Its rest must not remain nameless.
    """
    taken = problem.constraints.exclusive_pictures(state.members(number))
    is_second = np.isin(problem.constraints.pictures[rows], list(taken)) & ~problem.constraints.may_repeat[rows]
    numbers, counts = np.unique(state.owner[rows[~is_second]], return_counts=True)
    for other, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        is_another = other not in (UNASSIGNED, number) and other not in attached and problem.constraints.is_free(other)
        if is_another and 2 * count > len(state.members(other)) and not _are_apart(problem, state, number, other):
            return int(other)
    return None


def _are_apart(problem: GroupingProblem, state: GroupingState, one: int, two: int) -> bool:
    pair = (min(one, two), max(one, two))
    return pair in problem.constraints.apart or state.identities.people.conflict(one, two)


def _is_disjoint(problem: GroupingProblem, one: Rows, two: Rows) -> bool:
    """Return whether no picture shows two people; a face that both have counts once."""
    pictures = problem.constraints.exclusive_pictures
    only_one, only_two = np.setdiff1d(one, two), np.setdiff1d(two, one)
    return pictures(only_one).isdisjoint(pictures(two)) and pictures(only_two).isdisjoint(pictures(one))


def _absorb(problem: GroupingProblem, state: GroupingState, evidence: Evidence, kept: int, gone: int) -> None:
    """
    Move everything of one identity to another, whose number is the older.

    Second faces of a picture are released to be placed anew. So are, of an identity without a person, faces that are
    far from what the sources assert.
    """
    constraints, people = problem.constraints, state.identities.people
    attached = _attached(state, evidence)
    asserted = _union(evidence[person] for number in (kept, gone) for person in attached.get(number, ()))
    for number in {kept, gone} - attached.keys():
        rest = np.setdiff1d(state.members(number), asserted)
        distances = problem.centroids.distances_to(asserted, rest)
        for row in rest[distances > problem.thresholds.drop].tolist():
            state.release(row)
    occupied = constraints.occupied(state.owner)
    members = state.members(gone)
    is_asserted = np.isin(members, asserted)
    distances = problem.centroids.distances_to(asserted, members)
    for row, distance, is_own in zip(members.tolist(), distances.tolist(), is_asserted.tolist(), strict=True):
        pair = (kept, int(constraints.pictures[row]))
        if (not constraints.may_repeat[row] and pair in occupied) or (row, kept) in constraints.cannot_link:
            state.release(row)
            continue
        state.place(row, kept, "asserted" if is_own else "matched", max(0.0, distance))
        occupied.add(pair)
    for person in people.of(gone):
        people.attach(person, kept)
    state.identities.absorb(gone, kept)
