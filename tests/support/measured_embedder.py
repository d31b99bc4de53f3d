"""An embedder process whose throughput and memory a benchmark measures."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from immich_facesets import wire
from immich_facesets.runtime.listen_address import Announcement

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def measured_embedder(models: Path, pack: str = "bench_s", *, threads: int = 0) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the address and the process of an embedder."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0",
        "FACESETS_EMBEDDER_THREADS": str(threads),
        "FACESETS_MODELS_DIR": str(models),
        "FACESETS_MODEL_PACK": pack,
    }
    command = [sys.executable, "-m", "embedder"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            yield Announcement.read(server.stdout.readline()).url, psutil.Process(server.pid)
        finally:
            server.terminate()


def processor_seconds(process: psutil.Process) -> float:
    """Processor seconds of a process and of its children, which decode its pictures."""
    times = process.cpu_times()
    found = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        times = child.cpu_times()
        found += times.user + times.system
    return float(found)


@dataclass(frozen=True)
class Took:
    """Seconds by the clock and of the processor, and the faces found meanwhile."""

    clock: float
    processor: float
    faces: int


async def served(url: str, process: psutil.Process, pictures: list[bytes], in_flight: int) -> Took:
    """
    Measure from the first request to the last answer, with ``in_flight`` clients; processor seconds are the server's.
    """
    left = list(reversed(pictures))
    faces = 0

    async def call(client: httpx.AsyncClient) -> None:
        nonlocal faces
        while left:
            response = await client.post("/v1/faces", content=left.pop())
            response.raise_for_status()
            faces += len(wire.decode_faces(response.content).faces)

    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        await client.post("/v1/faces", content=pictures[0])
        begun, spent = time.perf_counter(), processor_seconds(process)
        await asyncio.gather(*(call(client) for _ in range(in_flight)))
        return Took(time.perf_counter() - begun, processor_seconds(process) - spent, faces)
