"""Common inputs of every pass: the store, the progress board, the clock, and the stop event."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from service.files.picture_turns import PictureTurns
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store

CROPS_FOLDER, STAGING_FOLDER, PREVIEWS_FOLDER = "crops", "staging", "previews"
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

    @property
    def crops_dir(self) -> Path:
        return self.settings.data_dir / CROPS_FOLDER

    @property
    def staging_dir(self) -> Path:
        return self.settings.data_dir / STAGING_FOLDER
