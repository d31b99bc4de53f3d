"""Closer looks: their plan, the union of what they show, and the gate's promise at any size of picture."""

import math
from dataclasses import replace
from functools import cache

import pytest
from crowds import Crowd, Crowds
from embedder_scene import POINTS, ScriptedEngine, face_at, picture, running
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from real_embedder import RealEmbedder
from testdata import shared_data

from embedder.engine import Detection, View
from embedder.faces import looks
from immich_facesets.faces import Box

FACTS = replace(ScriptedEngine().facts, look_side=640, least_face=13.0, least_score=0.5)


def face(box: Box, score: float = 0.9) -> Detection:
    return Detection(box, POINTS, score)


@pytest.mark.parametrize("size", [(250, 250), (1600, 1200), (4032, 3024), (4288, 2848), (3024, 4032)])
def test_ordinary_pictures_get_one_look(size: tuple[int, int]) -> None:
    assert looks.closer_looks(*size, 90.0, FACTS) == []
    assert looks.finest_factor(*size, 90.0, FACTS) == 0.0


@pytest.mark.parametrize("size", [(6000, 4000), (4000, 6000), (14_000, 2600), (12_240, 16_320), (60_000, 2000)])
def test_closer_looks_show_the_smallest_face_large_enough(size: tuple[int, int]) -> None:
    planned = looks.closer_looks(*size, 90.0, FACTS)
    finest = looks.finest_factor(*size, 90.0, FACTS)
    assert max(tile.factor for tile in planned) == finest
    assert 90.0 * finest >= 20
    for tile in planned:
        assert max(tile.area.width, tile.area.height) * tile.factor <= 641


@settings(max_examples=200)
@given(
    width=st.integers(300, 60_000),
    height=st.integers(300, 60_000),
    short=st.floats(20, 400),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    size=st.floats(1, 12),
    look_side=st.sampled_from([128, 160, 192, 256, 320, 480, 640, 1280]),
)
def test_each_face_is_whole_and_large_enough_in_some_look(
    width: int, height: int, short: float, x: float, y: float, size: float, look_side: int
) -> None:
    facts = replace(FACTS, look_side=look_side)
    side = short * size
    whole = min(1.0, look_side / max(width, height))
    assume(side < min(width, height))
    assume(side * whole < 13.0)  # otherwise the look at the whole picture shows it
    left, top = x * (width - side), y * (height - side)
    box = Box(left, top, left + side, top + side)
    finest = looks.finest_factor(width, height, short, facts)
    tiles = math.prod(max(1, 2 * length * finest / look_side) for length in (width, height))
    assume(tiles < 1000)
    planned = looks.closer_looks(width, height, short, facts)
    shown = [tile.factor for tile in planned if looks.whole_in(tile, [face(box)], width, height)]
    assert max(shown) * side >= 13.0
    for tile in planned:
        assert max(tile.area.width, tile.area.height) * tile.factor <= look_side + 1
    assert len(planned) <= 4 * tiles + 10


@pytest.mark.parametrize("look_side", [128, 160, 192, 256, 320])
def test_a_small_view_has_few_looks_and_shows_the_smallest_face(look_side: int) -> None:
    planned = looks.closer_looks(6000, 4000, 90.0, replace(FACTS, look_side=look_side))
    assert max(tile.factor for tile in planned) * 90.0 >= 20
    area = 6000 * 4000 * planned[0].factor ** 2 / look_side**2
    assert area <= len(planned) <= 6 * area


def test_a_face_that_a_tile_cuts_off_is_left_to_its_neighbour() -> None:
    tile = looks.Tile(Box(1000, 0, 2000, 800), 0.5, 300.0)
    cut, at_picture_edge, whole = Box(1001, 100, 1100, 220), Box(1500, -3, 1600, 120), Box(1300, 100, 1400, 220)
    too_large = Box(1100, 100, 1500, 500)
    found = looks.whole_in(tile, [face(box) for box in (cut, at_picture_edge, whole, too_large)], 3000, 2000)
    assert [one.box for one in found] == [at_picture_edge, whole]


def test_of_two_finds_of_a_face_that_of_the_closer_look_stays() -> None:
    coarse, other, close = face(Box(0, 0, 100, 130), 0.9), face(Box(400, 0, 500, 130)), face(Box(4, 2, 102, 128), 0.6)
    assert looks.united([coarse, other], [close]) == [close, other]


def test_only_doubtful_finds_of_about_the_wanted_size_are_looked_at_again() -> None:
    sure = face(Box(0, 0, 100, 100), 0.8)
    beside = face(Box(5, 5, 105, 105), 0.4)
    small, right, large = (face(Box(300, 300, 300 + side, 300 + side), 0.3) for side in (40, 95, 400))
    seen = [sure, beside, small, right, large]
    assert looks.doubts(seen, [sure], 90.0, 0.5) == [right.box]
    many = [face(Box(300 * at, 0, 300 * at + 90, 90), 0.2 + at / 1000) for at in range(100)]
    assert looks.doubts(many, [], 90.0, 0.5) == [one.box for one in many[::-1][: looks.MOST_DOUBTS]]
    equal = [replace(one, score=0.3) for one in many]
    assert looks.doubts(equal, [], 90.0, 0.5) == looks.doubts(equal[::-1], [], 90.0, 0.5)


class TestOverHttp:
    """An engine whose views show 320 pixels, and which notices faces of 40 pixels of a view."""

    def engine(self, *faces: Detection) -> ScriptedEngine:
        """Shows the faces to a close view; to the whole picture it shows none of them."""

        def see(view: View) -> list[Detection]:
            height, width = view.pixels.shape[:2]
            area = Box(view.left, view.top, view.left + width, view.top + height)
            if area.width > 700 and area.height > 700:
                return []
            return [one for one in faces if one.box.iou(area) > 0 and one.score >= (0.2 if view.doubtful else 0.5)]

        return ScriptedEngine(see=see, look_side=320, least_face=40.0)

    async def test_a_small_face_of_a_large_picture_is_found_once(self) -> None:
        engine = self.engine(face_at(560, 500), face_at(40, 60))
        async with running(engine, max_pixels=10**7) as scene:
            answer = await scene.answer(picture(width=1200, height=1000))
        assert sorted(one.box[:2] for one in answer.faces) == [(40, 60), (560, 500)]
        assert len(engine.closer) > 1

    async def test_the_wanted_size_decides_whether_to_look_closer(self) -> None:
        engine = self.engine(face_at(40, 60))
        async with running(engine, max_pixels=10**7) as scene:
            answer = await scene.answer(picture(width=1200, height=1000), face_short=400)
        assert answer.faces == ()
        assert engine.closer == []

    async def test_a_doubtful_face_gets_a_close_look(self) -> None:
        doubtful, sure = face_at(100, 60, score=0.3), face_at(100, 60)

        def see(view: View) -> list[Detection]:
            if view.left > 0:
                return [sure]
            return [doubtful] if view.doubtful else []

        engine = ScriptedEngine(see=see, look_side=320, least_face=60.0)
        async with running(engine) as scene:
            (found,) = (await scene.answer(picture(), face_short=72)).faces
            assert found.det_score == sure.score
            far = await scene.answer(picture(), face_short=200)
        assert far.faces == ()

    async def test_what_another_detector_may_take_for_a_face_is_told_apart_when_asked_for(self) -> None:
        sure, again = face_at(100, 60), face_at(102, 60, score=0.6)
        other, faint = face_at(220, 60, score=0.35), face_at(30, 60, score=0.25)

        def see(view: View) -> list[Detection]:
            return [sure, again, other, faint] if view.doubtful and view.further else [sure]

        async with running(ScriptedEngine(see=see)) as scene:
            answer = await scene.answer(picture(), suspects="1")
            usual = await scene.answer(picture())
        assert [found.score for found in answer.suspects] == [other.score]
        assert Box(*answer.suspects[0].box) == other.box
        assert answer.faces == usual.faces
        assert len(usual.faces) == 1
        assert usual.suspects == ()


@cache
def crowds() -> Crowds:
    return Crowds(shared_data() / "data")


@pytest.mark.models
@pytest.mark.parametrize(
    ("size", "shorts"),
    [
        ((6000, 4000), (100.0, 115.0)),
        pytest.param((14_000, 2600), (100.0, 115.0), marks=pytest.mark.slow),
        pytest.param((6000, 4000), (90.0, 95.0), marks=pytest.mark.slow),
        pytest.param((14_000, 2600), (90.0, 800.0), marks=pytest.mark.slow),
        pytest.param((12_000, 12_000), (90.0, 95.0), marks=pytest.mark.slow),
    ],
)
def test_faces_of_the_gate_are_found_at_any_size_of_picture(
    embedder_of_bench_s: RealEmbedder, size: tuple[int, int], shorts: tuple[float, float]
) -> None:
    crowd = crowds().draw(size, shorts, 40, seed=3)
    answer = embedder_of_bench_s.faces(crowd.jpeg)
    found = crowd.found([one.face_box() for one in answer.faces])
    assert found.count(-1) <= 0.025 * len(found)
    places = [at for at in found if at >= 0]
    assert len(set(places)) == len(places)
    assert len(answer.faces) <= len(found) + 2  # some photos show bystanders, and none is reported twice
    assert _least_similarity(crowd, found, [one.vector() for one in answer.faces]) > 0.75


def _least_similarity(crowd: Crowd, found: list[int], vectors: list) -> float:  # type: ignore[type-arg]  # of arrays
    alike = sorted(float(crowd.vectors[face] @ vectors[at]) for face, at in enumerate(found) if at >= 0)
    return alike[len(alike) // 20]
