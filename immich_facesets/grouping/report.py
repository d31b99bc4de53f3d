"""The report of a grouping for the user: guardrails, doubtful faces, and identities that may be the same person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from immich_facesets.faces import Gate
from immich_facesets.grouping.assertions import CleanedAssertion
from immich_facesets.grouping.centroids import BLOCK_ROWS, cosine_distances
from immich_facesets.grouping.discovery import Discovery
from immich_facesets.grouping.rules import GateCounts
from immich_facesets.grouping.state import NOBODY, GroupingState, PlacedIdentities


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
class Ambiguous:
    """
    A face that may belong to ``other`` as well as to ``identity``: the two distances differ only by ``margin``.

    ``is_member``: whether it is a member of ``identity``; otherwise it was left unassigned because of the doubt.
    """

    face_id: int
    identity: int
    other: int
    margin: float
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class Twice:
    """Faces of one picture that all look like one identity: a mirror, a collage, or a wrong match."""

    identity: int
    face_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two identities that may be one person, and the distance of their centroids."""

    identity: int
    other: int
    distance: float


@dataclass(frozen=True, slots=True)
class Survivors:
    """
    How many of the unassigned faces that were examined remain after each gate.

    ``large``: large enough; ``sharp``: also sharp enough; ``sure``: also detected with enough certainty. ``clear``:
    those of them that do not resemble the faces that fail.
    """

    faces: int
    large: int
    sharp: int
    sure: int
    clear: int


@dataclass(frozen=True, slots=True)
class GroupingReport:
    """
    The outcome of a grouping, as face ids and identity numbers, without names.

    ``singleton_share``: faces alone in their cluster; ``largest_share``: faces in the largest identity or cluster. Both
    are shares of all ``faces`` that are not ignored. ``waiting``: faces kept out of an identity only by a lock.
    ``guardrails``: None where only fresh faces were examined, as they do not represent the whole library. ``founded``:
    gate counts of the clusters that became identities, by number. ``nobody``: gate counts of the other clusters of two
    or more faces, largest first.
    """

    faces: int
    members: int
    waiting: int
    singleton_share: float
    largest_share: float
    guardrails: tuple[str, ...] | None
    dropped: tuple[Dropped, ...]
    ambiguous: tuple[Ambiguous, ...]
    suspects: tuple[Twice, ...]
    suggested_merges: tuple[Suggestion, ...]
    survivors: Survivors
    founded: Mapping[int, GateCounts]
    nobody: tuple[GateCounts, ...]


def review(draft: GroupingState, hearings: Sequence[CleanedAssertion], last: Discovery) -> GroupingReport:
    """Return the report of a finished draft; ``last`` is the last discovery, which changed nothing."""
    standing = draft.standing()
    faces = int(np.count_nonzero(~draft.is_ignored))
    largest = max([len(rows) for rows in standing.members] + [last.largest])
    singleton_share = last.singletons / faces if faces else 0.0
    largest_share = largest / faces if faces else 0.0
    return GroupingReport(
        faces=faces,
        members=int(np.count_nonzero(draft.owner != NOBODY)),
        waiting=int(np.count_nonzero(draft.is_waiting | draft.is_held)),
        singleton_share=singleton_share,
        largest_share=largest_share,
        guardrails=_guardrails(draft, singleton_share, largest_share) if draft.is_whole else None,
        dropped=tuple(
            Dropped(one.assertion.source, one.assertion.person_id, len(one.accepted), one.dropped)
            for one in sorted(hearings, key=lambda one: one.assertion.person)
            if one.dropped
        ),
        ambiguous=tuple(
            sorted((*_ambiguous(draft, standing), *_torn(draft, standing)), key=lambda one: (one.margin, one.face_id))
        ),
        suspects=_suspects(draft, standing),
        suggested_merges=_suggested_merges(draft, standing),
        survivors=_survivors(draft),
        founded=draft.founded,
        nobody=tuple(sorted(last.nobody, key=lambda one: (-one.faces, -one.clear, -one.near, -one.pictures))),
    )


def _survivors(draft: GroupingState) -> Survivors:
    """Count how many of the previously unassigned faces pass each gate."""
    faces, gate = draft.faces, draft.rules.gate
    here = (draft.before == NOBODY) & ~draft.is_ignored & draft.is_active
    large = here & faces.admitted(Gate(face_short=gate.face_short, blur=-np.inf, det_score=-np.inf))
    sharp = large & faces.admitted(Gate(face_short=gate.face_short, blur=gate.blur, det_score=-np.inf))
    sure, clear = here & faces.admitted(gate), here & draft.is_good
    return Survivors(*(int(np.count_nonzero(kept)) for kept in (here, large, sharp, sure, clear)))


def _guardrails(draft: GroupingState, singleton_share: float, largest_share: float) -> tuple[str, ...]:
    """Return a message for each sign of wrong distances, with the setting to change (docs/grouping.md)."""
    rules, cut = draft.rules, draft.points.cluster
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


def _ambiguous(draft: GroupingState, standing: PlacedIdentities) -> tuple[Ambiguous, ...]:
    """Return the movable faces for which another identity is within reach and hardly farther than their own."""
    rows = np.flatnonzero((draft.owner != NOBODY) & ~draft.is_fixed)
    found = []
    for start in range(0, len(rows) if len(standing.numbers) > 1 else 0, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        gaps = cosine_distances(draft.faces.vectors[block], standing.centroids)
        here, own = np.arange(len(block)), np.searchsorted(standing.numbers, draft.owner[block])
        own_gap = gaps[here, own]
        gaps[here, own] = np.inf
        other = gaps.argmin(axis=1)
        margin = gaps[here, other] - own_gap
        is_doubtful = (gaps[here, other] <= draft.points.match) & (margin < draft.rules.margin)
        found += [
            Ambiguous(
                int(draft.faces.face_ids[block[i]]),
                int(draft.owner[block[i]]),
                int(standing.numbers[other[i]]),
                float(margin[i]),
            )
            for i in np.flatnonzero(is_doubtful).tolist()
            if (int(block[i]), int(standing.numbers[other[i]])) not in draft.barred
        ]
    return tuple(found)


def _torn(draft: GroupingState, standing: PlacedIdentities) -> list[Ambiguous]:
    """Return the faces left unassigned because two identities are equally near."""
    found, alive = [], set(standing.numbers.tolist())
    for row, pair in sorted(draft.torn.items()):
        if not alive.issuperset(pair):  # it lost its last face to an assertion
            continue
        gaps = sorted((float(draft.gaps(np.array([row]), number)[0]), number) for number in pair)
        margin = gaps[1][0] - gaps[0][0]
        found.append(Ambiguous(int(draft.faces.face_ids[row]), gaps[0][1], gaps[1][1], margin, is_member=False))
    return found


def _suspects(draft: GroupingState, standing: PlacedIdentities) -> tuple[Twice, ...]:
    """Return the pictures in which an identity has two faces, or has one and another face matches it."""
    pictures, ids = draft.faces.pictures, draft.faces.face_ids
    seats: dict[tuple[int, int], set[int]] = {}
    for row in np.flatnonzero((draft.owner != NOBODY) & ~draft.is_open).tolist():
        seats.setdefault((int(draft.owner[row]), int(pictures[row])), set()).add(row)
    loose = draft.loose()
    for start in range(0, len(loose) if len(standing.numbers) else 0, BLOCK_ROWS):
        block = loose[start : start + BLOCK_ROWS]
        gaps = cosine_distances(draft.faces.vectors[block], standing.centroids)
        nearest = gaps.argmin(axis=1)
        for i in np.flatnonzero(gaps.min(axis=1) <= draft.points.match).tolist():
            row, number = int(block[i]), int(standing.numbers[nearest[i]])
            if (row, number) not in draft.barred and (number, int(pictures[row])) in seats:
                seats[number, int(pictures[row])].add(row)
    return tuple(
        Twice(number, tuple(sorted(ids[list(rows)].tolist())))
        for (number, _), rows in sorted(seats.items())
        if len(rows) > 1
    )


def _suggested_merges(draft: GroupingState, standing: PlacedIdentities) -> tuple[Suggestion, ...]:
    """Return identities within the match distance of each other that no picture, source or decision separates."""
    found = []
    closed = [draft.closed_pictures(rows) for rows in standing.members]
    for start in range(0, len(standing.numbers), BLOCK_ROWS):
        gaps = cosine_distances(standing.centroids[start : start + BLOCK_ROWS], standing.centroids)
        for i, two in np.argwhere(gaps <= draft.points.match).tolist():
            one = start + i
            pair = (int(standing.numbers[one]), int(standing.numbers[two]))
            is_apart = one >= two or pair in draft.constraints.apart or draft.people.conflict(*pair)
            if not is_apart and closed[one].isdisjoint(closed[two]):
                found.append(Suggestion(*pair, float(gaps[i, two])))
    return tuple(sorted(found, key=lambda pair: (pair.distance, pair.identity, pair.other)))
