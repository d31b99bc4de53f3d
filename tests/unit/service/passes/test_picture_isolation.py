"""A picture that crashes the embedder, or takes too long, is asked for again alone before it counts as a failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crashing_embedder import CrashingEmbedder, answering
from embedder_scene import picture, running
from passes_scene import staged
from slow_embedder import SlowEmbedder

from immich_facesets.errors import ItemError
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.passes.picture_isolation import PictureIsolation
from service.remote.guard import CircuitOpenError
from service.store.failures import CRASHES_EMBEDDER, TOO_SLOW
from service.store.tables import failures

DEADLY = picture(shade=1)
SLOW = picture(shade=2)
OTHERS = [picture(shade=100 + number) for number in range(6)]


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


@asynccontextmanager
async def slow_isolation(
    folder: Path, *, runs_on_seconds: float = 0.0, seconds: float = 0.5
) -> AsyncIterator[tuple[SlowEmbedder, PictureIsolation]]:
    """An embedder of one place that never answers SLOW, asked for at most so many seconds."""
    async with running() as scene, staged(folder) as stage:
        slow = SlowEmbedder(scene, SLOW, runs_on_seconds=runs_on_seconds)
        async with answering(slow.handle) as url:
            pool = EmbedderPool([Embedder(url, None, answer_seconds=seconds)])
            try:
                await pool.open()
                yield slow, PictureIsolation(stage.conditions, pool)
                assert stage.rows(failures) == [], "nothing is stored of a picture that only waited"
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
        with pytest.raises(CircuitOpenError, match="crashes on every picture"):
            await crashes.ask(DEADLY)


@pytest.mark.parametrize("runs_on_seconds", [0.0, 0.9], ids=["ends with its caller", "runs on"])
async def test_of_pictures_without_an_answer_in_time_only_the_slow_one_fails(
    tmp_path: Path, runs_on_seconds: float
) -> None:
    async with slow_isolation(tmp_path, runs_on_seconds=runs_on_seconds) as (slow, isolation):
        found = await asyncio.gather(*(isolation.ask(data) for data in (SLOW, *OTHERS)), return_exceptions=True)
        error, *answers = found
        assert isinstance(error, ItemError)
        assert error.reason == TOO_SLOW
        assert "no answer within 0.5 seconds while it had this picture and no other" in str(error)
        assert "FACESETS_EMBEDDING_TIMEOUT" in str(error)
        assert [getattr(answer, "width", answer) for answer in answers] == [320] * len(OTHERS)
        assert slow.asked.count(SLOW) == 2, "once beside others, and once alone: no try puts a copy beside it"


async def test_an_embedder_that_answers_no_picture_is_an_outage_and_no_picture_is_blamed(tmp_path: Path) -> None:
    async with slow_isolation(tmp_path, seconds=0.2) as (slow, isolation):
        slow.is_stuck = True
        with pytest.raises(CircuitOpenError, match=r"no answer within 0\.2 seconds to a test picture"):
            await isolation.ask(OTHERS[0])
        slow.is_stuck = False
        assert len((await isolation.ask(OTHERS[0])).faces) == 1


async def test_a_busy_embedder_is_waited_for(tmp_path: Path) -> None:
    async with slow_isolation(tmp_path, seconds=20.0) as (slow, isolation):
        slow.busy_for = 6  # more than the tries of one call
        assert len((await isolation.ask(OTHERS[0])).faces) == 1
        assert slow.asked.count(OTHERS[0]) == 7


@pytest.mark.slow
async def test_an_embedder_that_stays_busy_is_an_outage_and_no_picture_is_blamed(tmp_path: Path) -> None:
    async with slow_isolation(tmp_path, seconds=0.2) as (slow, isolation):
        slow.busy_for = 1000
        with pytest.raises(CircuitOpenError, match="is busy: all places are taken, for a long time"):
            await isolation.ask(OTHERS[0])
