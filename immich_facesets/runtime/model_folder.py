"""
The folder of model packs: ``<models_dir>/<pack>/*.onnx``, and the record of what was installed.

Nothing is ever downloaded: a pack comes from a local archive or folder, after its licence was accepted. The digests
recorded then (``MODELS.sha256``, in the form of ``sha256sum``) show at every start whether a file has changed.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import PUBLISHED, pack_licence, recogniser_family
from immich_facesets.runtime.file_modes import SHARED_FOLDER, make_folder, shared_opener
from immich_facesets.runtime.pack_description import (
    LICENCE_NAME,
    MANIFEST_NAME,
    NOTES_NAME,
    PackNotes,
    read_notes,
    stated_licence,
)

RECORD_NAME = "MODELS.sha256"
MAX_MODEL_BYTES = 4 << 30
_PACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHUNK = 1 << 20
_COMPANIONS = (MANIFEST_NAME, LICENCE_NAME, NOTES_NAME)
_NOT_A_MODEL = (b"version https://git-lfs", b"<", b"PK\x03\x04")


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
    """Return every folder that holds ONNX files, by name; nothing when the folder itself is missing."""
    if not models_dir.is_dir():
        return ()
    folders = sorted(path for path in models_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(_read_pack(path) for path in folders if any(path.glob("*.onnx")))


def find_pack(models_dir: Path, pack: str) -> InstalledPack:
    """Return the pack of this name; raise ``SetupError`` with instructions if it is missing."""
    path = models_dir / _checked_name(pack)
    if not any(path.glob("*.onnx")):
        found = ", ".join(item.name for item in list_packs(models_dir)) or "none"
        nested = models_dir / "models"
        hint = f"; set FACESETS_MODELS_DIR to {nested}" if any((nested / pack).glob("*.onnx")) else ""
        raise SetupError(
            f"there are no models in {path} (packs found: {found}){hint}; put the pack's .onnx files there, or install "
            "it from a local archive with: immich-facesets models install"
        )
    return _read_pack(path)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, cached while its size and modification time are unchanged."""
    status = path.stat()
    return _digest(path.resolve(), status.st_size, status.st_mtime_ns)


def verify_pack(models_dir: Path, pack: str) -> tuple[Difference, ...]:
    """Return the differences from the record made at install; ``SetupError`` without a record. Reads every file."""
    installed = find_pack(models_dir, pack)
    if installed.digests is None:
        raise SetupError(f"{installed.path} has no {RECORD_NAME}: its digests were not recorded at install")
    differences = [Difference(name, "unrecorded") for name in installed.files if name not in installed.digests]
    for name, digest in installed.digests.items():
        if not (installed.path / name).is_file():
            differences.append(Difference(name, "missing"))
        elif digest_file(installed.path / name) != digest:
            differences.append(Difference(name, "changed"))
    return tuple(sorted(differences, key=lambda item: item.file))


def check_pack(models_dir: Path, pack: str) -> InstalledPack:
    """
    Return the pack for use; raise ``SetupError`` when a file differs from the record. Reads every file.

    A folder that was created by hand has no record, and is accepted as it is.
    """
    installed = find_pack(models_dir, pack)
    differences = () if installed.digests is None else verify_pack(models_dir, pack)
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


def install_from_archive(archive: Path, models_dir: Path, pack: str, *, accept_license: bool) -> InstalledPack:
    """
    Install a pack from a local zip archive, folder or single model, whole or not at all.

    ONNX files and their descriptions are taken by their base names (a zip cannot write elsewhere). New files are added
    to an installed pack. A file that is already installed with other bytes is a ``SetupError``.
    """
    path = models_dir / _checked_name(pack)
    with _opened(archive) as source:
        if not any(name.endswith(".onnx") for name in source):
            raise SetupError(f"{archive} holds no .onnx file")
        if not accept_license:
            licence = _licence_of(source) or pack_licence(pack, *_likely_recognisers(source))
            raise SetupError(
                f"the models of {pack} are licensed: {licence}. Read these terms, and accept them with --accept-license"
            )
        make_folder(models_dir, mode=SHARED_FOLDER)
        draft = Path(tempfile.mkdtemp(dir=models_dir, prefix=f".{pack}."))
        try:
            for name, open_source in source.items():
                with open_source() as stream:
                    _copy_model(stream, draft / name)
            _check_manifest(draft)
            record_pack(draft)
            draft.chmod(SHARED_FOLDER)
            if path.exists():
                _add_files(draft, path)
            else:
                draft.rename(path)
            _sync_folder(models_dir)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return _read_pack(path)


def _licence_of(source: "Mapping[str, _Opener]") -> str | None:
    """Return the licence stated in the ``facesets.toml`` of a source."""
    if NOTES_NAME not in source:
        return None
    with source[NOTES_NAME]() as stream:
        return stated_licence(stream.read(_CHUNK))


def _check_manifest(draft: Path) -> None:
    """Refuse files whose digest differs from the one in the pack's own manifest."""
    for name, digest in read_notes(draft).digests.items():
        if not (draft / name).is_file():
            raise SetupError(f"the pack's {MANIFEST_NAME} names {name}, which is not in the archive")
        if digest_file(draft / name) != digest:
            raise SetupError(f"{name} is not the file that the pack's {MANIFEST_NAME} lists: the archive is damaged")


def _add_files(draft: Path, path: Path) -> None:
    """Move new files into an installed pack and record it anew; nothing is overwritten."""
    added = [item for item in draft.iterdir() if item.name != RECORD_NAME]
    for item in added:
        there = path / item.name
        if there.is_file() and digest_file(there) != digest_file(item):
            raise SetupError(f"{path} holds another {item.name}: remove that file, or the folder, first")
    for item in added:
        item.replace(path / item.name)
    record_pack(path)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001  the last two are part of the cache key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked_name(pack: str) -> str:
    if _PACK_NAME.fullmatch(pack) is None:
        raise SetupError(f"not a name of a model pack: {pack!r} (letters, digits, dots, dashes and underscores)")
    return pack


def _read_pack(path: Path) -> InstalledPack:
    files = tuple(sorted(item.name for item in path.glob("*.onnx")))
    notes = read_notes(path)
    licence = notes.licence or pack_licence(path.name, *_likely_recognisers(files))
    return InstalledPack(path.name, path, files, licence, _read_record(path), notes)


def _likely_recognisers(names: Iterable[str]) -> Iterator[str]:
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


_Opener = functools.partial[IO[bytes]]


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Mapping[str, _Opener]]:
    """Yield base names of the models in a zip or folder and of their descriptions, each with the call that opens it."""
    if archive.is_file() and archive.suffix == ".onnx":
        yield _unique(archive, [(archive.name, functools.partial(archive.open, "rb"))])
        return
    if archive.is_dir():
        found = [*archive.glob("*"), *archive.glob("*/*")]
        paths = [item for item in found if _belongs(item.name) and item.is_file()]
        yield _unique(archive, ((item.name, functools.partial(item.open, "rb")) for item in paths))
        return
    with _opened_zip(archive) as opened:
        members = (
            item for item in opened.infolist() if not item.is_dir() and _belongs(PurePosixPath(item.filename).name)
        )
        named = ((PurePosixPath(item.filename).name, functools.partial(opened.open, item)) for item in members)
        try:
            yield _unique(archive, named)
        except zipfile.BadZipFile as error:
            raise SetupError(f"{archive} is damaged: {error}") from error


def _belongs(name: str) -> bool:
    return name.endswith(".onnx") or name in _COMPANIONS


def _opened_zip(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise SetupError(f"there is no such archive or folder: {archive}") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise SetupError(f"{archive} cannot be read as a zip archive: {error}") from error


def _unique(archive: Path, items: Iterable[tuple[str, _Opener]]) -> Mapping[str, _Opener]:
    found: dict[str, _Opener] = {}
    for name, opener in items:
        if name in found:
            raise SetupError(f"{archive} holds {name} twice")
        if name.startswith(".") or "\\" in name or not name.isprintable():
            raise SetupError(f"{archive} holds a file with a name that is not taken: {name!r}")
        found[name] = opener
    return dict(sorted(found.items()))


def _copy_model(stream: IO[bytes], path: Path) -> None:
    """Copy one file durably; refuse a file that is plainly no model, or too large."""
    with open(path, "xb", opener=shared_opener) as target:
        size = 0
        while chunk := stream.read(_CHUNK):
            if size == 0 and chunk.startswith(_NOT_A_MODEL) and path.suffix == ".onnx":
                raise SetupError(f"{path.name} is not an ONNX model (a pointer, a web page or an archive?)")
            size += len(chunk)
            if size > MAX_MODEL_BYTES:
                raise SetupError(f"{path.name} is larger than {MAX_MODEL_BYTES >> 30} GiB")
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if size == 0:
        raise SetupError(f"{path.name} is empty")


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
