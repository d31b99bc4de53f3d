"""Where pictures come from: the contract every kind of source keeps."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from immich_facesets.assets import Asset, FaceHint, Person
from immich_facesets.errors import ItemError
from service.remote.guard import CircuitOpenError


class SourceAwayError(CircuitOpenError):
    """One source as a whole is out of reach: nothing is known of its pictures, and the others go on without it."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a source says of itself when it is opened: for the log, the status page and ``config check``."""

    name: str
    kind: str
    version: str
    user_id: str
    hints_inline: bool
    """Whether the listing brings the faces along; otherwise each asset's hints are read one by one."""
    knows_faces: bool = True
    """Whether it says where faces are; of a source that does not, every picture is wanted."""
    lists_changes: bool = True
    """Whether it can list only what changed since a moment; otherwise every listing is whole."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing: assets of this source alone, and what was skipped and why (reason -> count)."""

    assets: tuple[Asset, ...]
    skipped: dict[str, int]
    bad_spots: tuple[str, ...] = ()
    """Windows the source could not list, in words; while there is one, absence from the listing proves nothing."""
    unchanged: tuple[str, ...] = ()
    """The ids of assets that are exactly what the store knows of them."""
    failed: tuple[tuple[str, ItemError], ...] = ()
    """What could not be listed, and why: asset ids or folders. Every listing tries them again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture on disk, whole and verified. ``sha1`` and ``sha256`` are hex digests of the bytes in ``path``."""

    path: Path
    size_bytes: int
    sha1: str
    sha256: str


class Source(Protocol):
    """One Immich user, or one folder tree. Every failure leaves as one of our four errors."""

    @property
    def name(self) -> str: ...

    async def open(self) -> SourceFacts:
        """Probe the remote, choose its dialect, and check the key and its permissions; ``SetupError`` names what is wrong."""

    def listing(
        self, *, updated_after: datetime | None = None, with_assets_without_faces: bool = True
    ) -> AsyncIterator[Page]:
        """Every asset the key can see (or those changed since), newest first, each once."""

    async def read_hints(self, asset_id: str) -> tuple[FaceHint, ...]:
        """The faces the source knows on one asset, now."""

    async def find(self, asset_id: str) -> Asset | None:
        """One asset as it is now, or None when the source is certain that it is gone (deleted or trashed)."""

    async def people(self) -> tuple[Person, ...]:
        """The people of this source, hidden ones included."""

    async def fetch(self, asset: Asset, folder: Path) -> Staged:
        """Write the asset's bytes into ``folder`` as a new file, verified against its checksum where there is one."""

    async def wait_until_up(self) -> None:
        """Return once the remote answers again, probing with growing pauses; at once when nothing is known against it."""

    async def close(self) -> None:
        """Let go of every connection."""
