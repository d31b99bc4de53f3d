"""Confused identities of a grouping, against examples computed by hand."""

import numpy as np
import pytest

from immich_facesets.evaluation.confusions import PEOPLE_A_CLUSTER, confusions


def test_nothing_is_confused_in_the_truth() -> None:
    found = confusions(["anna", "anna", "ben"], [7, 7, 3])
    assert (found.merged, found.split) == ((), ())
    assert [(one.person, one.faces, one.parts, one.completeness, one.purity) for one in found.people] == [
        ("anna", 2, 1, 1.0, 1.0),
        ("ben", 1, 1, 1.0, 1.0),
    ]


def test_a_person_is_scored_by_the_cluster_with_most_of_its_faces() -> None:
    found = confusions(["anna"] * 4 + ["ben"] * 2, [1, 1, 1, 2, 1, 3])
    by_name = {one.person: one for one in found.people}
    assert (by_name["anna"].completeness, by_name["anna"].purity, by_name["anna"].parts) == (3 / 4, 3 / 4, 2)
    assert by_name["ben"].completeness == 1 / 2
    assert [one.person for one in found.people] == ["ben", "anna"], "the worst first"


def test_two_people_in_one_cluster_are_told_with_faces_of_both() -> None:
    found = confusions(["ben", "anna", "ben", "carl", "anna", "ben", "anna"], [1, 1, 1, 2, 1, 3, 3])
    (pair,) = found.merged
    assert (pair.one, pair.other) == ("anna", "ben")
    assert (pair.faces, pair.clusters) == (3, 2), "two faces must leave the first cluster, one the other"
    assert (pair.one_examples, pair.other_examples) == ((1, 4), (0, 2)), "an example of the worst cluster"


def test_of_two_people_the_fewer_faces_would_have_to_leave() -> None:
    (pair,) = confusions(["anna", "ben", "ben", "ben"], [1, 1, 1, 1]).merged
    assert pair.faces == 1


def test_a_person_over_several_clusters_is_told_with_faces_of_each() -> None:
    found = confusions(["anna"] * 6, [1, 1, 1, 2, 2, 5], examples=2)
    (torn,) = found.split
    assert (torn.parts, torn.faces) == ((3, 2, 1), 3)
    assert torn.examples == ((0, 2), (3, 4)), "of the two largest parts"


def test_examples_are_called_by_their_ids_where_there_are_any() -> None:
    (torn,) = confusions(["anna", "anna"], [1, 2], face_ids=[70, 40]).split
    assert torn.examples == ((70,), (40,))


def test_only_the_worst_are_told() -> None:
    true = ["a", "a", "a", "b", "b", "b", "c", "d", "e", "e"]
    found = confusions(true, [1, 1, 1, 1, 1, 1, 2, 2, 3, 4], limit=1)
    assert [(pair.one, pair.other, pair.faces) for pair in found.merged] == [("a", "b", 3)]
    assert [one.person for one in found.split] == ["e"]


def test_a_heap_of_strangers_is_reported_by_its_largest_people_only() -> None:
    people = PEOPLE_A_CLUSTER + 30
    found = confusions(np.arange(people), np.zeros(people), limit=10_000)
    assert len(found.merged) == PEOPLE_A_CLUSTER * (PEOPLE_A_CLUSTER - 1) // 2


def test_no_faces_give_no_confusions() -> None:
    found = confusions([], [])
    assert (found.people, found.merged, found.split) == ((), (), ())


def test_labels_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        confusions(["a", "b"], [1])
