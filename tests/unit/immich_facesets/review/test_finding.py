"""The review queue finds planted mistakes, asks nothing of a clean library, and puts first what costs most."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import people, table_of, unit
from planted_mistakes import Planted

from immich_facesets.grouping.plan import FaceTable
from immich_facesets.grouping.split_proposal import propose_split
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.requests import SplitPerson
from immich_facesets.review.answers import answers_of, question_of
from immich_facesets.review.finding import find_items
from immich_facesets.review.items import Item, rank
from immich_facesets.review.settling import Settled
from immich_facesets.spaces import OperatingPoints

POINTS = OperatingPoints()


def clean(seed: int = 0, sizes: tuple[int, ...] = (24, 16, 12, 8)) -> Planted:
    """A few people over ten years, each grouped rightly."""
    vectors, who = people(np.random.default_rng(seed), sizes, 0.5)
    taken = (365.25 * (30 + np.arange(len(who)) % 10) + 100).astype(np.float64)
    found = Planted.group(table_of(vectors, taken=taken), who.astype(str), POINTS, 3)
    assert len(found.people()) == len(sizes)
    return found


def with_a_face_between(library: Planted) -> tuple[FaceTable, int]:
    """The table with one more face, as near to identity 1 as to identity 2."""
    table, owner = library.library.table, np.array(library.library.labels())
    centres = [unit(table.vectors[owner == number].mean(axis=0)[None])[0] for number in (1, 2)]
    between = unit((centres[0] + centres[1])[None])
    grown = table_of(np.concatenate([table.vectors, between]), taken=np.append(table.taken, table.taken[0]))
    return grown, int(grown.face_ids[-1])


def test_a_clean_library_raises_no_question() -> None:
    assert clean().items() == ()


def test_a_person_split_in_two_is_the_first_question() -> None:
    library = clean()
    faces = sorted(library.library.faces_of(1))
    new = library.split(faces[:10])
    library.misplace(min(library.library.faces_of(2)), 3)
    first, *others = library.items()
    assert (first.kind, first.identities, first.faces, first.settles) == ("merge", (1, new), (14, 10), 10)
    assert first.probability > 0.9
    assert [one.kind for one in others] == ["member"], "the faces of the two are no questions of their own"


def test_two_people_in_one_identity_are_asked_about_before_their_faces() -> None:
    library = clean()
    others = sorted(library.library.faces_of(2))[:9]
    for face in others:
        library.misplace(face, 1)
    (item,) = library.items()
    assert (item.kind, item.identities, item.part, item.settles) == ("mixed", (1,), tuple(others), 9)
    assert item.probability > 0.95
    assert item.evidence is not None
    rest, part = item.evidence
    assert set(part) <= set(others)
    assert rest
    assert set(rest).isdisjoint(others)


def test_faces_that_are_nearly_a_person_are_a_question() -> None:
    vectors, who = people(np.random.default_rng(5), (9, 3, 1), 0.5)
    library = Planted.group(table_of(vectors), who.astype(str), POINTS, 4)
    (item,) = library.items()
    assert (item.kind, item.reason, item.part, item.settles) == ("nearly", "pictures", (10, 11, 12), 3)
    state, report = library.library, library.library.plan().report
    blind = replace(report, nearly_there=None, nearly_people=())
    again = find_items(blind, state.table, state.memberships, points=POINTS, stored={item.key: item})
    assert [one.key for one in again] == [item.key], "this grouping did not look"
    state.memberships[11] = 1
    assert not find_items(blind, state.table, state.memberships, points=POINTS, stored={item.key: item})[1:]


def test_a_question_about_a_face_that_an_undo_put_back_stays_although_grouping_leaves_the_face_alone() -> None:
    library = clean()
    library.misplace(min(library.library.faces_of(2)), 3)
    (item,) = library.items()
    state, blind = library.library, replace(library.library.plan().report, doubtful=(), ambiguous=())
    asked = [
        find_items(blind, state.table, state.memberships, points=POINTS, stored={item.key: item}, settled=Settled(one))
        for one in (Constraints(), Constraints(must={item.face_id or 0: 3}, put_back=frozenset({item.face_id or 0})))
    ]
    assert [[(one.key, one.probability) for one in found] for found in asked] == [[], [(item.key, item.probability)]]
    state.memberships[item.face_id or 0] = 1
    decided = Settled(Constraints(put_back=frozenset({item.face_id or 0})))
    assert not find_items(
        blind, state.table, state.memberships, points=POINTS, stored={item.key: item}, settled=decided
    )


def test_a_second_face_of_a_picture_may_be_a_mirror() -> None:
    library = clean()
    table, first = library.library.table, min(library.library.faces_of(1))
    twin = table.vectors[[library.rows[first]]]
    grown = table_of(
        np.concatenate([table.vectors, twin]),
        pictures=np.append(table.pictures, table.pictures[library.rows[first]]),
        taken=np.append(table.taken, table.taken[0]),
    )
    library.library.table = grown
    second = int(grown.face_ids[-1])
    library.library.fresh = frozenset({second})
    (item,) = library.items()
    assert (item.kind, item.reason, item.face_id) == ("member", "twice_in_picture", second)
    assert (item.identities, item.part) == ((1,), (first,))


def kept(library: Planted, born: float | None = None) -> tuple[Item, ...]:
    """The questions about identity 1, which is locked so that grouping takes no face from it."""
    library.library.known[1] = replace(library.library.known[1], is_locked=True, born=born)
    return tuple(item for item in library.items() if item.identities == (1,))


def test_a_face_from_before_the_birth_that_a_lock_keeps_is_asked_about() -> None:
    library = clean()
    first = min(library.library.faces_of(1), key=lambda face: library.library.table.taken[library.rows[face]])
    born = float(library.library.table.taken[library.rows[first]]) + 10
    old = {face for face in library.library.faces_of(1) if library.library.table.taken[library.rows[face]] < born}
    found = kept(library, born=born)
    assert {(item.kind, item.reason, item.face_id) for item in found} == {
        ("member", "before_birth", one) for one in old
    }
    assert all(item.probability > 0.9 for item in found)
    answered = Settled(Constraints(confirmed=frozenset(old), must=dict.fromkeys(old, 1)), [1])
    assert all(answered.is_answered(item) and not Settled(Constraints(), [1]).is_answered(item) for item in found)


def test_of_two_members_in_one_picture_the_one_that_is_less_like_the_person_is_asked_about() -> None:
    library = clean()
    wrong, other = min(library.library.faces_of(2)), max(library.library.faces_of(1))
    library.misplace(wrong, 1)
    library.library.table.pictures[library.rows[wrong]] = library.library.table.pictures[library.rows[other]]
    (item,) = kept(library)
    assert (item.reason, item.face_id, item.part) == ("two_in_picture", wrong, (other,))
    assert "of which the picture has another face" in question_of(item)
    library.library.constraints = Constraints(together=frozenset({other}))
    assert kept(library) == (), "the picture may show the person twice"


def test_a_wrong_member_is_named_with_the_identity_that_it_is_nearer_to() -> None:
    library = clean()
    wrong = min(library.library.faces_of(2))
    library.misplace(wrong, 1)
    (item,) = library.items()
    assert (item.kind, item.reason, item.face_id, item.settles) == ("member", "nearer_to_another", wrong, 1)
    assert item.identities == (1, 2)
    assert item.probability > 0.9


def test_a_stranger_in_an_identity_is_far_from_it() -> None:
    library = clean(3, (20, 9))
    alone = unit(np.random.default_rng(9).normal(size=(1, 64)))
    table = library.library.table
    grown = table_of(np.concatenate([table.vectors, alone]), taken=np.append(table.taken, table.taken[0]))
    library.library.table, library.who = grown, np.append(library.who, "stranger")
    stranger = int(grown.face_ids[-1])
    library.misplace(stranger, 1)
    (item,) = library.items()
    assert (item.reason, item.face_id, item.identities) == ("far", stranger, (1,))


@pytest.mark.parametrize("owner", [None, 1])
def test_a_face_between_two_people_is_a_question_about_both(owner: int | None) -> None:
    library = clean()
    points = OperatingPoints(match=0.5)
    library.library.table, face = with_a_face_between(library)
    library.library.points = points
    if owner is not None:
        library.library.memberships[face] = owner
    library.library.fresh = frozenset() if owner else frozenset({face})
    plan = library.library.plan()
    items = find_items(plan.report, library.library.table, library.library.memberships, points=points)
    (item,) = [one for one in items if one.face_id == face]
    assert (item.kind, item.reason) == ("ambiguous", "between_two")
    assert set(item.identities) == {1, 2}


def test_a_look_at_new_faces_alone_forgets_no_face_that_was_left_out() -> None:
    library = clean()
    library.library.table, face = with_a_face_between(library)
    library.library.points = points = OperatingPoints(match=0.5)
    library.library.fresh = frozenset({face})
    state = library.library

    def items(stored: Mapping[str, Item]) -> list[Item]:
        report = state.plan().report
        return list(find_items(report, state.table, state.memberships, points=points, stored=stored))

    (first,) = items({})
    state.fresh = frozenset()
    assert items({}) == []
    (again,) = items({first.key: first})
    assert (again.key, again.probability, again.evidence) == (first.key, first.probability, None)
    state.memberships[face] = 3
    assert [one.kind for one in items({first.key: first})] == ["member"], "it is somebody's now"


def test_evidence_is_of_both_people_from_the_same_years() -> None:
    library = clean()
    new = library.split(sorted(library.library.faces_of(1))[:10])
    (item,) = library.items()
    rows, table = library.rows, library.library.table
    assert item.evidence is not None
    years = [{int(table.taken[rows[face]] // 365.25) for face in faces} for faces in item.evidence]
    assert years[0] == years[1]
    for number, faces in zip(item.identities, item.evidence, strict=True):
        assert set(faces) <= library.library.faces_of(number)
    assert {len(faces) for faces in item.evidence} == {4}
    assert item.identities == (1, new)


def test_evidence_for_a_face_is_of_its_year_and_never_the_face_itself() -> None:
    library = clean()
    wrong = sorted(library.library.faces_of(2))[3]
    library.misplace(wrong, 1)
    (item,) = library.items()
    assert item.evidence is not None
    assert wrong not in {face for faces in item.evidence for face in faces}
    rows, taken = library.rows, library.library.table.taken
    gaps = [abs(taken[rows[face]] - taken[rows[wrong]]) / 365.25 for faces in item.evidence for face in faces[:1]]
    assert max(gaps) < 1


def test_the_clearest_faces_are_the_evidence() -> None:
    library = clean()
    library.split(sorted(library.library.faces_of(1))[:10])
    table = library.library.table
    table.face_short[: len(table) // 2] = 100
    table.taken[:] = np.nan
    (item,) = library.items()
    rows = library.rows
    large = {face for face in library.library.faces_of(1) if table.face_short[rows[face]] > 100}
    assert item.evidence is not None
    assert (set(item.evidence[0]) <= large) == (len(large) >= 4)


def test_what_is_known_keeps_its_evidence_until_its_faces_change() -> None:
    library = clean()
    new = library.split(sorted(library.library.faces_of(1))[:10])
    first = library.items()
    state, report = library.library, library.library.plan().report
    known = {item.key: item for item in first}
    again = find_items(report, state.table, state.memberships, points=POINTS, stored=known)
    assert [(one.key, one.evidence) for one in again] == [(one.key, None) for one in first]
    state.table.taken[library.rows[min(state.faces_of(new))]] += 400
    moved = find_items(report, state.table, state.memberships, points=POINTS, stored=known)
    assert all(one.evidence is not None for one in moved), "a date changed"


def test_what_is_never_exported_comes_behind() -> None:
    library = clean()
    library.split(sorted(library.library.faces_of(1))[:10])
    new = library.split(sorted(library.library.faces_of(2))[:6])
    one, two = library.items()
    assert one.faces[1] > two.faces[1]
    hidden = library.items(never_exported=one.identities)
    assert hidden[0].identities == (2, new)
    assert not hidden[1].is_exported


@settings(max_examples=15)
@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(2, 8), max_size=2), wrong=st.integers(0, 3))
def test_the_order_of_faces_changes_nothing_and_the_queue_is_ranked(seed: int, cuts: list[int], wrong: int) -> None:
    library = clean(seed)
    for number, cut in enumerate(cuts, start=1):
        library.split(sorted(library.library.faces_of(number))[:cut])
    for face in sorted(library.library.faces_of(3))[:wrong]:
        library.misplace(face, 4)
    items = library.items()
    assert list(items) == sorted(items, key=rank)
    benefits = [item.benefit for item in items]
    assert benefits == sorted(benefits, reverse=True)
    order = np.random.default_rng(seed).permutation(len(library.who))
    assert library.shuffled(order).items() == items


@settings(max_examples=15)
@given(seed=st.integers(0, 99), cut=st.integers(3, 12))
def test_an_answered_pair_is_never_asked_again(seed: int, cut: int) -> None:
    library = clean(seed)
    new = library.split(sorted(library.library.faces_of(1))[:cut])
    (item,) = library.items()
    assert item.kind == "merge"
    apart = Constraints(apart=frozenset({(1, new)}))
    assert Settled(apart).is_answered(item)
    library.library.constraints = apart
    assert not [one for one in library.items() if one.kind == "merge" and not Settled(apart).is_answered(one)]


def test_a_mixed_identity_that_a_person_answered_holds_nothing_against_other_questions() -> None:
    library = clean()
    others, wrong = sorted(library.library.faces_of(2))[:9], min(library.library.faces_of(3))
    for face in (*others, wrong):
        library.misplace(face, 1)
    (asked,) = (item for item in library.items() if 1 in item.identities)
    assert asked.kind == "mixed", "until then its faces are no questions of their own"
    assert asked.evidence is not None
    confirmed = frozenset(face for faces in asked.evidence for face in faces)
    answered = Settled(Constraints(confirmed=confirmed, must=dict.fromkeys(confirmed, 1)))
    assert wrong in {item.face_id for item in library.items(settled=answered)}
    later = Settled(Constraints(later_identities={(1,): 5}, seen={5: asked.seen}))
    assert wrong in {item.face_id for item in library.items(settled=later)}
    locked = Settled(Constraints(), [1])
    assert "mixed" not in {item.kind for item in library.items(settled=locked)}


def test_a_doubtful_member_beside_an_identity_that_has_no_faces_any_more_is_asked_about_alone() -> None:
    library = clean()
    wrong = min(library.library.faces_of(2))
    library.misplace(wrong, 1)
    state, report = library.library, library.library.plan().report
    now = {face: 3 if number == 2 else number for face, number in state.memberships.items()}
    (item,) = (one for one in find_items(report, state.table, now, points=POINTS) if one.face_id == wrong)
    assert item.identities == (1,)


def grown(years_between: float, seed: int = 4) -> Planted:
    """An identity of fifteen faces, and of fifteen that are taken later and look like a stranger's; and another person."""
    rng = np.random.default_rng(seed)
    vectors, who = people(rng, (15, 15, 20), 0.5, 256)
    taken = np.repeat([10_000.0, 10_000.0 + 365.25 * years_between, 10_000.0], (15, 15, 20)) + np.arange(50.0) % 15
    found = Planted.group(table_of(vectors, taken=taken), who.astype(str), POINTS, 3)
    for face in sorted(found.library.faces_of(2)):
        found.misplace(face, 1)
    return found


def test_a_child_and_the_grown_person_are_no_question_but_two_strangers_are() -> None:
    assert "mixed" not in {item.kind for item in grown(25).items()}
    (item,) = (item for item in grown(1).items() if item.kind == "mixed")
    assert (item.part, item.probability > 0.95) == (tuple(range(16, 31)), True)


def test_the_answer_makes_the_parts_that_are_proposed_for_the_identity() -> None:
    library = clean(sizes=(24, 16, 12, 8))
    for face in sorted(library.library.faces_of(2) | library.library.faces_of(3)):
        library.misplace(face, 1)
    (item,) = (item for item in library.items() if item.kind == "mixed")
    state = library.library
    rows = [library.rows[face] for face in sorted(state.faces_of(1))]
    proposed = propose_split(state.table.rows(np.array(rows)), state.points, state.rules)
    assert len(proposed.parts) == 3
    assert item.parts == proposed.parts[1:]
    (two_people,) = (answer for answer in answers_of(item) if answer.key == "n")
    assert two_people.requests == tuple(SplitPerson(faces=part) for part in proposed.parts[1:])
    assert question_of(item).endswith("or are 16 and 12 faces other people?")
    assert item.evidence is not None
    for shown, part in zip(item.evidence, proposed.parts, strict=True):
        assert set(shown) <= set(part)


def test_proposals_are_computed_again_only_where_faces_dates_or_distances_changed() -> None:
    library = clean()
    for face in sorted(library.library.faces_of(2)):
        library.misplace(face, 1)
    first = library.parted()
    assert list(first) == [1]
    told = {1: replace(first[1], parts=((1,), (2,)))}
    assert library.parted(told) == told, "what is known is not computed"
    library.library.table.taken[0] += 400
    assert library.parted(told) != told
    library.library.table.taken[0] -= 400
    library.library.points = replace(POINTS, drop=POINTS.drop + 0.01)
    assert library.parted(told)[1].parts == first[1].parts
