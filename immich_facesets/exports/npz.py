"""
The npz cache: one row for each face, as arrays that NumPy reads without pickles (docs/exports.md).

Landmarks of 106 and 68 points are columns of that cache, too. Faces without measured landmarks have rows of NaN; when
no face has any, the column is omitted. The five points of the detector are in ``landmark_5``.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports.library import UserLibrary
from immich_facesets.exports.profile import Content, LibraryLayout, LibraryProfile, ReadBack
from immich_facesets.faces import Face
from immich_facesets.quality.landmarks import NOTHING_FOUND, Enriched, Points

CACHE = "cache.npz"


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A face, the first location of its picture, its identity number (0: none), and results of further models."""

    face: Face
    path: str
    identity: int
    enriched: Enriched = NOTHING_FOUND


@dataclass(frozen=True, slots=True)
class Cache:
    """
    All faces of one source.

    ``vectors``: (n, d), unit length, row by row; ``empty``: the pictures without a face; ``aliases``: (path, other
    location of the same bytes).
    """

    rows: tuple[CacheRow, ...]
    vectors: NDArray[np.float32] = field(repr=False)
    empty: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...]


def write_cache(file: BinaryIO, cache: Cache) -> None:
    """
    Write a cache into an empty, seekable file.

    The same cache gives the same bytes: the archive holds no timestamp.
    """
    if len(cache.rows) != len(cache.vectors):
        raise ValueError(f"{len(cache.rows)} faces, but {len(cache.vectors)} vectors")
    np.savez_compressed(file, allow_pickle=False, **columns(cache))


def columns(cache: Cache) -> dict[str, NDArray[np.generic]]:
    """Return the arrays by name. Texts are of NumPy's fixed width, pixels upright, angles degrees."""
    faces = [row.face for row in cache.rows]
    boxes = [(face.box.x1, face.box.y1, face.box.x2, face.box.y2) for face in faces]
    poses = [row.enriched.pose or row.face.measures for row in cache.rows]
    pose = [(found.pitch, found.yaw, found.roll) for found in poses]
    return {
        "embedding": np.ascontiguousarray(cache.vectors, dtype=np.float32),
        "path": _texts([row.path for row in cache.rows]),
        "box": np.array(boxes, dtype=np.float32).reshape(-1, 4),
        "det_score": np.array([face.det_score for face in faces], dtype=np.float32),
        "face_short": np.array([face.face_short for face in faces], dtype=np.float32),
        "blur": np.array([face.measures.blur for face in faces], dtype=np.float32),
        "sha256": _texts([face.sha256 for face in faces]),
        "pose": np.array(pose, dtype=np.float32).reshape(-1, 3),
        "landmark_5": np.array([face.landmarks for face in faces], dtype=np.float32).reshape(-1, 5, 2),
        "identity": np.array([row.identity for row in cache.rows], dtype=np.int64),
        "noface_path": _texts(cache.empty),
        "path_aliases": _texts([text for pair in cache.aliases for text in pair]).reshape(-1, 2),
        **_points("landmark_2d_106", [row.enriched.of_106 for row in cache.rows], (106, 2)),
        **_points("landmark_3d_68", [row.enriched.of_68 for row in cache.rows], (68, 3)),
    }


def _points(name: str, found: Sequence[Points | None], shape: tuple[int, int]) -> dict[str, NDArray[np.generic]]:
    """Return the column (n, points, 2 or 3) of that name, if the points of any face are known."""
    known = {row: points for row, points in enumerate(found) if points is not None}
    if not known:
        return {}
    column = np.full((len(found), *shape), np.nan, dtype=np.float32)
    for row, points in known.items():
        column[row] = points
    return {name: column}


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    """Return an array (n,) of fixed width. NumPy drops zeros at a text's end; no path and no digest has one."""
    return np.array([value.encode(errors="backslashreplace").decode() for value in values], dtype=np.str_)


def lay_out(library: UserLibrary) -> LibraryLayout | None:
    """Return the cache of a user's faces; None when the library has no picture."""
    cache = cache_of(library)
    return of_cache(cache, library.space) if cache.rows or cache.empty else None


def of_cache(cache: Cache, space: str) -> LibraryLayout:
    """Return the layout of a cache with embeddings of a space."""

    def files() -> Iterator[tuple[str, Content]]:
        yield CACHE, partial(_write, cache)

    manifest = {
        "space": space,
        "bundles": {"cache": CACHE},
        "faces": [],
        "rows": len(cache.rows),
        "pictures_without_a_face": len(cache.empty),
        "columns": {
            name: hashlib.sha256(np.ascontiguousarray(column).tobytes()).hexdigest()
            for name, column in columns(cache).items()
        },
    }
    return LibraryLayout(manifest, len(cache.rows), files)


def cache_of(library: UserLibrary) -> Cache:
    """Return the cache of a library: every face at the first path of its picture, by path and position."""
    if library.vectors is None or len(library.vectors) != len(library.faces):
        raise ValueError("npz needs the vector of every face")
    first: dict[str, str] = {}
    for place in library.pictures:  # by path
        first.setdefault(place.sha256, place.path)
    rows = [CacheRow(item.face, first[item.face.sha256], item.identity, item.enriched) for item in library.faces]
    order = sorted(range(len(rows)), key=lambda row: _position(rows[row]))
    return Cache(
        rows=tuple(rows[row] for row in order),
        vectors=library.vectors[order],
        empty=tuple(
            place.path for place in library.pictures if not place.has_faces and first[place.sha256] == place.path
        ),
        aliases=tuple(
            (first[place.sha256], place.path) for place in library.pictures if first[place.sha256] != place.path
        ),
    )


def _position(row: CacheRow) -> tuple[str, float, float, int]:
    return (row.path, row.face.box.x1, row.face.box.y1, row.face.face_id)


def _write(cache: Cache, file: BinaryIO, _read_back: ReadBack) -> None:
    write_cache(file, cache)


NPZ = LibraryProfile(name="npz", needs_vectors=True, lay_out=lay_out)
