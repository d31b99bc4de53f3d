"""Selection of face sets: the whole identity, its eras, and the faces of each."""

from dataclasses import replace

import numpy as np
import pytest
from faceset_builders import candidate
from numpy.typing import NDArray

from immich_facesets.eras import EraRules, plan_eras
from immich_facesets.facesets.faceset import Candidate, ExportRules, FacesetFolder
from immich_facesets.facesets.faceset_drafts import FacesetDraft, drafts, era_face_table, folder_of, rescue

RULES = ExportRules(outlier=0.45)


def life(*periods: tuple[int, int]) -> tuple[list[Candidate], NDArray[np.float32]]:
    """(year, faces) of each period; the person's look changes between periods, and hardly within one."""
    dice = np.random.default_rng(3)
    person = dice.normal(size=512)
    candidates: list[Candidate] = []
    vectors: list[NDArray[np.float64]] = []
    for year, count in periods:
        look = person + 0.75 * dice.normal(size=512)
        for _ in range(count):
            number = len(candidates) + 1
            candidates.append(replace(candidate(number), taken=f"{year}-06-01"))
            vectors.append(look + 0.35 * dice.normal(size=512))
    matrix = np.array(vectors, dtype=np.float32)
    return candidates, matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def drafts_of(candidates: list[Candidate], vectors: NDArray[np.float32]) -> tuple[FacesetDraft, ...]:
    eras = plan_eras(era_face_table(candidates, vectors), (), EraRules())
    return drafts(7, candidates, vectors, eras)


def test_a_person_without_periods_is_one_faceset() -> None:
    (whole,) = drafts_of(*life((2010, 30)))
    assert (whole.era, len(whole.candidates)) == (None, 30)
    assert folder_of(whole, 3, EraRules()) is FacesetFolder.MAIN


def test_a_person_with_periods_gives_the_whole_and_each_period_and_small_periods_are_set_apart() -> None:
    candidates, vectors = life((2001, 25), (2012, 30), (2021, 8))
    whole, *eras = drafts_of(candidates, vectors)
    assert len(whole.candidates) == 63
    assert [(era.era.name if era.era else "", len(era.candidates)) for era in eras] == [
        ("2001", 25),
        ("2012", 30),
        ("2021", 8),
    ]
    assert [folder_of(eras[0], faces, EraRules()) for faces in (25, 20, 19, 2)] == [
        *[FacesetFolder.MAIN] * 2,
        *[FacesetFolder.THIN] * 2,
    ]
    for era in eras:
        assert all(item.taken == f"{era.era.name}-06-01" for item in era.candidates if era.era)
        rows = [candidates.index(item) for item in era.candidates]
        np.testing.assert_array_equal(era.vectors, vectors[rows])


def test_an_unassigned_face_near_an_identity_is_a_candidate_and_in_no_bundle() -> None:
    candidates, vectors = life((2010, 3))
    centroids = {4: vectors[0], 5: -vectors[0]}
    far = np.random.default_rng(9).normal(size=512).astype(np.float32)
    vectors[2] = far / np.linalg.norm(far)
    (found,) = rescue(candidates, vectors, centroids, labels={4: "Berta"}, within=0.55, rules=RULES)
    assert (found.identity, found.label, found.directory) == (4, "Berta", "_candidates/faceset_004")
    assert {face.candidate.face.face_id for face in found.faces} == {1, 2}
    assert found.swappable == ()


def test_whom_a_candidate_cannot_be_it_is_not_held_against() -> None:
    candidates, vectors = life((2010, 2))
    face_ids = [item.face.face_id for item in candidates]
    near, next_best = vectors[0], vectors[0] + 0.3 * vectors[1]
    centroids = {4: near, 5: next_best / np.linalg.norm(next_best)}
    shown = rescue(candidates, vectors, centroids, labels={}, within=0.55, rules=RULES)
    assert 4 in {faceset.identity for faceset in shown}
    barred = {(face_id, 4) for face_id in face_ids} | {(999, 4), (face_ids[0], 77)}
    (found,) = rescue(candidates, vectors, centroids, labels={}, within=0.55, rules=RULES, barred=barred)
    assert found.identity == 5
    everywhere = {(face_id, number) for face_id in face_ids for number in centroids}
    assert rescue(candidates, vectors, centroids, labels={}, within=2.0, rules=RULES, barred=everywhere) == ()


def test_a_candidate_is_as_near_as_the_distance_says_and_no_farther() -> None:
    candidates, vectors = life((2010, 1))
    aside = np.random.default_rng(2).normal(size=512)
    aside -= aside @ vectors[0] * vectors[0]
    aside /= np.linalg.norm(aside)
    for distance, is_shown in ((0.54, True), (0.56, False)):
        centre = (1 - distance) * vectors[0] + np.sqrt(1 - (1 - distance) ** 2) * aside
        shown = rescue(candidates, vectors, {1: centre.astype(np.float32)}, labels={}, within=0.55, rules=RULES)
        assert bool(shown) is is_shown
        assert [face.distance for faceset in shown for face in faceset.faces] == [distance] * is_shown


def test_a_poor_face_is_no_candidate() -> None:
    candidates, vectors = life((2010, 1))
    face = candidates[0].face
    turned = replace(face, det_score=0.1, measures=replace(face.measures, yaw=80.0, pitch=60.0, blur=0.0))
    poor = [replace(candidates[0], face=turned)]
    assert rescue(poor, vectors, {1: vectors[0]}, labels={}, within=0.55, rules=RULES) == ()


@pytest.mark.parametrize("centroids", [{}, {1: np.ones(512, np.float32) / np.sqrt(np.float32(512))}])
def test_without_strays_or_identities_there_is_nothing_to_rescue(centroids: dict[int, NDArray[np.float32]]) -> None:
    nothing = np.empty((0, 512), np.float32)
    assert rescue([], nothing, centroids, labels={}, within=0.55, rules=RULES) == ()
