"""An outage of Immich or of an embedder during a sync: one clear line, exit code 2, and a later sync continues."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from faulty_proxy import Fault, FaultyProxy
from fork_server import ForkedProcess
from journey import Journey, Unkilled, announced_embedder, ended, until

from immich_facesets.runtime.shutdown import ExitCode
from service.demo.immich import FakeImmich

pytestmark = pytest.mark.timeout(600)

IMPATIENT = {"FACESETS_REQUEST_TIMEOUT": "1", "FACESETS_EMBEDDING_TIMEOUT": "3"}
FACES = "POST /v1/faces"
PICTURES = 23
"""The number of different pictures with faces in the small library, with the unreadable one."""


async def hang(immich: FakeImmich) -> None:
    immich.faults.clear()
    immich.faults.add("all", "hang")


async def close_for_maintenance(immich: FakeImmich) -> None:
    immich.faults.clear()
    immich.maintenance = True


async def say_503(immich: FakeImmich) -> None:
    immich.faults.clear()
    immich.faults.add("all", "status", status=503)


async def recover(immich: FakeImmich) -> None:
    immich.faults.clear()
    immich.maintenance = False
    await immich.refuse()
    await immich.resume()


def check_told(service: ForkedProcess, remote: str) -> None:
    """Check the exit code of an outage and its last line: the remote, the time, and the remedy."""
    lines = [line for line in service.stderr.splitlines() if not line.startswith("{")]
    assert service.code == ExitCode.OUTAGE, service.stderr[-3000:]
    assert lines[-1].startswith(f"outage: {remote}"), lines[-1]
    assert " is down since " in lines[-1]
    assert lines[-1].endswith(".")
    assert sum(line.startswith("outage:") for line in lines) == 1
    assert service.stderr.count('"remote_down"') <= 2  # one for each remote that was down
    assert "Traceback" not in service.stderr


@pytest.mark.parametrize(
    ("route", "nth", "outage"),
    [
        pytest.param("search", 3, FakeImmich.refuse, marks=pytest.mark.slow),
        pytest.param("faces", 6, say_503, marks=pytest.mark.slow),
        pytest.param("original", 8, FakeImmich.refuse, marks=pytest.mark.slow),
        pytest.param("original", 8, say_503, marks=pytest.mark.slow),
        pytest.param("original", 8, hang, marks=pytest.mark.slow),
        pytest.param("search", 3, close_for_maintenance, marks=pytest.mark.slow),
        ("original", 8, close_for_maintenance),
        pytest.param("original", PICTURES, FakeImmich.refuse, marks=pytest.mark.slow),
    ],
)
async def test_an_immich_that_goes_away_ends_the_sync_with_one_line_and_later_it_goes_on(
    journey: Journey, unkilled: Unkilled, route: str, nth: int, outage: Callable[[FakeImmich], Awaitable[None]]
) -> None:
    immich = journey.immich
    immich.faults.add(route, "slow", delay=0.1)
    service = journey.start("sync", settings=IMPATIENT)
    await until(lambda: immich.requests.count(route) >= nth)
    arrived = set(journey.fetched()) - {journey.placed.broken.asset_id}
    await outage(immich)
    await ended(service)
    check_told(service, "Immich at ")
    assert len(arrived - journey.done()) <= 4  # those in flight were cut off, finished ones were kept
    await recover(immich)
    await journey.goes_on(unkilled.first, IMPATIENT)


@pytest.mark.parametrize("arguments", [(), pytest.param(("--full",), marks=pytest.mark.slow)])
async def test_a_sync_with_an_immich_in_maintenance_is_an_outage_that_takes_nothing_away(
    journey: Journey, unkilled: Unkilled, arguments: tuple[str, ...]
) -> None:
    journey.begin_from(unkilled.synced)
    before = journey.result()
    journey.immich.maintenance = True
    service = await journey.sync(*arguments)
    check_told(service, "Immich at ")
    assert "Immich is in maintenance mode" in service.stderr
    assert replace(journey.result(), last_run="done").differences(before) == []
    await recover(journey.immich)
    assert (await journey.finish()).differences(before) == []
    assert journey.fetched() == []


@pytest.mark.parametrize(
    ("fault", "nth"),
    [
        ("refused", 5),
        pytest.param("hanging", 5, marks=pytest.mark.slow),
        pytest.param("unavailable", 5, marks=pytest.mark.slow),
        pytest.param("refused", PICTURES, marks=pytest.mark.slow),
        pytest.param("refused", PICTURES + 12, marks=pytest.mark.slow),
    ],
)
async def test_an_embedder_that_goes_away_ends_the_sync_with_one_line_and_later_it_goes_on(
    journey: Journey, unkilled: Unkilled, embedder_url: str, fault: Fault, nth: int
) -> None:
    async with FaultyProxy(embedder_url) as proxy:
        proxy.trip(FACES, nth, partial(proxy.shut, fault))
        service = journey.start("sync", settings={**IMPATIENT, "FACESETS_EMBEDDER_URLS": proxy.url})
        await ended(service)
        check_told(service, "embedder")
        await proxy.open()
        await journey.goes_on(unkilled.first, IMPATIENT)


@pytest.mark.slow
async def test_an_embedder_that_is_killed_ends_the_sync_and_a_new_one_goes_on(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    embedder, url = await asyncio.to_thread(announced_embedder, journey.forks, tmp_path / "address.json")

    async def kill() -> None:
        embedder.signal(signal.SIGKILL)

    async with FaultyProxy(url) as proxy:
        proxy.trip(FACES, 5, kill)
        await ended(service := journey.start("sync", settings={**IMPATIENT, "FACESETS_EMBEDDER_URLS": proxy.url}))
        check_told(service, "embedder")
    await journey.goes_on(unkilled.first, IMPATIENT)


@pytest.mark.slow
async def test_an_embedder_away_for_a_moment_at_the_end_of_the_pictures_does_not_change_what_is_found(
    journey: Journey, unkilled: Unkilled, embedder_url: str
) -> None:
    async with FaultyProxy(embedder_url) as proxy:

        async def stumble() -> None:
            await proxy.shut("refused")
            back.append(asyncio.create_task(come_back()))

        async def come_back() -> None:
            await asyncio.sleep(2.5)  # longer than the timeout of one picture
            await proxy.open()

        back: list[asyncio.Task[None]] = []
        proxy.trip(FACES, PICTURES, stumble)
        one_by_one = {"FACESETS_FETCH_CONCURRENCY": "1", "FACESETS_EMBEDDER_URLS": proxy.url}
        journey.immich.faults.add("original", "slow", delay=0.1)
        service = journey.start("sync", settings={**IMPATIENT, **one_by_one})
        assert await ended(service) == 0, service.stderr[-3000:]
        assert back
        assert journey.result().differences(unkilled.first) == []
        assert len(journey.fetched()) == len(set(journey.fetched()))


@pytest.mark.slow
@pytest.mark.parametrize("route", ["faces", "original"])
async def test_a_picture_that_immich_fails_for_a_moment_is_not_missing_when_faces_are_grouped(
    journey: Journey, unkilled: Unkilled, route: str
) -> None:
    asset = journey.placed.assets[8]
    journey.immich.faults.add(route, "status", status=503, times=6, asset_id=asset.asset_id)
    service = await journey.sync()
    assert service.code == 0, service.stderr[-3000:]
    assert "1 picture was not read: 1 damaged;" in " ".join(service.stdout.split())  # only the unreadable one
    assert journey.result().differences(unkilled.first) == []


@pytest.mark.slow
async def test_a_killed_embedder_of_our_own_is_started_again_and_nothing_is_lost(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.immich.faults.add("original", "slow", delay=0.3)
    service = journey.start("sync", settings={"FACESETS_EMBEDDER_URLS": ""})
    await until(lambda: len(list((journey.data / "crops").rglob("*.jpg"))) >= 3)
    (first,) = psutil.Process(service.pid).children()
    first.kill()
    assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
    await journey.goes_on(unkilled.first, IMPATIENT)


async def test_our_own_embedder_does_not_outlive_a_service_that_is_killed(journey: Journey) -> None:
    journey.immich.faults.add("original", "slow", delay=0.3)
    service = journey.start("sync", settings={"FACESETS_EMBEDDER_URLS": ""})
    await until(journey.fetched)
    (child,) = psutil.Process(service.pid).children()
    service.signal(signal.SIGKILL)
    await ended(service)
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 30)
