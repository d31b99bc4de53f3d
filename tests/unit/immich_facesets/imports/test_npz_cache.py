"""npz caches of other tools: recognised by name and shape, with every error reported."""

import io
import json
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
from faceset_builders import face, sha256, vectors
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.npz import Cache, CacheRow, write_cache
from immich_facesets.faces import Box
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.npz_cache import EarlierCache, read_cache
from immich_facesets.imports.sorted_faces import SortedFace


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def read(body: bytes) -> tuple[EarlierCache | None, Findings]:
    findings = Findings()
    return read_cache(io.BytesIO(body), "cache.npz", findings), findings


def whole(rows: int = 2, **changes: Any) -> dict[str, Any]:
    arrays = {
        "embeddings": np.eye(rows, 512, dtype=np.float32),
        "paths": np.array([f"/photos/{row}.jpg" for row in range(rows)]),
        "digest": np.array([sha256(row + 1).upper() for row in range(rows)]),
        "bboxes": np.array([[10, 20, 110, 140]] * rows),
    }
    return {name: array for name, array in (arrays | changes).items() if array is not None}


def our_own() -> bytes:
    file = io.BytesIO()
    rows = (CacheRow(face(1), "Summer/a.jpg", 7), CacheRow(face(2), "Summer/b.jpg", 0))
    write_cache(file, Cache(rows, vectors(2), ("none.jpg",), (("Summer/a.jpg", "Copy of a.jpg"),)))
    return file.getvalue()


def test_what_we_write_we_read() -> None:
    cache, findings = read(our_own())
    assert cache is not None
    assert findings.problems == []
    assert cache.faces == (
        SortedFace(sha256(1), ("Summer/a.jpg", "Copy of a.jpg"), face(1).box),
        SortedFace(sha256(2), ("Summer/b.jpg",), face(2).box),
    )
    assert cache.identities == (7, 0)
    assert any("landmark_2d_106" in line for line in findings.missing), "missing measures are reported"


def test_a_library_without_a_face_is_no_error() -> None:
    file = io.BytesIO()
    write_cache(file, Cache((), vectors(1)[:0], ("none.jpg",), ()))
    cache, findings = read(file.getvalue())
    assert cache is not None
    assert (cache.faces, findings.problems) == ((), [])


def test_arrays_are_known_by_the_names_that_tools_give_them() -> None:
    cache, findings = read(npz(**whole(), extra=np.zeros(3)))
    assert cache is not None
    assert cache.faces[1] == SortedFace(sha256(2), ("/photos/1.jpg",), Box(10, 20, 110, 140))
    assert any("extra" in line for line in findings.missing)
    assert any("embeddings (2, 512), not used" in line for line in findings.found)


def test_a_perceptual_hash_is_not_taken_for_a_digest() -> None:
    cache, findings = read(npz(**whole(digest=None, hash=np.array(["0123456789abcdef"] * 2))))
    assert findings.problems == []
    assert cache is not None
    assert cache.faces[0].sha256 is None


def test_paths_may_be_bytes_and_aliases_a_json_object() -> None:
    told = np.array('{"/a.jpg": ["/b.jpg", "/c.jpg"]}')
    cache, _ = read(npz(path=np.array([b"/a.jpg"]), path_aliases=told))
    assert cache is not None
    assert cache.faces == (SortedFace(None, ("/a.jpg", "/b.jpg", "/c.jpg"), None),)


RECORDS = [{"path": "/a.jpg", "bbox": [1, 2, 30, 40], "hash": sha256(1)}, {"path": "/empty.jpg", "noface": True}]


@pytest.mark.parametrize("told", [np.array(json.dumps(RECORDS)), np.array([json.dumps(one) for one in RECORDS])])
def test_faces_may_be_records_of_json_beside_their_vectors(told: Any) -> None:
    cache, findings = read(npz(embeddings=np.eye(1, 512, dtype=np.float32), meta=told))
    assert findings.problems == []
    assert cache is not None
    assert cache.faces == (SortedFace(sha256(1), ("/a.jpg",), Box(1, 2, 30, 40)),)


WRONG: dict[str, tuple[bytes, str]] = {
    "a text": (b"not a cache", "no npz file"),
    "nothing": (b"", "no npz file"),
    "a pickle": (pickle.dumps({"embedding": [1.0]}), "no npz file"),
    "cut short": (our_own()[:-30], "no npz file"),
    "a single array": (b"\x93NUMPY\x01\x00", "no npz file"),
    "no arrays": (b"PK\x05\x06" + b"\x00" * 18, "holds no arrays"),
    "neither path nor digest": (npz(embedding=np.eye(2, 512, dtype=np.float32)), "neither paths nor SHA-256"),
    "rows that differ": (npz(**whole(2, paths=np.array(["a", "b", "c"]))), "rows differ: embedding 2, path 3"),
    "boxes of width and height": (npz(**whole(bboxes=np.array([[0, 0, 9, 9], [90, 90, 40, 40]]))), "first in row 1"),
    "boxes without an edge": (npz(**whole(bboxes=np.zeros((2, 3)))), "should be (rows, 4) of numbers"),
    "boxes that are no numbers": (npz(**whole(bboxes=np.full((2, 4), np.nan))), "2 boxes are none"),
    "digests of MD5": (npz(**whole(sha256=np.array(["d" * 32] * 2), digest=None)), "2 digests are no SHA-256"),
    "digests that are none": (npz(**whole(digest=np.array(["x" * 64] * 2))), "2 digests are no SHA-256"),
    "strange records": (npz(meta=np.array("[1, 2]")), "the records are no JSON objects"),
    "a wrong record": (npz(meta=np.array('[{"path": "/a", "box": [1]}]')), "record 0: its box"),
    "aliases that are no text": (
        npz(**whole(path_aliases=np.array('{"/a": ["\\ud800"]}'))),
        "'path_aliases' holds a NUL",
    ),
    "paths that are no text": (npz(**whole(paths=np.array(["/a", "\ud800"]))), "'path' holds a NUL or half a"),
    "strange aliases": (npz(**whole(path_aliases=np.array("[1, 2]"))), "'path_aliases' is neither"),
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_is_told_in_a_sentence(name: str) -> None:
    body, told = WRONG[name]
    cache, findings = read(body)
    assert cache is None
    assert told in " ".join(findings.problems)


def test_objects_are_never_unpickled_and_the_way_out_is_told() -> None:
    file = io.BytesIO()
    np.savez(file, paths=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    cache, findings = read(file.getvalue())
    assert cache is None
    assert "'paths' holds Python objects" in findings.problems[0]
    assert "numpy.array(paths.tolist(), dtype=str)" in findings.problems[0]


def test_all_that_is_wrong_is_told_at_once() -> None:
    body = npz(
        **whole(digest=np.array(["x" * 64, "y" * 64]), bboxes=np.array([[9, 9, 1, 1]] * 2), path_aliases=np.array("{"))
    )
    _, findings = read(body)
    assert len(findings.problems) == 3


def test_a_header_that_promises_more_than_the_file_holds_costs_no_memory() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<U99", "fortran_order": False, "shape": (10**12,)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("path.npy", header.getvalue())
    cache, findings = read(file.getvalue())
    assert cache is None
    assert "claims more than the file holds" in findings.problems[0]


@given(places=st.lists(st.tuples(st.integers(0, len(our_own()) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_cache_is_refused_and_never_an_accident(places: list[tuple[int, int]]) -> None:
    body = bytearray(our_own())
    for place, byte in places:
        body[place] = byte
    cache, findings = read(bytes(body))
    assert (cache is None) == bool(findings.problems)
