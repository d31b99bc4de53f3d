"""An embedder process whose throughput and memory a benchmark measures."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

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
