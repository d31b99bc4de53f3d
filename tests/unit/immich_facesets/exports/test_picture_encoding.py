"""Formats of exported pictures, read back by Pillow: the pixels, the texts, and nothing else."""

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from faceset_builders import picture
from PIL import Image

from immich_facesets.exports.crops import provenance
from immich_facesets.exports.picture_encoding import EVERY_FORMAT, PictureFormat, encoded

TEXTS = provenance(asset_id='one "&<two>', identity=7, version="1.0")


@pytest.mark.parametrize("picture_format", EVERY_FORMAT)
@pytest.mark.parametrize("side", [64, 113])
def test_every_format_shows_the_picture_and_says_where_it_came_from(picture_format: PictureFormat, side: int) -> None:
    shown = picture(side, seed=3)
    body = encoded(shown, TEXTS, picture_format)
    assert body == encoded(shown, TEXTS, picture_format)
    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size, image.mode) == (
            {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[picture_format],
            (side, side),
            "RGB",
        )
        apart = np.abs(np.asarray(image, dtype=float)[:, :, ::-1] - shown)
        assert apart.mean() < (0.001 if picture_format is PictureFormat.PNG else 4.0)
        assert not image.getexif()
        told = image.info.get("comment", b"") + image.info.get("xmp", b"") + repr(image.info).encode()
    assert b"immich-facesets 1.0" in told
    assert b"one " in told
    assert b"7" in told


def test_the_xmp_of_a_webp_is_well_formed_whatever_the_asset_is_called() -> None:
    body = encoded(picture(64), provenance(asset_id="a\x00\"'&<\udcff>", identity=1, version="1"), PictureFormat.WEBP)
    with Image.open(io.BytesIO(body)) as image:
        found = ET.fromstring(image.info["xmp"])  # noqa: S314 - written by us
    (told,) = found.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert told.attrib["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == "immich-facesets 1"
    assert told.attrib["{http://purl.org/dc/elements/1.1/}source"].startswith("a\"'&<")


def test_pictures_with_loss_are_much_smaller() -> None:
    grain = np.random.default_rng(1).normal(0.0, 3.0, (512, 512, 3))
    shown = np.clip(picture(512, seed=3) + grain, 0, 255).astype(np.uint8)
    sizes = {name: len(encoded(shown, TEXTS, name)) for name in EVERY_FORMAT}
    assert sizes[PictureFormat.JPG] < sizes[PictureFormat.PNG] / 2
    assert sizes[PictureFormat.WEBP] < sizes[PictureFormat.PNG] / 2


@pytest.mark.parametrize("picture_format", [one for one in EVERY_FORMAT if one.has_transparency])
@pytest.mark.parametrize("side", [64, 113])
def test_formats_with_transparency_keep_it_beside_their_texts(picture_format: PictureFormat, side: int) -> None:
    shown = picture(side, seed=3)
    alpha = np.full((side, side), 255, dtype=np.uint8)
    alpha[:20, 10:30] = 0
    body = encoded(np.dstack([shown, alpha]), TEXTS, picture_format)
    with Image.open(io.BytesIO(body)) as image:
        assert (image.mode, image.size) == ("RGBA", (side, side))
        found = np.asarray(image)
        told = image.info.get("xmp", b"") + repr(image.info).encode()
    np.testing.assert_array_equal(found[:, :, 3], alpha)
    apart = np.abs(found[:, :, 2::-1].astype(float) - shown)
    for part in (alpha == 255, alpha == 0):  # the colours stay, for readers without masks
        assert apart[part].mean() < (0.001 if picture_format is PictureFormat.PNG else 4.0)
    assert b"immich-facesets 1.0" in told
    assert body.count(b"VP8X") == (1 if picture_format is PictureFormat.WEBP else 0)
