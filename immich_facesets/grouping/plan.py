"""The grouping of all faces as a pure function: repeat matching and discovery until stable; return the changes."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from immich_facesets.assets import PersonKey
from immich_facesets.grouping.assertions import CleanedAssertion, apply_assertions, disregard_contradicted
from immich_facesets.grouping.careful import place_carefully
from immich_facesets.grouping.changes import Carried, Former, GroupingPlan, Join, Link, Naming, NewIdentity
from immich_facesets.grouping.confidence import confidences
from immich_facesets.grouping.discovery import Discovery, discover
from immich_facesets.grouping.face_table import Assertion, FaceTable, Rows
from immich_facesets.grouping.identities import UNASSIGNED, Known
from immich_facesets.grouping.matching import match
from immich_facesets.grouping.oscillation import Oscillation
from immich_facesets.grouping.problem import GroupingProblem, grouping_problem
from immich_facesets.grouping.regrouping import dissolved_rows, follow_members, may_regroup, release_placed
from immich_facesets.grouping.report import GroupingReport, review
from immich_facesets.grouping.row_constraints import CannotLink
from immich_facesets.grouping.rules import GroupingRules, Method
from immich_facesets.grouping.state import GroupingState, initial_state
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
    "Naming",
    "NewIdentity",
    "plan_grouping",
]


def plan_grouping(
    table: FaceTable,
    *,
    memberships: Mapping[int, int],
    known: Sequence[Known],
    assertions: Sequence[Assertion],
    constraints: Constraints,
    thresholds: OperatingPoints,
    rules: GroupingRules,
    next_number: int,
    carried: Mapping[int, Carried] | None = None,
    incomplete: Collection[int] = (),
    dissolved: Mapping[int, int] | None = None,
    fresh: Collection[int] | None = None,
    blank: Sequence[Sequence[float]] = (),
) -> GroupingPlan:
    """
    Decide which face belongs to which identity (docs/grouping.md).

    ``memberships``: face id to identity number, as stored. ``known``: every identity ever numbered. ``next_number``:
    one past the highest number ever used. Decisions come first, then the assertions of sources, then matching and
    discovery in turn. Planning again after the plan was applied yields no changes. The order of rows and the values of
    face ids do not affect the result. A membership whose face is not in the table is ignored.

    ``carried``: memberships to restore, by face id: those of another space, or of faces that are back. They count as
    existing ones, and all of them are among the joins, with distances of this space.

    ``fresh``: the faces added since the last grouping with the same rules, distances and decisions; None examines all
    faces. Of the other faces, only those near something new are examined, so the cost depends on the number of fresh
    faces. Only the careful method supports this; the plain one always examines all faces. Where some are fresh, existing
    members stay. Else those that grouping placed are placed anew (module ``regrouping``).

    ``incomplete``: identities with members that are not in the table and may come back: their members stay.
    ``dissolved``: former members of identities that ended: face id to number.

    ``blank``: unit vectors, the directions of crops that show nobody. A cluster there founds no identity.
    """
    carried = carried or {}
    memberships = {**memberships, **{face: member.identity for face, member in carried.items()}}
    is_whole = fresh is None
    if rules.method == "plain":
        fresh = None
    problem = grouping_problem(table, memberships, known, constraints, thresholds, rules, blank)
    disregard_contradicted(problem, assertions)
    state = initial_state(problem, constraints, known, memberships, next_number, fresh, assertions, dissolved or {})
    kept = incomplete if is_whole and may_regroup(problem) else None
    cleaned, last = _decide(problem, state, assertions, kept)
    new = _number(state, problem.constraints.cannot_link)
    report = review(problem, state, cleaned, last, is_complete=fresh is None)
    return GroupingPlan(
        new=new,
        joins=_joins(problem, state, carried),
        leaves=_leaves(problem, state),
        links=_links(state, known),
        report=report,
        namings=_namings(state, known, cleaned),
        absorbed=_absorbed(state),
        dissolved=_dissolved(problem, state),
    )


def _decide(
    problem: GroupingProblem, state: GroupingState, assertions: Sequence[Assertion], kept: Collection[int] | None
) -> tuple[list[CleanedAssertion], Discovery]:
    """
    Apply assertions, and place the other faces, in turn until nothing changes.

    Some people get an identity only after the others have one. Faces that an identity lost to a nearer assertion can
    make another identity, or join one. Two turns for each person are enough to merge and part them; turns that repeat end
    as module ``oscillation`` says.

    ``kept``: the identities that are not placed anew; None for all.
    """
    cleaned: list[CleanedAssertion] = []
    last = Discovery([])
    start: _Start | None = None
    oscillation = Oscillation()
    for _ in range(4 * len(assertions) + 8):
        oscillation.begin_turn(state)
        cleaned = apply_assertions(problem, state, assertions)
        applied = state.owner.copy()
        if kept is not None:
            release_placed(problem, state, cleaned, kept)
        before, start = start, _start(state)
        if start == before:  # placing from here gave what there is
            state.owner[:] = applied
            break
        last = _place_loose(problem, state)
        state.identities.drop_empty(state.owner)
        follow_members(problem, state)
        if kept is None:
            start = _start(state)
    state.identities.drop_empty(state.owner)  # the last assertions may have created one that got no face
    return cleaned, last


_Start = tuple[bytes, bytes, dict[PersonKey, int]]


def _start(state: GroupingState) -> _Start:
    """Return all on which the placing of loose faces depends, and that turns change."""
    return state.owner.tobytes(), state.is_held.tobytes(), dict(state.identities.people.identity_of)


def _place_loose(problem: GroupingProblem, state: GroupingState) -> Discovery:
    """Place loose faces until no more can be placed; return the last discovery, which changed nothing."""
    if problem.rules.method == "careful":
        return place_carefully(problem, state)
    while True:
        while match(problem, state):
            pass
        found = discover(problem, state)
        if not found.changes:
            return found


def _number(state: GroupingState, cannot_link: CannotLink) -> tuple[NewIdentity, ...]:
    """Assign final numbers to new identities: largest first, ties by content. Numbers from decisions stay."""
    identities = state.identities
    created = {number: state.members(number) for number in identities.origins if number >= identities.first_new}
    by_size = sorted(created, key=lambda number: (-len(created[number]), created[number][0]))
    final = {number: identities.first_new + place for place, number in enumerate(by_size)}
    state.renumber(final)
    cannot_link.renumber(final)
    return tuple(
        NewIdentity(number, identities.origins[number], identities.people.of(number))
        for number in sorted(identities.origins)
    )


def _joins(problem: GroupingProblem, state: GroupingState, carried: Mapping[int, Carried]) -> tuple[Join, ...]:
    """Return the faces whose identity changed or was carried over, ordered by face id."""
    joins = []
    members: dict[int, Rows] = {}
    faces, owner, before, centroids = problem.faces, state.owner, problem.before, problem.centroids
    is_new = (owner != before) | np.isin(faces.face_ids, list(carried))
    rows = np.flatnonzero(is_new & (owner != UNASSIGNED))
    found = confidences(rows, owner, faces.vectors, centroids).tolist()
    for row, confidence in zip(rows.tolist(), found, strict=True):
        number, face = int(owner[row]), int(faces.face_ids[row])
        stays = owner[row] == before[row]
        how, distance = (carried[face].how, None) if stays else state.how[row]
        if distance is None:
            if number not in members:
                members[number] = state.members(number)
            distance = float(centroids.distances_to(members[number], np.array([row]))[0])
        is_known = how != "decided" and not np.isnan(confidence)
        joins.append(Join(face, number, max(0.0, distance), how, round(confidence, 4) if is_known else None))
    return tuple(sorted(joins, key=lambda join: join.face_id))


def _leaves(problem: GroupingProblem, state: GroupingState) -> tuple[int, ...]:
    """Return the ids of the faces that no longer belong to an identity."""
    rows = np.flatnonzero((problem.before != UNASSIGNED) & (state.owner == UNASSIGNED))
    return tuple(np.sort(problem.faces.face_ids[rows]).tolist())


def _absorbed(state: GroupingState) -> tuple[tuple[int, int], ...]:
    """Return the identities that others took over, with these; faces placed anew may have one of them again."""
    has_faces = set(state.owner.tolist())
    return tuple((old, new) for old, new in sorted(state.identities.absorbed.items()) if old not in has_faces)


def _dissolved(problem: GroupingProblem, state: GroupingState) -> tuple[Former, ...]:
    """Return the former members of identities that end, by face id."""
    rows = dissolved_rows(problem, state)
    found = zip(problem.faces.face_ids[rows].tolist(), problem.before[rows].tolist(), strict=True)
    return tuple(Former(face, number) for face, number in sorted(found))


def _links(state: GroupingState, known: Sequence[Known]) -> tuple[Link, ...]:
    """Return the people whose identity changed, ordered by source and id."""
    before = {person: identity.number for identity in known for person in identity.people}
    return tuple(
        Link(*person, number)
        for person, number in sorted(state.identities.people.identity_of.items())
        if before.get(person) != number
    )


def _namings(state: GroupingState, known: Sequence[Known], cleaned: Sequence[CleanedAssertion]) -> tuple[Naming, ...]:
    """
    Return the identities that get their name from another person than before, by number.

    A name stays as long as its person has it and is attached. Otherwise that of the person with the most faces that
    agree is taken, among equals the one whose faces are nearest to each other.
    """
    people = state.identities.people
    before = {identity.number: identity.named_by for identity in known}
    first: dict[int, tuple[float, float, PersonKey]] = {}
    for one in cleaned:
        person, number = one.assertion.person, people.identity_of.get(one.assertion.person)
        if number is None or not people.name_of(person) or len(one.evidence) == 0:
            continue
        rank = (-len(one.evidence), float(np.mean(one.distances)), person)
        first[number] = min(first.get(number, rank), rank)
    return tuple(
        Naming(number, *person)
        for number, (_, _, person) in sorted(first.items())
        if (shown := before.get(number)) is None or people.identity_of.get(shown) != number
    )
