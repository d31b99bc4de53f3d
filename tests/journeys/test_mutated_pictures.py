"""Damaged pictures of every format, in a real embedder: each gets an answer, and nothing ends, hangs or grows."""

import asyncio
import statistics
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from mutated_pictures import mutated, seeds
from watched_embedder import memory_of, watched_embedder

AT_ONCE = 6
GROWTH = 160 << 20
"""Bytes that the embedder may grow by over all pictures: its decoding processes start meanwhile."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [10, pytest.param(300, marks=pytest.mark.slow)])
async def test_every_damaged_picture_is_answered(tmp_path: Path, count: int) -> None:
    """``count``: damaged copies of each of 31 kinds."""
    dice = np.random.default_rng(7)
    pictures = [(kind, mutated(seed, dice)) for kind, seed in seeds().items() for _ in range(count)]
    whole, left = list(seeds().values()), list(pictures)
    settings = {"FACESETS_EMBEDDER_ENGINE": "synthetic", "FACESETS_EMBEDDER_DECODE_SECONDS": "20"}
    statuses, odd = Counter[int](), list[tuple[str, int, str]]()
    async with (
        watched_embedder(tmp_path, **settings) as seen,
        httpx.AsyncClient(base_url=seen.url, timeout=60) as client,
    ):

        async def ask() -> None:
            while left:
                kind, data = left.pop()
                response = await seen.ask(client, data)
                statuses[response.status_code] += 1
                if response.status_code not in {200, 422}:
                    odd.append((kind, response.status_code, response.text))

        assert {(await seen.ask(client, data)).status_code for data in whole} == {200}
        before = memory_of(seen.process)
        health = asyncio.create_task(seen.watch_health())
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        assert not health.done()
        health.cancel()
        await asyncio.gather(health, return_exceptions=True)
        assert odd == []
        assert statuses.total() == len(pictures)
        assert min(statuses[200], statuses[422]) > len(pictures) // 20, "a fuzzer that finds one way only tests nothing"
        assert {(await seen.ask(client, data)).status_code for data in whole} == {200}
        assert seen.process.status() != psutil.STATUS_ZOMBIE
        assert memory_of(seen.process) < before + GROWTH
        assert statistics.median(seen.health_seconds) < 0.5
