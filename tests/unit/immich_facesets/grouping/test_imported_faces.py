"""Grouping of imported face sets: reserved numbers, and faces that appear with their pictures."""

import numpy as np
from mixtures import Library, extended, people, table_of, told

from immich_facesets.grouping.plan import Assertion, Known
from immich_facesets.moderation.constraints import Constraints

NUMBER, PERSON = 9, ("", "faceset_009")


def library(sizes: tuple[int, ...], constraints: Constraints | None = None) -> Library:
    """People with so many faces; the number 9 is reserved for an imported set that has none yet."""
    vectors, _ = people(np.random.default_rng(0), sizes, 0.3)
    reserved = Known(NUMBER, "asserted", is_locked=False, people=frozenset({PERSON}))
    return Library(table_of(vectors), known={NUMBER: reserved}, constraints=constraints or Constraints())


def imported(*face_ids: int) -> Assertion:
    return Assertion(*PERSON, "", face_ids)


def test_a_reserved_number_is_kept_and_discovered_people_get_later_ones() -> None:
    found = library((5, 4))
    found.group()
    assert sorted(set(found.memberships.values())) == [10, 11]
    assert not found.faces_of(NUMBER)


def test_imported_faces_take_their_number_once_they_are_known_and_bystanders_stay_out() -> None:
    found = library((5, 4))
    found.group()
    more, _ = people(np.random.default_rng(7), (4,), 0.3)
    found.table = extended(found.table, more)
    found.assertions = (imported(10, 11, 12, 13, 1),)
    before = dict(found.memberships)
    found.group()
    assert found.faces_of(NUMBER) == {10, 11, 12, 13}
    assert {face: found.memberships[face] for face in before} == before, "a stranger among them moves no other face"
    assert found.plan().is_empty


def test_a_person_named_at_a_source_becomes_the_imported_one() -> None:
    found = library((5, 4))
    found.assertions = (imported(1, 2, 3), *told({"p1": [2, 3, 4, 5], "p2": [6, 7]}))
    found.group()
    assert found.faces_of(NUMBER) == {1, 2, 3, 4, 5}
    assert ("anna", "p1") in found.known[NUMBER].people
    assert ("anna", "p2") not in found.known[NUMBER].people
    assert found.plan().is_empty


def test_what_a_person_decided_here_outweighs_what_was_imported() -> None:
    found = library((5,), Constraints(must={1: 3}, must_not=frozenset({(2, NUMBER)})))
    found.assertions = (imported(1, 2, 3, 4),)
    found.group()
    assert found.memberships[1] == 3
    assert found.memberships.get(2) != NUMBER
    assert {3, 4} <= found.faces_of(NUMBER)
