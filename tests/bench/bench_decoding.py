"""
The cost of decoding in processes: pictures per second through them, against threads of one process.

    python tests/bench/bench_decoding.py [--pictures N] [--rounds N] [--workers N]

Both decode the same made-up photos of 12 megapixels, in turns. A ``ratio`` of 1.0 means that processes cost nothing. It
is the median of the rounds. The perceptual hash of each picture is computed, too, so that its pixels are read.
"""

import argparse
import asyncio
import functools
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from embedder.benchmark import read_pictures  # noqa: E402  the repository must be found first
from embedder.decoding.decoding import Decoding, DecodingProcesses, DecodingThreads  # noqa: E402
from embedder.images.decoder import Decoder  # noqa: E402
from embedder.images.picture import whole  # noqa: E402
from embedder.lanes import WorkerLane  # noqa: E402
from embedder.memory_budget import MemoryBudget  # noqa: E402
from immich_facesets.near_duplicates.perceptual_hash import picture_hash  # noqa: E402

MAX_PIXELS = 150_000_000


async def seconds(decoding: Decoding, pictures: list[bytes], workers: WorkerLane, at_once: int) -> float:
    budget, left = MemoryBudget(2 << 30), list(pictures)

    async def caller() -> None:
        while left:
            with budget.room() as room:
                picture = await decoding.decode(left.pop(), whole, room, workers)
                await workers.run(functools.partial(picture_hash, picture.pixels))

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return time.perf_counter() - begun


async def compare(asked: argparse.Namespace) -> None:
    made = read_pictures(None)
    pictures = [made[number % len(made)] for number in range(asked.pictures)]
    workers = WorkerLane(asked.workers, 64, on_crash=lambda *_: None, on_batch=lambda *_: None)
    processes = DecodingProcesses(MAX_PIXELS, 30, asked.workers)
    threads = DecodingThreads(Decoder(MAX_PIXELS))
    try:
        for decoding in (processes, threads):
            await seconds(decoding, pictures[: asked.workers], workers, asked.workers)
        ratios = list[float]()
        for _ in range(asked.rounds):
            inside = await seconds(threads, pictures, workers, 2 * asked.workers)
            outside = await seconds(processes, pictures, workers, 2 * asked.workers)
            ratios.append(inside / outside)
            print(f"threads {asked.pictures / inside:6.1f}/s  processes {asked.pictures / outside:6.1f}/s", flush=True)
        print(f"ratio {statistics.median(ratios):.2f}")
    finally:
        processes.close()
        workers.lane.close(wait_seconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    asyncio.run(compare(parser.parse_args()))


if __name__ == "__main__":
    main()
