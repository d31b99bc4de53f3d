"""
Overhead of our client in downloads: pictures staged (verified, hashed, on disk) against bare httpx.

    PYTHONPATH=.:tests/support python tests/bench/bench_staging.py [pictures] [bytes] [in flight]

The fake Immich runs in a process of its own. Both sides fetch the same pictures over as many connections, in turns, so
that other load disturbs them alike. The rate of each is the median of its rounds.
"""

import asyncio
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from pydantic import SecretStr

from immich_facesets.assets import Asset
from service.demo.immich import FakeImmich
from service.settings import Settings
from service.sources.immich import build_immich_source
from service.users import User

ROUNDS = 5
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Server:
    url: str
    api_key: str


def serve(pictures: int, size: int, pipe: Connection) -> None:
    """Run the server: print its address, and stop on request."""

    async def run() -> None:
        async with FakeImmich("3.1.0") as immich:
            anna = immich.add_user("anna")
            for number in range(pictures):
                # The same bytes with another beginning, because much memory would disturb the measurement.
                data = b"\xff\xd8\xff\xe0" + number.to_bytes(4, "big") + os.urandom(size - 8)
                name = f"{number}.jpg"
                immich.add_asset(data=data, file_name=name, owner="anna", width=64, height=64, taken_at=MOMENT)
            pipe.send(Server(immich.url, anna.api_key))
            await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


async def in_flight(
    assets: Sequence[Asset], fetch: Callable[[Asset], Awaitable[None]], workers: int
) -> tuple[float, float]:
    """Pictures a second, and milliseconds of our own processor time for each."""
    waiting = iter(assets)

    async def work() -> None:
        for asset in waiting:
            await fetch(asset)

    started, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(workers)))
    rate = len(assets) / (time.perf_counter() - started)
    return rate, 1000 * (time.process_time() - used) / len(assets)


async def measure(server: Server, workers: int, folder: Path) -> None:
    source = build_immich_source(
        User(name="anna", api_key=SecretStr(server.api_key)),
        Settings(immich_url=server.url, fetch_concurrency=workers),
    )
    bare = httpx.AsyncClient(
        headers={"x-api-key": server.api_key}, limits=httpx.Limits(max_connections=workers), timeout=30
    )

    async def fetch_bare(asset: Asset) -> None:
        response = await bare.get(f"{server.url}/api/assets/{asset.asset_id}/original")
        response.raise_for_status()

    async def stage(asset: Asset) -> None:
        staged = await source.fetch(asset, folder)
        staged.path.unlink()

    assets = [asset async for page in source.listing() for asset in page.assets]
    await in_flight(assets[:200], fetch_bare, workers)
    await in_flight(assets[:200], stage, workers)
    rates: dict[str, list[tuple[float, float]]] = {"bare httpx": [], "staged": []}
    for _ in range(ROUNDS):
        rates["bare httpx"].append(await in_flight(assets, fetch_bare, workers))
        rates["staged"].append(await in_flight(assets, stage, workers))
    await bare.aclose()
    await source.close()
    medians = {}
    for name, measured in rates.items():
        medians[name] = statistics.median(rate for rate, _ in measured)
        used = statistics.median(used for _, used in measured)
        print(f"{name:>10}: {medians[name]:7.0f} pictures/s, {used:.2f} ms of processor time each")
    pairs = [ours / theirs for (theirs, _), (ours, _) in zip(*rates.values(), strict=True)]
    print(f"     ratio: {medians['staged'] / medians['bare httpx']:.2f} (staged to bare; aim 0.90)")
    print(f"    rounds: {' '.join(f'{pair:.2f}' for pair in pairs)}")


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:]]
    pictures, size, workers = numbers + [2000, 200_000, 8][len(numbers) :]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(pictures, size, theirs))
    process.start()
    folder = Path(tempfile.mkdtemp(prefix="staging-"))
    try:
        asyncio.run(measure(ours.recv(), workers, folder))
    finally:
        ours.send("enough")
        process.join()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
