"""
Read the manifests of face sets on disk, ours or another tool's (docs/exports.md), by the keys that tools have in
common.

Manifests differ in detail, so much may be missing, which is reported. A manifest that contradicts itself, or a file
that is no manifest at all, is a problem.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from immich_facesets.imports.findings import Findings
from immich_facesets.imports.json_faces import Json, face_of, is_storable
from immich_facesets.imports.sorted_faces import DistinctFaces, Period, SortedFace, SortedSet
from immich_facesets.names import faceset_name
from immich_facesets.wording import counted

HIGHEST_NUMBER = 999_999
"""
The largest accepted identity number. New identities are numbered past the highest, so one absurd number must not push
all later ones up.
"""

MANIFEST = "manifest.json"
PARENT_FOLDERS = ("", "_thin")
"""Folders that hold face sets, relative to the import folder. Other folders hold unassigned faces, or copies."""

_NAME = re.compile(
    r"faceset_([0-9]{1,9})(?:_era_([^/\\\x00-\x1f]{1,60}))?"
)  # both name folders again: no path, no control
_YEARS = re.compile(r"(\d{4})[-–_](\d{4})")
_NOTES = ("thin", "readme", "osrc")
_FACES = ("faces", "crops", "images", "members")


@dataclass(frozen=True, slots=True)
class SetFolder:
    """A folder ``faceset_NNN`` or ``faceset_NNN_era_...`` on disk; ``markers``: its text files without ``.txt``."""

    path: str
    manifest: bytes | None = field(repr=False)
    markers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Part:
    """
    The facts about a person from one folder or one entry of the top manifest.

    ``faces`` is None where no face is named.
    """

    number: int
    is_whole: bool
    label: str | None
    faces: tuple[SortedFace, ...] | None


def is_set_folder(name: str) -> bool:
    """Return whether the folder's name is that of a face set."""
    return _NAME.fullmatch(name) is not None


def read_sets(top: bytes | None, folders: Sequence[SetFolder], findings: Findings) -> tuple[SortedSet, ...]:
    """
    Return the face sets of a folder by number. ``top`` is its own manifest or None; ``folders`` are the sets in it.

    Where anything is wrong the result is unusable; every reason is among the problems.
    """
    entries = _entries(top, findings)
    entry_of: dict[str, Json] = {}
    for entry in entries:
        name = _text(entry, ("directory", "name", "dir", "folder")).rstrip("/").rpartition("/")[2]
        if not is_set_folder(name):
            findings.missing.append(
                f"{MANIFEST}: the entry {_short(name)} is not called faceset_NNN or faceset_NNN_era_...: left out"
            )
            continue
        entry_of[name] = entry
    notes = _shared_markers(folders, findings)
    parts = [
        _folder(folder, entry_of.get(folder.name, {}), notes, findings)
        for folder in sorted(folders, key=lambda one: one.path)
    ]
    there = {folder.name for folder in folders}
    for name in sorted(entry_of.keys() - there):
        findings.missing.append(
            f"{name}: named in {MANIFEST} and not there; its number and label are kept, without faces"
        )
        parts.append(_part(name, entry_of[name], None, findings))
    if not parts and not findings.problems:
        findings.problems.append(f"there are no face sets: neither folders faceset_NNN nor a {MANIFEST} that names any")
    return _sets([part for part in parts if part is not None], findings)


def _entries(top: bytes | None, findings: Findings) -> list[Json]:
    if top is None:
        findings.missing.append(f"{MANIFEST}: the folders themselves say which face sets there are")
        return []
    manifest = _object(top, MANIFEST, findings)
    found: list[Json] = []
    for key in ("facesets", "thin_eras"):
        listed = manifest.get(key)
        if isinstance(listed, Mapping):
            listed = [{"name": name, **(entry if isinstance(entry, Mapping) else {})} for name, entry in listed.items()]
        if listed is None:
            continue
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            findings.problems.append(f"{MANIFEST}: {key!r} is no list of objects")
            continue
        found += listed
    if manifest and "facesets" not in manifest:
        findings.missing.append(f"{MANIFEST} has no 'facesets': the folders themselves say which there are")
    return found


def _shared_markers(folders: Sequence[SetFolder], findings: Findings) -> frozenset[str]:
    """Return the text files, without ``.txt``, that lie in the folders of several people: they name none of them."""
    people: dict[str, set[str]] = {}
    for folder in folders:
        match = _NAME.fullmatch(folder.name)
        for marker in folder.markers:
            people.setdefault(marker.lower(), set()).add(folder.name if match is None else match[1])
    shared = frozenset(marker for marker, numbers in people.items() if len(numbers) > 1 and marker not in _NOTES)
    findings.missing += [
        f"{_short(f'{marker}.txt')} lies in the folders of {len(people[marker])} people, so that it is nobody's name"
        for marker in sorted(shared)
    ]
    return shared


def _folder(folder: SetFolder, entry: Json, notes: frozenset[str], findings: Findings) -> _Part | None:
    manifest: Json = {}
    faces: tuple[SortedFace, ...] | None = None
    if folder.manifest is None:
        findings.missing.append(
            f"{folder.path}: it has no {MANIFEST}, so that nothing but the cache says whose faces these are"
        )
    else:
        where = f"{folder.path}/{MANIFEST}"
        manifest = _object(folder.manifest, where, findings)
        faces = _faces(manifest, where, _period(folder.name, {**entry, **manifest}), findings) if manifest else None
    markers = [text for text in folder.markers if text.lower() not in notes.union(_NOTES) and not is_set_folder(text)]
    marked = {"label": markers[0]} if len(markers) == 1 else {}
    labelled = next((one for one in (manifest, entry) if _label(one) is not None), marked)
    return _part(folder.name, {**entry, **labelled}, faces, findings)


def _part(name: str, entry: Json, faces: tuple[SortedFace, ...] | None, findings: Findings) -> _Part | None:
    match = _NAME.fullmatch(name)
    number = 0 if match is None else int(match[1][:12])
    if match is None or not 0 < number <= HIGHEST_NUMBER:
        findings.problems.append(f"{_short(name)}: numbers of face sets are from 1 to {HIGHEST_NUMBER:,}")
        return None
    label = _label(entry)
    if not is_storable(name) or (label is not None and not is_storable(label)):
        findings.problems.append(
            f"{_short(name)}: its name or label holds a NUL or half a character, which no text has"
        )
        return None
    return _Part(number, match[2] is None, label, faces)


def _faces(manifest: Json, where: str, period: Period | None, findings: Findings) -> tuple[SortedFace, ...] | None:
    key = next((key for key in _FACES if key in manifest), None)
    if key is None:
        findings.missing.append(f"{where} has no 'faces': nothing but the cache says whose faces these are")
        return None
    listed = manifest[key]
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        findings.problems.append(f"{where}: {key!r} is no list of objects")
        return None
    problems: dict[str, list[int]] = {}
    found = []
    for place, item in enumerate(listed):
        face, problem = face_of(item, period)
        if problem:
            problems.setdefault(problem, []).append(place)
        elif face is not None:
            found.append(face)
    for problem, places in problems.items():
        findings.problems.append(f"{where}: {counted(len(places), 'face')} (first: {key}[{places[0]}]): {problem}")
    if nowhere := sum(not face.is_placeable for face in found):
        findings.missing.append(
            f"{where}: {counted(nowhere, 'face')} without a path or a digest of the picture: left out, since nothing says "
            "where they come from"
        )
    return tuple(face for face in found if face.is_placeable)


def _period(name: str, entry: Json) -> Period | None:
    """Return the period of a folder: its name from the folder's, its years from the manifest, or from the name."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] is None:
        return None
    era = entry.get("era") or entry.get("years")
    if isinstance(era, Mapping):
        years = [era.get(one, era.get(two)) for one, two in (("from", "start"), ("to", "end"))]
    elif isinstance(era, list) and len(era) == 2:
        years = era
    else:
        spelt = _YEARS.fullmatch(match[2])
        years = [int(spelt[1]), int(spelt[2])] if spelt else [None, None]
    first, last = (year if isinstance(year, int) and 0 < year < 10_000 else None for year in years)
    return Period(unicodedata.normalize("NFC", match[2]), first, last)  # names of macOS are decomposed


def _sets(parts: Sequence[_Part], findings: Findings) -> tuple[SortedSet, ...]:
    """Return one set for each number: the faces in the folders of its periods belong to it, too."""
    sets = []
    for number in sorted({part.number for part in parts}):
        mine = sorted((part for part in parts if part.number == number), key=lambda part: not part.is_whole)
        labels = list(dict.fromkeys(part.label for part in mine if part.label is not None))
        if len(labels) > 1:
            findings.missing.append(
                f"{faceset_name(number)}: its folders say {len(labels)} different names; the first counts"
            )
        faces = DistinctFaces(face for part in mine for face in part.faces or ())
        sets.append(SortedSet(number, labels[0] if labels else None, faces.faces))
    return tuple(sets)


def _label(entry: Json) -> str | None:
    text = " ".join(_text(entry, ("label", "person", "display_name")).split())
    return text[:200] or None


def _text(entry: Json, keys: Iterable[str]) -> str:
    """Return the first of these values that is a text, "" without any."""
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key]), "")


def _fault(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"line {error.lineno}"
        case UnicodeDecodeError():
            return "it is no UTF-8"
        case RecursionError():
            return "it is nested too deep"
        case _:
            return "a number is too large"


def _object(body: bytes, where: str, findings: Findings) -> Json:
    """Return a JSON object; anything else is reported as a problem and gives an empty one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        place = _fault(error)
        findings.problems.append(f"{where} is no JSON ({place}): damaged, or cut short")
        return {}
    if not isinstance(value, dict):
        findings.problems.append(f"{where} is no manifest: it holds no JSON object")
        return {}
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
