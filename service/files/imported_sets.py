"""Files of another tool: the face sets in a folder, and the caches beside them. Read, never written. Blocking."""

import re
import stat
from collections.abc import Sequence
from pathlib import Path

from immich_facesets.exports.file_names import safe_name
from immich_facesets.imports.findings import Findings
from immich_facesets.imports.manifests import MANIFEST, PARENT_FOLDERS, SetFolder, is_set_folder, read_sets
from immich_facesets.imports.merge import gather
from immich_facesets.imports.npz_cache import read_cache
from immich_facesets.imports.sorted_faces import SortedSet
from immich_facesets.names import faceset_name, name_key

_IS_ERA = re.compile(r"faceset_[0-9]{1,9}_era_")
_MOST_MANIFEST_BYTES = 512 * 2**20


def read_earlier(folder: Path, caches: Sequence[Path], findings: Findings) -> tuple[SortedSet, ...]:
    """
    Read everything that is readable, even when parts are invalid.

    In that case ``findings.problems`` holds all reasons, and the result must not be used.
    """
    sets = read_sets(_manifest(folder, findings), _set_folders(folder, findings), findings)
    if not caches:
        findings.missing.append("cache: none was given; the manifests alone say where the faces are")
    read = []
    for path in caches:
        try:
            if not _is_ordinary(path, path.name, findings):
                continue
            with path.open("rb") as file:
                read.append(read_cache(file, path.name, findings))
        except (OSError, ValueError) as error:
            findings.problems.append(f"{path.name} cannot be read ({_reason_of(error)})")
    known = [cache for cache in read if cache is not None]
    findings.found += [f"{len(cache.faces):,} faces in a cache" for cache in known]
    sets = gather(sets, known, findings) if len(known) == len(caches) else sets
    for one in sets:
        findings.problems += unusable_periods(one.number, [period.name for period in one.periods])
    if empty := [one.name for one in sets if not one.faces]:
        findings.missing.append(
            f"{', '.join(empty[:8])}{' and more' if len(empty) > 8 else ''}: no face is known, and the number and the name "
            "alone are kept"
        )
    return sets


def unusable_periods(number: int, names: Sequence[str]) -> list[str]:
    """Return why periods of a person cannot have these names here, where they become folders of the export."""
    prefix = faceset_name(number, "")
    taken: set[str] = set()
    problems = []
    for name in names:
        usable = safe_name(f"{prefix}{name}")
        if usable != f"{prefix}{name}":
            problems.append(
                f"{prefix + name!r}: no folder can be called so everywhere: rename it, such as to {usable!r}"
            )
        elif name_key(name) in taken:
            problems.append(f"{prefix + name!r}: another period differs only in case or accents: rename one")
        taken.add(name_key(name))
    return problems


def _set_folders(folder: Path, findings: Findings) -> list[SetFolder]:
    found = []
    for parent in PARENT_FOLDERS:
        try:
            folders = sorted(path for path in (folder / parent).iterdir() if path.is_dir())
        except (OSError, ValueError) as error:
            if not parent or not isinstance(error, FileNotFoundError):
                findings.problems.append(f"the folder {parent or folder} cannot be read ({_reason_of(error)})")
            continue
        findings.problems += [
            f"{path.name[:80]!r}: the name of its period is longer than 60 characters, or none: rename the folder"
            for path in folders
            if _IS_ERA.match(path.name) and not is_set_folder(path.name)
        ]
        for path in (path for path in folders if is_set_folder(path.name)):
            name = path.relative_to(folder).as_posix()
            try:
                markers = tuple(sorted(one.stem for one in path.iterdir() if one.suffix == ".txt"))
            except OSError as error:
                findings.problems.append(f"{name} cannot be read ({error.strerror})")
                continue
            found.append(SetFolder(name, _manifest(path, findings), markers))
    return found


def _manifest(folder: Path, findings: Findings) -> bytes | None:
    """Return the bytes of a folder's manifest; of the only other ``*_manifest.json`` where it is called so."""
    try:
        is_there = (folder / MANIFEST).exists()
        others = sorted(folder.glob(f"*_{MANIFEST}")) if not is_there and folder.is_dir() else []
    except OSError as error:
        findings.problems.append(f"the folder {folder.name} cannot be read ({_reason_of(error)})")
        return None
    if not is_there and len(others) == 1:
        findings.found.append(f"{folder.name}/{others[0].name}, in place of {MANIFEST}")
        return _body(others[0], findings)
    return _body(folder / MANIFEST, findings)


def _body(path: Path, findings: Findings) -> bytes | None:
    """Return the bytes of a manifest; None when it is missing, or unreadable, which is a problem."""
    where = f"{path.parent.name}/{path.name}"
    try:
        if not _is_ordinary(path, where, findings):
            return None
        with path.open("rb") as file:
            body = file.read(_MOST_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        findings.problems.append(f"{where} cannot be read ({_reason_of(error)})")
        return None
    if len(body) > _MOST_MANIFEST_BYTES:
        findings.problems.append(f"{where} is too large for a manifest")
        return None
    return body


def _is_ordinary(path: Path, where: str, findings: Findings) -> bool:
    """Return whether it is a file, and no device or pipe, which need not end; otherwise report it."""
    if stat.S_ISREG(path.stat().st_mode):
        return True
    findings.problems.append(f"{where} is no ordinary file")
    return False


def _reason_of(error: OSError | ValueError) -> str:
    """Return why a path cannot be used; a ``ValueError`` is Python's for a NUL in it."""
    if not isinstance(error, OSError):
        return "its name holds a NUL"
    return error.strerror or "the system gives no reason"
