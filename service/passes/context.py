"""Common inputs of every pass: the store, the progress board, the clock, and the stop event."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from service.files.picture_turns import PictureTurns
from service.files.references import ReferenceFolder
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store

CROPS_FOLDER, STAGING_FOLDER, PREVIEWS_FOLDER, REFERENCES_FOLDER = "crops", "staging", "previews", "references"
"""Names in the data folder."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class PassContext:
    """Common inputs of a pass, provided by the composition root; tests provide their own clock."""

    store: Store
    settings: Settings
    board: ProgressBoard
    stop: asyncio.Event
    clock: Callable[[], datetime] = utc_now
    turns: PictureTurns = field(default_factory=PictureTurns)
    reference_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def crops_dir(self) -> Path:
        return self.settings.data_dir / CROPS_FOLDER

    @property
    def references(self) -> ReferenceFolder:
        return ReferenceFolder(self.settings.data_dir / REFERENCES_FOLDER, self.reference_turn)

    @property
    def staging_dir(self) -> Path:
        return self.settings.data_dir / STAGING_FOLDER
