"""The embedder process: start, log output and shutdown."""

import asyncio
import io
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image
from testdata import ROOT

from immich_facesets import wire
from immich_facesets.runtime.listen_address import Announcement
from immich_facesets.synthetic import Pose, Sitter, draw_picture

SYNTHETIC = {"FACESETS_EMBEDDER_ENGINE": "synthetic", "FACESETS_EMBEDDER_LISTEN": "127.0.0.1:0"}


def environment(**settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FACESETS_")}
    return {**inherited, "PYTHONPATH": str(ROOT), **settings}


def drawing(seed: int = 5) -> bytes:
    pixels, _boxes = draw_picture(400, 300, [(Sitter(seed), Pose(x=200, y=150, size=110))], 1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


async def start(*command: str, **settings: str) -> Process:
    words = command or ("-m", "embedder")
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environment(**settings), stdout=PIPE, stderr=PIPE
    )


@asynccontextmanager
async def started(*command: str, **settings: str) -> AsyncIterator[tuple[Process, Announcement]]:
    """A process that has logged its address; killed at the end if it still runs."""
    process = await start(*command, **{**SYNTHETIC, **settings})
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield process, Announcement.read(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def fails(**settings: str) -> tuple[int, str]:
    process = await start(**settings)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert out == b""
    assert process.returncode is not None
    return process.returncode, err.decode()


async def test_it_says_where_it_listens_finds_drawn_faces_and_stops_when_told(tmp_path: Path) -> None:
    place = tmp_path / "address.json"
    async with started("-m", "embedder", "--announce", str(place)) as (process, announced):
        assert Announcement.read(place.read_bytes()) == announced
        async with httpx.AsyncClient(base_url=announced.url, timeout=30) as client:
            one = wire.decode_faces((await client.post("/v1/faces", content=drawing(5))).content)
            same = wire.decode_faces((await client.post("/v1/faces", content=drawing(5))).content)
            other = wire.decode_faces((await client.post("/v1/faces", content=drawing(6))).content)
            assert [len(answer.faces) for answer in (one, same, other)] == [1, 1, 1]
            assert float(one.faces[0].vector() @ same.faces[0].vector()) > 0.99
            assert float(one.faces[0].vector() @ other.faces[0].vector()) < 0.5
            info = (await client.get("/v1/info")).json()
            assert (info["engine"], info["family"], info["dimension"]) == ("synthetic", "synthetic", 512)
            assert (await client.get("/readyz")).status_code == 200
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0


OWN_ENGINE = """
import asyncio, os, time
from embedder.app import serve
from embedder.settings import load_settings
from embedder.engines.synthetic import SyntheticEngine
from immich_facesets.runtime.logging import configure_logging

class Own(SyntheticEngine):
    looks = 0
    def detect(self, views):
        self.looks += 1
        if self.looks > 1:  # the first look is the check at the start
            {instead}
        return super().detect(views)

configure_logging()
os._exit(asyncio.run(serve(load_settings(), Own())))
"""


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
async def test_an_accepted_picture_is_finished_after_the_signal_to_stop(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(OWN_ENGINE.format(instead="time.sleep(2)"))
    async with started(str(script)) as (process, announced):
        async with httpx.AsyncClient(base_url=announced.url, timeout=60) as client:
            asked = asyncio.create_task(client.post("/v1/faces", content=drawing()))
            async with asyncio.timeout(30):
                while "facesets_embedder_in_flight 1.0" not in (await client.get("/metrics")).text:  # noqa: ASYNC110  it is another process's
                    await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert (await asked).status_code == 200
        async with asyncio.timeout(10):
            assert await process.wait() == 0


@pytest.mark.kill
async def test_a_dead_worker_ends_the_process_instead_of_leaving_it_deaf(tmp_path: Path) -> None:
    script = tmp_path / "dying.py"
    script.write_text(OWN_ENGINE.format(instead="raise SystemExit('the driver took the thread with it')"))
    async with started(str(script)) as (process, announced):
        async with httpx.AsyncClient(base_url=announced.url, timeout=30) as client:
            answer = await client.post("/v1/faces", content=drawing())
            assert answer.status_code == 503
        async with asyncio.timeout(10):
            assert await process.wait() == 1
        assert process.stderr is not None
        assert b"lane_died" in await process.stderr.read()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"FACESETS_EMBEDDER_LISTN": "127.0.0.1:0"}, ["FACESETS_EMBEDDER_LISTN", "FACESETS_EMBEDDER_LISTEN"]),
        ({"FACESETS_EMBEDDER_LISTEN": "0.0.0.0:0"}, ["FACESETS_EMBEDDER_TOKEN"]),
        ({"FACESETS_EMBEDDER_PROVIDER": "cuda"}, ["FACESETS_EMBEDDER_PROVIDER=cuda", "embedder-cuda"]),
    ],
)
async def test_what_a_person_must_change_ends_it_with_3_and_says_what(
    settings: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    code, err = await fails(FACESETS_MODELS_DIR=str(tmp_path), **settings)
    assert code == 3
    last = json.loads(err.strip().splitlines()[-1])
    assert last["event"] == "setup"
    assert all(word in last["message"] for word in words)


async def test_models_that_are_not_there_end_it_with_3(tmp_path: Path) -> None:
    code, err = await fails(FACESETS_MODELS_DIR=str(tmp_path), FACESETS_MODEL_PACK="buffalo_l")
    assert code == 3
    assert "there are no models in" in err


async def test_a_taken_port_ends_it_with_3() -> None:
    async with started() as (_process, announced):
        code, err = await fails(**{**SYNTHETIC, "FACESETS_EMBEDDER_LISTEN": f"127.0.0.1:{announced.port}"})
        assert code == 3
        assert "cannot listen on" in err
