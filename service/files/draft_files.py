"""The files of a directory of ours, written into its draft, and the list of their digests beside them."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.profile import Content, PictureFile, Writer
from immich_facesets.imports.manifests import MANIFEST
from immich_facesets.runtime.file_modes import SHARED_FILE, SHARED_FOLDER, make_folder
from service.files.directory_swap import PREFIX
from service.files.durable import disk_trouble, write_durably
from service.files.picture_shelf import PictureShelf, linked

Step = Callable[[str], None]

SUMS = "SHA256SUMS"
"""
The digests of a directory's files as they were written, in the format of sha256sum. Bundles, which only repeat other
files, and manifests are not in it. It tells files that were changed or added by others from ours.
"""


def fill_draft(
    draft: Path, before: Path, files: Iterable[tuple[str, Content]], root: Path, shelf: PictureShelf, *, step: Step
) -> dict[str, str]:
    """
    Write files into an empty draft, and their digests beside them; return these.

    Files that are unchanged in the directory ``before`` are linked. ``root``: the folder that disk errors name;
    ``shelf``: of the publish; ``step`` is called after each file.
    """
    digests: dict[str, str] = {}

    def note(finished: Iterable[tuple[str, str]]) -> None:
        for name, found in finished:
            digests[name] = found
            step("file")

    with shelf.desk(root) as desk:
        for name, content in files:
            checkpoint()
            path, former = (folder.joinpath(*parts_of(name)) for folder in (draft, before))
            with disk_trouble(root):
                make_folder(path.parent, mode=SHARED_FOLDER)
            if isinstance(content, PictureFile):
                note(desk.take(name, content, path, former))
                continue
            note(desk.rest())  # bundles read pictures back
            if isinstance(content, bytes) and name != MANIFEST:
                digests[name] = hashlib.sha256(content).hexdigest()
            with disk_trouble(root):
                if name == MANIFEST:  # the last of the files: a directory with a manifest is complete
                    write_durably(draft / SUMS, _lines(digests), mode=SHARED_FILE)
                if not (isinstance(content, bytes) and linked(former, path, content)):
                    write_durably(path, _bound(content, draft), mode=SHARED_FILE)
            step("file")
    return digests


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
    return read_digests(path.read_bytes())


def read_digests(body: bytes) -> dict[str, str]:
    """Return the digests in the bytes of a list of them, by name."""
    lines = (line.partition("  ") for line in body.decode(errors="replace").split("\n"))
    return {name: digest for digest, _, name in lines if name}


def _lines(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode(errors="surrogateescape")


def _bound(content: bytes | Writer, draft: Path) -> bytes | Callable[[BinaryIO], None]:
    """Return the content bound to the draft, so that a file made from others can read them back from there."""
    if isinstance(content, bytes):
        return content
    return lambda file: content(file, lambda name: draft.joinpath(*parts_of(name)).read_bytes())
