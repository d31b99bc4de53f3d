"""Quality score of a face: bounded, monotone, invariant to mirroring and roll."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from faceset_builders import FRONTAL, face
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.faces import Face, Landmarks, light_of
from immich_facesets.quality.score import QualityParts, frontality, quality, sharpness, symmetry

ROUNDING = 2e-4  # two scores may be rounded to different sides
angles = st.floats(-90, 90)
points = st.tuples(st.floats(-500, 500), st.floats(-500, 500))
landmarks = st.tuples(points, points, points, points, points)


@st.composite
def faces(draw: st.DrawFn) -> Face:
    return face(
        size=draw(st.floats(1, 2000)),
        blur=draw(st.floats(0, 1e6)),
        det_score=draw(st.floats(0, 1)),
        yaw=draw(angles),
        pitch=draw(angles),
        roll=draw(st.floats(-180, 180)),
        landmarks=draw(landmarks),
    )


def mirrored(one: Face) -> Face:
    left_eye, right_eye, nose, left_mouth, right_mouth = ((-x, y) for x, y in one.landmarks)
    measures = replace(one.measures, yaw=-one.measures.yaw, roll=-one.measures.roll)
    return replace(one, landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth), measures=measures)


def turned(shape: Landmarks, degrees: float, scale: float = 1.0) -> Landmarks:
    """The points of a head tilted in the picture plane."""
    cosine, sine = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
    a, b, c, d, e = ((x * cosine - y * sine + 700, x * sine + y * cosine - 300) for x, y in shape)
    return (a, b, c, d, e)


@given(faces())
def test_every_part_and_the_score_lie_between_0_and_1(one: Face) -> None:
    parts = quality(one)
    for value in (parts.frontality, parts.det_score, parts.symmetry, parts.size, parts.sharpness, parts.score):
        assert 0.0 <= value <= 1.0


def test_the_weights_are_those_of_the_product() -> None:
    assert QualityParts(1, 0, 0, 0, 0).score == 0.30
    assert QualityParts(0, 1, 0, 0, 0).score == 0.20
    assert QualityParts(0, 0, 1, 0, 0).score == 0.20
    assert QualityParts(0, 0, 0, 1, 0).score == 0.15
    assert QualityParts(0, 0, 0, 0, 1).score == 0.15
    assert QualityParts(1, 1, 1, 1, 1).score == 1.0
    assert QualityParts(1, 1, 1, 1, 1, inside=0.5, light=0.5).score == 0.25


@given(faces())
def test_a_face_and_its_mirror_image_score_the_same(one: Face) -> None:
    assert quality(mirrored(one)).score == pytest.approx(quality(one).score, abs=ROUNDING)


@given(st.floats(-180, 180), st.floats(0.2, 20))
def test_a_tilted_head_is_as_good_as_an_upright_one(roll: float, scale: float) -> None:
    upright = face()
    tilted = face(roll=roll, landmarks=turned(FRONTAL, roll, scale))
    assert quality(tilted).score == pytest.approx(quality(upright).score, abs=ROUNDING)


@given(faces(), st.floats(0, 1))
def test_turning_away_never_raises_the_score(one: Face, towards: float) -> None:
    nearer = replace(one.measures, yaw=one.measures.yaw * towards, pitch=one.measures.pitch * towards)
    assert quality(replace(one, measures=nearer)).score >= quality(one).score - ROUNDING


@given(faces(), st.floats(1, 4))
def test_a_sharper_or_larger_or_surer_face_never_scores_less(one: Face, more: float) -> None:
    before = quality(one).score
    assert quality(replace(one, measures=replace(one.measures, blur=one.measures.blur * more))).score >= before
    assert quality(replace(one, box=one.box.scaled(more, more))).score >= before
    assert quality(replace(one, det_score=min(1.0, one.det_score * more))).score >= before


def test_a_nose_that_leaves_the_middle_costs_symmetry_step_by_step() -> None:
    left_eye, right_eye, _, left_mouth, right_mouth = FRONTAL
    scores = [symmetry((left_eye, right_eye, (float(x), 0.0), left_mouth, right_mouth)) for x in range(0, 60, 5)]
    assert scores[0] == pytest.approx(1.0, abs=1e-6)
    assert all(later < sooner for sooner, later in pairwise(scores))


def test_a_face_from_the_front_beats_a_half_profile_and_that_a_profile() -> None:
    assert frontality(0, 0) == 1.0
    assert frontality(45, 0) == pytest.approx(0.5)
    assert frontality(0, -45) == pytest.approx(0.5)
    assert frontality(90, 0) == pytest.approx(0.0)
    assert frontality(30, 30) < frontality(30, 0)


def test_a_face_of_half_the_crop_is_as_large_as_any_needs_to_be() -> None:
    assert quality(face(size=256)).size == 1.0
    assert quality(face(size=128)).size == 0.5
    assert quality(face(size=4000)).size == 1.0


def test_sharpness_rises_without_end_and_never_reaches_1() -> None:
    values = [sharpness(blur) for blur in (0, 40, 300, 1200, 1e5)]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[2] == 0.5
    assert values[-1] < 1.0


def test_a_dark_or_flat_face_scores_less_and_an_ordinary_one_the_same() -> None:
    def seen(brightness: float, contrast: float) -> QualityParts:
        one = face()
        return quality(replace(one, measures=replace(one.measures, brightness=brightness, contrast=contrast)))

    good = seen(120, 50)
    assert seen(70, 34).score == seen(200, 60).score == good.score
    assert seen(20, 50).score == pytest.approx(good.score / 2, abs=ROUNDING)
    assert seen(120, 10).score == pytest.approx(good.score / 2, abs=ROUNDING)
    assert seen(15, 6).score < 0.15
    assert seen(0, 0).score == seen(math.nan, 50).score == seen(120, math.nan).score == 0.0


def test_light_never_falls_with_brightness_or_contrast() -> None:
    for one, more in pairwise((0, 5, 20, 39, 40, 90, 255)):
        assert light_of(one, 50) <= light_of(more, 50)
        assert light_of(120, one / 2) <= light_of(120, more / 2)


def test_measures_that_are_no_numbers_count_as_the_worst() -> None:
    worst = quality(face(yaw=math.nan, blur=math.nan, det_score=math.nan))
    assert (worst.frontality, worst.sharpness, worst.det_score) == (0.0, 0.0, 0.0)
    assert quality(face(blur=math.inf)).sharpness == 0.0


def test_five_points_in_one_place_have_no_symmetry() -> None:
    spot = (5.0, 5.0)
    assert quality(face(landmarks=(spot, spot, spot, spot, spot))).symmetry == 0.0
