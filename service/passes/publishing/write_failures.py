"""Directories of the export folder that could not be written or removed: they stop no other, and are reported at the end."""

from collections.abc import Collection

from immich_facesets.errors import FacesetsError, SetupError


class WriteFailures:
    """The failures of one publish pass, by directory. ``on_disk``: the directories that are in place already."""

    def __init__(self, on_disk: Collection[str] = ()) -> None:
        self._on_disk = frozenset(on_disk)
        self._messages: dict[str, str] = {}

    def add(self, directory: str, error: FacesetsError) -> None:
        self._messages[directory] = str(error)

    def is_missing(self, directory: str) -> bool:
        """Return whether a directory could not be written, and no earlier version of it is in place."""
        return directory in self._messages and directory not in self._on_disk

    def raise_if_any(self) -> None:
        """Raise a ``SetupError`` with the first failure and the number of directories; the others are as they should."""
        if self._messages:
            directory, message = next(iter(self._messages.items()))
            raise SetupError(
                f"directories of the export folder that could not be brought up to date: {len(self._messages)}, all "
                f"others were. The first is {directory}: {message}"
            )
