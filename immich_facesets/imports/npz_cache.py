"""
Read a cache of another tool, or one of ours: arrays of one row for each face, found by name and by shape.

The vectors are not read: such a cache does not name the model that made them, and vectors of two models must never be
compared.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Box
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.json_faces import LARGEST_COORDINATE, face_of, is_sha256, is_storable
from immich_facesets.imports.npz_archive import Header, open_archive, read_arrays, read_headers
from immich_facesets.imports.sorted_faces import SortedFace
from immich_facesets.wording import counted

_ROWS, _ANY = -1, 0
_JSON_SHAPES = ((), (1,))
"""Shapes of an array that is one JSON text."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    An array of the cache.

    ``kinds``: NumPy's kinds of its type; ``shape``: -1 is one for each face, 0 any number; ``without``: the consequence
    when it is missing, "" for one that few caches have; ``is_json``: it may be one JSON text instead. ``doubtful``:
    names that equally often mean something else; an array of such a name counts only when its texts are 64 characters
    long.
    """

    name: str
    aliases: frozenset[str]
    kinds: str
    shape: tuple[int, ...]
    without: str
    is_used: bool = True
    is_json: bool = False
    doubtful: frozenset[str] = frozenset()

    def fits(self, array: str, header: Header) -> bool:
        if header.dtype.kind not in self.kinds:
            return False
        if array.lower() in self.doubtful and header.dtype.itemsize != 64 * (4 if header.dtype.kind == "U" else 1):
            return False
        if self.is_json and header.shape in _JSON_SHAPES:
            return True
        pairs = zip(header.shape, self.shape, strict=False)
        return len(header.shape) == len(self.shape) and all(want in {_ROWS, _ANY, have} for have, want in pairs)

    def wanted(self) -> str:
        words = {_ROWS: "rows", _ANY: "any"}
        kind = "text" if "U" in self.kinds else "numbers"
        return f"({', '.join(words.get(size, str(size)) for size in self.shape)}) of {kind}"


def _column(
    names: str,
    kinds: str,
    shape: tuple[int, ...],
    without: str = "",
    *,
    is_used: bool = True,
    is_json: bool = False,
    doubtful: str = "",
) -> Column:
    first, *others = names.split()
    doubts = frozenset(doubtful.split())
    return Column(first, doubts.union((first, *others)), kinds, shape, without, is_used, is_json, doubts)


_MEASURED = "our own measures stand instead"
_COLUMNS = (
    _column("embedding embeddings embs emb vectors features", "f", (_ROWS, _ANY), "it is not needed", is_used=False),
    _column(
        "path paths file files file_path image_path image_paths source_path", "US", (_ROWS,), "digests count alone"
    ),
    _column(
        "sha256 sha256s file_sha256",
        "US",
        (_ROWS,),
        "pictures are known by their paths",
        doubtful="digest digests hash hashes",
    ),
    _column("box boxes bbox bboxes", "fiu", (_ROWS, 4), "a face is found where it is the only one of its picture"),
    _column("identity identities", "iu", (_ROWS,), "the manifests alone say who is in which set"),
    _column("record records meta metadata", "US", (_ANY,), is_json=True),
    _column("path_aliases aliases", "US", (_ANY, 2), "other places of the same bytes are not known", is_json=True),
    _column("noface_path noface_paths noface no_face", "US", (_ANY,), "every picture is looked at", is_used=False),
    _column("det_score det_scores score scores", "f", (_ROWS,), _MEASURED, is_used=False),
    _column("face_short", "fiu", (_ROWS,), _MEASURED, is_used=False),
    _column("blur", "f", (_ROWS,), _MEASURED, is_used=False),
    _column("landmark_2d_106 landmarks_2d_106 landmark_106", "f", (_ROWS, 106, 2), _MEASURED, is_used=False),
    _column("landmark_3d_68 landmarks_3d_68 landmark_68", "f", (_ROWS, 68, 3), _MEASURED, is_used=False),
    _column("pose poses", "f", (_ROWS, 3), _MEASURED, is_used=False),
    _column("landmark_5 kps landmarks", "f", (_ROWS, 5, 2), _MEASURED, is_used=False),
)


@dataclass(frozen=True, slots=True)
class EarlierCache:
    """The faces of a cache, and the set number of each: 0 is unassigned, and None where the cache has no numbers."""

    faces: tuple[SortedFace, ...] = field(repr=False)
    identities: tuple[int, ...] | None = None


def read_cache(file: BinaryIO, name: str, findings: Findings) -> EarlierCache | None:
    """
    Read a seekable file; return None when anything about it is wrong, with every reason among the problems.

    ``name`` is the file's name in messages.
    """
    before = len(findings.problems)
    archive = open_archive(file, name, findings)
    if archive is None:
        return None
    with archive:
        chosen = _chosen(read_headers(archive, name, findings), name, findings)
        _check_rows(chosen, name, findings)
        wanted = {column.name: chosen[column.name] for column in _COLUMNS if column.is_used and column.name in chosen}
        arrays = read_arrays(archive, wanted, name, findings)
    _check_texts(arrays, name, findings)
    if len(findings.problems) > before:
        return None
    aliases = _aliases(arrays.get("path_aliases"), name, findings)
    if "path" in arrays or "sha256" in arrays:
        cache = _of_columns(arrays, aliases, name, findings)
    else:
        cache = _of_records(arrays["record"], aliases, name, findings)
    return cache if len(findings.problems) == before else None


def _chosen(headers: Mapping[str, Header], name: str, findings: Findings) -> dict[str, Header]:
    """Return the array of each column that has one: the name is one of its names, and type and shape are right."""
    chosen: dict[str, Header] = {}
    known: set[str] = set()
    absent: dict[str, list[str]] = {}
    for column in _COLUMNS:
        named = [array for array in headers if array.lower() in column.aliases]
        known.update(named)
        fitting = next((array for array in named if column.fits(array, headers[array])), None)
        if fitting is not None:
            chosen[column.name] = headers[fitting]
            findings.found.append(f"{fitting} {headers[fitting].shape}{'' if column.is_used else ', not used'}")
        elif column.is_used and (wrong := [array for array in named if array.lower() not in column.doubtful]):
            header = headers[wrong[0]]
            findings.problems.append(
                f"{name}: the array {wrong[0]!r} is {header.shape} of {header.dtype}, and should be {column.wanted()}"
            )
        elif column.without:
            absent.setdefault(column.without, []).append(column.name)
    if "record" in chosen and not {"path", "sha256"} & chosen.keys():  # the records state these themselves
        absent = {without: names for without, names in absent.items() if not {"path", "sha256", "box"} & set(names)}
    findings.missing += [f"{', '.join(names)}: {without}" for without, names in absent.items()]
    if "embedding" in chosen:
        findings.missing.append(
            "the model of the vectors: no cache says which one made them, so they are left aside, and a sync makes our own"
        )
    if unknown := sorted(headers.keys() - known):
        findings.missing.append(f"{', '.join(unknown[:8])}: nothing here knows what these arrays are; left aside")
    return chosen


def _check_rows(chosen: Mapping[str, Header], name: str, findings: Findings) -> None:
    """Check that an array states which pictures the faces are in, and that every array has as many rows."""
    if not {"path", "sha256", "record"} & chosen.keys() and not findings.problems:
        findings.problems.append(
            f"{name} has neither paths nor SHA-256 digests: nothing says which pictures its faces are in"
        )
    rows = {one.name: chosen[one.name].shape[0] for one in _COLUMNS if one.name in chosen and _ROWS in one.shape}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{column} {count:,}" for column, count in rows.items())
        findings.problems.append(f"{name}: the arrays do not belong together, their rows differ: {counts}")


def _of_columns(
    arrays: Mapping[str, NDArray[Any]], aliases: Mapping[str, tuple[str, ...]], name: str, findings: Findings
) -> EarlierCache:
    count = len(arrays["path" if "path" in arrays else "sha256"])
    paths = _texts(arrays["path"]) if "path" in arrays else [""] * count
    digests = [text.lower() for text in _texts(arrays["sha256"])] if "sha256" in arrays else [""] * count
    boxes = _boxes(arrays["box"], name, findings) if "box" in arrays else [None] * count
    wrong = [row for row, digest in enumerate(digests) if digest and not is_sha256(digest)]
    if wrong:
        findings.problems.append(
            f"{name}: {counted(len(wrong), 'digest is', 'digests are')} no SHA-256 (64 hex digits), first in row {wrong[0]}"
        )
    faces = tuple(
        SortedFace(digest or None, (path, *aliases.get(path, ())) if path else (), box)
        for digest, path, box in zip(digests, paths, boxes, strict=True)
    )
    identities = tuple(arrays["identity"].astype(np.int64).tolist()) if "identity" in arrays else None
    return EarlierCache(faces, identities)


def _of_records(
    array: NDArray[Any], aliases: Mapping[str, tuple[str, ...]], name: str, findings: Findings
) -> EarlierCache:
    """
    Read JSON objects, one for each face, or one text with a list of them; those without a box are pictures without a
    face.
    """
    faces = []
    try:
        texts = _texts(array.reshape(-1))
        records = json.loads(texts[0]) if array.shape in _JSON_SHAPES else [json.loads(text) for text in texts]
        for row, record in enumerate([records] if isinstance(records, dict) else records):
            face, problem = face_of(record)
            if problem:
                findings.problems.append(f"{name}: record {row}: {problem}")
            if face is not None and face.box is not None:
                others = [other for place in face.places for other in aliases.get(place, ())]
                faces.append(SortedFace(face.sha256, tuple(dict.fromkeys((*face.places, *others))), face.box))
    except (ValueError, AttributeError, TypeError, RecursionError, IndexError):
        findings.problems.append(f"{name}: the records are no JSON objects, one for each face")
    return EarlierCache(tuple(faces))


def _boxes(array: NDArray[Any], name: str, findings: Findings) -> Sequence[Box | None]:
    corners = array.astype(np.float64)
    is_right = (corners[:, :2] < corners[:, 2:]).all(axis=1) & (np.abs(corners) <= LARGEST_COORDINATE).all(axis=1)
    if not is_right.all():
        count, first = int((~is_right).sum()), int(is_right.argmin())
        findings.problems.append(
            f"{name}: {counted(count, 'box is', 'boxes are')} none, first in row {first}: a box is x1, y1, x2, y2 in pixels, "
            "with x1 < x2 and y1 < y2 (not x, y, width, height)"
        )
        return [None] * len(corners)
    return [Box(*row) for row in corners.tolist()]


def _aliases(array: NDArray[Any] | None, name: str, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Return other locations of the bytes at a path: from pairs, or from one JSON object of lists."""
    if array is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    if array.ndim == 2:
        for path, other in zip(_texts(array[:, 0]), _texts(array[:, 1]), strict=True):
            found[path] = (*found.get(path, ()), other)
        return found
    try:
        aliases = json.loads(_texts(array.reshape(-1))[0])
        found = {path: tuple(str(other) for other in others) for path, others in aliases.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        findings.problems.append(
            f"{name}: the array 'path_aliases' is neither pairs of paths nor a JSON object of lists"
        )
        return {}
    if not all(is_storable(other) for others in found.values() for other in others):
        findings.problems.append(f"{name}: the array 'path_aliases' holds a NUL or half a character, which no text has")
    return found


def _check_texts(arrays: Mapping[str, NDArray[Any]], name: str, findings: Findings) -> None:
    """Report the columns with values that are no text: a file may hold any bits in place of a character."""
    for column, array in arrays.items():
        if array.dtype.kind in "US" and not (_is_unicode(array) and all(map(is_storable, _texts(array.reshape(-1))))):
            findings.problems.append(f"{name}: the array {column!r} holds a NUL or half a character, which no text has")


def _is_unicode(array: NDArray[Any]) -> bool:
    """Return whether every character has a number of Unicode: Python fails on others much later."""
    if array.dtype.kind != "U" or not array.nbytes:
        return True
    numbers = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
    return bool((np.ascontiguousarray(array).reshape(-1).view(numbers) <= sys.maxunicode).all())


def _texts(array: NDArray[Any]) -> list[str]:
    values: list[str | bytes] = array.tolist()
    return [value.decode(errors="backslashreplace") if isinstance(value, bytes) else value for value in values]
