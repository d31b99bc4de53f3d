"""Labels: the person that a face shows, from a CSV file or the named people of Immich."""

import csv
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from immich_facesets.errors import SetupError
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import Assertion
from immich_facesets.names import name_key
from service.store.faces import StoredFace, StoredLibrary, StoredPicture

SAME_PLACE = 0.3
"""Minimum overlap (IoU) of a box and a face that match: users and detectors draw boxes differently."""

_BOX = ("x1", "y1", "x2", "y2")
_FORM = "it needs a header line with the columns asset or path, name, and for pictures of several people x1,y1,x2,y2"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """
    One line of a file of labels.

    ``box`` is in upright original pixels; None means the picture's only face.
    """

    line: int
    asset: str = field(repr=False)
    path: str = field(repr=False)
    box: Box | None
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unused:
    """A label that is not used: its line (0: not from a file), and the reason."""

    line: int
    reason: str


_MOST_BYTES = 256 << 20
"""Some millions of lines; a device never ends."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The person of each labelled face, by face id, and the labels that could not be used."""

    names: Mapping[int, str] = field(repr=False)
    unused: tuple[Unused, ...]


def read_rows(path: Path) -> tuple[list[LabelRow], list[Unused]]:
    """Return the usable lines of a CSV file, and the others. A file that is not CSV raises a ``SetupError``."""
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
        if len(body) > _MOST_BYTES:
            raise SetupError(f"the labels have more than {_MOST_BYTES >> 20} MiB: {path}")
        text = body.decode("utf-8-sig")
    except OSError as error:
        raise SetupError(f"the labels cannot be read ({error.strerror}): {path}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not a text file in UTF-8: {_FORM}") from error
    header = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(), delimiter=";" if ";" in header and "," not in header else ",")
    try:
        columns = [name.strip().lower() for name in next(lines, [])]
        _check(path, columns)
        rows, unused = [], []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            read = _row(lines.line_num, dict(zip(columns, (cell.strip() for cell in cells), strict=False)))
            if isinstance(read, Unused):
                unused.append(read)
            else:
                rows.append(read)
    except csv.Error as error:
        raise SetupError(f"{path} is not CSV ({error}): {_FORM}") from error
    return rows, unused


def _check(path: Path, columns: Sequence[str]) -> None:
    missing = []
    if "asset" not in columns and "path" not in columns:
        missing.append("asset or path")
    missing += [name for name in ("name",) if name not in columns]
    if any(name in columns for name in _BOX):
        missing += [name for name in _BOX if name not in columns]
    if missing:
        raise SetupError(f"{path} has no column {', '.join(missing)}: {_FORM}")


def _row(line: int, cells: Mapping[str, str]) -> LabelRow | Unused:
    asset, path, name = (cells.get(column, "") for column in ("asset", "path", "name"))
    if not name:
        return Unused(line, "it gives no name")
    if not asset and not path:
        return Unused(line, "it names no picture")
    numbers = [cells.get(column, "") for column in _BOX]
    if not any(numbers):
        return LabelRow(line, asset, path, None, name)
    try:
        box = Box(*map(float, numbers))
    except ValueError:
        return Unused(line, "its box is not four numbers")
    if not (box.x1 < box.x2 and box.y1 < box.y2):  # also when one of them is NaN
        return Unused(line, "its box has no area: x1 must be less than x2, y1 less than y2")
    return LabelRow(line, asset, path, box, name)


def labels_of_rows(
    rows: Iterable[LabelRow], unused: Iterable[Unused], library: StoredLibrary, *, largest: bool
) -> Labels:
    """Find the face of each row. ``largest``: a row without a box means the largest of several faces."""
    album = _Album(library.pictures)
    faces: dict[str, list[StoredFace]] = defaultdict(list)
    for face in library.faces:
        faces[face.sha256].append(face)
    names: dict[int, str] = {}
    spelling: dict[str, str] = {}
    left = list(unused)
    contested: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        picture = album.find(row)
        found = picture if isinstance(picture, str) else _face(row, picture, faces, largest=largest)
        if isinstance(found, str):
            left.append(Unused(row.line, found))
            continue
        contested[found.face_id].append(row.line)
        name = spelling.setdefault(name_key(row.name), row.name)
        if names.setdefault(found.face_id, name) != name:
            names[found.face_id] = ""  # two names: neither is used
    for face_id in [face_id for face_id, name in names.items() if not name]:
        del names[face_id]
        left += [Unused(line, "another line gives the same face another name") for line in contested[face_id]]
    return Labels(names, tuple(sorted(left, key=lambda one: one.line)))


class _Album:
    """The pictures by asset id and by name."""

    def __init__(self, pictures: Iterable[StoredPicture]) -> None:
        self._by_asset: dict[str, list[StoredPicture]] = defaultdict(list)
        self._by_name: dict[str, list[StoredPicture]] = defaultdict(list)
        for picture in pictures:
            self._by_asset[picture.asset_id].append(picture)
            for name in {PurePosixPath(picture.path).name, picture.file_name}:
                self._by_name[_composed(name)].append(picture)

    def find(self, row: LabelRow) -> StoredPicture | str:
        """
        Return the picture of a row, or the reason why there is none.

        A path may be the end of the one known to Immich, or the file's name when it was uploaded.
        """
        if row.asset:
            found = self._by_asset.get(row.asset, [])
        else:
            wanted = PurePosixPath(_composed(row.path.replace("\\", "/").removeprefix("./")))
            same_name = self._by_name.get(wanted.name, [])
            found = [picture for picture in same_name if _composed(picture.path) == str(wanted)]
            found = found or [picture for picture in same_name if _ends_with(picture.path, wanted)]
            found = found or [picture for picture in same_name if _composed(picture.file_name) == str(wanted)]
        if not found:
            return "no such picture is known: it is not in the library, or was deleted there"
        if len({picture.sha256 or picture.asset_id for picture in found}) > 1:
            return f"{len(found)} different pictures are called that: give more of the path, or the asset's id"
        return next((picture for picture in found if picture.sha256 is not None), found[0])


def _composed(path: str) -> str:
    """Return a path in one composition of accents: macOS writes another than most programs."""
    return unicodedata.normalize("NFC", path)


def _ends_with(path: str, wanted: PurePosixPath) -> bool:
    tail = tuple(part for part in wanted.parts if part != "/")
    return PurePosixPath(_composed(path)).parts[-len(tail) :] == tail


def _face(
    row: LabelRow, picture: StoredPicture, faces: Mapping[str, Sequence[StoredFace]], *, largest: bool
) -> StoredFace | str:
    if picture.sha256 is None:
        return "its picture was never fetched: it has no face worth it, or the sync is not done"
    here = faces.get(picture.sha256, ())
    if not here:
        return "no face was found in its picture"
    if row.box is not None:
        best = max(here, key=lambda face: row.box.iou(face.box) if row.box else 0.0)
        return best if row.box.iou(best.box) >= SAME_PLACE else "no face was found at its box"
    if len(here) > 1 and not largest:
        return f"its picture has {len(here)} faces: give a box, or take the largest with --largest"
    return max(here, key=lambda face: face.box.area)


def labels_of_people(named: Iterable[Assertion]) -> Labels:
    """
    Return the faces that sources assign to named people; equal names mean one person, also across users.

    Names that differ in case or composition alone are equal; the first spelling is used.

    A face with different names from two users gets no label.
    """
    names: dict[int, set[str]] = defaultdict(set)
    spelling: dict[str, str] = {}
    for assertion in named:
        name = spelling.setdefault(name_key(assertion.label), assertion.label)
        for face_id in assertion.face_ids:
            names[face_id].add(name)
    sure = {face_id: next(iter(found)) for face_id, found in names.items() if len(found) == 1}
    return Labels(
        sure, tuple(Unused(0, "users give the same face different names") for _ in range(len(names) - len(sure)))
    )
