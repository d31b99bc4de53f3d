"""The rule for minors: one source of knowledge holds a face back; a better date or a decision lifts it."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import unit

from immich_facesets.facesets.minors import DatedFace, Held, Knowledge, YearlyMeans, held_back, is_under_age

MIA, EVA = ("anna", "mia"), ("ben", "eva")
BIRTHS = {MIA: ("2015-02-03",), EVA: ("1980-02-03",)}
CHILD, GROWN = date(2020, 1, 1), date(2033, 2, 3)


def held(
    taken: date | None, *, given: Any = None, attached: Any = None, alike: tuple[str, ...] = (), **more: Any
) -> Held | None:
    """The reason that holds back face 1, of identity 7, that was taken then."""
    known = Knowledge(
        births=BIRTHS,
        of_faces={} if given is None else {1: frozenset({given})},
        of_identities={} if attached is None else {7: frozenset({attached})},
        **more,
    )
    return held_back([DatedFace(1, 7, taken)], known, {7: alike}).get(1)


@pytest.mark.parametrize(
    ("born", "taken", "expected"),
    [
        ("2000-06-15", "2018-06-14", True),
        ("2000-06-15", "2018-06-15", False),
        ("2000-06-15", "1999-01-01", True),  # a camera's wrong clock proves nothing
        ("2000-02-29", "2018-02-28", True),
        ("2000-02-29", "2018-03-01", False),
        ("someday", "2018-06-15", True),
    ],
)
def test_of_age_is_who_had_the_18th_birthday_when_the_photo_was_taken(born: str, taken: str, expected: bool) -> None:
    assert is_under_age(born, date.fromisoformat(taken)) is expected


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"attached": MIA}, Held.MINOR),
        ({"given": MIA}, Held.GIVEN),
        ({"alike": ("2015-02-03",)}, Held.ALIKE),
        ({"attached": EVA, "given": MIA}, Held.GIVEN),
        ({"attached": EVA, "alike": ("2015-02-03",)}, Held.ALIKE),
    ],
)
def test_each_source_of_knowledge_alone_holds_a_face_back(known: dict[str, Any], reason: Held) -> None:
    assert held(CHILD, **known) is reason
    assert held(None, **known) is Held.UNDATED
    assert held(GROWN, **known) is None, "of age by a date that says so"
    assert held(CHILD, of_age=frozenset({1}), **known) is None, "a user decided it"
    assert held(None, of_age=frozenset({2}), **known) is Held.UNDATED, "of another face"


def test_a_date_before_the_birth_is_wrong_for_her_and_right_for_who_only_looks_like_her() -> None:
    assert held(date(1990, 1, 1), attached=MIA) is Held.MINOR
    assert held(date(1990, 1, 1), given=MIA) is Held.GIVEN
    assert held(date(1990, 1, 1), alike=("2015-02-03",)) is None


def test_nothing_is_held_back_where_nobody_has_a_birth_date() -> None:
    assert held_back([DatedFace(1, 7, None), DatedFace(2, 7, CHILD)], Knowledge(), {}) == {}
    assert held(CHILD, attached=("anna", "stranger")) is None


def test_grown_people_are_free_and_their_undated_faces_are_not() -> None:
    assert held(CHILD, attached=EVA) is None
    assert held(None, attached=EVA) is Held.UNDATED, "it may be of her childhood"


@given(st.dates(date(1950, 1, 1), date(2050, 1, 1)) | st.none(), st.booleans(), st.booleans(), st.booleans())
def test_more_knowledge_never_frees_a_face(taken: date | None, attached: bool, given_: bool, alike: bool) -> None:
    less = held(taken, attached=MIA if attached else None)
    more = held(
        taken,
        attached=MIA if attached else None,
        given=MIA if given_ else None,
        alike=("2015-02-03",) if alike else (),
    )
    assert less is None or more is not None


class TestLikenesses:
    """Vectors of people far apart from each other; faces of one person are about 0.1 from their mean."""

    def faces(self, person: int, count: int = 6) -> Any:
        dice = np.random.default_rng(person)
        middle = unit(dice.normal(size=(1, 64)))
        return unit(middle + 0.05 * dice.normal(size=(count, 64))).astype(np.float32)

    def seen(self, first: int, identity: int, taken: date | None, count: int = 6) -> list[DatedFace]:
        return [DatedFace(first + number, identity, taken) for number in range(count)]

    def minors(self, known: Knowledge, *parts: tuple[list[DatedFace], Any], within: float = 0.45) -> Any:
        means = YearlyMeans(known)
        for faces, vectors in parts:
            means.add(faces, vectors)
        found = means.of_minors(within)
        people = {person for minors in found.values() for person, _ in minors}
        assert people <= known.births.keys()
        return {number: {born for _, born in minors} for number, minors in found.items()}

    def test_a_known_minor_whose_pictures_are_dated_before_the_birth_is_resembled_too(self) -> None:
        known = Knowledge(births=BIRTHS, of_identities={1: frozenset({MIA})})
        faces = self.faces(1, 12)
        mine = (self.seen(1, 1, date(1999, 6, 1)), faces[:6])
        for number, taken in ((2, date(2020, 6, 1)), (3, None)):
            other = (self.seen(number * 10, number, taken), faces[6:])
            assert self.minors(known, mine, other).get(number) == set(BIRTHS[MIA])
        another_person = (self.seen(40, 4, date(1998, 6, 1)), faces[6:])
        assert 4 not in self.minors(known, mine, another_person), "of other faces that date may be right"

    def test_an_identity_like_a_known_minor_is_found_and_no_other(self) -> None:
        known = Knowledge(births=BIRTHS, of_identities={1: frozenset({MIA})})
        mine, other = self.faces(1, 12), self.faces(2)
        parts = [(self.seen(1, 1, CHILD), mine[:6]), (self.seen(11, 2, CHILD), mine[6:])]
        assert self.minors(known, *parts, (self.seen(21, 3, CHILD), other)) == {1: {"2015-02-03"}, 2: {"2015-02-03"}}

    def test_faces_given_to_her_are_enough_to_know_her_by_though_they_are_nobodys(self) -> None:
        known = Knowledge(births=BIRTHS, of_faces={number: frozenset({MIA}) for number in range(1, 7)})
        mine = self.faces(1, 12)
        found = self.minors(known, (self.seen(1, 0, None), mine[:6]), (self.seen(11, 2, None), mine[6:]))
        assert found == {2: {"2015-02-03"}}

    def test_a_tenth_of_the_faces_given_to_her_makes_an_identity_hers_and_fewer_do_not(self) -> None:
        known = Knowledge(births=BIRTHS, of_faces={1: frozenset({MIA})})
        vectors = self.faces(1, 11)
        assert self.minors(known, (self.seen(1, 1, CHILD, 10), vectors[:10]), within=-1.0) == {1: {"2015-02-03"}}
        assert self.minors(known, (self.seen(1, 1, CHILD, 11), vectors), within=-1.0) == {}

    def test_one_year_of_her_childhood_is_enough_though_she_changed(self) -> None:
        known = Knowledge(births=BIRTHS, of_identities={1: frozenset({MIA})})
        baby, girl, woman = self.faces(1, 12), self.faces(2), self.faces(3)
        parts = [
            (self.seen(1, 1, date(2016, 1, 1), 2), baby[:2]),
            (self.seen(11, 1, date(2030, 1, 1)), girl),
            (self.seen(21, 1, date(2040, 1, 1)), woman),
        ]
        found = self.minors(known, *parts, (self.seen(31, 2, date(2016, 5, 1)), baby[6:]))
        assert 2 in found

    def test_who_was_never_a_child_here_makes_nobody_look_like_one(self) -> None:
        known = Knowledge(births=BIRTHS, of_identities={1: frozenset({EVA})})
        mine = self.faces(1, 12)
        assert self.minors(known, (self.seen(1, 1, CHILD), mine[:6]), (self.seen(11, 2, CHILD), mine[6:])) == {}
