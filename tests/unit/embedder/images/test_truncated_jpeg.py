"""JPEGs that end too early: what is whole is read, and the rest is named."""

import contextlib
import io
import re
from typing import Any

import cv2
import numpy as np
import pytest
from embedder_scene import ScriptedEngine, face_at, running
from numpy.typing import NDArray
from PIL import Image, ImageCms

from embedder.images.decoder import Decoder
from embedder.images.truncated_jpeg import ends, whole_rows
from immich_facesets.errors import ItemError
from immich_facesets.faces import Box

Pixels = NDArray[np.uint8]


def scene(width: int = 640, height: int = 480) -> Pixels:
    """Soft noise: all rows cost about as many bytes, and no row equals another."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(cv2.normalize(soft, soft, 0, 255, cv2.NORM_MINMAX), np.uint8)


def jpeg(pixels: Pixels, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("share", [0.4, 0.95, 0.99])
def test_no_decoder_writes_to_the_terminal(
    options: dict[str, Any], share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = jpeg(scene(), **options)
    with contextlib.suppress(ItemError):
        Decoder(10**6).decode(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_jpeg_without_its_end_marker_is_whole(options: dict[str, Any]) -> None:
    data = jpeg(scene(), **options)
    assert ends(data)
    assert not ends(data[:-2])
    decoder = Decoder(10**6)
    picture, right = decoder.decode(data[:-2]), decoder.decode(data)
    assert picture.whole_area is None
    assert picture.missing == 0.0
    assert (picture.pixels == right.pixels).all()


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 0.8),
        ({}, 0.95),
        ({"subsampling": 0}, 0.8),
        ({"restart_marker_rows": 1}, 0.8),
        ({"progressive": True}, 0.95),
    ],
)
def test_the_rows_above_the_cut_are_those_of_the_picture(options: dict[str, Any], share: float) -> None:
    data = jpeg(scene(), **options)
    decoder = Decoder(10**6)
    cut = data[: int(len(data) * share)]
    rows = whole_rows(cut)
    picture = decoder.decode(cut)
    assert picture.whole_area == Box(0, 0, 640, rows)
    assert (picture.pixels[:rows] == decoder.decode(data).pixels[:rows]).all()
    assert (picture.pixels[rows + 32 :] != decoder.decode(data).pixels[rows + 32 :]).any()
    if not options.get("progressive"):
        assert share - 0.08 < rows / 480 <= share + 0.02


def segments(grey: Pixels) -> tuple[dict[int, bytes], bytes]:
    """The segments of a grey JPEG by their markers, tables of one kind together, and the coded data of its only scan."""
    data = jpeg(grey)
    bodies = dict[int, bytes]()
    position, marker = 2, 0
    while marker != 0xDA:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        bodies[marker] = bodies.get(marker, b"") + data[position + 4 : position + 2 + length]
        position += 2 + length
    return bodies, data[position:-2]


def jpeg_of_a_scan_each(pixels: Pixels) -> tuple[bytes, list[int]]:
    """A JPEG with one scan per colour, and where the coded data of each scan begin."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body

    planes = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)[..., [0, 2, 1]]
    colours = [segments(np.ascontiguousarray(planes[..., colour])) for colour in range(3)]
    tables = colours[0][0]
    size = b"".join(side.to_bytes(2, "big") for side in pixels.shape[:2])
    frame = b"\x08" + size + bytes([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    data = b"\xff\xd8" + b"".join(segment(marker, tables[marker]) for marker in (0xDB, 0xC4)) + segment(0xC0, frame)
    begins = list[int]()
    for number, (_, coded) in enumerate(colours, 1):
        data += segment(0xDA, bytes([1, number, 0, 0, 63, 0]))
        begins.append(len(data))
        data += coded
    return data + b"\xff\xd9", begins


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}]
)
def test_no_row_above_the_cut_has_another_colour(options: dict[str, Any]) -> None:
    ramp = np.tile(np.linspace(0, 255, 208, dtype=np.uint8)[:, None], (160, 1, 3))
    half = np.vstack([scene(208, 100), np.full((60, 208, 3), 200, np.uint8)])
    decoder = Decoder(10**6)
    for pixels in (scene(208, 160), ramp, half):
        data = jpeg(pixels, **options)
        right = decoder.decode(data).pixels
        for cut in range(len(data) // 2, len(data) - 2, max(1, len(data) // 100)):
            with contextlib.suppress(ItemError):
                picture = decoder.decode(data[:cut])
                rows = round(picture.whole_area.y2) if picture.whole_area else 160
                assert (picture.pixels[:rows] == right[:rows]).all()


def test_a_picture_that_lacks_the_scan_of_a_colour_is_damaged() -> None:
    data, begins = jpeg_of_a_scan_each(scene(256, 256))
    assert abs(Decoder(10**6).decode(data).pixels.astype(int) - scene(256, 256)).mean() < 3
    for begin in begins[:2]:
        assert whole_rows(data[: begin + 2000]) == 0
    for behind in (-7, -3):  # in the header of the last scan
        assert whole_rows(data[: begins[2] + behind]) == 0
    last = len(data) - begins[2]
    assert 128 < whole_rows(data[: begins[2] + round(last * 0.8)]) < 0.82 * 256
    assert whole_rows(data[:-2]) == 256


@pytest.mark.parametrize("options", [{"restart_marker_rows": 1}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("behind", [-1, 0, 1, 2, 3])
def test_a_cut_at_a_restart_marker_is_a_cut(options: dict[str, Any], behind: int) -> None:
    data = jpeg(scene(), **options)
    at_marker = re.search(rb"\xff[\xd0-\xd7]", data[len(data) * 6 // 10 :])
    assert at_marker is not None
    cut = data[: len(data) * 6 // 10 + at_marker.start() + behind]
    assert 0.5 < whole_rows(cut) / 480 <= len(cut) / len(data)


@pytest.mark.parametrize("value", range(1, 9))
def test_the_missing_part_is_named_in_the_upright_picture(value: int) -> None:
    stored = scene()
    data = jpeg(stored, exif=orientation(value))
    cut = data[: int(len(data) * 0.8)]
    whole, picture = Decoder(10**6).decode(data), Decoder(10**6).decode(cut)
    area = picture.whole_area
    assert area is not None
    x1, y1, x2, y2 = (round(side) for side in (area.x1, area.y1, area.x2, area.y2))
    assert (picture.pixels[y1:y2, x1:x2] == whole.pixels[y1:y2, x1:x2]).all()
    assert area.area == pytest.approx(640 * whole_rows(cut))
    assert picture.missing == pytest.approx(1 - area.area / (640 * 480))


def test_a_picture_in_other_colours_is_taken_as_well() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"sRGB", b"same")
    data = jpeg(scene(), icc_profile=profile.replace("sRGB".encode("utf-16-be"), "same".encode("utf-16-be")))
    picture = Decoder(10**6).decode(data[: int(len(data) * 0.8)])
    assert 0.15 < picture.missing < 0.3


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_picture_of_which_most_is_missing_is_damaged(share: float) -> None:
    data = jpeg(scene())
    with pytest.raises(ItemError) as caught:
        Decoder(10**6).decode(data[: int(len(data) * share)])
    assert caught.value.reason == "corrupt"


def test_a_progressive_picture_without_its_last_scans_is_damaged() -> None:
    data = jpeg(scene(), progressive=True)
    with pytest.raises(ItemError) as caught:
        Decoder(10**6).decode(data[: len(data) // 2])
    assert caught.value.reason == "corrupt"


async def test_no_face_touches_the_missing_part() -> None:
    data = jpeg(scene())
    cut = data[: int(len(data) * 0.8)]
    rows = whole_rows(cut)
    above, at_border, below = face_at(20, 20), face_at(220, rows - 110), face_at(420, rows - 20)
    async with running(ScriptedEngine(seen=[above, at_border, below])) as running_scene:
        answer = await running_scene.answer(cut)
        assert [face.face_box() for face in answer.faces] == [above.box]
        assert answer.lost_faces == 0
        assert answer.missing == pytest.approx(1 - rows / 480)
        assert len((await running_scene.answer(data)).faces) == 3
