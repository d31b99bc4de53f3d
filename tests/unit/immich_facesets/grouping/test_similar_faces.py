"""Faces of nobody that look like an identity: the rules of grouping, and what is clear by them."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import Library, people, table_of, unit

from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.identities import Known
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.grouping.similar_faces import OtherIdentities, SimilarFace, centroid_of, similar_faces
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.spaces import OperatingPoints

POINTS, RULES = OperatingPoints(), GroupingRules(min_faces=3)
ANNA = Known(3, "asserted", is_locked=False, people=frozenset())
NONE = OtherIdentities(np.zeros(0, dtype=np.int64), np.zeros((0, 256), dtype=np.float32))


def library(seed: int = 1) -> tuple[FaceTable, frozenset[int]]:
    """Ten members of one identity (ids 1 to 10), five faces of that person (11 to 15), five of a stranger (16 to 20)."""
    vectors, _ = people(np.random.default_rng(seed), [15, 5], 0.6, 256)
    return table_of(vectors), frozenset(range(1, 11))


def similar(
    table: FaceTable, members: frozenset[int], rivals: OtherIdentities = NONE, **more: Any
) -> tuple[SimilarFace, ...]:
    identity, constraints = more.get("identity", ANNA), Constraints(**more.get("decided", {}))
    return similar_faces(table, identity, members, rivals, constraints, POINTS, RULES)


def ids(found: tuple[SimilarFace, ...]) -> set[int]:
    return {one.face_id for one in found}


def test_faces_of_the_person_are_found_the_nearest_first_and_no_stranger() -> None:
    found = similar(*library())
    assert ids(found) == {11, 12, 13, 14, 15}
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert all(one.is_clear and one.rival is None for one in found)


def test_what_a_decision_or_a_picture_or_a_birth_forbids_is_not_proposed() -> None:
    table, members = library()
    assert ids(similar(table, members, decided={"must_not": frozenset({(11, 3)})})) == {12, 13, 14, 15}
    assert ids(similar(table, members, decided={"ignored": frozenset({12})})) == {11, 13, 14, 15}
    pictures = table.pictures.copy()
    pictures[12] = pictures[0]  # face 13 is in a picture that has the identity already
    assert ids(similar(replace(table, pictures=pictures), members)) == {11, 12, 14, 15}
    pictures[13] = pictures[14]  # of two faces of one picture only the nearer one can be
    two = replace(table, pictures=pictures)
    assert len(ids(similar(two, members)) & {14, 15}) == 1
    assert len(ids(similar(two, members, decided={"together": frozenset({14, 15})})) & {14, 15}) == 2
    dated = replace(table, taken=np.where(table.face_ids == 15, 9_000.0, 11_000.0))
    assert ids(similar(dated, members, identity=replace(ANNA, born=10_000.0))) == {11, 12, 13, 14}


def test_a_face_that_is_nearer_to_another_identity_is_no_proposal_and_a_near_rival_makes_it_unclear() -> None:
    table, members = library()
    twin = unit(table.vectors[10:11])
    found = similar(table, members, OtherIdentities(np.array([8]), twin))
    assert 11 not in ids(found)
    assert {one.rival for one in found} == {8}
    centroid = centroid_of(table.rows(np.arange(10)), POINTS, RULES)[None]
    beside = unit(centroid + 0.002 * np.random.default_rng(2).normal(size=centroid.shape))
    assert not any(one.is_clear for one in similar(table, members, OtherIdentities(np.array([8]), beside)))


def test_an_identity_without_faces_gets_no_proposal() -> None:
    assert similar(library()[0], frozenset()) == ()


@given(st.integers(0, 2**32 - 1), st.floats(0.4, 1.1))
@settings(max_examples=15)
def test_a_clear_face_is_one_that_the_next_grouping_places(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    vectors, who = people(rng, [12, 9, 4], spread, 256)
    table = table_of(vectors)
    scene = Library(table, rules=replace(RULES, method="plain"), points=POINTS)
    for number in (0, 1):
        faces = table.face_ids[who == number][:6].tolist()
        scene.known[number + 1] = Known(number + 1, "asserted", is_locked=True, people=frozenset())
        scene.memberships |= dict.fromkeys(faces, number + 1)
    scene.known[1] = replace(scene.known[1], is_locked=False)
    members = frozenset(scene.faces_of(1))
    other = centroid_of(table.rows(np.flatnonzero(table.is_among(scene.faces_of(2)))), POINTS, RULES)
    found = similar_faces(
        table.rows(np.flatnonzero(~table.is_among(scene.faces_of(2)))),
        scene.known[1],
        members,
        OtherIdentities(np.array([2]), other[None]),
        Constraints(),
        POINTS,
        scene.rules,
    )
    scene.fresh = frozenset()
    scene.group()
    assert {one.face_id for one in found if one.is_clear} <= scene.faces_of(1)
