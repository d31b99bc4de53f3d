"""
Regrouping: faces that grouping placed are placed anew, so that no result depends on the order of arrival.

A grouping of all faces releases every member that neither a source nor a user placed. It then finds the identities that
one sync of the whole library finds. Each identity found again keeps the number of the faces in it. One that is not
found again ends: its founding does not hold by the present rules. Its number remains known at its faces.
"""

from collections.abc import Container, Sequence

import numpy as np

from immich_facesets.clustering.linkage import EXACT_ROWS
from immich_facesets.grouping.assertions import CleanedAssertion
from immich_facesets.grouping.face_table import Rows
from immich_facesets.grouping.identities import UNASSIGNED
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.state import GroupingState


def may_regroup(problem: GroupingProblem) -> bool:
    """Return whether clustering is exact for this number of faces; groups of a sample vary, and would move faces."""
    return len(problem.faces) <= EXACT_ROWS


def release_placed(
    problem: GroupingProblem, state: GroupingState, cleaned: Sequence[CleanedAssertion], incomplete: Container[int]
) -> None:
    """
    Release the members that grouping itself placed.

    A name splits nothing: of an identity that a source asserts, only faces nearer to a stranger's distance, which is 1,
    than to that of the person are released. Identities stay whole that are locked, mentioned by a decision, or
    ``incomplete``: known to have further members whose pictures cannot be read now.
    """
    constraints, number_of = problem.constraints, state.identities.people.identity_of
    is_released = (state.owner != UNASSIGNED) & ~constraints.is_fixed(state.owner)
    for number in np.unique(state.owner[is_released]).tolist():
        if not constraints.is_free(number) or number in incomplete:
            is_released[state.owner == number] = False
    for one in cleaned:
        number = number_of.get(one.assertion.person)
        members = np.flatnonzero(state.owner == number) if number is not None else one.accepted[:0]
        is_released[np.intersect1d(members, one.accepted)] = False
        if len(members) and len(one.evidence):
            is_anothers = problem.centroids.distances_to(one.evidence, members) > (1.0 + problem.thresholds.drop) / 2.0
            is_released[members[~is_anothers]] = False
    state.release_all(np.flatnonzero(is_released))


def follow_members(problem: GroupingProblem, state: GroupingState) -> None:
    """
    Let the numbers of identities without faces follow their members.

    Where most of them are in a new identity, it has the old number. Where they are in another one, it has absorbed
    theirs, and gets its people.
    """
    identities = state.identities
    for number in _vacant(problem, state):
        rows = np.flatnonzero(problem.before == number)
        owners, counts = np.unique(state.owner[rows], return_counts=True)
        most = int(np.argmax(counts))
        follows = int(owners[most])
        if follows == UNASSIGNED or 2 * counts[most] <= len(rows):
            continue
        if follows >= identities.first_new:
            state.restore(follows, number)
            problem.constraints.cannot_link.renumber({follows: number})
            continue
        identities.absorb(number, follows)
        for person in identities.people.of(number):
            identities.people.attach(person, follows)


def dissolved_rows(problem: GroupingProblem, state: GroupingState) -> Rows:
    """Return the loose rows that were members of an identity which has no faces now, and was not absorbed."""
    ended = [number for number in _vacant(problem, state) if number not in state.identities.absorbed]
    is_loose = (state.owner == UNASSIGNED) & np.isin(problem.before, ended)
    return np.flatnonzero(is_loose)


def _vacant(problem: GroupingProblem, state: GroupingState) -> list[int]:
    """Return the identities that had faces before and have none now, ascending."""
    gone = set(problem.before.tolist()) - set(state.owner.tolist()) - {UNASSIGNED}
    return sorted(number for number in gone if problem.constraints.is_free(number))
