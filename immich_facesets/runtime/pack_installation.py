"""
The installation of a model pack: from a local archive, folder or file, whole or not at all.

Nothing is ever downloaded, and a licence is accepted first. The digests of the models are recorded.
"""

import contextlib
import functools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import pack_licence
from immich_facesets.runtime.file_modes import SHARED_FOLDER, make_folder, shared_opener
from immich_facesets.runtime.model_folder import (
    RECORD_NAME,
    InstalledPack,
    checked_name,
    digest_file,
    likely_recognisers,
    read_pack,
    record_pack,
)
from immich_facesets.runtime.pack_description import (
    LICENCE_NAME,
    MANIFEST_NAME,
    NOTES_NAME,
    read_notes,
    stated_licence,
)

MAX_MODEL_BYTES = 4 << 30
_CHUNK = 1 << 20
_COMPANIONS = (MANIFEST_NAME, LICENCE_NAME, NOTES_NAME)
_NOT_A_MODEL = (b"version https://git-lfs", b"<", b"PK\x03\x04")
_Opener = functools.partial[IO[bytes]]


def install_from_archive(archive: Path, models_dir: Path, pack: str, *, accept_license: bool) -> InstalledPack:
    """
    Install a pack from a local zip archive, folder or single model, whole or not at all.

    ONNX files and their descriptions are taken by their base names (a zip cannot write elsewhere). New files are added
    to an installed pack. A file that is already installed with other bytes is a ``SetupError``.
    """
    path = models_dir / checked_name(pack)
    with _opened(archive) as source:
        if not any(name.endswith(".onnx") for name in source):
            raise SetupError(f"{archive} holds no .onnx file")
        if not accept_license:
            licence = _licence_of(source) or pack_licence(pack, *likely_recognisers(source))
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
    return read_pack(path)


def _licence_of(source: Mapping[str, _Opener]) -> str | None:
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
