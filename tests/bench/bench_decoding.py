"""
The cost of decoding in processes, against threads of one process: decoding alone, and all work on a picture.

    python tests/bench/bench_decoding.py [--pictures N] [--rounds N] [--workers N]

Both get the same photos of 12 megapixels with four faces, in turns. The pipelines run one thread for each worker, with
the small models of the test data, and with random ones of buffalo_l's size. A ratio of 1.0 means that processes cost
nothing. ``ratio`` is of wall-clock seconds, and means something on an idle machine only. ``cpu_ratio`` is of processor
seconds, those of the decoding processes included. Both are medians of the rounds.
"""

import argparse
import asyncio
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from crowds import Crowds  # noqa: E402  the repository must be found first
from large_models import write_pack  # noqa: E402
from measured_embedder import processor_seconds  # noqa: E402

from embedder.decoding.decoding import Decoding, DecodingProcesses, DecodingThreads  # noqa: E402
from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402
from embedder.images.decoder import Decoder  # noqa: E402
from embedder.images.picture import whole  # noqa: E402
from embedder.lanes import WorkerLane  # noqa: E402
from embedder.memory_budget import MemoryBudget  # noqa: E402
from embedder.metrics import EmbedderMetrics  # noqa: E402
from embedder.models.pack import open_pack  # noqa: E402
from embedder.pipeline import Pipeline, PipelineSize  # noqa: E402
from immich_facesets.face_requests import FacesRequest  # noqa: E402
from immich_facesets.near_duplicates.perceptual_hash import picture_hash  # noqa: E402

MAX_PIXELS = 150_000_000
SIZE = (4032, 3024)
DIFFERENT = 6

Work = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of the processor."""

    clock: float
    processor: float


async def took(work: Work, pictures: list[bytes], at_once: int) -> Took:
    left = list(pictures)

    async def caller() -> None:
        while left:
            await work(left.pop())

    process = psutil.Process()
    begun, spent = time.perf_counter(), processor_seconds(process)
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return Took(time.perf_counter() - begun, processor_seconds(process) - spent)


async def compare(name: str, inside: Work, outside: Work, pictures: list[bytes], asked: argparse.Namespace) -> None:
    """Measure one row: threads and processes, in turns, after a first round of each that does not count."""
    ratios, cpu_ratios, rates = list[float](), list[float](), list[float]()
    for number in range(asked.rounds + 1):
        threads = await took(inside, pictures, 2 * asked.workers)
        processes = await took(outside, pictures, 2 * asked.workers)
        if number:
            ratios.append(threads.clock / processes.clock)
            cpu_ratios.append(threads.processor / processes.processor)
            rates.append(len(pictures) / processes.clock)
    print(
        f"{name:>18} {statistics.median(rates):9.1f} {statistics.median(ratios):6.2f} "
        f"{statistics.median(cpu_ratios):9.2f}",
        flush=True,
    )


async def decoding_alone(pictures: list[bytes], asked: argparse.Namespace) -> None:
    """The perceptual hash of each picture is computed, too, so that its pixels are read."""
    workers = WorkerLane(asked.workers, 64, on_crash=lambda *_: None, on_batch=lambda *_: None)
    processes, budget = DecodingProcesses(MAX_PIXELS, 30, asked.workers), MemoryBudget(2 << 30)

    async def work(decoding: Decoding, data: bytes) -> None:
        with budget.room() as room:
            picture = await decoding.decode(data, whole, room, workers)
            await workers.run(functools.partial(picture_hash, picture.pixels))

    try:
        threads = DecodingThreads(Decoder(MAX_PIXELS))
        inside, outside = functools.partial(work, threads), functools.partial(work, processes)
        await compare("decoding alone", inside, outside, pictures, asked)
    finally:
        processes.close()
        workers.lane.close(wait_seconds=1)


async def all_work(name: str, models: Path, pictures: list[bytes], asked: argparse.Namespace) -> None:
    engine = OnnxEngine(open_pack(models, name), Tuning(threads=1))
    size = PipelineSize(workers=asked.workers, detectors=asked.workers, recognisers=asked.workers, threads=1)
    inside, outside = (
        Pipeline(engine, decoding, size, EmbedderMetrics(), on_crash=lambda _lane, _error: None)
        for decoding in (DecodingThreads(Decoder(MAX_PIXELS)), DecodingProcesses(MAX_PIXELS, 30, asked.workers))
    )

    def work(pipeline: Pipeline) -> Work:
        return lambda data: pipeline.answer(data, FacesRequest())

    try:
        await compare(name, work(inside), work(outside), pictures, asked)
    finally:
        inside.close(wait_seconds=1)
        outside.close(wait_seconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    crowds = Crowds(data)
    made = [crowds.draw(SIZE, (300.0, 600.0), 4, seed=seed).jpeg for seed in range(DIFFERENT)]
    pictures = [made[number % DIFFERENT] for number in range(asked.pictures)]
    print(f"{'work':>18} {'picture/s':>9} {'ratio':>6} {'cpu_ratio':>9}   (threads to processes)")
    asyncio.run(decoding_alone(pictures, asked))
    asyncio.run(all_work("bench_s", data / "models", pictures, asked))
    with tempfile.TemporaryDirectory() as folder:
        write_pack(Path(folder))
        asyncio.run(all_work("buffalo_l", Path(folder), pictures, asked))


if __name__ == "__main__":
    main()
