"""
Read a cache of another tool, or one of ours: arrays of one row for each face, found by name and by shape.

Nothing is unpickled, and nothing is taken on trust: a header that promises more than the file holds is refused before
memory is asked for. The vectors are not read: such a cache does not say which model made them, and vectors of two models
must never be compared.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from immich_facesets.earlier.findings import Findings, counted
from immich_facesets.faces import Box

MOST_BYTES = 2**31
"""Of one array that is read into memory."""

_ROWS = -1


@dataclass(frozen=True, slots=True)
class Column:
    """An array of the cache. ``shape``: -1 stands for the rows, 0 for any number; ``without``: what is done when it is missing."""

    name: str
    aliases: frozenset[str]
    kinds: str
    shape: tuple[int, ...]
    without: str
    is_used: bool = True


def _column(names: str, kinds: str, shape: tuple[int, ...], without: str, *, is_used: bool = True) -> Column:
    first, *others = names.split()
    return Column(first, frozenset((first, *others)), kinds, shape, without, is_used)


_MEASURED = "our own measures stand instead"
_COLUMNS = (
    _column("embedding embeddings embs emb vectors features", "f", (_ROWS, 0), "it would not be used", is_used=False),
    _column("path paths file files file_path image_path image_paths source_path", "US", (_ROWS,), "by content alone"),
    _column(
        "sha256 sha256s digest digests file_sha256 hash hashes", "US", (_ROWS,), "pictures are known by path alone"
    ),
    _column("box boxes bbox bboxes", "fiu", (_ROWS, 4), "a face is found where it is the only one of its picture"),
    _column("identity identities", "iu", (_ROWS,), "the manifests alone say who is in which set"),
    _column("det_score det_scores score scores", "f", (_ROWS,), _MEASURED, is_used=False),
    _column("face_short", "fiu", (_ROWS,), _MEASURED, is_used=False),
    _column("blur", "f", (_ROWS,), _MEASURED, is_used=False),
    _column("landmark_2d_106 landmarks_2d_106 landmark_106", "f", (_ROWS, 106, 2), _MEASURED, is_used=False),
    _column("landmark_3d_68 landmarks_3d_68 landmark_68", "f", (_ROWS, 68, 3), _MEASURED, is_used=False),
    _column("pose poses", "f", (_ROWS, 3), _MEASURED, is_used=False),
    _column("landmark_5 kps landmarks", "f", (_ROWS, 5, 2), _MEASURED, is_used=False),
    _column("noface_path noface_paths noface no_face", "US", (0,), "every picture is looked at", is_used=False),
    _column("path_aliases aliases", "US", (0, 2), "other places of the same bytes are not known"),
)
_DECIDING = ("path", "sha256", "box", "identity", "path_aliases")


@dataclass(frozen=True, slots=True)
class EarlierCache:
    """The rows, one for each face: what says where it is. ``identities``: 0 is nobody, None where the cache has none."""

    sha256: tuple[str | None, ...]
    paths: tuple[str | None, ...] = field(repr=False)
    boxes: tuple[Box | None, ...]
    identities: tuple[int, ...] | None
    aliases: Mapping[str, tuple[str, ...]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class _Header:
    """What the file says of an array before it is read."""

    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_cache(file: BinaryIO, name: str, findings: Findings) -> EarlierCache | None:
    """
    Read a seekable file; None when anything about it is wrong, with every reason among the problems.

    ``name`` is what to call the file in sentences.
    """
    before = len(findings.problems)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError):
        findings.problems.append(f"{name} is no npz file, or it was cut short: an npz file is a zip archive of arrays")
        return None
    with archive:
        headers = _headers(archive, name, findings)
        chosen = _chosen(headers, name, findings)
        rows = _rows(chosen, name, findings)
        arrays = _arrays(archive, {key: chosen[key] for key in _DECIDING if key in chosen}, name, findings)
    if len(findings.problems) > before or rows is None:
        return None
    cache = _cache(arrays, rows, name, findings)
    return cache if len(findings.problems) == before else None


def _headers(archive: zipfile.ZipFile, name: str, findings: Findings) -> dict[str, _Header]:
    """The arrays of the archive by name, and every member checked against its checksum."""
    headers: dict[str, _Header] = {}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        array = info.filename.removesuffix(".npy")
        try:
            with archive.open(info) as member:
                header = _header(info, member)
                while member.read(2**20):  # to the end, where the checksum is
                    pass
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            findings.problems.append(f"{name}: the array {array!r} cannot be read ({error or 'it ends too early'})")
            continue
        if header.dtype.hasobject:
            findings.problems.append(
                f"{name}: the array {array!r} holds Python objects, which only a pickle could give back, and pickles can "
                f"run programs: where it was made, save it again with {array} as plain text or numbers, such as "
                f"numpy.array({array}.tolist(), dtype=str)"
            )
            continue
        if int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize > info.file_size:
            findings.problems.append(f"{name}: the array {array!r} claims more than the file holds")
            continue
        headers[array] = header
    if not headers and not findings.problems:
        findings.problems.append(f"{name} holds no arrays")
    return headers


def _header(info: zipfile.ZipInfo, member: Any) -> _Header:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"its format {version[0]}.{version[1]} is unknown")
    return _Header(info.filename, shape, dtype)


def _chosen(headers: Mapping[str, _Header], name: str, findings: Findings) -> dict[str, _Header]:
    """The array for each column that has one: the name is one of its names, and type and shape are right."""
    chosen: dict[str, _Header] = {}
    known: set[str] = set()
    for column in _COLUMNS:
        named = [array for array in headers if array.lower() in column.aliases]
        known.update(named)
        fitting = [array for array in named if _fits(headers[array], column)]
        if fitting:
            chosen[column.name] = headers[fitting[0]]
        elif named and column.name in _DECIDING:
            wrong = headers[named[0]]
            findings.problems.append(
                f"{name}: the array {named[0]!r} has the shape {wrong.shape} of {wrong.dtype}; {_wanted(column)} was expected"
            )
        else:
            findings.missing.append(f"{column.name}: {column.without}")
    if unknown := sorted(headers.keys() - known):
        findings.missing.append(f"{', '.join(unknown[:8])}: nothing here knows what these arrays are; left aside")
    for column in _COLUMNS:
        if column.name in chosen:
            note = "" if column.is_used else " (not used)"
            findings.found.append(f"{column.name} {chosen[column.name].shape}{note}")
    return chosen


def _fits(header: _Header, column: Column) -> bool:
    if header.dtype.kind not in column.kinds:
        return False
    if column.name == "path_aliases" and header.shape in {(), (1,)}:  # one text: a JSON object
        return True
    pairs = zip(header.shape, column.shape, strict=False)
    return len(header.shape) == len(column.shape) and all(want in {_ROWS, 0, have} for have, want in pairs)


def _wanted(column: Column) -> str:
    words = {_ROWS: "rows", 0: "any"}
    kind = "text" if "U" in column.kinds else "numbers"
    return f"({', '.join(words.get(size, str(size)) for size in column.shape)}) of {kind}"


def _rows(chosen: Mapping[str, _Header], name: str, findings: Findings) -> int | None:
    """How many faces there are; every array must say the same."""
    counts = {
        column.name: chosen[column.name].shape[0]
        for column in _COLUMNS
        if column.name in chosen and _ROWS in column.shape
    }
    if "path" not in counts and "sha256" not in counts:
        findings.problems.append(
            f"{name} has neither paths nor SHA-256 digests: nothing says which pictures its faces are in"
        )
        return None
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{column} {count:,}" for column, count in counts.items())
        findings.problems.append(f"{name}: the arrays do not belong together, their rows differ: {told}")
        return None
    return next(iter(counts.values()))


def _arrays(
    archive: zipfile.ZipFile, headers: Mapping[str, _Header], name: str, findings: Findings
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for column, header in headers.items():
        if int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize > MOST_BYTES:
            findings.problems.append(f"{name}: the array {column!r} is too large: {header.shape} of {header.dtype}")
            continue
        try:
            with archive.open(header.member) as member:
                arrays[column] = np.lib.format.read_array(member, allow_pickle=False)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            findings.problems.append(f"{name}: the array {column!r} cannot be read ({error})")
    return arrays


def _cache(arrays: Mapping[str, NDArray[Any]], rows: int, name: str, findings: Findings) -> EarlierCache:
    nothing = (None,) * rows
    paths = tuple(text or None for text in _texts(arrays["path"])) if "path" in arrays else nothing
    digests = tuple(text.lower() or None for text in _texts(arrays["sha256"])) if "sha256" in arrays else nothing
    wrong = [row for row, digest in enumerate(digests) if digest is not None and not is_sha256(digest)]
    if wrong:
        findings.problems.append(
            f"{name}: {counted(len(wrong), 'digest is', 'digests are')} no SHA-256 (64 hex digits), first in row {wrong[0]}"
        )
    boxes = _boxes(arrays["box"], name, findings) if "box" in arrays else nothing
    identities = tuple(arrays["identity"].astype(np.int64).tolist()) if "identity" in arrays else None
    return EarlierCache(digests, paths, boxes, identities, _aliases(arrays.get("path_aliases"), name, findings))


def _boxes(array: NDArray[Any], name: str, findings: Findings) -> tuple[Box | None, ...]:
    corners = array.astype(np.float64)
    is_right = (corners[:, :2] < corners[:, 2:]).all(axis=1) & np.isfinite(corners).all(axis=1)
    if not is_right.all():
        findings.problems.append(
            f"{name}: {counted(int((~is_right).sum()), 'box is', 'boxes are')} none, first in row {int(is_right.argmin())}: a box "
            "is x1, y1, x2, y2 in pixels, with x1 < x2 and y1 < y2 (not x, y, width, height)"
        )
        return (None,) * len(corners)
    return tuple(Box(*row) for row in corners.tolist())


def _aliases(array: NDArray[Any] | None, name: str, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Other places of the bytes at a path: pairs, or one JSON object of lists."""
    if array is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    if array.ndim == 2:
        for path, other in zip(_texts(array[:, 0]), _texts(array[:, 1]), strict=True):
            found[path] = (*found.get(path, ()), other)
        return found
    try:
        said = json.loads(_texts(array.reshape(-1))[0])
        return {str(path): tuple(str(other) for other in others) for path, others in said.items()}
    except (ValueError, AttributeError, TypeError):
        findings.problems.append(
            f"{name}: the array 'path_aliases' is neither pairs of paths nor a JSON object of lists"
        )
        return {}


def _texts(array: NDArray[Any]) -> Sequence[str]:
    values: list[str | bytes] = array.tolist()
    return [value.decode(errors="backslashreplace") if isinstance(value, bytes) else value for value in values]


def is_sha256(text: str) -> bool:
    """Whether it is 64 lower-case hex digits."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")
