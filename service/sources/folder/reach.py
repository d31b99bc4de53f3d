"""
The limits of a folder source: which places a path below its root may lead to.

A link may lead anywhere. Without ``follow_links`` only places in the folder itself count, with what is mounted there. The
kernel's folders never count: their files are no pictures, and to open one may block or have an effect.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from immich_facesets.errors import ItemError

KERNEL_FOLDERS: Final = ("/proc", "/sys", "/dev")
OUTSIDE: Final = "link_outside"


class Reach:
    """The places that the source at ``root`` may open. Blocking: it resolves links."""

    def __init__(self, root: Path, *, follow_links: bool, kernel_folders: Sequence[str] = KERNEL_FOLDERS) -> None:
        self._root = os.path.realpath(root)
        self._follow_links = follow_links
        self._kernel_folders = kernel_folders
        self._kernel_devices = {
            os.stat(folder).st_dev  # noqa: PTH116 - as in ``walk``
            for folder in kernel_folders
            if os.path.ismount(folder)
        }

    def check(self, path: str | Path) -> None:
        """Raise ``ItemError`` (``link_outside``) for a path that leads to a place the source may not open."""
        real = os.path.realpath(path)
        if any(_is_below(real, folder) and not _is_below(self._root, folder) for folder in self._kernel_folders):
            raise ItemError("it is a link to a file of the system itself, which is no picture", reason=OUTSIDE)
        if not _is_below(real, self._root) and not self._follow_links:
            raise ItemError(
                "it is a link that leads out of the folder, and is not followed: run 'immich-facesets sources "
                "add-folder' again with the same path and name and with --follow-links to take in what it leads to",
                reason=OUTSIDE,
            )

    def is_kernel_device(self, device: int) -> bool:
        """Return whether a folder on this device is the kernel's, wherever it is mounted."""
        return device in self._kernel_devices


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
