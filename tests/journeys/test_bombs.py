"""Pictures of few bytes and many pixels, in a real embedder: its memory stays within its setting, and others are read."""

import asyncio
import statistics
from pathlib import Path

import httpx
import pytest
from embedder_scene import picture
from hostile_pictures import BOMBS, bomb
from journey import until
from testdata import shared_data
from watched_embedder import memory_of, watched_embedder

from embedder.decoding.decoding import HAS_PROCESSES

pytestmark = pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux")

MOST = 1 << 30
"""FACESETS_EMBEDDER_MAX_MEMORY."""

BESIDE = 96 << 20
"""Bytes that work on pictures takes beside them: in the models, for answers, and for starting processes."""

SIDE, LARGE_SIDE = 5_000, 12_240
"""Pixels of a side. Decoding the second takes three quarters of the memory as a PNG, and more than that as a WebP."""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_bombs_stay_within_the_memory_give_it_back_and_stop_nobody(tmp_path: Path) -> None:
    fitting = [await asyncio.to_thread(bomb, kind, SIDE) for kind in BOMBS]
    fitting.append(await asyncio.to_thread(bomb, "PNG of 16 bits", LARGE_SIDE))
    large = [await asyncio.to_thread(bomb, kind, LARGE_SIDE) for kind in ("WebP", "GIF")]
    innocent = [picture(shade=shade) for shade in range(0, 250, 10)]
    settings = {
        "FACESETS_MODELS_DIR": str(shared_data() / "data" / "models"),
        "FACESETS_MODEL_PACK": "bench_s",
        "FACESETS_EMBEDDER_MAX_MEMORY": str(MOST),
    }
    async with (
        watched_embedder(tmp_path, **settings) as seen,
        httpx.AsyncClient(base_url=seen.url, timeout=280) as client,
    ):
        for data in innocent[:4]:
            (await seen.ask(client, data)).raise_for_status()
        await asyncio.sleep(4)  # the decoding processes give back what they may
        before = memory_of(seen.process)
        watching = [asyncio.create_task(seen.watch_memory()), asyncio.create_task(seen.watch_health())]
        hostile = [*fitting, *large] * 2
        answers = await asyncio.gather(*(seen.ask(client, data) for data in [*hostile, *innocent]))
        assert not any(task.done() for task in watching)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        statuses = [answer.status_code for answer in answers]
        assert statuses[len(hostile) :] == [200] * len(innocent)
        assert statuses[: len(hostile)] == ([200] * len(fitting) + [422] * len(large)) * 2
        assert {answer.json()["reason"] for answer in answers[: len(hostile)] if answer.is_error} == {"too_much_memory"}
        assert before < seen.most_bytes < before + MOST + BESIDE
        assert statistics.median(seen.health_seconds) < 0.5
        await until(lambda: memory_of(seen.process) < before + BESIDE)
