"""Crash isolation: a picture that crashes the embedder is retried alone before it counts as a failure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crashing_embedder import CrashingEmbedder, answering
from embedder_scene import picture, running
from passes_scene import staged

from immich_facesets.errors import ItemError
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.passes.picture_isolation import PictureIsolation
from service.remote.guard import CircuitOpenError
from service.store.failures import CRASHES_EMBEDDER
from service.store.tables import failures

DEADLY = picture(shade=1)


@asynccontextmanager
async def isolation(
    folder: Path, *deadly: bytes, kills_all: bool = False
) -> AsyncIterator[tuple[CrashingEmbedder, PictureIsolation]]:
    async with running() as scene, staged(folder) as stage:
        crashing = CrashingEmbedder(scene, *deadly)
        crashing.kills_all = kills_all
        async with answering(crashing.handle) as url:
            pool = EmbedderPool([Embedder(url, None, failures=12)])
            try:
                await pool.open()
                yield crashing, PictureIsolation(stage.conditions, pool)
                assert stage.rows(failures) == [], "the crash of a face crop is no failure of an original"
            finally:
                await pool.close()


async def test_a_crop_of_which_the_embedder_ends_twice_alone_is_given_up(tmp_path: Path) -> None:
    async with isolation(tmp_path, DEADLY) as (crashing, crashes):
        with pytest.raises(ItemError, match="ended 2 times while it had this picture and no other") as caught:
            await crashes.ask(DEADLY)
        assert caught.value.reason == CRASHES_EMBEDDER
        assert crashing.asked.count(DEADLY) == 3, "once beside others, and twice alone"
        assert len((await crashes.ask(picture())).faces) == 1


async def test_an_embedder_that_ends_of_every_picture_is_an_outage(tmp_path: Path) -> None:
    async with isolation(tmp_path, kills_all=True) as (_, crashes):
        with pytest.raises(CircuitOpenError, match="whatever picture it is given"):
            await crashes.ask(DEADLY)
