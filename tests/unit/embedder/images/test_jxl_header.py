"""JPEG XL: its size is known before it is decoded, however its boxes divide the codestream."""

import contextlib
import functools
import io
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from embedder.images.decoder import Decoder
from embedder.images.jxl_header import CONTAINER, jxl_size
from immich_facesets.errors import ItemError

SIZE = (641, 387)
LAST = 1 << 31


@functools.cache
def codestream(size: tuple[int, int] = SIZE) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (90, 120, 40)).save(stream, "JXL")
    return stream.getvalue()


def box(kind: bytes, content: bytes, *, form: str = "short") -> bytes:
    if form == "to the end":
        return struct.pack(">I4s", 0, kind) + content
    if form == "long":
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def container(*boxes: bytes) -> bytes:
    return CONTAINER + box(b"ftyp", b"jxl \0\0\0\0jxl ") + b"".join(boxes)


def split(data: bytes, cuts: list[int], forms: tuple[str, ...] = ("short", "long"), last: str = "short") -> bytes:
    """A container whose boxes divide the codestream at these places, with other boxes between them."""
    places = [0, *sorted(cuts), len(data)]
    boxes = list[bytes]()
    for number, (start, end) in enumerate(pairwise(places)):
        is_last = end == len(data) and number == len(places) - 2
        form = last if is_last else forms[number % len(forms)]
        content = struct.pack(">I", number | (LAST if is_last else 0)) + data[start:end]
        boxes += (
            [box(b"jxlp", content, form=form)] if is_last else [box(b"jxlp", content, form=form), box(b"free", b"x")]
        )
    return container(*boxes)


@pytest.mark.parametrize("size", [(8, 8), (96, 64), (257, 1), (1, 700), (5000, 3), (640, 480), (512, 512)])
def test_the_size_is_read_from_the_header(size: tuple[int, int]) -> None:
    data = codestream(size)
    assert jxl_size(data) == size
    assert jxl_size(container(box(b"jxlc", data))) == size
    assert jxl_size(container(box(b"jxlc", data, form="to the end"))) == size


def test_the_size_is_the_same_wherever_boxes_divide_the_codestream() -> None:
    data = codestream()
    for at in range(len(data) + 1):
        for last in ("short", "long", "to the end"):
            assert jxl_size(split(data, [at], last=last)) == SIZE, at


@given(st.lists(st.integers(0, 20), max_size=8), st.sampled_from(["short", "long", "to the end"]))
def test_the_size_is_the_same_in_many_boxes_some_of_them_empty(cuts: list[int], last: str) -> None:
    assert jxl_size(split(codestream(), cuts, last=last)) == SIZE


@pytest.mark.parametrize("at", [1, 2, 3, 6, 9])
def test_the_decoder_finds_the_same_size_in_a_divided_codestream(at: int) -> None:
    picture = Decoder(SIZE[0] * SIZE[1]).decode(split(codestream(), [at], forms=("short",)))
    assert (picture.width, picture.height) == SIZE


def test_a_container_that_ends_anywhere_has_its_true_size_or_none() -> None:
    whole = split(codestream(), [2, 3, 5])
    for end in range(len(whole)):
        with contextlib.suppress(ValueError):
            assert jxl_size(whole[:end]) == SIZE, end
    with pytest.raises(ValueError, match="cut off"):
        jxl_size(split(codestream()[:4], [2, 3]))


def test_a_huge_picture_is_refused_by_its_header_alone_however_it_is_divided() -> None:
    header = (2 << 1) | (19_999 << 3) | (3 << 21)  # not small; 18 bits for the height; four to three
    data = b"\xff\x0a" + header.to_bytes(12, "little")
    for file in (data, *(split(data, [at]) for at in range(len(data) + 1))):
        assert jxl_size(file) == (26_666, 20_000)
        with pytest.raises(ItemError) as caught:
            Decoder(1_000_000).decode(file)
        assert caught.value.reason == "too_many_pixels"


def test_a_box_that_ends_before_it_begins_is_damage() -> None:
    with pytest.raises(ItemError) as caught:
        Decoder(1_000_000).decode(CONTAINER + struct.pack(">I4s", 7, b"jxlc") + codestream())
    assert caught.value.reason == "corrupt"
