"""
The folder of model packs: ``<models_dir>/<pack>/*.onnx``, and the record of what was installed.

Nothing is ever downloaded: a pack comes from a local archive or folder, after its licence was accepted. The digests
recorded then (``MODELS.sha256``, in the form of ``sha256sum``) show at every start whether a file has changed. The free
pack is also looked for in ``BUILT_IN``, where it is installed together with the program.
"""

import functools
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import FOLDED, FREE_PACK, PUBLISHED, pack_licence, recogniser_family
from immich_facesets.runtime.file_modes import shared_opener
from immich_facesets.runtime.pack_description import (
    MANIFEST_NAME,
    PackNotes,
    read_notes,
)

BUILT_IN = Path(sys.prefix) / "share" / "immich-facesets" / "models"
"""The folder of the pack that is installed with the program."""

EXTRA_FOLDER = "extra"
"""The folder beside the packs for further models, such as a quality model or a second detector."""

RECORD_NAME = "MODELS.sha256"
_PACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class InstalledPack:
    """
    A pack on disk: its ONNX files, and their description in the folder.

    ``digests`` map file name to SHA-256 as recorded at install, None when nothing was recorded.
    """

    name: str
    path: Path
    files: tuple[str, ...]
    licence: str
    digests: Mapping[str, str] | None
    notes: PackNotes

    @property
    def unpublished(self) -> tuple[str, ...]:
        """Return the files with the name of a published model but, by the record, other content."""
        recorded = self.digests or {}
        return tuple(name for name in recorded if name in PUBLISHED and recorded[name] != PUBLISHED[name])


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs from the record; ``problem`` is one of ``missing``, ``changed``, ``unrecorded``."""

    file: str
    problem: str


def list_packs(models_dir: Path) -> tuple[InstalledPack, ...]:
    """Return every folder that holds ONNX files, by name, that of the program's own pack included."""
    found = {FREE_PACK: BUILT_IN / FREE_PACK}
    if models_dir.is_dir():
        found |= {path.name: path for path in models_dir.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return tuple(read_pack(path) for _, path in sorted(found.items()) if any(path.glob("*.onnx")))


def find_pack(models_dir: Path, pack: str) -> InstalledPack:
    """Return the pack of this name; raise ``SetupError`` with instructions if it is missing."""
    path = models_dir / checked_name(pack)
    if pack == FREE_PACK and not any(path.glob("*.onnx")) and any((BUILT_IN / pack).glob("*.onnx")):
        return read_pack(BUILT_IN / pack)
    if not any(path.glob("*.onnx")):
        if pack == FREE_PACK:
            raise SetupError(
                f"the free models are not installed, and {models_dir} holds no others: make setup installs them, or: "
                f"immich-facesets models install {FREE_PACK}"
            )
        found = ", ".join(item.name for item in list_packs(models_dir)) or "none"
        nested = models_dir / "models"
        hint = f"; set FACESETS_MODELS_DIR to {nested}" if any((nested / pack).glob("*.onnx")) else ""
        raise SetupError(
            f"there are no models in {path} (packs found: {found}){hint}; put the pack's .onnx files there, or install "
            "it from a local archive with: immich-facesets models install"
        )
    return read_pack(path)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, cached while its size and modification time are unchanged."""
    status = path.stat()
    return _digest(path.resolve(), status.st_size, status.st_mtime_ns)


def verify_pack(models_dir: Path, pack: str) -> tuple[Difference, ...]:
    """Return the differences from the record made at install; ``SetupError`` without a record. Reads every file."""
    installed = find_pack(models_dir, pack)
    if installed.digests is None:
        raise SetupError(f"{installed.path} has no {RECORD_NAME}: its digests were not recorded at install")
    recorded = {**installed.digests, **_known_here(installed)}
    unrecorded = [Difference(name, "unrecorded") for name in installed.files if name not in recorded]
    return tuple(sorted([*unrecorded, *_differences(installed, recorded)], key=lambda item: item.file))


def _differences(installed: InstalledPack, digests: Mapping[str, str]) -> Iterator[Difference]:
    for name, digest in digests.items():
        if not (installed.path / name).is_file():
            yield Difference(name, "missing")
        elif digest_file(installed.path / name) != digest:
            yield Difference(name, "changed")


def _known_here(installed: InstalledPack) -> Mapping[str, str]:
    """Return the digests of files that the program itself knows: they hold whatever the record says, or without one."""
    return {name: PUBLISHED[name] for name in installed.files if name in FOLDED}


def check_pack(models_dir: Path, pack: str) -> InstalledPack:
    """
    Return the pack for use; raise ``SetupError`` when a file differs from the record. Reads every file.

    A folder that was created by hand has no record, and is accepted as it is, but for files that the program knows.
    """
    installed = find_pack(models_dir, pack)
    if installed.digests is None:
        differences = tuple(_differences(installed, _known_here(installed)))
    else:
        differences = verify_pack(models_dir, pack)
    if differences:
        listed = ", ".join(f"{item.file} is {item.problem}" for item in differences)
        raise SetupError(
            f"the pack {pack} is not as it was installed: {listed}. Remove {installed.path} and install it again, or add "
            f"a file that you meant to add with: immich-facesets models install {pack} --from FILE"
        )
    return installed


def record_pack(path: Path) -> Mapping[str, str]:
    """Write the record of a pack's current files."""
    manifest = path / MANIFEST_NAME
    recorded = [*sorted(path.glob("*.onnx")), *([manifest] if manifest.is_file() else [])]
    digests = {item.name: digest_file(item) for item in recorded}
    text = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    with open(path / RECORD_NAME, "wb", opener=shared_opener) as record:
        record.write(text.encode())
    return digests


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001  the last two are part of the cache key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checked_name(pack: str) -> str:
    """Return the name of a pack; a ``SetupError`` if no folder of ours has such a name."""
    if _PACK_NAME.fullmatch(pack) is None:
        raise SetupError(f"not a name of a model pack: {pack!r} (letters, digits, dots, dashes and underscores)")
    return pack


def read_pack(path: Path) -> InstalledPack:
    """Return the pack in this folder."""
    files = tuple(sorted(item.name for item in path.glob("*.onnx")))
    notes = read_notes(path)
    licence = notes.licence or pack_licence(path.name, *likely_recognisers(files))
    return InstalledPack(path.name, path, files, licence, _read_record(path), notes)


def likely_recognisers(names: Iterable[str]) -> Iterator[str]:
    """The files with the name of a known recogniser."""
    return (name for name in names if recogniser_family(name) is not None)


def _read_record(path: Path) -> Mapping[str, str] | None:
    try:
        text = (path / RECORD_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    lines = (line.split("  ", 1) for line in text.splitlines() if line.strip())
    try:
        return {name.removeprefix("*"): digest for digest, name in lines}
    except ValueError:
        raise SetupError(f"{path / RECORD_NAME} cannot be read: expected lines of 'sha256  name'") from None
