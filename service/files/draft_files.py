"""The files of a directory of ours, written into its draft, and the list of their digests beside them."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.profile import Content
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.runtime.file_modes import SHARED_FILE, SHARED_FOLDER, make_folder
from service.files.directory_swap import PREFIX
from service.files.durable import disk_trouble, write_durably

SUMS = "SHA256SUMS"
"""
The digests of a directory's files as they were written, in the format of sha256sum. Bundles, which only repeat other
files, and manifests are not in it. It tells files that were changed or added by others from ours.
"""


def fill_draft(
    draft: Path, before: Path, files: Iterable[tuple[str, Content]], root: Path, *, step: Callable[[str], None]
) -> None:
    """
    Write files into an empty draft, linking those that are unchanged in the directory ``before``, and their digests.

    ``root``: the folder that disk errors name; ``step`` is called after each file.
    """
    digests: dict[str, str] = {}
    for name, content in files:
        checkpoint()
        if isinstance(content, bytes) and name != MANIFEST:
            digests[name] = hashlib.sha256(content).hexdigest()
        with disk_trouble(root):
            if name == MANIFEST:  # the last of the files: a directory with a manifest is complete
                write_durably(draft / SUMS, _lines(digests), mode=SHARED_FILE)
            _write(draft, before, name, content)
        step("file")


def _write(draft: Path, before: Path, name: str, content: Content) -> None:
    path = draft.joinpath(*parts_of(name))
    make_folder(path.parent, mode=SHARED_FOLDER)
    if not (isinstance(content, bytes) and _linked(before.joinpath(*parts_of(name)), path, content)):
        write_durably(path, _bound(content, draft), mode=SHARED_FILE)


def parts_of(name: str) -> list[str]:
    """Return the parts of a relative name; a ``ValueError`` for one that leads outside, or that a draft may have."""
    parts = name.split("/")
    if any(part in {"", ".", ".."} or part.startswith(PREFIX) or set(part) & {"\\", "\0"} for part in parts):
        raise ValueError("a name in the export folder is relative and stays inside")
    return parts


def digests_in(folder: Path) -> dict[str, str] | None:
    """Return the digest of each file as it was written, by name; None where they were not stored."""
    path = folder / SUMS
    if path.is_symlink() or not path.is_file():
        return None
    lines = (line.partition("  ") for line in path.read_text(encoding="utf-8", errors="replace").split("\n"))
    return {name: digest for digest, _, name in lines if name}


def _lines(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode(errors="surrogateescape")


def _linked(before: Path, path: Path, body: bytes) -> bool:
    """
    Link the unchanged file of the previous directory at ``path``; return whether it was linked.

    The file is durable already, which saves thousands of fsync calls. There is no link where it differs, is a link
    itself, or the file system has no hard links.
    """
    if before.is_symlink() or not before.is_file() or before.read_bytes() != body:
        return False
    try:
        path.hardlink_to(before)
    except OSError:
        return False
    return True


def _bound(content: Content, draft: Path) -> bytes | Callable[[BinaryIO], None]:
    """Return the content bound to the draft, so that a file made from others can read them back from there."""
    if isinstance(content, bytes):
        return content
    return lambda file: content(file, lambda name: draft.joinpath(*parts_of(name)).read_bytes())
