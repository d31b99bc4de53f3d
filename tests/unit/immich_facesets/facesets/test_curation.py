"""Curation: selection and order of the faces of an identity for export."""

import random
from dataclasses import replace

import numpy as np
import pytest
from faceset_builders import DIMENSION, RULES, candidate, face, unlike_hash, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.facesets.curation import Choice, build_faceset, choose, curate
from immich_facesets.facesets.faceset import Candidate, Check, EraYears, FacesetFolder, Reason, Verdict
from immich_facesets.quality.visibility import Visible


def settled(rows: list[Candidate], matrix: NDArray[np.float32], failing: dict[int, Verdict] | None = None) -> Choice:
    """Return the final result: check every requested crop until no more is requested."""
    verdicts = failing or {}
    shortlist, checks = curate(rows, matrix, RULES), dict[int, Check]()
    while (choice := choose(shortlist, checks)).unchecked:
        asked = [each.candidate.face.face_id for each in choice.unchecked]
        checks |= {number: Check(verdicts.get(number, Verdict.OK)) for number in asked}
    return choice


def ids(choice: Choice) -> list[int]:
    return [each.candidate.face.face_id for each in choice.faces]


def reasons(choice: Choice) -> dict[int, Reason]:
    return {each.candidate.face.face_id: each.reason for each in choice.omitted}


def test_the_best_face_comes_first() -> None:
    rows = [candidate(number, of=face(number, yaw=yaw)) for number, yaw in ((1, 40.0), (2, 0.0), (3, 80.0))]
    assert ids(settled(rows, vectors(3))) == [2, 1, 3]


def test_equal_scores_are_ordered_by_content_and_box_whatever_the_row_numbers() -> None:
    twins = [candidate(number, of=replace(face(number), face_id=900 - number)) for number in (3, 1, 2)]
    assert ids(settled(twins, vectors(3))) == [899, 898, 897]


def test_a_face_of_100_pixels_is_large_enough_and_a_smaller_one_is_counted() -> None:
    rows = [candidate(1, of=face(1, size=100.0)), candidate(2, of=face(2, size=99.9))]
    choice = settled(rows, vectors(2))
    assert ids(choice) == [1]
    assert reasons(choice) == {2: Reason.SMALL}


def test_a_face_of_somebody_else_is_an_outlier() -> None:
    matrix = vectors(6)
    matrix[4] = np.eye(DIMENSION, dtype=np.float32)[9]
    choice = settled([candidate(number) for number in range(1, 7)], matrix)
    assert reasons(choice) == {5: Reason.OUTLIER}
    assert all(each.distance <= RULES.outlier for each in choice.faces)


def test_a_face_that_a_moderator_confirmed_is_never_an_outlier_and_weighs_although_it_is_poor() -> None:
    matrix = vectors(6)
    matrix[4] = np.eye(DIMENSION, dtype=np.float32)[9]
    poor = candidate(5, of=face(5, blur=1.0))
    rows = [candidate(number) if number != 5 else poor for number in range(1, 7)]
    before = curate(rows, matrix, RULES).centroid
    rows[4] = replace(poor, is_confirmed=True)
    assert 5 in ids(settled(rows, matrix))
    assert curate(rows, matrix, RULES).centroid @ matrix[4] > before @ matrix[4]


def test_a_burst_of_somebody_else_weighs_on_the_centre_no_more_than_one_picture() -> None:
    own, other = vectors(3, spread=0.1), np.eye(DIMENSION, dtype=np.float32)[9]
    matrix = np.concatenate([own, np.repeat(other[None], 20, axis=0)])
    burst = unlike_hash(77)
    rows = [candidate(number) for number in (1, 2, 3)] + [candidate(number, phash=burst) for number in range(4, 24)]
    assert sorted(ids(settled(rows, matrix))) == [1, 2, 3]


def test_faces_that_fail_the_gate_do_not_weigh_on_the_centre() -> None:
    own, others = vectors(2, spread=0.1), vectors(5, spread=0.1)[:, ::-1]
    matrix = np.ascontiguousarray(np.concatenate([own, others]))
    rows = [candidate(1), candidate(2), *(candidate(number, of=face(number, blur=5.0)) for number in range(3, 8))]
    assert sorted(ids(settled(rows, matrix))) == [1, 2]


def test_an_identity_of_poor_pictures_only_is_still_curated() -> None:
    rows = [candidate(number, of=face(number, blur=5.0)) for number in (1, 2, 3)]
    assert len(settled(rows, vectors(3)).faces) == 3


def test_of_near_duplicates_only_the_best_is_exported() -> None:
    rows = [candidate(number, of=face(number, yaw=10.0 * number), phash=5) for number in (1, 2, 3)]
    choice = settled(rows, vectors(3, spread=0.05))
    assert ids(choice) == [1]
    assert reasons(choice) == {2: Reason.NEAR_DUPLICATE, 3: Reason.NEAR_DUPLICATE}


def test_when_the_best_crop_fails_its_check_the_next_best_copy_takes_its_place() -> None:
    rows = [candidate(number, of=face(number, yaw=10.0 * number), phash=5) for number in (1, 2, 3)]
    choice = settled(rows, vectors(3, spread=0.05), {1: Verdict.NONE})
    assert ids(choice) == [2]
    assert reasons(choice) == {1: Reason.NO_FACE, 3: Reason.NEAR_DUPLICATE}


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(Verdict.NONE, Reason.NO_FACE), (Verdict.SECOND, Reason.SECOND_FACE), (Verdict.FAR, Reason.UNLIKE)],
)
def test_a_crop_that_fails_its_check_is_left_out_and_says_why(verdict: Verdict, reason: Reason) -> None:
    choice = settled([candidate(number) for number in (1, 2)], vectors(2), {2: verdict})
    assert ids(choice) == [1]
    assert reasons(choice) == {2: reason}


def test_only_crops_that_may_be_exported_are_looked_at() -> None:
    rows = [candidate(1, phash=5), candidate(2, phash=5), candidate(3, of=face(3, size=50.0)), candidate(4)]
    choice = choose(curate(rows, vectors(4, spread=0.05), RULES), {4: Check(Verdict.OK)})
    assert [each.candidate.face.face_id for each in choice.unchecked] == [1]


def test_a_mended_crop_is_exported_and_marked() -> None:
    choice = choose(curate([candidate(1)], vectors(1), RULES), {1: Check(Verdict.OK, is_masked=True)})
    assert [each.is_masked for each in choice.faces] == [True]


def test_a_painted_crop_ranks_below_every_clean_one_and_loses_to_a_clean_copy() -> None:
    rows = [
        candidate(1, of=face(1), phash=5),
        candidate(2, of=face(2, yaw=20.0), phash=5),
        candidate(3, of=face(3)),
        candidate(4, of=face(4, yaw=60.0)),
    ]
    matrix = vectors(4, spread=0.05)
    checks = {number: Check(Verdict.OK, is_masked=number in {1, 3}) for number in (1, 2, 3, 4)}
    choice = choose(curate(rows, matrix, RULES), checks)
    assert ids(choice) == [2, 4, 3]
    assert reasons(choice) == {1: Reason.NEAR_DUPLICATE}


def test_a_frame_without_the_neighbour_costs_no_rank() -> None:
    frame = Box(0.1, 0.0, 0.9, 0.8)
    rows = [candidate(1), candidate(2, of=face(2, yaw=20.0))]
    checks = {1: Check(Verdict.OK, frame=frame), 2: Check(Verdict.OK)}
    choice = choose(curate(rows, vectors(2), RULES), checks)
    assert ids(choice) == [1, 2]
    assert [each.frame for each in choice.faces] == [frame, None]


@pytest.mark.parametrize("part", [Visible(face=0.84, crop=0.9), Visible(face=1.0, crop=0.49)])
def test_a_face_that_is_largely_outside_its_picture_is_left_out_with_that_reason(part: Visible) -> None:
    choice = settled([candidate(1), candidate(2, visible=part)], vectors(2))
    assert reasons(choice) == {2: Reason.OUTSIDE}


def test_what_lies_outside_the_picture_lowers_the_quality() -> None:
    whole, part = settled([candidate(1), candidate(2, visible=Visible(crop=0.75))], vectors(2)).faces
    assert ids(settled([candidate(1, visible=Visible(crop=0.75)), candidate(2)], vectors(2))) == [2, 1]
    assert part.quality.inside == 0.75
    assert part.quality.score == pytest.approx(0.75 * whole.quality.score, abs=1e-3)


def test_a_crop_that_reaches_outside_loses_to_a_poorer_copy_in_an_intact_picture() -> None:
    rows = [
        candidate(1, phash=5, visible=Visible(crop=0.94)),
        candidate(2, of=face(2, blur=60.0, size=120.0), phash=5),
    ]
    choice = settled(rows, vectors(2, spread=0.05))
    assert ids(choice) == [2]
    assert reasons(choice) == {1: Reason.NEAR_DUPLICATE}


def test_a_choice_that_was_not_checked_makes_no_faceset() -> None:
    choice = choose(curate([candidate(1)], vectors(1), RULES), {})
    with pytest.raises(ValueError, match="1 crops of identity 4 were not checked"):
        build_faceset(choice, identity=4, label=None)


def test_a_person_who_must_not_be_exported_has_no_faceset() -> None:
    choice = settled([candidate(1)], vectors(1))
    assert build_faceset(choice, identity=1, label=None) is not None
    assert build_faceset(choice, identity=1, label=None, never_export=True) is None


def test_without_a_face_worth_exporting_there_is_no_faceset() -> None:
    choice = settled([candidate(1, of=face(1, size=20.0))], vectors(1))
    assert build_faceset(choice, identity=1, label="Anna") is None


def test_an_empty_identity_is_curated_without_an_error() -> None:
    assert settled([], vectors(1)[:0]).faces == ()


def test_an_era_is_a_faceset_of_its_own() -> None:
    era = EraYears("2011", 2010, 2013)
    built = build_faceset(
        settled([candidate(1)], vectors(1)), identity=1, label=None, era=era, folder=FacesetFolder.THIN
    )
    assert built is not None
    assert (built.name, built.directory) == ("faceset_001_era_2011", "_thin/faceset_001_era_2011")


@given(st.integers(1, 14), st.integers(0, 10_000))
@settings(max_examples=50)
def test_the_order_of_the_candidates_changes_nothing(count: int, seed: int) -> None:
    dice = random.Random(seed)
    rows = [
        candidate(
            number,
            of=face(
                number, size=dice.choice((80.0, 150.0)), yaw=dice.choice((0.0, 20.0)), blur=dice.choice((5.0, 99.0))
            ),
            phash=unlike_hash(dice.randrange(4)),
        )
        for number in range(count)
    ]
    matrix = vectors(count, spread=dice.choice((0.1, 0.6, 1.2)), seed=seed)
    order = dice.sample(range(count), count)
    failing = {number: dice.choice(list(Verdict)) for number in range(count)}
    one = settled(rows, matrix, failing)
    other = settled([rows[row] for row in order], matrix[order], failing)
    assert one == other
    assert len(one.faces) + len(one.omitted) == count


def test_a_matrix_of_another_length_makes_no_shortlist() -> None:
    with pytest.raises(ValueError, match="1 candidates, but 2 vectors"):
        curate([candidate(1)], vectors(2), RULES)
