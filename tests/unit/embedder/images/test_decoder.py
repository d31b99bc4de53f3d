"""Decoder: formats, orientations, colour spaces and damaged files."""

import contextlib
import io
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from bad_pictures import with_broken_pixels
from hostile_pictures import jpeg_of_scans
from numpy.typing import NDArray
from orientations import FROM_UPRIGHT
from PIL import Image, ImageCms, ImageOps
from testdata import shared_data

from embedder.images.decoder import MOST_SCANS, Decoder
from embedder.images.heif_boxes import heif_properties
from immich_facesets.errors import ItemError
from immich_facesets.faces import Box

pytestmark = pytest.mark.filterwarnings("default")  # Pillow warns about the damaged files of these tests

MAX_PIXELS = 1_000_000


def blocks(width: int = 96, height: int = 64) -> Image.Image:
    """A picture without any symmetry of rotation or mirroring."""
    rows, columns = np.mgrid[:height, :width]
    red, green = 255 * columns // width, 255 * rows // height
    blue = np.where((rows < height // 2) & (columns < width // 3), 220, 30)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def stored(image: Image.Image, format_: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    return Decoder(max_pixels).decode(data).pixels


def reason(data: bytes, *, max_pixels: int = MAX_PIXELS) -> str:
    with pytest.raises(ItemError) as caught:
        decode(data, max_pixels=max_pixels)
    return caught.value.reason


def orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def far(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "HEIF": {"quality": 95},
    "AVIF": {"quality": 95},
    "TIFF": {},
    "GIF": {},
    "BMP": {},
    "JXL": {"lossless": True},
}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_people_use_is_read(format_: str) -> None:
    pixels = decode(stored(blocks(), format_, **FORMATS[format_]))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert far(pixels, np.asarray(blocks())) < (8 if format_ == "GIF" else 3)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_pictures_are_upright_whatever_their_orientation(format_: str, value: int) -> None:
    data = stored(blocks(), format_, exif=orientation(value), **FORMATS[format_])
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert far(decode(data), expected) < 3


def turned_by_exif_only(format_: str, value: int) -> bytes:
    """The blocks, stored turned, in a container that does not say so: only its EXIF does."""
    stands_for = Image.Exif()
    stands_for[0x0128] = value  # as the orientation, this is a short number, and the encoders leave it alone
    upright = blocks()
    turned = upright if value == 1 else upright.transpose(FROM_UPRIGHT[value])
    data = stored(turned, format_, exif=stands_for.tobytes(), **FORMATS[format_])
    entry = struct.pack("<HHI", 0x0128, 3, 1)
    places = [data.find(entry), data.find(struct.pack(">HHI", 0x0128, 3, 1))]
    at = max(places)
    assert at > 0
    return data[:at] + struct.pack("<H" if at == places[0] else ">H", 0x0112) + data[at + 2 :]


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format_", ["HEIF", "AVIF"])
def test_what_only_the_exif_of_a_container_turns_is_turned_once(format_: str, value: int) -> None:
    picture = Decoder(MAX_PIXELS).decode(turned_by_exif_only(format_, value))
    assert far(picture.pixels, np.asarray(blocks())) < 3
    assert picture.orientation == value


@pytest.mark.parametrize("value", range(2, 9))
@pytest.mark.parametrize("format_", ["HEIF", "AVIF"])
def test_what_the_container_turns_is_not_turned_again_by_exif(format_: str, value: int) -> None:
    turned = blocks().transpose(FROM_UPRIGHT[value])
    data = stored(turned, format_, exif=orientation(value), **FORMATS[format_])
    assert b"irot" in data or b"imir" in data
    picture = Decoder(MAX_PIXELS).decode(data)
    assert far(picture.pixels, np.asarray(blocks())) < 3
    assert picture.orientation == 1


@pytest.mark.parametrize("format_", ["HEIF", "AVIF"])
def test_damaged_boxes_of_a_container_spoil_nothing_else(format_: str) -> None:
    good = stored(blocks(), format_, exif=orientation(6), **FORMATS[format_])
    dice = np.random.default_rng(3)
    for _ in range(200):
        data = bytearray(good)
        for place in dice.integers(0, min(len(data), 400), 4):
            data[place] = dice.integers(0, 256)
        heif_properties(bytes(data))
        heif_properties(bytes(data[: dice.integers(0, 400)]))
    assert heif_properties(good).is_turned
    assert not heif_properties(turned_by_exif_only(format_, 6)).is_turned
    assert heif_properties(good.replace(b"ipma", b"abcd")).is_turned, "the decoder is trusted"


@pytest.mark.parametrize("value", range(1, 9))
def test_the_fast_way_and_the_other_agree_on_orientation(value: int) -> None:
    options: dict[str, Any] = {"quality": 95, "subsampling": 0, "exif": orientation(value)}
    profile = _renamed(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())  # forces the slow path
    fast, other = stored(blocks(), "JPEG", **options), stored(blocks(), "JPEG", icc_profile=profile, **options)
    assert far(decode(fast), decode(other)) < 2


@pytest.mark.parametrize("value", [0, 9, 77])
def test_senseless_orientations_change_nothing(value: int) -> None:
    assert decode(stored(blocks(), "JPEG", exif=orientation(value))).shape == (64, 96, 3)


def test_the_orientation_beside_a_jpeg_xl_is_not_applied_twice() -> None:
    data = stored(blocks(), "JXL", lossless=True, exif=orientation(6))
    assert far(decode(data), np.asarray(blocks())) == 0


def test_greys_palettes_and_alpha_become_plain_colours() -> None:
    grey = stored(blocks().convert("L"), "PNG")
    assert far(decode(grey), np.asarray(blocks().convert("L").convert("RGB"))) == 0
    palette = stored(blocks().convert("P"), "PNG")
    assert decode(palette).shape == (64, 96, 3)
    black_and_white = decode(stored(blocks().convert("1"), "PNG"))
    assert set(np.unique(black_and_white)) <= {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(mode: str) -> None:
    image = Image.new(mode, (8, 8), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    assert (decode(stored(image, "PNG")) == 255).all()


def test_a_transparent_palette_colour_lies_on_white() -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([value for value in range(256) for _ in range(3)])
    assert (decode(stored(image, "PNG", transparency=3)) == 255).all()


def test_sixteen_bits_are_reduced_and_not_cut_off() -> None:
    values = np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)
    for format_ in ("PNG", "TIFF"):
        pixels = decode(stored(Image.fromarray(values), format_))
        assert abs(int(pixels[32, 32, 0]) - int(values[32, 32]) // 257) <= 1
        assert pixels[0, 0, 0] == 0
        assert pixels[-1, -1, 0] == 255


def test_a_scan_that_names_its_scanner_is_not_developed_like_a_raw_file() -> None:
    values = np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)
    plain = stored(Image.fromarray(values), "TIFF")
    assert far(decode(stored(Image.fromarray(values), "TIFF", tiffinfo={271: "Scanner"})), decode(plain)) == 0


def test_cmyk_is_read() -> None:
    pixels = decode(stored(blocks().convert("CMYK"), "JPEG", quality=95))
    assert far(pixels, np.asarray(blocks())) < 20


def test_other_colour_spaces_are_converted_and_srgb_is_left_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red = Image.new("RGB", (16, 16), (200, 60, 60))
    plain = decode(stored(red, "PNG"))
    assert far(decode(stored(red, "PNG", icc_profile=srgb)), plain) == 0
    swapped = _swapped_primaries(srgb)
    assert far(decode(stored(red, "PNG", icc_profile=swapped)), plain) > 20


def test_a_profile_that_does_not_fit_or_is_broken_spoils_nothing() -> None:
    for profile in (b"not a profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
        assert far(decode(stored(blocks(), "PNG", icc_profile=profile)), np.asarray(blocks())) == 0


def test_too_many_pixels_are_refused_before_any_is_decoded() -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 20_000, 10_000, 8, 2, 0, 0, 0)
    header += struct.pack(">I", zlib.crc32(header[12:29])) + struct.pack(">I4s", 9, b"IDAT")
    assert reason(header) == "too_many_pixels"
    for format_ in ("JXL", "HEIF", "GIF", "TIFF", "WEBP"):
        assert reason(stored(blocks(), format_), max_pixels=96 * 64 - 1) == "too_many_pixels"
        assert decode(stored(blocks(), format_), max_pixels=96 * 64).shape == (64, 96, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "profile"])
def test_too_large_a_picture_is_decoded_reduced_where_its_format_can(mode: str) -> None:
    image = blocks(403, 301)
    options: dict[str, Any] = {"quality": 95, "subsampling": 0, "exif": orientation(6)}
    if mode == "profile":
        profile = _renamed(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        options |= {"icc_profile": profile}
    else:
        image = image.convert(mode)
    data = stored(image, "JPEG", **options)
    whole = Decoder(403 * 301).decode(data)
    for most, reduction in ((403 * 301 - 1, 2), (403 * 301 // 4, 4), (403 * 301 // 60, 8)):
        picture = Decoder(most).decode(data)
        assert picture.reduction == reduction
        assert (picture.width, picture.height) == (whole.width, whole.height)
        assert max(picture.pixels.shape) == -(-403 // reduction)
        place, spot = picture.outside_box(Box(10, 12, 11, 13)), whole.pixels
        shown = spot[round(place.y1) : round(place.y2), round(place.x1) : round(place.x2)].mean(axis=(0, 1))
        assert np.abs(shown - picture.pixels[12, 10]).max() < 12
    with pytest.raises(ItemError) as caught:
        Decoder(1000).decode(data)
    assert caught.value.reason == "too_many_pixels"
    assert "FACESETS_EMBEDDER_MAX_PIXELS" in str(caught.value)


def test_a_progressive_jpeg_that_is_too_large_is_refused() -> None:
    data = stored(blocks(), "JPEG", progressive=True)
    assert reason(data, max_pixels=96 * 64 - 1) == "too_many_pixels"
    assert decode(data, max_pixels=96 * 64).shape == (64, 96, 3)


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded() -> None:
    assert decode(jpeg_of_scans(96, 64, MOST_SCANS)).shape == (64, 96, 3)
    data = jpeg_of_scans(12_000, 12_000, 5000)
    begun = time.process_time()
    with pytest.raises(ItemError, match="5000 scans") as caught:
        decode(data, max_pixels=150_000_000)
    assert time.process_time() - begun < 1, "one scan alone takes 0.1 seconds"
    assert caught.value.reason == "too_many_scans"


def test_scans_of_a_thumbnail_and_bytes_after_the_end_do_not_count() -> None:
    photo, hostile = stored(blocks(), "JPEG"), jpeg_of_scans(16, 16, 2 * MOST_SCANS)
    segment = b"Exif\0\0" + hostile
    data = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + photo[2:] + hostile
    assert far(decode(data), decode(photo)) == 0


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JXL"])
def test_a_truncated_picture_is_corrupt_and_not_half_grey(format_: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    data = stored(noise, format_)
    assert reason(data[: len(data) * 2 // 3]) == "corrupt"


def test_a_thumbnail_inside_does_not_hide_that_a_photo_is_truncated() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    photo = stored(noise, "JPEG", quality=95)
    segment = b"Exif\0\0" + stored(blocks(16, 16), "JPEG")
    data = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + photo[2:]
    assert far(decode(data), decode(photo)) == 0
    assert reason(data[: len(data) * 2 // 3]) == "corrupt"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "not_a_picture"),
        (b'{"message": "Not found"}', "not_a_picture"),
        ("\ufeff<?xml version='1.0'?><svg/>".encode(), "not_a_picture"),
        (b"plain words\n", "not_a_picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "unsupported"),
        (bytes(range(256)), "unsupported"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (b"\xff\x0a", "corrupt"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_a_png_with_garbled_pixels_is_refused_although_its_header_is_fine() -> None:
    noise = np.random.default_rng(8).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(ItemError, match=r"damaged: its (data breaks the rules|packed data cannot be)") as caught:
        decode(with_broken_pixels(stored(Image.fromarray(noise), "PNG")))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "GIF", "BMP", "WEBP", "AVIF"])
def test_what_is_wrong_with_a_damaged_picture_is_told_in_words(format_: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    data = stored(noise, format_)
    with pytest.raises(ItemError, match=r"the picture is damaged: it[s ][a-z ]+$"):
        decode(data[: len(data) * 2 // 3])


def test_damaged_bytes_never_end_in_anything_but_an_answer_or_a_reason() -> None:
    dice = np.random.default_rng(7)
    decoder = Decoder(MAX_PIXELS)
    for format_ in ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JXL"):
        good = stored(blocks(), format_)
        for _ in range(12):
            data = bytearray(good)
            for place in dice.integers(0, min(len(data), 200), 3):
                data[place] = dice.integers(0, 256)
            with contextlib.suppress(ItemError):
                assert decoder.decode(bytes(data)).pixels.ndim == 3


@pytest.mark.models
@pytest.mark.parametrize(
    "name",
    ["group.avif", "group.dng", "group.heic", "group.png", "group.tiff", "group.webp", "group_cmyk.jpg"],
)
def test_one_picture_in_many_formats_is_one_picture(name: str) -> None:
    images = shared_data() / "data" / "images"
    upright = decode((images / "exif_orientation" / "orient_1.jpg").read_bytes())
    pixels = decode((images / "formats" / name).read_bytes())
    assert far(pixels, upright) < (20 if name == "group.dng" else 6)


@pytest.mark.models
def test_all_eight_orientations_of_one_photo_are_one_picture() -> None:
    folder = shared_data() / "data" / "images" / "exif_orientation"
    first = decode((folder / "orient_1.jpg").read_bytes())
    for value in range(2, 9):
        assert far(decode((folder / f"orient_{value}.jpg").read_bytes()), first) < 3


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "size"),
    [("real_iphone.HEIC", (2566, 3313)), ("real_raw_kodak_dc50.KDC", (768, 512)), ("real_small.heif", (640, 426))],
)
def test_files_of_real_cameras_are_read_whole_and_not_their_thumbnails(name: str, size: tuple[int, int]) -> None:
    data = (shared_data() / "data" / "images" / "formats" / name).read_bytes()
    picture = Decoder(150_000_000).decode(data)
    assert (picture.width, picture.height) == size


@pytest.mark.models
def test_too_large_a_raw_file_is_refused_before_it_is_developed() -> None:
    data = (shared_data() / "data" / "images" / "formats" / "group.dng").read_bytes()
    assert reason(data, max_pixels=1000) == "too_many_pixels"


def _swapped_primaries(profile: bytes) -> bytes:
    """The profile with the primaries of red and green exchanged, and another name than sRGB."""
    data = bytearray(_renamed(profile))
    (count,) = struct.unpack_from(">I", data, 128)
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return bytes(data)


def _renamed(profile: bytes) -> bytes:
    return profile.replace(b"sRGB", b"same").replace("sRGB".encode("utf-16-be"), "same".encode("utf-16-be"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_picture_says_how_it_was_stored(kind: str, orientation: int) -> None:
    drawn = np.zeros((30, 40, 3), np.uint8)
    drawn[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(drawn).save(stream, kind, exif=exif)
    picture = Decoder(10**6).decode(stream.getvalue())
    assert picture.orientation == orientation
    assert (picture.width, picture.height) == ((40, 30) if orientation < 5 else (30, 40))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_that_its_container_turns_counts_as_stored_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    blocks().save(stream, "AVIF", exif=exif)
    picture = Decoder(10**6).decode(stream.getvalue())
    assert picture.orientation == 1
    assert (picture.width, picture.height) == ((96, 64) if orientation == 1 else (64, 96))
