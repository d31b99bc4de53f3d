"""The identity of a named person follows the evidence, whatever came first and however names sort."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, Vectors, people, table_of, told, unit

from immich_facesets.grouping.identities import Origin
from immich_facesets.grouping.plan import Assertion, FaceTable, Known
from immich_facesets.moderation.constraints import Constraints


def named(faces: dict[str, list[int]], names: dict[str, str], source: str = "anna") -> list[Assertion]:
    """Assertions of people whose names are not their ids."""
    return [replace(one, label=names[one.person_id]) for one in told(faces, source)]


def in_steps(
    table: FaceTable, assertions: list[Assertion], batches: list[np.ndarray], *, fresh: bool = False
) -> Library:
    """The library after one sync for each batch of rows."""
    library = Library(table.rows(np.arange(0)))
    seen = np.arange(0)
    for batch in batches:
        seen = np.sort(np.concatenate([seen, batch]))
        library.table = table.rows(seen)
        there = set(library.table.face_ids.tolist())
        library.assertions = [
            replace(one, face_ids=tuple(face for face in one.face_ids if face in there)) for one in assertions
        ]
        library.fresh = frozenset(table.face_ids[batch].tolist()) if fresh else None
        library.group()
        library.fresh = None
    return library


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), fresh=st.booleans())
def test_one_person_named_by_two_users_is_one_identity_in_any_order_of_syncs(*, seed: int, fresh: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(np.random.default_rng(0), [30, 12], 0.9)
    assertions = [*told({"ines": range(1, 21)}), *told({"ines": range(21, 31), "otto": range(31, 43)}, source="berta")]
    library = in_steps(table_of(vectors), assertions, np.array_split(rng.permutation(42), 30), fresh=fresh)
    assert library.parts() == {frozenset(range(1, 31)), frozenset(range(31, 43))}
    assert library.plan().is_empty


def test_identities_that_merge_keep_the_older_number_and_the_other_is_never_used_again() -> None:
    vectors, _ = people(np.random.default_rng(0), [12, 8], 0.5)
    library = Library(table_of(vectors), memberships=dict.fromkeys(range(1, 7), 3) | dict.fromkeys(range(7, 13), 5))
    library.known = {
        3: someone(3, "a"),
        5: someone(5, "b", "berta"),
    }
    library.assertions = [*told({"a": range(1, 7)}), *told({"b": range(7, 13)}, source="berta")]
    plan = library.group()
    assert plan.absorbed == ((5, 3),)
    assert library.faces_of(3) == set(range(1, 13))
    assert library.known[3].people == {("anna", "a"), ("berta", "b")}
    assert [new.number for new in plan.new] == [6]


def someone(number: int, person: str, source: str = "anna", origin: Origin = "asserted") -> Known:
    """An identity that has the name of this person."""
    whose = (source, person)
    return Known(number, origin, is_locked=False, people=frozenset({whose}), named_by=whose)


def merged(constraints: Constraints, *, lock: bool = False) -> Library:
    vectors, _ = people(np.random.default_rng(0), [12], 0.5)
    library = Library(table_of(vectors), memberships=dict.fromkeys(range(1, 7), 3) | dict.fromkeys(range(7, 13), 5))
    library.known = {
        3: Known(3, "asserted", is_locked=lock, people=frozenset({("anna", "a")})),
        5: someone(5, "b", "berta"),
    }
    library.assertions = [*told({"a": range(1, 7)}), *told({"b": range(7, 13)}, source="berta")]
    library.constraints = constraints
    library.group()
    return library


def test_a_lock_or_a_decision_keeps_identities_apart() -> None:
    assert len(merged(Constraints()).parts()) == 1
    assert len(merged(Constraints(), lock=True).parts()) == 2
    assert len(merged(Constraints(apart=frozenset({(3, 5)}))).parts()) == 2
    assert len(merged(Constraints(labels={5: "Mia"})).parts()) == 2


def test_people_side_by_side_in_a_picture_are_two_however_alike() -> None:
    vectors, _ = people(np.random.default_rng(0), [12], 0.3)
    library = Library(table_of(vectors, pictures=[0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10]))
    library.memberships = dict.fromkeys(range(1, 7), 1) | dict.fromkeys(range(7, 13), 2)
    library.known = {
        1: someone(1, "a"),
        2: someone(2, "b", "berta"),
    }
    library.assertions = [*told({"a": range(1, 7)}), *told({"b": range(7, 13)}, source="berta")]
    assert library.plan().is_empty


class TestTwoPeopleOfOneName:
    """A second cluster of Immich's gets the name of the first."""

    def library(self) -> Library:
        vectors, _ = people(np.random.default_rng(1), [14, 7], 0.6)
        library = Library(table_of(vectors), assertions=named({"p1": list(range(1, 9))}, {"p1": "Mia"}))
        library.group()
        assert library.faces_of(1) == set(range(1, 15))
        return library

    @pytest.mark.parametrize(("one", "other"), [("Mia", "mia "), ("Zo\u00eb", "Zoe\u0308"), ("STRASSE", "Stra\u00dfe")])
    def test_it_splits_nothing_where_the_faces_are_one_persons(self, one: str, other: str) -> None:
        library = self.library()
        library.assertions = named({"p1": list(range(1, 9)), "p2": list(range(9, 15))}, {"p1": one, "p2": other})
        plan = library.group()
        assert library.faces_of(1) == set(range(1, 15))
        assert {("anna", "p1"), ("anna", "p2")} == library.known[1].people
        assert not plan.report.same_names

    def test_where_they_are_not_it_is_a_question(self) -> None:
        library = self.library()
        library.assertions = named({"p1": list(range(1, 9)), "p2": list(range(15, 22))}, {"p1": "Mia", "p2": "Mia"})
        report = library.group().report
        assert library.parts() == {frozenset(range(1, 15)), frozenset(range(15, 22))}
        assert [(one.source, one.identity, one.other) for one in report.same_names] == [("anna", 1, 2)]

    def test_another_name_splits_and_the_same_name_later_joins_again(self) -> None:
        library = self.library()
        both = {"p1": list(range(1, 9)), "p2": list(range(9, 15))}
        library.assertions = named(both, {"p1": "Mia", "p2": "Zoe"})
        library.group()
        assert frozenset(range(9, 15)) in library.parts()
        library.assertions = named(both, {"p1": "Mia", "p2": "Mia"})
        library.group()
        assert library.faces_of(1) == set(range(1, 15))
        assert library.plan().is_empty


class TestMergedAtTheSource:
    """Immich gives all faces of one person to another."""

    def test_the_rest_is_never_left_without_a_name(self) -> None:
        vectors, _ = people(np.random.default_rng(2), [24], 0.6)
        library = Library(table_of(vectors), assertions=told({"p": range(1, 10), "q": range(13, 22)}))
        library.memberships = dict.fromkeys(range(1, 13), 1) | dict.fromkeys(range(13, 25), 2)
        library.known = {
            1: someone(1, "p"),
            2: someone(2, "q"),
        }
        plan = library.plan()
        assert (plan.new, plan.links, plan.absorbed) == ((), (), ()), "two people of one user stay two"
        library.assertions = told({"q": [*range(1, 10), *range(13, 22)]})
        library.group()
        assert library.faces_of(1) == set(range(1, 25)), "the older number"
        assert ("anna", "q") in library.known[1].people
        assert library.plan().is_empty

    def test_somebody_elses_faces_do_not_come_along(self) -> None:
        vectors, _ = people(np.random.default_rng(3), [20, 5], 0.4)
        library = Library(table_of(vectors), assertions=told({"q": range(1, 21)}))
        library.memberships = dict.fromkeys([*range(1, 11), *range(21, 26)], 1) | dict.fromkeys(range(11, 21), 2)
        library.known = {
            1: someone(1, "p", origin="discovered"),
            2: someone(2, "q"),
        }
        library.group()
        assert library.faces_of(1) == set(range(1, 21))
        assert frozenset(range(21, 26)) in library.parts()


def lookalikes() -> Vectors:
    """Twenty faces of one person, and thirty of another."""
    vectors, _ = people(np.random.default_rng(4), [20, 30], 0.6)
    return unit(vectors)


@pytest.mark.parametrize("is_named", [False, True])
def test_one_wrong_face_attaches_nobody_for_good(*, is_named: bool) -> None:
    """Immich takes a face of Grandma's for Ines; Ines's own faces come later."""
    table = table_of(lookalikes())
    library = Library(table.rows(np.arange(20, 50)))
    hers = told({"grandma": range(21, 50)}, source="berta") if is_named else []
    library.assertions = [*hers, *told({"ines": [50]})]
    library.group()
    assert ("anna", "ines") in library.known[1].people
    library.table = table
    library.assertions = [*hers, *told({"ines": [*range(1, 21), 50]})]
    library.group()
    assert library.parts() == {frozenset(range(1, 21)), frozenset(range(21, 51))}
    assert library.faces_of(1) == set(range(21, 51))
    (ines,) = [number for number, one in library.known.items() if ("anna", "ines") in one.people]
    assert library.faces_of(ines) == set(range(1, 21))
    assert library.plan().is_empty


class TestTheOwnersHand:
    """A face that its owner moved or deleted in Immich."""

    def library(self) -> Library:
        vectors, _ = people(np.random.default_rng(5), [8, 8], 0.5)
        library = Library(table_of(vectors), assertions=told({"p": range(1, 9), "q": range(9, 17)}))
        library.group()
        return library

    def test_a_face_given_to_another_person_follows_though_it_looks_like_the_first(self) -> None:
        library = self.library()
        p, q = library.memberships[1], library.memberships[9]
        (mine, theirs) = told({"p": range(1, 8), "q": [8, *range(9, 17)]})
        library.assertions = [replace(mine, taken=(8,)), replace(theirs, given=(8,))]
        report = library.group().report
        assert (library.faces_of(p), library.faces_of(q)) == (set(range(1, 8)), set(range(8, 17)))
        assert [(one.person_id, one.face_ids) for one in report.contradicted] == [("q", (8,))]
        assert not report.dropped
        again = library.plan()
        assert again.is_empty
        assert again.report.contradicted == report.contradicted, "as long as it is so"

    def test_a_face_taken_away_leaves_and_stays_away(self) -> None:
        library = self.library()
        p = library.memberships[1]
        library.assertions = [replace(told({"p": range(1, 8)})[0], taken=(8,)), *told({"q": range(9, 17)})]
        assert library.group().leaves == (8,)
        assert library.faces_of(p) == set(range(1, 8))
        assert library.plan().is_empty

    def test_it_stays_away_from_an_identity_that_is_only_now_created(self) -> None:
        vectors, _ = people(np.random.default_rng(5), [8], 0.5)
        taken = replace(told({"p": range(1, 8)})[0], taken=(8,))
        library = Library(table_of(vectors), assertions=[taken])
        library.group()
        assert library.parts() == {frozenset(range(1, 8))}
        assert library.plan().is_empty

    def test_a_lock_and_a_decision_outweigh_the_source(self) -> None:
        for constraints in (Constraints(locks={1: True}), Constraints(must={8: 1})):
            library = self.library()
            assert library.memberships[8] == 1
            library.constraints = constraints
            library.assertions = [replace(told({"p": range(1, 8)})[0], taken=(8,)), *told({"q": range(9, 17)})]
            assert not library.group().leaves
            assert library.memberships[8] == 1

    def test_what_is_only_missing_from_the_source_withdraws_nothing(self) -> None:
        library = self.library()
        library.assertions = told({"p": range(1, 4), "q": range(9, 17)})
        assert library.group().is_empty


class TestTheNameThatIsShown:
    def library(self) -> Library:
        vectors, _ = people(np.random.default_rng(6), [12], 0.5)
        library = Library(table_of(vectors), assertions=told({"b": range(1, 7)}, source="berta"))
        library.group()
        assert library.known[1].named_by == ("berta", "b")
        return library

    def test_a_further_user_renames_nobody(self) -> None:
        library = self.library()
        library.assertions = [*told({"a": range(1, 13)}, source="aaron"), *told({"b": range(1, 7)}, source="berta")]
        assert not library.group().namings
        assert library.known[1].people == {("aaron", "a"), ("berta", "b")}
        assert library.known[1].named_by == ("berta", "b")

    def test_of_two_at_once_most_faces_decide_and_not_the_alphabet(self) -> None:
        library = self.library()
        library.known[1] = replace(library.known[1], named_by=None)
        library.assertions = [*told({"a": range(1, 5)}, source="aaron"), *told({"b": range(1, 13)}, source="berta")]
        library.group()
        assert library.known[1].named_by == ("berta", "b")

    def test_the_other_name_is_shown_once_the_person_is_another_identitys(self) -> None:
        library = self.library()
        library.known[1] = replace(library.known[1], people=frozenset({("aaron", "a")}))
        library.assertions = told({"a": range(1, 5)}, source="aaron")
        library.group()
        assert library.known[1].named_by == ("aaron", "a")
