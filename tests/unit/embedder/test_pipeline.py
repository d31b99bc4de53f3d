"""Pipeline: the measures of a whole picture in the embedder's answer."""

import io

import numpy as np
import pytest
from embedder_scene import ScriptedEngine, running
from orientations import FROM_UPRIGHT
from PIL import Image

from immich_facesets.wire import decode_faces


def stored(picture: Image.Image, kind: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.save(stream, kind, quality=90, exif=exif)
    return stream.getvalue()


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    dots = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(dots).resize((960, 720), Image.Resampling.BICUBIC)


async def test_one_picture_looks_the_same_however_it_is_stored(scene: Image.Image) -> None:
    small = scene.resize((480, 360), Image.Resampling.LANCZOS)
    turned = scene.transpose(FROM_UPRIGHT[6])
    files = [stored(scene, "PNG"), stored(scene, "WEBP"), stored(turned, "JPEG", 6), stored(small, "JPEG")]
    async with running(ScriptedEngine()) as embedder:
        hashes = [(await embedder.answer(file)).phash for file in files]
        other = (await embedder.answer(stored(turned, "PNG"))).phash
    first, *copies = [int(value or "", 16) for value in hashes]
    assert max((first ^ copy).bit_count() for copy in copies) <= 2
    assert (first ^ int(other or "", 16)).bit_count() > 16


@pytest.mark.parametrize("query", [{}, {"mode": "guided"}])
async def test_a_part_of_the_upright_picture_comes_with_its_faces(scene: Image.Image, query: dict[str, str]) -> None:
    turned = scene.transpose(FROM_UPRIGHT[6])
    wanted = {"cut": "100.0,200.0,500.0,440.0", "cut_pixels": "24000", **query}
    engine = ScriptedEngine(view_side=64)
    async with running(engine) as embedder:
        found = await embedder.client.post(
            "/v1/faces", content=stored(turned, "JPEG", 6), params=wanted, headers={"X-Boxes": "[[120,110,192,210]]"}
        )
        answer = decode_faces(found.content)
    assert answer.cut is not None
    assert (answer.width, answer.height) == (960, 720)
    assert (answer.cut.width, answer.cut.height) == (200, 120)
    assert answer.cut.area == pytest.approx((100, 200, 500, 440), abs=8)
    expected = scene.crop((100, 200, 500, 440)).resize((200, 120), Image.Resampling.BOX)
    with Image.open(io.BytesIO(answer.cut.image)) as shown:
        apart = np.abs(np.asarray(shown).astype(int) - np.asarray(expected).astype(int))
    assert apart.mean() < 5


async def test_an_area_beyond_the_picture_costs_no_pixels(scene: Image.Image) -> None:
    async with running(ScriptedEngine(view_side=64, seen=[])) as embedder:
        answer = await embedder.answer(stored(scene, "JPEG"), cut="-90000,-90000,90000,90000", cut_pixels=480 * 360)
    assert answer.cut is not None
    assert (answer.cut.width, answer.cut.height) == (480, 360)


async def test_a_picture_without_a_face_is_cut_as_any_other(scene: Image.Image) -> None:
    async with running(ScriptedEngine(seen=[])) as embedder:
        answer = await embedder.answer(stored(scene, "PNG"), cut="0,0,960,720")
        plain = await embedder.answer(stored(scene, "PNG"))
    assert answer.faces == ()
    assert answer.cut is not None
    assert (answer.cut.width, answer.cut.height) == (960, 720)
    assert plain.cut is None
