"""The report of a grouping for the user: guardrails, doubtful faces, and identities that may be the same person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.faces import Gate
from immich_facesets.grouping.assertions import CleanedAssertion
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.discovery import Discovery
from immich_facesets.grouping.identities import UNASSIGNED, People
from immich_facesets.grouping.nearly_there import NearlyPerson, NearlyThere, loose_groups, nearly_people, nearly_there
from immich_facesets.grouping.problem import GroupingProblem
from immich_facesets.grouping.rivals import Ambiguous, Doubtful, ambiguous_members, doubtful_members, rivals
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import GroupingState, PlacedIdentities, placed_identities
from immich_facesets.grouping.suggestions import Overlap, Suggestion, overlaps, suggested_merges


@dataclass(frozen=True, slots=True)
class Dropped:
    """Faces that a source wrongly assigns to a person: bystanders and wrong assignments."""

    source: str
    person_id: str
    accepted: int
    face_ids: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.face_ids)


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Faces that their owner gave to an identity's person by hand, and that look unlike the person's other faces."""

    source: str
    person_id: str
    identity: int
    face_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SameName:
    """Two identities with people of one name at one source, whose faces are too far apart to be taken for one."""

    source: str
    identity: int
    other: int


@dataclass(frozen=True, slots=True)
class BeforeBirth:
    """A member that was taken before the birth of its person, and that a decision or a lock keeps where it is."""

    face_id: int
    identity: int


@dataclass(frozen=True, slots=True)
class RepeatedInPicture:
    """Faces of one picture that all look like one identity: a mirror, a collage, or a wrong match."""

    identity: int
    face_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Survivors:
    """
    How many of the unassigned faces that were examined remain after each gate.

    ``large``: large enough; ``sharp``: also sharp enough; ``lit``: also light enough; ``sure``: also detected with
    enough certainty. ``clear``: those of them that do not resemble the faces that fail.
    """

    faces: int
    large: int
    sharp: int
    lit: int
    sure: int
    clear: int


@dataclass(frozen=True, slots=True)
class GroupingReport:
    """
    The outcome of a grouping, as face ids and identity numbers, without names.

    ``singleton_share``: faces alone in their cluster; ``largest_share``: faces in the largest identity or cluster. Both
    are shares of all ``faces`` that are not ignored. ``waiting``: faces kept out of an identity only by a lock.
    ``guardrails``: None where only fresh faces were examined, as they do not represent the whole library.
    ``gate_counts``: those of the clusters that became identities, by number. ``rejected``: those of the other clusters
    of two or more faces, largest first. ``nearly_there``: None where only fresh faces were examined among many.
    """

    faces: int
    members: int
    waiting: int
    singleton_share: float
    largest_share: float
    guardrails: tuple[str, ...] | None
    dropped: tuple[Dropped, ...]
    contradicted: tuple[Contradicted, ...]
    same_names: tuple[SameName, ...]
    ambiguous: tuple[Ambiguous, ...]
    suspects: tuple[RepeatedInPicture, ...]
    suggested_merges: tuple[Suggestion, ...]
    survivors: Survivors
    gate_counts: Mapping[int, GateCounts]
    rejected: tuple[GateCounts, ...]
    nearly_there: NearlyThere | None
    doubtful: tuple[Doubtful, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    nearly_people: tuple[NearlyPerson, ...] = ()
    before_birth: tuple[BeforeBirth, ...] = ()


def review(
    problem: GroupingProblem,
    state: GroupingState,
    cleaned: Sequence[CleanedAssertion],
    last: Discovery,
    *,
    is_complete: bool,
) -> GroupingReport:
    """
    Return the report of a finished grouping.

    ``last``: the last discovery, which changed nothing. ``is_complete``: whether all faces were examined.
    """
    placed = placed_identities(state.owner, problem.centroids)
    faces = int(np.count_nonzero(~problem.constraints.is_ignored))
    largest = max([len(rows) for rows in placed.members] + [last.largest])
    singleton_share = last.singletons / faces if faces else 0.0
    largest_share = largest / faces if faces else 0.0
    movable, people = rivals(problem, state, placed), state.identities.people
    doubtful = doubtful_members(problem, state, placed, movable)
    groups = loose_groups(problem, state, last, is_complete=is_complete)
    ambiguous = (*ambiguous_members(problem, placed, movable), *_ambiguous_loose(problem, state, placed))
    return GroupingReport(
        faces=faces,
        members=int(np.count_nonzero(state.owner != UNASSIGNED)),
        waiting=int(np.count_nonzero(state.is_waiting | state.is_held)),
        singleton_share=singleton_share,
        largest_share=largest_share,
        guardrails=_guardrails(problem, singleton_share, largest_share) if is_complete else None,
        dropped=tuple(
            Dropped(one.assertion.source, one.assertion.person_id, len(one.accepted), one.dropped)
            for one in sorted(cleaned, key=lambda one: one.assertion.person)
            if one.dropped
        ),
        contradicted=_contradicted(problem, people, cleaned),
        same_names=_same_names(people),
        ambiguous=tuple(sorted(ambiguous, key=lambda one: (one.margin, one.face_id))),
        suspects=_suspects(problem, state, placed),
        suggested_merges=suggested_merges(problem, people, placed),
        survivors=_survivors(problem, state),
        gate_counts=state.identities.gate_counts,
        rejected=tuple(sorted(last.rejected, key=lambda one: (-one.faces, -one.clear, -one.near, -one.pictures))),
        nearly_there=nearly_there(problem, state, groups),
        nearly_people=nearly_people(problem, groups),
        doubtful=doubtful,
        overlaps=overlaps(problem, people, placed, doubtful),
        before_birth=_before_birth(problem, state),
    )


def _before_birth(problem: GroupingProblem, state: GroupingState) -> tuple[BeforeBirth, ...]:
    rows = np.flatnonzero(problem.constraints.is_unborn(state.owner) & (state.owner != UNASSIGNED))
    found = (BeforeBirth(int(problem.faces.face_ids[row]), int(state.owner[row])) for row in rows.tolist())
    return tuple(sorted(found, key=lambda one: one.face_id))


def _contradicted(
    problem: GroupingProblem, people: People, cleaned: Sequence[CleanedAssertion]
) -> tuple[Contradicted, ...]:
    """Return the faces that their owner moved by hand to a person whom they do not resemble."""
    return tuple(
        Contradicted(*person, people.identity_of[person], tuple(sorted(problem.faces.face_ids[rows].tolist())))
        for person, rows in sorted(
            ((one.assertion.person, one.contradicted) for one in cleaned if len(one.contradicted)),
            key=lambda pair: pair[0],
        )
        if person in people.identity_of
    )


def _same_names(people: People) -> tuple[SameName, ...]:
    """Return the pairs of identities whose people a source gives one name."""
    by_name: dict[tuple[str, str], set[int]] = {}
    for person, number in people.identity_of.items():
        if name := people.name_of(person):
            by_name.setdefault((person[0], name), set()).add(number)
    found = {(source, pair) for (source, _), numbers in by_name.items() for pair in combinations(sorted(numbers), 2)}
    return tuple(SameName(source, *pair) for source, pair in sorted(found))


def _survivors(problem: GroupingProblem, state: GroupingState) -> Survivors:
    """Count how many of the previously unassigned faces pass each gate."""
    faces, gate = problem.faces, problem.rules.gate
    here = (problem.before == UNASSIGNED) & ~problem.constraints.is_ignored & state.is_active
    nothing = Gate(face_short=-np.inf, blur=-np.inf, det_score=-np.inf, light=-np.inf)
    by_size = replace(nothing, face_short=gate.face_short)
    by_blur = replace(by_size, blur=gate.blur)
    by_light = replace(by_blur, light=gate.light)
    left = [here & faces.admitted(some) for some in (by_size, by_blur, by_light, gate)]
    return Survivors(*(int(np.count_nonzero(kept)) for kept in (here, *left, here & problem.is_clear)))


def _guardrails(problem: GroupingProblem, singleton_share: float, largest_share: float) -> tuple[str, ...]:
    """Return a message for each sign of wrong distances, with the setting to change (docs/grouping.md)."""
    rules, cut = problem.rules, problem.thresholds.cluster
    messages = []
    if singleton_share > rules.singleton_share:
        messages.append(
            f"{singleton_share:.0%} of the faces stand alone: the cluster distance of {cut:g} may be too small for this "
            "recognition model (raise FACESETS_CLUSTER_DISTANCE), or most faces are too small or blurred to compare"
        )
    if largest_share > rules.largest_share:
        messages.append(
            f"the largest group holds {largest_share:.0%} of the faces: unless this library is mostly one person, the "
            f"cluster distance of {cut:g} is too large for this recognition model; lower FACESETS_CLUSTER_DISTANCE and "
            "FACESETS_MATCH_DISTANCE"
        )
    return tuple(messages)


def _ambiguous_loose(problem: GroupingProblem, state: GroupingState, placed: PlacedIdentities) -> list[Ambiguous]:
    """Return the faces left unassigned because two identities are equally near."""
    found, remaining = [], set(placed.numbers.tolist())
    for row, pair in sorted(state.ambiguous.items()):
        if not remaining.issuperset(pair):  # it lost its last face to an assertion
            continue
        rows = np.array([row])
        distances = sorted(
            (float(problem.centroids.distances_to(state.members(number), rows)[0]), number) for number in pair
        )
        (nearest, identity), (next_nearest, other) = distances
        face_id = int(problem.faces.face_ids[row])
        found.append(Ambiguous(face_id, identity, other, next_nearest - nearest, is_member=False))
    return found


def _suspects(
    problem: GroupingProblem, state: GroupingState, placed: PlacedIdentities
) -> tuple[RepeatedInPicture, ...]:
    """Return the pictures in which an identity has two faces, or has one and another face matches it."""
    constraints, ids = problem.constraints, problem.faces.face_ids
    occupants = constraints.occupants(state.owner)
    loose = state.loose(constraints)
    for part in row_blocks(len(loose) if len(placed.numbers) else 0, len(placed.numbers)):
        block = loose[part]
        distances = cosine_distances(problem.faces.vectors[block], placed.centroids)
        nearest = distances.argmin(axis=1)
        for i in np.flatnonzero(distances.min(axis=1) <= problem.thresholds.match).tolist():
            row, number = int(block[i]), int(placed.numbers[nearest[i]])
            pair = (number, int(constraints.pictures[row]))
            if (row, number) not in constraints.cannot_link and pair in occupants:
                occupants[pair].append(row)
    return tuple(
        RepeatedInPicture(number, tuple(sorted(ids[rows].tolist())))
        for (number, _), rows in sorted(occupants.items())
        if len(rows) > 1
    )
