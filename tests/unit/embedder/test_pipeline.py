"""Pipeline: the measures of a whole picture in the embedder's answer."""

import io

import numpy as np
import pytest
from embedder_scene import ScriptedEngine, running
from orientations import FROM_UPRIGHT
from PIL import Image


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
