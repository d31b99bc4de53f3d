"""The rest of decisions when a person is forgotten: nothing of the person, and all of others."""

from datetime import UTC, datetime

import pytest
from decision_builders import ONE_OF_EACH, face
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    Confirm,
    Decision,
    Erased,
    Ignore,
    Label,
    Merge,
    Move,
    OfAge,
    Part,
    Split,
    faces_in,
    from_json,
    kind_of,
    to_json,
)
from immich_facesets.moderation.erasing import Forgotten, digest_of, faces_at, redacted, without_person
from immich_facesets.moderation.records import Record

HERS = {face(1), face(2)}
WHO = Forgotten(
    frozenset({1, 7}), HERS.__contains__, frozenset({"ada", "ada l."}), frozenset({8}), frozenset({("s", "p1")})
)


def record(decision: Decision, reason: str = "", *members: Part) -> Record:
    return Record(1, "uid", "batch", decision, "anna", "page", datetime(2026, 5, 1, tzinfo=UTC), reason, members)


@given(st.sampled_from(ONE_OF_EACH), st.frozensets(st.integers(1, 8)), st.frozensets(st.integers(1, 3)))
def test_no_kind_keeps_a_face_of_the_person_and_each_is_still_a_decision(
    decision: Decision, numbers: frozenset[int], faces: frozenset[int]
) -> None:
    who = Forgotten(numbers, {face(number) for number in faces}.__contains__)
    left = redacted(decision, who)
    assert not [ref for ref in faces_in(left) if who.holds(ref)]
    assert from_json(to_json(left)) == left
    assert redacted(left, who) == left, "once is enough"
    assert kind_of(left) in {kind_of(decision), "erased"}
    nobody = Forgotten(frozenset(), lambda _: False)
    assert redacted(decision, nobody) == decision


@pytest.mark.parametrize(
    ("decision", "left"),
    [
        (Move((face(1), face(3)), 4, 1), Move((face(3),), 4, 1)),
        (Move((face(1), face(2)), 1, 4), Erased()),
        (Confirm((face(3),), 4, 4), Confirm((face(3),), 4, 4)),
        (Split(1, (face(3),), 9), Split(1, (face(3),), 9)),
        (Split(4, (face(3),), 7), Erased()),
        (Ignore((face(1),), identity=4), Ignore((), identity=4)),
        (Ignore((face(3),), identity=1), Erased()),
        (OfAge((face(2),)), Erased()),
        (Label(4, "Bob", "Ada"), Label(4, "Bob")),
        (Label(4, "ADA", None), Erased()),
        (Label(8, "Ada", None), Label(8, "Ada", None)),
        (Merge(4, (Part(7, (face(3),)), Part(5, (face(1), face(6)))), "Ada"), Merge(4, (Part(5, (face(6),)),))),
        (Merge(4, (Part(7, (face(3),)),)), Erased()),
        (Merge(4, (Part(5, (), (("s", "p1"), ("s", "p2"))),)), Merge(4, (Part(5, (), (("s", "p2"),)),))),
        (Merge(1, (Part(5, (face(1), face(6))),), "Bob", "Ada", face(6), True), Merge(1, (Part(5, (face(6),)),))),
        (Merge(1, (Part(7, (face(6),)),)), Erased()),
        (Merge(4, (Part(7), Part(5)), "Bob", label_of=7), Merge(4, (Part(5),), "Bob")),
        (Merge(4, (Part(7), Part(5)), "Bob", label_of=5), Merge(4, (Part(5),), "Bob", label_of=5)),
    ],
)
def test_others_keep_what_was_decided_of_them(decision: Decision, left: Decision) -> None:
    assert redacted(decision, WHO) == left


def test_a_reason_goes_where_the_person_is_named_or_was_in_the_decision() -> None:
    others = Move((face(3),), 4)
    assert without_person(record(others, "Adam told so"), WHO).reason == "Adam told so"
    assert without_person(record(others, "ada L. told so"), WHO).reason == ""
    assert without_person(record(Move((face(1), face(3)), 4), "why"), WHO).reason == ""
    left = without_person(record(others, "why", Part(1, (face(3),)), Part(4, (face(2), face(3)))), WHO)
    assert (left.members, left.reason) == ((Part(4, (face(3),)),), "")
    erased = without_person(record(Label(1, "Ada"), "why", Part(1, (face(1),))), WHO)
    assert erased == record(Erased())


def test_a_place_leads_to_the_nearest_face_alone() -> None:
    boxes = [Box(0, 0, 100, 100), Box(10, 10, 110, 110), Box(500, 500, 600, 600)]
    assert faces_at([Box(8, 8, 108, 108)], boxes) == {1}
    assert faces_at([Box(300, 300, 400, 400)], boxes) == set()
    assert faces_at([], boxes) == faces_at(boxes, []) == set()


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_digest_says_nothing_without_its_salt(one: str, other: str) -> None:
    assert digest_of("salt", one) == digest_of("salt", one) != digest_of("pepper", one)
    assert (digest_of("salt", one) == digest_of("salt", other)) == (one == other)
