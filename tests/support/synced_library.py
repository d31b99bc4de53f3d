"""A library that was synced once, beside an album of copies, for the read-only commands."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from fork_server import ForkedProcess, ForkServer
from journey import begun, ended
from PIL import Image
from small_library import HEIGHT, WIDTH, SmallLibrary

from immich_facesets.synthetic import draw_picture

NO_REMOTES = {"IMMICH_URL": "", "FACESETS_USERS_FILE": "", "FACESETS_EMBEDDER_URLS": ""}


@dataclass(frozen=True)
class SyncedLibrary:
    """A data folder and the album beside it, with a method to run a command on them without any remote."""

    forks: ForkServer
    environ: Mapping[str, str]
    data: Path
    album: Path

    async def run(self, *arguments: object, code: int = 0, with_remotes: bool = False) -> ForkedProcess:
        environ = {**self.environ, **({} if with_remotes else NO_REMOTES)}
        service = self.forks.start("service", *map(str, arguments), environ=environ)
        assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
        assert "Traceback" not in service.stderr
        return service

    def copy(self, folder: Path) -> Self:
        """The same with a data folder of its own, below ``folder``."""
        shutil.copytree(self.data, folder / "data")
        own = {"FACESETS_DATA_DIR": str(folder / "data"), "FACESETS_EXPORT_DIR": str(folder / "data" / "exports")}
        return replace(self, environ={**self.environ, **own}, data=folder / "data")

    async def told(self, *arguments: object) -> Any:
        return json.loads((await self.run(*arguments, "--json")).stdout)


def fill_album(album: Path, drawn: SmallLibrary) -> None:
    """
    Two byte-identical copies of a file of Immich's, two copies of another one with other metadata, a meadow twice, once
    darker, and a second meadow.
    """
    (album / "old").mkdir(parents=True)
    shutil.copy(drawn.files[1], album / "copy.jpg")
    shutil.copy(drawn.files[1], album / "old" / "again.jpg")
    with Image.open(drawn.files[11]) as picture:
        picture.save(album / "resaved.jpg", quality=60)
        picture.resize((WIDTH * 3 // 4, HEIGHT * 3 // 4)).save(album / "smaller.png")
    meadow, other = (Image.fromarray(draw_picture(WIDTH, HEIGHT, [], number)[0]) for number in (101, 104))
    meadow.save(album / "meadow.jpg", quality=95)
    Image.fromarray((np.asarray(meadow) * 0.9).astype(np.uint8)).save(album / "darker.jpg", quality=80)
    other.save(album / "other.jpg", quality=95)


@pytest.fixture(scope="session")
def synced_library(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path_factory: pytest.TempPathFactory
) -> SyncedLibrary:
    """A library that was synced once; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("looked-at")

    async def sync() -> SyncedLibrary:
        async with begun(forks, drawn, embedder_url, folder) as found:
            fill_album(folder / "album", drawn)
            library = SyncedLibrary(forks, found.environ, found.data, folder / "album")
            await library.run("sources", "add-folder", library.album, "--name", "album", with_remotes=True)
            service = await found.sync()
            assert service.code == 0, service.stderr[-3000:]
            return library

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()
