"""The grouping of all faces as a pure function: repeat matching and discovery until stable; return the changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_facesets.grouping.assertions import CleanedAssertion, apply_assertions
from immich_facesets.grouping.careful import place_carefully
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.confidence import confidences
from immich_facesets.grouping.discovery import Discovery, discover
from immich_facesets.grouping.face_table import Assertion, FaceTable
from immich_facesets.grouping.identities import Known, Origin
from immich_facesets.grouping.matching import match
from immich_facesets.grouping.report import GroupingReport, review
from immich_facesets.grouping.rules import GroupingRules, Method
from immich_facesets.grouping.state import NOBODY, GroupingState, How
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

__all__ = [
    "Assertion",
    "Carried",
    "FaceTable",
    "GroupingPlan",
    "GroupingReport",
    "GroupingRules",
    "Join",
    "Known",
    "Link",
    "Method",
    "NewIdentity",
    "plan_grouping",
]


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity to create; its ``people`` are also among the plan's links."""

    number: int
    origin: Origin
    people: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Join:
    """
    A face that becomes a member of an identity, and of no other; ``distance`` is to what it was compared with.

    ``confidence``: in [0, 1], that the membership is right. It is None where a user decided, or where the identity has
    no other face to compare with.
    """

    face_id: int
    identity: int
    distance: float
    how: How
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An attachment of a source's person to an identity."""

    source: str
    person_id: str
    identity: int


@dataclass(frozen=True, slots=True)
class Carried:
    """A membership carried over from another space: the identity, and how the face became its member there."""

    identity: int
    how: How


@dataclass(frozen=True, slots=True)
class GroupingPlan:
    """The changes: first create ``new``, then drop ``leaves`` (face ids), then add ``joins`` and set ``links``."""

    new: tuple[NewIdentity, ...]
    joins: tuple[Join, ...]
    leaves: tuple[int, ...]
    links: tuple[Link, ...]
    report: GroupingReport

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.new or self.joins or self.leaves or self.links)


def plan_grouping(
    table: FaceTable,
    *,
    memberships: Mapping[int, int],
    known: Sequence[Known],
    assertions: Sequence[Assertion],
    constraints: Constraints,
    points: OperatingPoints,
    rules: GroupingRules,
    next_number: int,
    carried: Mapping[int, Carried] | None = None,
    fresh: Collection[int] | None = None,
) -> GroupingPlan:
    """
    Decide which face belongs to which identity (docs/grouping.md).

    ``memberships``: face id to identity number, as stored. ``known``: every identity ever numbered. ``next_number``:
    one past the highest number ever used. Decisions come first, then the assertions of sources, then matching and
    discovery in turn. Existing members stay. Planning again after the plan was applied yields no changes. The order of
    rows and the values of face ids do not affect the result. A membership whose face is not in the table is ignored.

    ``carried`` replaces ``memberships`` after a change of space, by face id of this space. These memberships stay, and
    all of them are among the joins, with distances of this space.

    ``fresh``: the faces added since the last grouping with the same rules, distances and decisions; None examines all
    faces. Of the other faces, only those near something new are examined, so the cost depends on the number of fresh
    faces. Only the careful method supports this; the plain one always examines all faces.
    """
    if carried is not None:
        memberships = {face: member.identity for face, member in carried.items()}
    draft = GroupingState(table, memberships, known, constraints, points, rules, next_number, fresh)
    hearings, found = _decide(draft, assertions)
    new = _number(draft)
    report = review(draft, hearings, found)
    return GroupingPlan(
        new=new, joins=_joins(draft, carried or {}), leaves=_leaves(draft), links=_links(draft, known), report=report
    )


def _decide(draft: GroupingState, assertions: Sequence[Assertion]) -> tuple[list[CleanedAssertion], Discovery]:
    """
    Apply assertions, match and discover in turn until nothing changes.

    Some people get an identity only after the others are settled. Faces that an identity lost to a nearer assertion can
    found another identity, or join one. Attached people stay attached, so there are at most as many turns as people.
    """
    hearings, found = apply_assertions(draft, assertions), _place_loose(draft)
    draft.drop_empty()
    for _ in assertions:
        owner, attached = draft.owner.copy(), dict(draft.people.identity_of)
        hearings = apply_assertions(draft, assertions)
        if (draft.owner != owner).any():
            found = _place_loose(draft)
        draft.drop_empty()
        if (draft.owner == owner).all() and draft.people.identity_of == attached:
            break
    return hearings, found


def _place_loose(draft: GroupingState) -> Discovery:
    """Place loose faces until no more can be placed; return the last discovery, which changed nothing."""
    if draft.rules.method == "careful":
        return place_carefully(draft)
    while True:
        while match(draft):
            pass
        found = discover(draft)
        if not found.changes:
            return found


def _number(draft: GroupingState) -> tuple[NewIdentity, ...]:
    """Assign final numbers to new identities: largest first, ties by content. Numbers from decisions stay."""
    members = {number: draft.members(number) for number in draft.new}
    found = [number for number in members if number >= draft.first_new]
    found.sort(key=lambda number: (-len(members[number]), members[number][0]))
    final = {number: number for number in members if number < draft.first_new}
    final |= {number: draft.first_new + place for place, number in enumerate(found)}
    for number, place in final.items():
        draft.owner[members[number]] = place
    draft.founded = {final[number]: sifting for number, sifting in draft.founded.items() if number in final}
    draft.people.renumber(final)
    return tuple(
        NewIdentity(final[number], draft.new[number], draft.people.of(final[number]))
        for number in sorted(final, key=lambda number: final[number])
    )


def _joins(draft: GroupingState, carried: Mapping[int, Carried]) -> tuple[Join, ...]:
    """Return the faces whose identity changed or was carried over, ordered by face id."""
    joins = []
    centroids: dict[int, NDArray[np.float32]] = {}
    is_new = (draft.owner != draft.before) | np.isin(draft.faces.face_ids, list(carried))
    rows = np.flatnonzero(is_new & (draft.owner != NOBODY))
    for row, sure in zip(rows.tolist(), confidences(draft, rows).tolist(), strict=True):
        number, face = int(draft.owner[row]), int(draft.faces.face_ids[row])
        stays = draft.owner[row] == draft.before[row]
        how, distance = (carried[face].how, None) if stays else draft.how[row]
        if distance is None:
            if number not in centroids:
                centroids[number] = draft.centroids.of(draft.members(number))
            distance = float(cosine_distances(draft.faces.vectors[row : row + 1], centroids[number][None])[0, 0])
        confidence = None if how == "decided" or np.isnan(sure) else round(sure, 4)
        joins.append(Join(face, number, max(0.0, distance), how, confidence))
    return tuple(sorted(joins, key=lambda join: join.face_id))


def _leaves(draft: GroupingState) -> tuple[int, ...]:
    """Return the ids of the faces that no longer belong to an identity."""
    rows = np.flatnonzero((draft.before != NOBODY) & (draft.owner == NOBODY))
    return tuple(np.sort(draft.faces.face_ids[rows]).tolist())


def _links(draft: GroupingState, known: Sequence[Known]) -> tuple[Link, ...]:
    """Return the people whose identity changed, ordered by source and id."""
    before = {person: identity.number for identity in known for person in identity.people}
    return tuple(
        Link(*person, number)
        for person, number in sorted(draft.people.identity_of.items())
        if before.get(person) != number
    )
