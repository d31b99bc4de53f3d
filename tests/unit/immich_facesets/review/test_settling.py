"""Which decisions settle a question, and when one that was put off is asked again."""

from dataclasses import replace

import pytest

from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.decisions import Seen
from immich_facesets.moderation.requests import (
    AllowTwice,
    ConfirmFaces,
    IgnoreStrangers,
    KeepTwoApart,
    MergePeople,
    MoveFaces,
    PutOff,
    RejectFaces,
    SplitPerson,
)
from immich_facesets.review.answers import answers_of, question_of
from immich_facesets.review.items import Item, has_changed
from immich_facesets.review.settling import Settled

PAIR = Item(kind="merge", reason="alike", identities=(3, 7), faces=(40, 10), probability=0.8, settles=10)
MEMBER = Item(kind="member", reason="far", identities=(3, 7), faces=(40, 10), probability=0.6, settles=1, face_id=5)
MIXED = Item(
    kind="mixed",
    reason="parts",
    identities=(3,),
    faces=(40, 2),
    probability=0.9,
    settles=2,
    part=(5, 6),
    evidence=((1,), (5,)),
)
NEARLY = Item(kind="nearly", reason="pictures", identities=(), faces=(2,), probability=0.9, settles=2, part=(5, 6))
TWICE = replace(MEMBER, reason="twice_in_picture", identities=(3,), faces=(40,), part=(6,))
BETWEEN = replace(MEMBER, kind="ambiguous", reason="between_two")


@pytest.mark.parametrize(
    ("item", "after"),
    [
        (PAIR, Constraints(apart=frozenset({(3, 7)}))),
        (PAIR, Constraints(parted=frozenset({(3, 7)}))),
        (PAIR, Constraints(merged={7: 3})),
        (PAIR, Constraints(strangers=frozenset({7}))),
        (PAIR, Constraints(forgotten=frozenset({3}))),
        (MEMBER, Constraints(must={5: 3})),
        (MEMBER, Constraints(must={5: 9})),
        (MEMBER, Constraints(ignored=frozenset({5}))),
        (MEMBER, Constraints(must_not=frozenset({(5, 3)}))),
        (BETWEEN, Constraints(must_not=frozenset({(5, 7)}))),
        (BETWEEN, Constraints(merged={3: 7})),
        (MIXED, Constraints(must={5: 8})),
        (MIXED, Constraints(must={5: 3, 1: 3}, confirmed=frozenset({1, 5}))),
        (NEARLY, Constraints(must={6: 8})),
        (NEARLY, Constraints(ignored=frozenset({5, 6}))),
        (TWICE, Constraints(must={5: 3}, together=frozenset({5}))),
        (TWICE, Constraints(must_not=frozenset({(6, 3)}))),
    ],
)
def test_a_decision_about_its_subject_settles_a_question(item: Item, after: Constraints) -> None:
    assert Settled(after).is_answered(item)
    assert not Settled(Constraints()).is_answered(item)


def test_a_lock_settles_what_its_members_are_and_no_pair() -> None:
    assert Settled(Constraints(), [3]).is_answered(MEMBER)
    assert not Settled(Constraints(), [7]).is_answered(MEMBER)
    assert not Settled(Constraints(), [3, 7]).is_answered(PAIR)
    assert Settled(Constraints(), [3]).is_answered(MIXED)


@pytest.mark.parametrize(
    ("item", "after"),
    [
        (PAIR, Constraints(apart=frozenset({(3, 8)}), must_not=frozenset({(5, 3)}))),
        (MIXED, Constraints(must={5: 3, 6: 3}, confirmed=frozenset({5, 6}))),
        (MIXED, Constraints(must={5: 3, 1: 3})),
        (NEARLY, Constraints(must={7: 8}, ignored=frozenset({9}))),
        (MEMBER, Constraints(must={6: 3}, must_not=frozenset({(5, 7)}), apart=frozenset({(3, 7)}))),
    ],
)
def test_a_decision_about_something_else_settles_nothing(item: Item, after: Constraints) -> None:
    assert not Settled(after).is_answered(item)


def test_not_sure_is_asked_again_only_when_the_evidence_changes() -> None:
    settled = Settled(Constraints(later_identities={(3, 7): 2}, seen={2: PAIR.seen}))
    assert settled.is_put_off(PAIR)
    assert settled.is_put_off(replace(PAIR, probability=0.85, faces=(41, 11)))
    assert not settled.comes_last(PAIR)
    for changed in ({"probability": 0.91}, {"faces": (40, 15)}, {"faces": (20, 10)}):
        assert not settled.is_put_off(replace(PAIR, **changed))
    of_face = Settled(Constraints(later_faces={5: 3}, seen={3: MEMBER.seen}))
    assert of_face.is_put_off(MEMBER)
    assert not of_face.is_put_off(replace(MEMBER, identities=(4, 7))), "it is of another identity now"
    assert not of_face.is_put_off(BETWEEN), "another question about that face"


@pytest.mark.parametrize("item", [PAIR, MIXED, MEMBER, BETWEEN, NEARLY, TWICE])
def test_every_kind_can_be_put_off(item: Item) -> None:
    (later,) = answers_of(item)[-1].requests
    assert isinstance(later, PutOff)
    assert later.seen == item.seen
    numbers = tuple(number for number in (later.identity, later.other) if number is not None)
    faces = {face: 4 for face in later.faces if isinstance(face, int)}
    put_off = Constraints(later_faces=faces, later_identities={numbers: 4} if numbers else {}, seen={4: item.seen})
    assert Settled(put_off).is_put_off(item)
    assert not Settled(put_off).comes_last(item)
    assert Settled(replace(put_off, seen={})).comes_last(item)


@pytest.mark.parametrize(
    "after",
    [
        Constraints(later_identities={(3, 7): 1}),
        Constraints(later_identities={(7,): 1}),
    ],
)
def test_what_was_put_off_without_a_question_comes_last(after: Constraints) -> None:
    assert Settled(after).comes_last(PAIR)
    assert not Settled(after).is_put_off(PAIR)
    assert Settled(Constraints(later_faces={5: 1})).comes_last(MEMBER)


def test_evidence_that_hardly_moves_is_the_same() -> None:
    seen = Seen("merge", 0.5, (1, 2), (10, 10))
    nobody = Seen("reference", 0.5, (1, 2), (0, 10))
    assert not has_changed(nobody, nobody), "a person without faces, as before"
    assert has_changed(nobody, Seen("reference", 0.5, (1, 2), (1, 10)))
    assert not has_changed(seen, Seen("merge", 0.59, (1, 2), (14, 7)))
    assert has_changed(seen, Seen("merge", 0.65, (1, 2), (10, 10)))
    assert has_changed(seen, Seen("merge", 0.5, (1, 2), (15, 10)))
    assert has_changed(seen, Seen("merge", 0.5, (1, 3), (10, 10)))
    assert has_changed(seen, Seen("merge", 0.5, (1,), (10,)))


def test_answers_are_requests_for_decisions() -> None:
    yes, no, later = answers_of(PAIR)
    assert yes.requests == (MergePeople(numbers=(7,), into=3, even_if_locked=True),)
    assert no.requests == (KeepTwoApart(identity=3, other=7),)
    assert later.requests == (PutOff(identity=3, other=7, seen=PAIR.seen),)
    assert question_of(PAIR) == "are identity 3 and identity 7 one person?"


def test_the_named_one_of_two_stays_and_of_two_names_its_own() -> None:
    yes, *_ = answers_of(PAIR, {7: "Ada"})
    assert yes.requests == (MergePeople(numbers=(3,), into=7, even_if_locked=True),)
    yes, *_ = answers_of(PAIR, {3: "Ada", 7: "Adele"})
    assert yes.requests == (MergePeople(numbers=(7,), into=3, label="Ada", even_if_locked=True),)


def test_a_mixed_identity_is_confirmed_or_split() -> None:
    yes, no, _ = answers_of(MIXED)
    assert yes.requests == (ConfirmFaces(faces=(1, 5), identity=3),)
    assert no.requests == (SplitPerson(faces=(5, 6)),)


def test_faces_of_nobody_are_a_person_or_strangers() -> None:
    yes, no, _ = answers_of(NEARLY)
    assert yes.requests == (MoveFaces(faces=(5, 6)),)
    assert no.requests == (IgnoreStrangers(faces=(5, 6)),)


def test_of_two_faces_of_a_picture_one_or_both_are_the_person() -> None:
    both, this, neither, _ = answers_of(TWICE)
    confirm = ConfirmFaces(faces=(5,), identity=3)
    assert both.requests == (AllowTwice(faces=(5,)), confirm)
    assert this.requests == (RejectFaces(faces=(6,), identity=3), confirm)
    assert neither.requests == (RejectFaces(faces=(5,), identity=3),)


def test_a_face_is_of_one_or_the_other_or_of_neither() -> None:
    one, other, neither, later = answers_of(BETWEEN)
    assert one.requests == (ConfirmFaces(faces=(5,), identity=3, even_if_locked=True),)
    assert other.requests == (ConfirmFaces(faces=(5,), identity=7, even_if_locked=True),)
    assert neither.requests == (RejectFaces(faces=(5,), identity=3), RejectFaces(faces=(5,), identity=7))
    assert later.requests == (PutOff(faces=(5,), seen=BETWEEN.seen),)
    assert [one.key for one in answers_of(replace(MEMBER, identities=(3,), faces=(40,)))] == ["y", "n", "?"]
