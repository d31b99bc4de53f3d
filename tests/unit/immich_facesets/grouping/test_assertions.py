"""Assertions: which identity a named person gets, and which of the asserted faces stay in it."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import Library, Vectors, people, table_of, told, unit

from immich_facesets.grouping.face_table import Assertion
from immich_facesets.grouping.identities import Known


def library_of(*vectors: Vectors) -> Library:
    """Faces in pictures of their own, with ids from 1 in this order."""
    return Library(table_of(np.concatenate(vectors)))


def test_a_person_gets_no_identity_beyond_the_merge_distance() -> None:
    vectors, who = people(np.random.default_rng(1), [5, 5], 0.4)
    library = library_of(vectors[who == 0], vectors[who == 1][:2])
    library.group()
    assert library.parts() == {frozenset({1, 2, 3, 4, 5})}
    library.assertions = told({"mia": [6, 7]})
    library.group()
    assert library.parts() == {frozenset({1, 2, 3, 4, 5}), frozenset({6, 7})}


def test_a_person_within_the_merge_distance_gets_that_identity() -> None:
    vectors, _ = people(np.random.default_rng(1), [7], 0.4)
    library = library_of(vectors[:5])
    library.group()
    library.table = table_of(vectors)
    library.assertions = told({"mia": [6, 7]})
    library.group()
    assert library.parts() == {frozenset(range(1, 8))}


def test_half_of_the_faces_decide_no_identity() -> None:
    """Two identities hold half of a person's faces each: the nearer one decides, not the lower number."""
    centre = np.eye(32)[0]

    def at(distance: float, axis: int, count: int) -> Vectors:
        sides = np.eye(32)[axis : axis + count]
        return unit((1 - distance) * centre + np.sqrt(1 - (1 - distance) ** 2) * sides)

    far, close = at(0.20, 1, 4), at(0.05, 10, 2)
    library = library_of(far, close)
    library.points = replace(library.points, match=0.01, cluster=0.01, merge=0.5)
    library.memberships = {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2}
    library.known = {number: Known(number, "discovered", is_locked=False, people=frozenset()) for number in (1, 2)}
    library.assertions = told({"mia": [1, 2, 5, 6]})
    library.group()
    assert [(number, one.people) for number, one in library.known.items() if one.people] == [
        (2, frozenset({("anna", "mia")}))
    ]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_face_claimed_by_two_people_goes_to_the_nearer(is_reversed: bool) -> None:
    vectors, who = people(np.random.default_rng(3), [6, 9], 0.4)
    library = library_of(vectors)
    contested = 3
    mia = (np.flatnonzero(who == 0) + 1).tolist()
    ben = [*(np.flatnonzero(who == 1) + 1).tolist(), contested]
    library.points = replace(library.points, drop=2.0, outlier=2.0)
    assertions = [Assertion("anna", "mia", "Mia", tuple(mia)), Assertion("ben", "ben", "Ben", tuple(ben))]
    library.assertions = assertions[::-1] if is_reversed else assertions
    library.group()
    assert library.parts() == {frozenset(mia), frozenset(ben) - {contested}}


def test_faces_are_dropped_in_two_passes_and_the_second_is_stricter() -> None:
    centre = np.eye(32)[0]
    ring = unit(0.95 * centre + np.sqrt(1 - 0.95**2) * np.eye(32)[1:9])
    doubtful = unit((0.42 * centre + np.sqrt(1 - 0.42**2) * np.eye(32)[20])[None])
    library = library_of(ring, doubtful)
    library.points = replace(library.points, drop=0.55, outlier=0.45, match=0.3, cluster=0.3)
    library.assertions = told({"mia": list(range(1, 10))})
    plan = library.group()
    assert library.parts() == {frozenset(range(1, 9))}
    assert [(one.person_id, one.face_ids) for one in plan.report.dropped] == [("mia", (9,))]


@pytest.mark.parametrize("alone", [0, 1, 3])
def test_a_partner_on_nearly_every_picture_is_not_the_person(alone: int) -> None:
    """The folder of one person holds six pictures with a partner, and some without."""
    vectors, who = people(np.random.default_rng(5), [6 + alone, 6], 0.4)
    hers, partner = vectors[who == 0], vectors[who == 1]
    table = table_of(np.concatenate([hers, partner]), pictures=[*range(6 + alone), *range(6)])
    library = Library(table, assertions=told({"mia": range(1, 13 + alone)}))
    plan = library.group()
    named = next(number for number, one in library.known.items() if one.people)
    halves = [set(range(1, 7 + alone)), set(range(7 + alone, 13 + alone))]
    assert library.faces_of(named) in (halves if alone == 0 else halves[:1]), "never some of each"
    assert sorted(map(len, library.parts())) == [6, 6 + alone]
    assert [set(one.face_ids) for one in plan.report.dropped] == [
        next(one for one in halves if one != library.faces_of(named))
    ]


def test_years_of_the_person_without_the_partner_stay() -> None:
    vectors, who = people(np.random.default_rng(5), [7, 6], 0.4)
    hers, partner = vectors[who == 0], vectors[who == 1]
    earlier = unit(hers[:2] + 0.7 * np.eye(1, hers.shape[1], 3))  # a cluster of its own, near to the person
    table = table_of(np.concatenate([hers, partner, earlier]), pictures=[*range(7), *range(6), 20, 21])
    library = Library(table, assertions=told({"mia": range(1, 16)}))
    library.group()
    assert library.faces_of(library.memberships[1]) == {*range(1, 8), 14, 15}
