"""One service with two embedders: both work, and the loss of either costs no picture."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from faulty_proxy import FaultyProxy
from fork_server import ForkedProcess
from journey import Journey, Unkilled, announced_embedder, ended

pytestmark = pytest.mark.timeout(300)

FACES = "POST /v1/faces"


@asynccontextmanager
async def two_embedders(journey: Journey, folder: Path) -> AsyncIterator[tuple[list[ForkedProcess], list[FaultyProxy]]]:
    """Two embedder processes, each behind a proxy."""
    async with AsyncExitStack() as stack:
        processes, proxies = [], []
        for number in range(2):
            place = folder / f"embedder-{number}.json"
            process, url = await asyncio.to_thread(announced_embedder, journey.forks, place)
            stack.callback(process.signal, signal.SIGKILL)
            processes.append(process)
            proxies.append(await stack.enter_async_context(FaultyProxy(url)))
        yield processes, proxies


def settings_for(proxies: list[FaultyProxy]) -> dict[str, str]:
    urls = ",".join(proxy.url for proxy in proxies)
    return {"FACESETS_EMBEDDER_URLS": urls, "FACESETS_REQUEST_TIMEOUT": "2", "FACESETS_EMBEDDING_TIMEOUT": "5"}


async def answered(proxy: FaultyProxy) -> int:
    """The number of pictures that the embedder behind a proxy has answered."""
    async with httpx.AsyncClient(base_url=proxy.url) as client:
        page = (await client.get("/metrics")).text
    found = re.search(r'^facesets_embedder_pictures_total{outcome="answered"} (\S+)', page, re.MULTILINE)
    return round(float(found.group(1))) if found else 0


async def test_both_take_part_and_the_result_is_that_of_one(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    async with two_embedders(journey, tmp_path) as (_, proxies):
        await journey.goes_on(unkilled.first, settings_for(proxies))
        shares = [await answered(proxy) for proxy in proxies]
    assert min(shares) >= max(shares) / 4


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 4, 9])
async def test_one_that_is_killed_in_mid_flight_costs_nothing(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, nth: int
) -> None:
    async with two_embedders(journey, tmp_path) as (processes, proxies):

        async def kill() -> None:
            processes[0].signal(signal.SIGKILL)

        proxies[0].trip(FACES, nth, kill)
        service = await journey.sync(settings=settings_for(proxies))
        assert service.code == 0, service.stderr[-3000:]
        assert proxies[0].tripped.is_set()
        assert journey.result().differences(unkilled.first) == []
        assert len(journey.fetched()) == len(set(journey.fetched()))


@pytest.mark.slow
async def test_one_that_hangs_is_left_out_and_taken_back(journey: Journey, unkilled: Unkilled, tmp_path: Path) -> None:
    async with two_embedders(journey, tmp_path) as (_, proxies):
        proxies[0].trip(FACES, 3, partial(proxies[0].shut, "hanging"))
        service = await journey.sync(settings=settings_for(proxies))
        assert service.code == 0, service.stderr[-3000:]
        assert journey.result().differences(unkilled.first) == []
        await proxies[0].open()
        before = await answered(proxies[0])
        journey.immich.requests.clear()
        await ended(journey.start("sync", "--full", settings=settings_for(proxies)))
        assert await answered(proxies[0]) >= before


@pytest.mark.slow
async def test_one_that_is_down_at_the_beginning_is_done_without(
    journey: Journey, unkilled: Unkilled, tmp_path: Path
) -> None:
    async with two_embedders(journey, tmp_path) as (_, proxies):
        await proxies[0].shut("refused")
        service = await journey.sync(settings=settings_for(proxies))
        assert service.code == 0, service.stderr[-3000:]
        assert journey.result().differences(unkilled.first) == []
        remotes = [json.loads(line) for line in service.stderr.splitlines() if '"remote_down"' in line]
        assert len(remotes) <= 1


@pytest.mark.slow
async def test_one_that_comes_late_takes_its_part(journey: Journey, unkilled: Unkilled, tmp_path: Path) -> None:
    async with two_embedders(journey, tmp_path) as (_, proxies):
        await proxies[0].shut("refused")
        journey.immich.faults.add("original", "slow", delay=1.0)
        late: list[asyncio.Task[None]] = []

        async def let_in() -> None:
            late.append(asyncio.create_task(proxies[0].open()))

        proxies[1].trip(FACES, 2, let_in)
        service = await journey.sync(settings=settings_for(proxies))
        assert service.code == 0, service.stderr[-3000:]
        assert late
        assert journey.result().differences(unkilled.first) == []
        assert await answered(proxies[0]) > 0


async def test_one_of_another_space_is_refused_before_anything_is_mixed(journey: Journey, tmp_path: Path) -> None:
    async with two_embedders(journey, tmp_path) as (_, proxies):

        async def another(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            async with httpx.AsyncClient(base_url=proxies[1].url) as client:
                answer = await client.get("/v1/info", headers={"Accept": "application/msgpack"})
            body = answer.content.replace(answer_space(answer.content), b"0123456789abcdef")
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(another, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = settings_for(proxies) | {"FACESETS_EMBEDDER_URLS": f"{proxies[0].url},http://127.0.0.1:{port}"}
        service = await journey.sync(settings=settings)
        server.close()
        assert service.code == 3, service.stderr[-3000:]
        assert "different spaces" in service.stderr
        assert await answered(proxies[0]) == 0


def answer_space(body: bytes) -> bytes:
    """The text of the space in an answer of /v1/info."""
    found = re.search(rb"space\xb0([0-9a-f]{16})", body)
    assert found is not None
    return found.group(1)
