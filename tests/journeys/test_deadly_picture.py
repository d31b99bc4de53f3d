"""A picture that crashes the embedder is isolated, and the sync goes on with all others."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crashing_process import CrashingProcess, supervised
from fork_server import KILLED, ForkedProcess
from journey import Journey, Unkilled
from sync_result import read

from service.store.failures import list_failures

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

DEADLY = 8
"""The shot that crashes the embedder, in the middle of the library."""


@asynccontextmanager
async def crashing_settings(
    journey: Journey, folder: Path, kind: str
) -> AsyncIterator[tuple[CrashingProcess, dict[str, str]]]:
    """The settings of a service beside an embedder that crashes on one picture and is restarted."""
    crashing = CrashingProcess(folder, [journey.placed.library.files[DEADLY].read_bytes()])
    if kind == "our own":
        yield crashing, {"FACESETS_EMBEDDER_URLS": "", "PYTHONPATH": crashing.python_path}
        return
    async with supervised(crashing) as url:
        yield crashing, {"FACESETS_EMBEDDER_URLS": url}


def check_set_aside(journey: Journey, unkilled: Unkilled, service: ForkedProcess) -> None:
    """Check that only that picture has no faces, and that the stored reason is readable."""
    assert service.code == 0, service.stderr[-3000:]
    (broken, deadly) = sorted(read(journey.data, list_failures), key=lambda failure: failure.reason != "corrupt")
    sha1 = hashlib.sha1(journey.placed.library.files[DEADLY].read_bytes(), usedforsecurity=False).hexdigest()
    assert broken.reason == "corrupt"
    assert (deadly.item, deadly.reason) == (f"original:{sha1}", "crashes_embedder")
    assert deadly.message == "the embedder ended 2 times while it had this picture and no other: its log may say why"
    assert deadly.retry_at > deadly.last_at
    gone = journey.placed.library.digests[DEADLY]
    faces = journey.result().faces
    assert faces.keys() == {place for place in unkilled.first.faces if place[0] != gone}
    assert {identity for identity, *_ in faces.values()} == {row[0] for row in unkilled.first.faces.values()}
    assert journey.result().loose_ends() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["our own", pytest.param("supervised", marks=pytest.mark.slow)])
async def test_a_picture_of_which_the_embedder_dies_is_set_aside_and_nothing_else(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, kind: str
) -> None:
    async with crashing_settings(journey, tmp_path, kind) as (crashing, settings):
        check_set_aside(journey, unkilled, await journey.sync(settings=settings))
        assert 2 <= crashing.deaths <= 3  # once beside others, and twice alone
        before, asked = crashing.deaths, len(journey.fetched())
        check_set_aside(journey, unkilled, await journey.sync(settings=settings))
        assert crashing.deaths == before
        assert len(journey.fetched()) == asked == len(set(journey.fetched()))


@pytest.mark.slow
async def test_a_service_killed_while_it_looks_for_the_picture_finds_it_all_the_same(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    async with crashing_settings(journey, tmp_path, "supervised") as (crashing, settings):
        for moment in ("before", "during", "after"):
            service = await journey.sync(settings=settings, die_at=("record_crash", moment, 1))
            assert service.code == KILLED, service.stderr[-3000:]
        await journey.sync(settings=settings)
        check_set_aside(journey, unkilled, await journey.sync(settings=settings))
        assert crashing.deaths <= 6
