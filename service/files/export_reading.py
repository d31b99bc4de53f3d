"""Reading the export folder for others: the files of ours in a directory, and all of them as one zip stream."""

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from immich_facesets.imports.manifests import MANIFEST
from service.files.draft_files import SUMS, parts_of, read_digests
from service.files.ownership import is_ours, object_in

_CHUNK = 256 * 1024
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)  # equal face sets give equal archives


def files_of_ours(root: Path, directory: str) -> dict[str, int]:
    """
    Return the files of a directory of ours with their sizes, by name; empty for any other directory. Blocks.

    Files of others in it are left out, and so is everything behind a link.
    """
    folder = _real_folder(root, directory)
    if folder is None:
        return {}
    with _opened_folder(folder) as opened:
        return _sizes_of_ours(opened)


def path_of_ours(root: Path, directory: str, name: str) -> Path | None:
    """Return the path of a file that ``files_of_ours`` names; None for any other. Blocks."""
    return root.joinpath(*parts_of(directory), *parts_of(name)) if name in files_of_ours(root, directory) else None


def zip_stream(root: Path, directory: str) -> Iterator[bytes]:
    """
    Yield a zip archive of the files of ours in a directory, in parts of some hundred kilobytes. Blocks.

    All files are of one version: when the directory is replaced meanwhile, an ``OSError`` ends the stream. Nothing is
    packed again, because pictures and bundles are packed already.
    """
    folder = root.joinpath(*parts_of(directory))
    sink = _Sink()
    with _opened_folder(folder) as opened, zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, size in _sizes_of_ours(opened).items():
            entry = zipfile.ZipInfo(f"{folder.name}/{name}", _OLDEST_DATE)
            entry.external_attr = 0o644 << 16
            entry.file_size = size
            with _open_in(opened, name) as file, archive.open(entry, "w") as target:
                while part := file.read(_CHUNK):
                    target.write(part)
                    yield sink.take()
    yield sink.take()


def _sizes_of_ours(opened: int) -> dict[str, int]:
    """Return the files of ours in an open directory with their sizes; empty where its manifest is none of ours."""
    manifest = object_in(_bytes_in(opened, MANIFEST))
    if not is_ours(manifest):
        return {}
    names = {MANIFEST, SUMS, *read_digests(_bytes_in(opened, SUMS))}
    bundles = manifest.get("bundles")
    names |= {str(name) for name in bundles.values() if name} if isinstance(bundles, Mapping) else set()
    sizes: dict[str, int] = {}
    for name in sorted(names):
        with suppress(OSError, ValueError), _open_in(opened, name) as file:
            sizes[name] = os.fstat(file.fileno()).st_size
    return sizes


def _bytes_in(opened: int, name: str) -> bytes:
    """Return the bytes of a file in an open directory, none where it is missing."""
    with suppress(OSError), _open_in(opened, name) as file:
        return file.read()
    return b""


class _Sink:
    """A file that is only written, whose content is taken out part by part."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes, /) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Do nothing: every part is there at once."""

    def close(self) -> None:
        """Do nothing: what was written is still to be taken."""

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    """Open a directory: the names in it are those of one version, also when another takes its place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_in(descriptor: int, name: str) -> BinaryIO:
    """Open an ordinary file below an open directory; a link on the way is an ``OSError``."""
    *folders, last = parts_of(name)
    with ExitStack() as stack:
        for folder in folders:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        found = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
    file = os.fdopen(found, "rb")
    if not stat.S_ISREG(os.fstat(found).st_mode):
        file.close()
        raise OSError(f"{last} is no ordinary file")
    return file


def _real_folder(root: Path, directory: str) -> Path | None:
    """Return a directory of the export folder; None where it is none, or a link is on the way."""
    try:
        parts = parts_of(directory)
    except ValueError:
        return None
    folder = root
    for part in parts:
        folder /= part
        if folder.is_symlink() or not folder.is_dir():
            return None
    return folder
