"""Decoding takes no more memory than was counted before it, for each format."""

import io
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journey import until
from mutated_pictures import dng, psd
from PIL import Image

from embedder.decoding.decoding import HAS_PROCESSES, DecodingProcesses
from embedder.images.decoder import Decoder
from embedder.images.picture import whole
from embedder.lanes import WorkerLane
from embedder.memory_budget import MemoryBudget, Room

pytestmark = pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux")

SIZE = 4000, 3000
TURNED = Image.Exif()
TURNED[0x0112] = 6
QUICK: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("JPEG", "RGB", {"exif": TURNED}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True, "subsampling": 0, "exif": TURNED}),
    "JPEG of four colours": ("JPEG", "CMYK", {}),
    "PNG": ("PNG", "RGBA", {"exif": TURNED}),
    "PNG of 16 bits": ("PNG", "I;16", {}),
    "PNG of one bit": ("PNG", "1", {}),
    "WebP": ("WEBP", "RGB", {"method": 0}),
    "TIFF": ("TIFF", "RGB", {"compression": "tiff_lzw", "exif": TURNED}),
    "GIF": ("GIF", "P", {}),
    "BMP": ("BMP", "RGB", {}),
    "PPM": ("PPM", "RGB", {}),
    "JPEG XL": ("JXL", "RGB", {"effort": 1}),
    "PSD": ("PSD", "RGB", {}),
}
SLOW: dict[str, tuple[str, str, dict[str, Any]]] = {
    "TIFF of floats": ("TIFF", "F", {}),
    "lossless WebP": ("WEBP", "RGBA", {"lossless": True}),
    "HEIC": ("HEIF", "RGB", {}),
    "AVIF": ("AVIF", "RGB", {}),
    "lossless JPEG XL": ("JXL", "RGBA", {"lossless": True, "effort": 1}),
    "DNG": ("DNG", "L", {}),
    "JPEG 2000": ("JPEG2000", "RGB", {}),
    "grey JPEG 2000": ("JPEG2000", "L", {}),
    "JPEG 2000 with alpha": ("JPEG2000", "RGBA", {"irreversible": True}),
}


def stored(format_: str, mode: str, options: dict[str, Any]) -> bytes:
    Decoder(1)  # registers the formats of plugins
    if format_ == "PSD":
        return psd(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    if format_ == "DNG":
        return dng(np.full((SIZE[1], SIZE[0]), 90, np.uint8))
    stream = io.BytesIO()
    Image.new("RGB", SIZE, (90, 120, 40)).convert("L" if mode in {"F", "I;16"} else mode).convert(mode).save(
        stream, format_, **options
    )
    return stream.getvalue()


def most_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


class CountingRoom(Room):
    counted = 0

    async def take(self, size_bytes: int) -> None:
        self.counted += size_bytes
        await super().take(size_bytes)


@pytest.mark.parametrize("kind", [*QUICK, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)])
async def test_decoding_takes_no_more_memory_than_was_counted(kind: str) -> None:
    data = stored(*{**QUICK, **SLOW}[kind])
    processes = DecodingProcesses(150_000_000, 30, 1)
    workers = WorkerLane(1, 8, on_crash=lambda *_: None, on_batch=lambda *_: None)
    room = CountingRoom(MemoryBudget(2 << 30))
    try:
        await processes.check()
        (pid,) = processes.pids
        before = most_bytes(pid)
        picture = await processes.decode(data, whole, room, workers)
        assert sorted(picture.pixels.shape) == [3, 3000, 4000]
        assert most_bytes(pid) - before - len(data) <= room.counted
        assert room.counted < 3 * (most_bytes(pid) - before) + (64 << 20), "a figure far too large refuses pictures"
    finally:
        processes.close()
        workers.lane.close(wait_seconds=1)


def memory_of(pid: int) -> int:
    """The bytes of memory that a process has now."""
    return mmap.PAGESIZE * int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])


async def test_a_process_without_work_gives_its_memory_back() -> None:
    data = stored("JPEG", "RGB", {})
    workers = WorkerLane(1, 8, on_crash=lambda *_: None, on_batch=lambda *_: None)
    processes, budget = DecodingProcesses(150_000_000, 30, 1), MemoryBudget(2 << 30)
    try:
        await processes.check()
        (pid,) = processes.pids
        before = memory_of(pid)
        for _ in range(3):
            with budget.room() as room:
                await processes.decode(data, whole, room, workers)
        assert processes.pids == (pid,)
        await until(lambda: memory_of(pid) < before + (8 << 20))
    finally:
        processes.close()
        workers.lane.close(wait_seconds=1)
