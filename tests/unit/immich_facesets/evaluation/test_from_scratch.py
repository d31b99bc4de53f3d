"""Grouping from scratch: every face gets a label, and only the faces decide it."""

import numpy as np
from mixtures import people, table_of

from immich_facesets.evaluation.from_scratch import identity_labels, partition
from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.faces import Gate
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints

POINTS = OperatingPoints()


def test_every_person_is_found_with_few_and_poor_pictures() -> None:
    vectors, who = people(np.random.default_rng(3), [9, 4, 2, 1, 1], 0.5)
    table = table_of(vectors, face_short=20, blur=1, det_score=0.1)
    anything = GroupingRules(min_faces=15, gate=Gate(0, 0, 0))
    assert bcubed(who, partition(table, POINTS, anything)).f == 1
    assert len(set(partition(table, POINTS, GroupingRules()).tolist())) == len(table), "the gate is the caller's"


def test_the_labels_are_in_the_order_of_the_table() -> None:
    vectors, _ = people(np.random.default_rng(4), [5, 3, 1], 0.5)
    order = np.random.default_rng(5).permutation(len(vectors))
    labels = partition(table_of(vectors), POINTS, GroupingRules())
    shuffled = partition(table_of(vectors[order], pictures=order), POINTS, GroupingRules())
    assert bcubed(labels[order], shuffled).f == 1


def test_two_faces_of_one_picture_are_two_people() -> None:
    vectors, _ = people(np.random.default_rng(6), [2], 0.2)
    labels = partition(table_of(vectors, pictures=[7, 7]), POINTS, GroupingRules())
    assert labels[0] != labels[1]


def test_no_faces_make_no_groups() -> None:
    assert partition(table_of(np.zeros((0, 8))), POINTS, GroupingRules()).tolist() == []


def test_unassigned_faces_are_each_alone() -> None:
    assert len(set(identity_labels([3, None, 3, None, None]).tolist())) == 4
