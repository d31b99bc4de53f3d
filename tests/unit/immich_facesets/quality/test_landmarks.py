"""Landmark measures: symmetry and openings of drawn faces whose geometry is known."""

import numpy as np
import pytest
from faceset_builders import face
from numpy.typing import NDArray

from immich_facesets.quality.landmarks import (
    MARKUPS,
    NOTHING_FOUND,
    Details,
    Enriched,
    details,
    eye_opening,
    mouth_opening,
    symmetry_of,
)
from immich_facesets.quality.pose import Pose
from immich_facesets.quality.score import quality

Points = NDArray[np.float64]
COUNTS = sorted(MARKUPS)


def head(count: int, *, eyes: float = 0.3, mouth: float = 0.0) -> Points:
    """A drawn head at rest, (n, 3): depth towards the viewer, its halves mirror images of each other."""
    dice, markup = np.random.default_rng(count), MARKUPS[count]
    points = dice.uniform(-40, 40, (count, 3))
    points[list(markup.midline)] = [(0.0, 10.0 * place - 40.0, 20.0) for place in range(len(markup.midline))]
    for left, right in markup.pairs:
        points[left] = (-dice.uniform(20, 40), points[left][1], dice.uniform(0, 10))
        points[right] = points[left] * [-1, 1, 1]
    for (corners, lids), opening, middle in (
        *zip(markup.eyes, (eyes, eyes), (-30.0, 30.0), strict=True),
        (markup.mouth, mouth, 0.0),
    ):
        points[list(corners)] = [(middle - 10, 0, 0), (middle + 10, 0, 0)]
        for upper, lower in lids:
            points[upper], points[lower] = (middle, -10 * opening, 0), (middle, 10 * opening, 0)
    return points


def turned(points: Points, *, yaw: float = 0.0, roll: float = 0.0) -> Points:
    """The points after a rotation of the head, in pixels of a picture."""
    about_y, about_z = np.radians(yaw), np.radians(roll)
    across = points[:, 0] * np.cos(about_y) + points[:, 2] * np.sin(about_y)
    spun = np.stack(
        [
            across * np.cos(about_z) - points[:, 1] * np.sin(about_z),
            across * np.sin(about_z) + points[:, 1] * np.cos(about_z),
        ],
        axis=1,
    )
    return 2.5 * spun + [700.0, 300.0]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("roll", [0.0, 35.0, -90.0, 180.0])
def test_a_face_from_the_front_is_wholly_even_however_it_is_tilted(count: int, roll: float) -> None:
    assert symmetry_of(turned(head(count), roll=roll)) == pytest.approx(1.0)


@pytest.mark.parametrize("count", COUNTS)
def test_the_more_a_face_is_turned_the_less_even_it_is_and_both_sides_count_the_same(count: int) -> None:
    found = [symmetry_of(turned(head(count), yaw=yaw)) for yaw in (0, 10, 20, 40, 60, 85)]
    assert found == sorted(found, reverse=True)
    assert found[2] < 0.9
    assert found[-1] < 0.2
    assert symmetry_of(turned(head(count), yaw=-20)) == pytest.approx(found[2], abs=0.02)


@pytest.mark.parametrize("count", COUNTS)
def test_lids_and_lips_are_open_as_far_as_they_are_drawn(count: int) -> None:
    points = turned(head(count, eyes=0.31, mouth=0.42), roll=20)
    assert eye_opening(points) == pytest.approx(0.31)
    assert mouth_opening(points) == pytest.approx(0.42)


@pytest.mark.parametrize("count", COUNTS)
def test_points_that_are_no_face_count_as_the_worst(count: int) -> None:
    for points in (np.zeros((count, 2)), np.full((count, 2), np.nan)):
        assert symmetry_of(points) == eye_opening(points) == mouth_opening(points) == 0.0


@pytest.mark.parametrize("count", COUNTS)
def test_a_markup_names_no_point_twice_on_a_line_and_each_pair_once(count: int) -> None:
    markup = MARKUPS[count]
    paired = [point for pair in markup.pairs for point in pair]
    assert len({*paired, *markup.midline}) == len(paired) + len(markup.midline)
    assert max(*paired, *markup.midline) < count


def test_what_further_models_say_of_a_face_stands_in_for_what_five_points_tell() -> None:
    seen = face(yaw=0.0)
    plain = quality(seen)
    assert plain == quality(seen, Details())
    told = quality(seen, Details(pose=Pose(90.0, 0.0, 0.0), symmetry=0.25))
    assert (told.frontality, told.symmetry) == (0.0, 0.25)
    assert (told.det_score, told.size, told.sharpness) == (plain.det_score, plain.size, plain.sharpness)


def test_both_orders_of_points_are_read_where_both_are_there() -> None:
    even, moved = turned(head(106), yaw=20), turned(head(68, eyes=0.1, mouth=0.5))
    found = details(Enriched(even, moved))
    assert found == Details(None, symmetry_of(even), eye_opening(moved), mouth_opening(moved))
    assert details(Enriched(even)).eyes == pytest.approx(eye_opening(even))
    assert details(Enriched(None, moved)).symmetry == pytest.approx(1.0)
    assert details(NOTHING_FOUND) == Details()
