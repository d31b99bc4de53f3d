""".fsz bundles as roop-unleashed reads them: entries in directory order, ``.png`` only, no folder."""

import io
import zipfile
from collections.abc import Iterable

import cv2
import numpy as np
from faceset_builders import picture
from numpy.typing import NDArray

from immich_facesets.exports.crops import png
from immich_facesets.exports.fsz import write_bundle

PICTURES = [png(picture(512, seed=seed), {"Asset": str(seed)}) for seed in range(12)]


def bundled(pictures: Iterable[bytes]) -> bytes:
    file = io.BytesIO()
    write_bundle(file, pictures)
    return file.getvalue()


def read_like_the_reader(body: bytes) -> list[NDArray[np.uint8]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        assert not any(entry.is_dir() or "/" in entry.filename for entry in entries)
        bodies = [archive.read(entry) for entry in entries if entry.filename.endswith(".png")]
    return [np.asarray(cv2.imdecode(np.frombuffer(each, dtype=np.uint8), cv2.IMREAD_COLOR)) for each in bodies]


def test_the_reader_finds_every_picture_best_first() -> None:
    pictures = read_like_the_reader(bundled(PICTURES))
    assert len(pictures) == 12
    for seed, image in enumerate(pictures):
        assert np.array_equal(image, picture(512, seed=seed))


def test_entries_are_numbered_from_0_and_stored_as_they_are() -> None:
    with zipfile.ZipFile(io.BytesIO(bundled(PICTURES))) as archive:
        assert archive.namelist() == [f"{number}.png" for number in range(12)]
        for entry, body in zip(archive.infolist(), PICTURES, strict=True):
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.compress_size == entry.file_size == len(body)


def test_sizes_stand_before_each_picture_for_readers_that_cannot_seek() -> None:
    with zipfile.ZipFile(io.BytesIO(bundled(PICTURES))) as archive:
        assert not any(entry.flag_bits & 0x08 for entry in archive.infolist())


def test_the_same_pictures_give_the_same_bytes() -> None:
    assert bundled(PICTURES) == bundled(iter(PICTURES))
    assert bundled(PICTURES) != bundled(PICTURES[::-1])
