"""The interface of all picture sources."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from immich_facesets.assets import Asset, FaceHint, Person
from immich_facesets.errors import ItemError
from service.remote.guard import CircuitOpenError


class SourceAwayError(CircuitOpenError):
    """
    Whole sources are unreachable: the state of their pictures is unknown, and other sources continue without them.

    ``sources`` are their names, where several sources were tried.
    """

    def __init__(self, message: str, *, sources: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.sources = frozenset(sources)


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source's properties, found when it is opened: for the log, the status page and ``config check``."""

    name: str
    kind: str
    version: str
    user_id: str
    hints_inline: bool
    """Whether the listing includes the faces; otherwise each asset's hints are read one by one."""
    server_time: datetime | None = None
    """The source's own clock when it was opened, which dates its changes; None where it has none."""
    knows_faces: bool = True
    """Whether the source has face boxes; if not, every picture is wanted."""
    lists_changes: bool = True
    """Whether the source can list only the changes since a moment; otherwise every listing is whole."""
    finds_dates: bool = False
    """Whether ``find`` says more than the listing about where the date of an asset is from."""


VIDEO, MOTION_PART = "video", "motion"
"""
Reasons for skipping: a video of its own, and the moving part of a picture that is listed. A whole listing counts both.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing: assets of this source alone, and the skipped items (reason -> count)."""

    assets: tuple[Asset, ...]
    skipped: dict[str, int]
    bad_spots: tuple[str, ...] = ()
    """Windows the source could not list, in words; if there are any, absence from the listing proves nothing."""
    unchanged: tuple[str, ...] = ()
    """The ids of assets that are unchanged from the store."""
    failed: tuple[tuple[str, ItemError], ...] = ()
    """The asset ids or folders that could not be listed, with the errors. Every listing tries them again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture on disk, whole and verified. ``sha1`` and ``sha256`` are hex digests of the bytes in ``path``."""

    path: Path
    size_bytes: int
    sha1: str
    sha256: str


class Source(Protocol):
    """One Immich user, or one folder tree. Every failure is raised as one of the project's four errors."""

    @property
    def name(self) -> str: ...

    async def open(self) -> SourceFacts:
        """
        Probe the remote, choose its dialect, and check the key and its permissions.

        A ``SetupError`` names the problem.
        """

    def listing(self, *, updated_after: datetime | None = None) -> AsyncIterator[Page]:
        """Yield every asset the key can see (or those changed since ``updated_after``), newest first, each once."""

    async def ids_with_faces(self, *, updated_after: datetime | None = None) -> set[str] | None:
        """
        Return the ids of all pictures with any face (of those changed since ``updated_after``).

        None if the source cannot tell this for every picture. Pictures with a missing file are left out.
        """

    async def read_hints(self, asset_id: str) -> tuple[FaceHint, ...]:
        """Return the faces the source currently has for one asset."""

    async def find(self, asset_id: str) -> Asset | None:
        """Return one asset's current state, or None if it is certainly gone (deleted or trashed)."""

    async def people(self) -> tuple[Person, ...]:
        """Return the people that this source lists, hidden ones included; absence from it proves nothing."""

    async def find_person(self, person_id: str) -> Person | None:
        """Return one person's current state, or None if the person is certainly gone (deleted or merged)."""

    async def fetch(self, asset: Asset, folder: Path) -> Staged:
        """Write the asset's bytes into ``folder`` as a new file, verified against its checksum if it has one."""

    async def wait_until_up(self) -> None:
        """Probe with growing pauses until the remote answers again; return at once if no outage is known."""

    async def close(self) -> None:
        """Close every connection."""
