"""Two pictures that take very long to decode: they fail alone, and the same sync reads all others."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from fork_server import ForkedProcess
from hostile_pictures import jpeg_of_scans
from journey import Journey, Unkilled, announced_embedder, ended, until

from embedder.decoding.decoding import HAS_PROCESSES
from immich_facesets.runtime.shutdown import ExitCode

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux"),
]

SIZES = ((14_000, 10_000), (12_000, 12_000))
"""Of pictures whose hundred scans, each as long as a whole picture, take six seconds of a fast processor."""

BY_EMBEDDER = {"FACESETS_EMBEDDER_DECODE_SECONDS": "2"}
BY_SERVICE = {"FACESETS_EMBEDDER_DECODE_SECONDS": "600", "FACESETS_EMBEDDING_TIMEOUT": "3"}
TOLD = "3 pictures were not read: 2 too slow, 1 damaged; all others are up to date"


def add_slow(journey: Journey) -> None:
    for number, (width, height) in enumerate(SIZES):
        asset = journey.immich.add_asset(
            data=jpeg_of_scans(width, height, 100),
            file_name=f"slow-{number}.jpg",
            owner="anna",
            width=width,
            height=height,
            taken_at=datetime(2018, 5, 5, tzinfo=UTC),
        )
        journey.immich.add_face(asset, box=(600, 300, 1900, 1700), image_width=width, image_height=height)


async def check_read(journey: Journey, unkilled: Unkilled, service: ForkedProcess, words: str) -> None:
    """Check that all other pictures have the faces of an undisturbed sync, and that the two are named."""
    assert service.code == 0, service.stderr[-3000:]
    assert TOLD in " ".join(service.stdout.split())
    result = journey.result()
    assert result.faces == unkilled.first.faces
    assert result.loose_ends() == []
    shown = journey.start("status", "--json")
    assert await ended(shown) == 0
    report = json.loads(shown.stdout)
    assert report["failures_by_reason"] == {"corrupt": 1, "too_slow": 2}
    assert report["runs"][0]["message"] == TOLD
    slow = {failure["name"]: failure for failure in report["failures"] if failure["reason"] == "too_slow"}
    assert slow.keys() == {"slow-0.jpg", "slow-1.jpg"}
    for failure in slow.values():
        assert words in failure["message"]
        assert failure["tries"] == 1
    assert len(journey.fetched()) == len(set(journey.fetched())), "nothing is fetched twice"


@asynccontextmanager
async def polling(url: str) -> AsyncIterator[list[float]]:
    """The times that the embedder's /healthz takes to answer meanwhile."""
    taken: list[float] = []

    async def poll() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            while True:
                begun = time.monotonic()
                assert (await client.get("/healthz")).status_code == 200
                taken.append(time.monotonic() - begun)
                await asyncio.sleep(0.05)

    task = asyncio.create_task(poll())
    try:
        yield taken
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("limits", "words"),
    [(BY_EMBEDDER, "FACESETS_EMBEDDER_DECODE_SECONDS"), (BY_SERVICE, "FACESETS_EMBEDDING_TIMEOUT")],
    ids=["the embedder's limit", "the service's limit"],
)
async def test_slow_pictures_fail_alone_and_the_same_sync_reads_all_others(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, limits: dict[str, str], words: str
) -> None:
    add_slow(journey)
    place = tmp_path / "address.json"
    embedder, url = await asyncio.to_thread(announced_embedder, journey.forks, place, settings=limits)
    try:
        async with polling(url) as taken:
            service = await journey.sync(settings={**limits, "FACESETS_EMBEDDER_URLS": url})
        await check_read(journey, unkilled, service, words)
        assert len(taken) > 20
        assert statistics.median(taken) < 0.5
        again = await journey.sync(settings={**limits, "FACESETS_EMBEDDER_URLS": url})
        assert again.code == 0
        assert "not read" not in again.stdout, "both rest"
    finally:
        await asyncio.to_thread(embedder.close)


def decodes_long(embedder: psutil.Process) -> bool:
    """Return whether a decoding process of this embedder works on a slow picture."""
    with suppress(psutil.NoSuchProcess):
        return any(process.cpu_times().user > 1.0 for process in embedder.children())
    return False


async def test_an_embedder_killed_over_slow_pictures_leaves_no_picture_unread_but_these(
    journey: Journey, unkilled: Unkilled
) -> None:
    add_slow(journey)
    limits = {"FACESETS_EMBEDDER_DECODE_SECONDS": "4"}  # long enough to be seen at work on a busy machine
    service = journey.start("sync", settings={"FACESETS_EMBEDDER_URLS": "", **limits})
    await until(lambda: list((journey.data / "crops").rglob("*.jpg")))
    (embedder,) = psutil.Process(service.pid).children()
    await until(lambda: decodes_long(embedder))
    embedder.kill()
    assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
    await check_read(journey, unkilled, service, "FACESETS_EMBEDDER_DECODE_SECONDS")
