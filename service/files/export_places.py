"""The places in an export folder: where something of ours may be, and which paths names have."""

from collections.abc import Iterator
from pathlib import Path

from immich_facesets.errors import SetupError
from immich_facesets.exports.profile import PROFILES_FOLDER
from immich_facesets.exports.registry import PROFILES
from immich_facesets.facesets.faceset import FacesetFolder
from immich_facesets.runtime.file_modes import SHARED_FOLDER
from service.files.draft_files import parts_of
from service.files.durable import sync_folder
from service.files.kept_files import KEPT_FOLDER
from service.files.ownership import real_folders

USERS_FOLDER = "users"


class ExportPlaces:
    """The places in one export folder. ``root``: its real path. Every method blocks on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def require_root(self) -> None:
        """Raise a ``SetupError`` where there is no such folder."""
        if not self._root.is_dir():
            kind = "is no folder" if self._root.exists() else "does not exist"
            raise SetupError(f"the export folder {self._root} {kind}: create or mount it, or set another one")

    def path(self, name: str) -> Path:
        """Return the path of a name. A link on the way there raises a ``SetupError``: it may lead anywhere."""
        path = self._root
        for part in parts_of(name):
            path /= part
            if path.is_symlink():
                raise SetupError(f"{path} is a link, and the export folder must hold none: remove the link")
        return path

    def make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, durably; ``SetupError`` where a file is in the way."""
        missing = [path for path in (folder, *folder.parents) if path != self._root and path.is_relative_to(self._root)]
        for path in reversed(missing):
            if path.is_dir():
                continue
            if path.exists():
                raise SetupError(f"{path} is no folder: move it away, or set another export folder")
            path.mkdir(mode=SHARED_FOLDER)
            sync_folder(path.parent)

    def kept_of(self, target: Path) -> Path:
        """Return the folder for files of others that have no place in a directory any more."""
        return self._root / KEPT_FOLDER / target.relative_to(self._root)

    def directories(self) -> Iterator[Path]:
        """Return the folders in all places that a directory of ours may be in."""
        for place in dict.fromkeys((*FacesetFolder, *(profile.folder for profile in PROFILES.values()))):
            yield from self.folders_in(place)

    def folders_in(self, place: str) -> Iterator[Path]:
        """Return the real folders in a place, none when a link leads there."""
        if self._is_real(place):
            yield from real_folders(self._root / place)

    def _is_real(self, place: str) -> bool:
        """Return whether a place is a folder to which no link leads."""
        folder = self._root / place
        way = folder.relative_to(self._root).parts
        is_linked = any(self._root.joinpath(*way[:length]).is_symlink() for length in range(1, len(way) + 1))
        return folder.is_dir() and not is_linked

    def writable_folders(self) -> Iterator[Path]:
        """Return every folder in which names are written."""
        if self._root.is_dir():
            yield self._root
            yield from real_folders(self._root)
            yield from real_folders(self._root / USERS_FOLDER)
            for folder in self.folders_in(PROFILES_FOLDER):
                yield folder
                yield from real_folders(folder)
            for place in sorted({profile.folder for profile in PROFILES.values() if profile.folder.count("/") > 2}):
                if self._is_real(place):  # deeper than those above
                    yield self._root / place
