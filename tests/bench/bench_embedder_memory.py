"""
Growth of the embedder's memory over 5,000 pictures by HTTP, every 25th of them huge.

    python tests/bench/bench_embedder_memory.py [--pictures N] [--in-flight N]

The huge ones are photos enlarged to 24 megapixels, requested with crops, so that every pixel is decoded. The resident
memory is read after each tenth of the pictures, when no request is in flight. The first tenth is the warm-up.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from measured_embedder import measured_embedder  # noqa: E402  the repository must be found first

HUGE_PIXELS = 24_000_000
EVERY = 25
PARTS = 10


def photos(data: Path) -> tuple[list[bytes], list[bytes]]:
    """Photos as they are, and some of them enlarged."""
    paths = sorted(set(np.load(data / "reference_bench_s.npz")["path"].tolist()))
    small = [(data / path).read_bytes() for path in paths]
    huge = []
    for path in [path for path in paths if path.endswith(".jpg")][::40]:
        pixels = cv2.imread(str(data / path))
        assert pixels is not None
        factor = (HUGE_PIXELS / pixels.shape[0] / pixels.shape[1]) ** 0.5
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        huge.append(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return small, huge


async def ask(url: str, pictures: Sequence[tuple[bytes, dict[str, int]]], in_flight: int) -> None:
    left = list(pictures)

    async def call(client: httpx.AsyncClient) -> None:
        while left:
            data, params = left.pop()
            (await client.post("/v1/faces", content=data, params=params)).raise_for_status()

    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        await asyncio.gather(*(call(client) for _ in range(in_flight)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=8)
    asked = parser.parse_args()
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    small, huge = photos(data)
    sizes = []
    with measured_embedder(data / "models") as (url, process):
        for part in range(PARTS):
            count = asked.pictures // PARTS
            numbers = range(part * count, (part + 1) * count)
            pictures = [
                (huge[n // EVERY % len(huge)], {"crops": 512}) if n % EVERY == 0 else (small[n % len(small)], {})
                for n in numbers
            ]
            asyncio.run(ask(url, pictures, asked.in_flight))
            sizes.append(process.memory_info().rss / 2**20)
    told = " ".join(f"{size:.0f}" for size in sizes)
    print(f"embedder, MB after each {asked.pictures // PARTS} of {asked.pictures} pictures: {told}")
    print(
        f"growth after the first {asked.pictures // PARTS}: {sizes[-1] - sizes[0]:+.0f} MB; ratio {sizes[-1] / sizes[0]:.3f}"
    )


if __name__ == "__main__":
    main()
