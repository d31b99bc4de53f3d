"""The npz cache as its readers load it: with NumPy, without pickles, by names and shapes."""

import io
from dataclasses import replace

import numpy as np
import pytest
from faceset_builders import DIMENSION, face, sha256, vectors

from immich_facesets.exports.artifacts import form_of_library
from immich_facesets.exports.library import LibraryFace, PlacedPicture, UserLibrary
from immich_facesets.exports.npz import NPZ, Cache, CacheRow, cache_of, lay_out, write_cache

PATHS = ("/photos/a.jpg", "/photos/ä ö/b.jpg", "/photos/b.jpg")


def cache(count: int = 3) -> Cache:
    rows = tuple(
        CacheRow(face(number + 1, yaw=10.0, pitch=-5.0, roll=2.0), PATHS[number], number) for number in range(count)
    )
    return Cache(rows, vectors(3)[:count], empty=("/photos/nobody.jpg",), aliases=((PATHS[0], "/copies/a.jpg"),))


def read(body: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(body), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def body_of(written: Cache) -> bytes:
    file = io.BytesIO()
    write_cache(file, written)
    return file.getvalue()


def test_every_column_has_one_row_for_each_face() -> None:
    found = read(body_of(cache()))
    shapes = {name: (column.dtype.kind, column.shape) for name, column in found.items()}
    assert shapes == {
        "embedding": ("f", (3, DIMENSION)),
        "path": ("U", (3,)),
        "box": ("f", (3, 4)),
        "det_score": ("f", (3,)),
        "face_short": ("f", (3,)),
        "blur": ("f", (3,)),
        "sha256": ("U", (3,)),
        "pose": ("f", (3, 3)),
        "landmark_5": ("f", (3, 5, 2)),
        "identity": ("i", (3,)),
        "noface_path": ("U", (1,)),
        "path_aliases": ("U", (1, 2)),
    }
    assert found["embedding"].dtype == np.float32
    np.testing.assert_array_equal(found["embedding"], vectors(3))
    assert found["path"].tolist() == list(PATHS)
    assert found["pose"][0].tolist() == [-5.0, 10.0, 2.0]  # pitch, yaw, roll
    assert found["box"][0].tolist() == [100.0, 100.0, 300.0, 340.0]
    assert found["face_short"][0] == 200.0
    assert found["sha256"][0] == cache().rows[0].face.sha256
    assert found["path_aliases"].tolist() == [[PATHS[0], "/copies/a.jpg"]]


def test_a_cache_without_faces_keeps_its_shapes() -> None:
    empty = Cache((), np.zeros((0, DIMENSION), np.float32), empty=("/photos/nobody.jpg",), aliases=())
    found = read(body_of(empty))
    assert found["embedding"].shape == (0, DIMENSION)
    assert found["box"].shape == (0, 4)
    assert found["path_aliases"].shape == (0, 2)


def library(count: int = 3) -> UserLibrary:
    """The library of ``cache`` with its faces in another order."""
    faces = [face(number + 1, yaw=10.0, pitch=-5.0, roll=2.0) for number in range(count)]
    shown = [(PATHS[number], faces[number].sha256) for number in range(count)]
    places = [*shown, ("/photos/nobody.jpg", sha256(99)), ("/copies/a.jpg", faces[0].sha256)]
    pictures = [
        PlacedPicture("anna", "", path, sha, 640, 480, 1, has_faces=path != "/photos/nobody.jpg")
        for path, sha in places
    ]
    order = list(range(count))[::-1]
    return UserLibrary(
        "anna",
        "s",
        tuple(pictures),
        tuple(LibraryFace(faces[number], number) for number in order),
        vectors(3)[:count][order],
    )


def test_the_cache_of_a_library_has_its_faces_by_path_and_each_other_path_of_the_same_bytes() -> None:
    found = cache_of(library())
    assert [(row.path, row.identity) for row in found.rows] == [(PATHS[number], number) for number in (0, 2, 1)]
    np.testing.assert_array_equal(found.vectors, cache().vectors[[0, 2, 1]])
    assert (found.empty, found.aliases) == (cache().empty, cache().aliases)
    with pytest.raises(ValueError, match="vector of every face"):
        cache_of(replace(library(), vectors=None))


def test_the_same_cache_gives_the_same_bytes_and_another_one_another_digest() -> None:
    assert body_of(cache()) == body_of(cache())
    usual = library()
    others = (
        usual,
        library(2),
        replace(usual, pictures=usual.pictures[:3]),
        replace(usual, vectors=vectors(3, seed=1)),
    )
    digests = set()
    for other in others:
        found = form_of_library(NPZ, other, "anna")
        assert found is not None
        assert (found.path, found.entry["faces"]) == ("_profiles/npz/anna", len(other.faces))
        assert [name for name, _ in found.files()] == ["cache.npz", "manifest.json"]
        digests.add(found.digest)
    assert len(digests) == 4
    assert lay_out(UserLibrary("anna", "s", (), (), vectors(3)[:0])) is None


def test_a_name_that_is_no_text_is_escaped_and_rows_without_a_vector_are_a_bug() -> None:
    odd = replace(cache(1), rows=(CacheRow(face(), "/photos/\udcff.jpg", 1),))
    assert read(body_of(odd))["path"].tolist() == ["/photos/\\udcff.jpg"]
    with pytest.raises(ValueError, match="1 faces, but 3 vectors"):
        write_cache(io.BytesIO(), replace(cache(1), vectors=vectors(3)))
