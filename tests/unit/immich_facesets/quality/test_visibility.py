"""How much of a face and of its crop lies in the picture."""

from dataclasses import replace

import pytest
from faceset_builders import face

from immich_facesets.faces import Box, Face, Landmarks
from immich_facesets.quality.visibility import visible


def upright(x: float, y: float, size: float = 100.0) -> Face:
    """A face whose aligned square has about this side, around a point 0.04 of it below the middle of eyes and mouth."""
    unit = size / 112
    template = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))
    a, b, c, d, e = ((x + (px - 56) * unit, y + (py - 56) * unit) for px, py in template)
    points: Landmarks = (a, b, c, d, e)
    return replace(face(), landmarks=points)


def test_a_face_in_the_middle_is_wholly_there() -> None:
    seen = visible(upright(300, 300), Box(200, 200, 400, 400), 1000, 1000)
    assert (seen.face, seen.crop) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("x", "y", "of_face", "of_crop"), [(0, 300, 0.5, 0.5), (0, 0, 0.25, 0.25), (1000, 300, 0.5, 0.5)]
)
def test_a_face_cut_by_the_edge_is_half_there(x: float, y: float, of_face: float, of_crop: float) -> None:
    seen = visible(upright(x, y), Box(x - 100, y - 100, x + 100, y + 100), 1000, 1000)
    assert seen.face == pytest.approx(of_face, abs=0.02)
    assert seen.crop == pytest.approx(of_crop)


def test_a_whole_face_at_the_edge_misses_nothing_of_itself() -> None:
    seen = visible(upright(50, 300), Box(-50, 200, 150, 400), 1000, 1000)
    assert seen.face == 1.0
    assert seen.crop == pytest.approx(0.75)


def test_a_crop_of_an_aligned_face_is_mostly_outside() -> None:
    seen = visible(upright(56, 56, 112), Box(-56, -56, 168, 168), 112, 112)
    assert seen.face == 1.0
    assert seen.crop == 0.25


def test_a_square_outside_of_everything_shows_nothing() -> None:
    seen = visible(upright(-500, -500), Box(-600, -600, -400, -400), 100, 100)
    assert (seen.face, seen.crop) == (0.0, 0.0)
