"""
Cost of a large library for the service: memory, requests for each asset, stalls of the event loop.

A fake Immich (2.7: faces come with the listing) holds 50,000 assets; 20,000 of them show a face that is worth fetching.
The embedder is a stub in a process of its own. It answers at once with one invented face for each picture. Only the
service is measured therefore. Run: python tests/bench/bench_cost.py [assets] [faces]
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import psutil
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from immich_facesets import wire  # noqa: E402 - the repository must be found first
from immich_facesets.faces import Measures  # noqa: E402
from service.demo.immich import FakeFace, FakeImmich  # noqa: E402

PEOPLE = 400
LIMIT_MB = 500
CROP = bytes(range(256)) * 4


def stub_embedder() -> None:
    """Serve answers like an embedder without decoding: the picture's bytes name the person."""
    centres = np.random.default_rng(1).normal(size=(PEOPLE, 512))

    async def faces(request: web.Request) -> web.Response:
        body = await request.read()
        seed = int.from_bytes(hashlib.sha256(body).digest()[:4])
        number = seed % PEOPLE
        vector = (centres[number] + 0.5 * np.random.default_rng(seed).normal(size=512)).astype(np.float32)
        vector /= np.linalg.norm(vector)
        x, y = 200.0, 200.0
        face = wire.FaceAnswer(
            box=(x, y, x + 200, y + 200),
            landmarks=((x + 60, y + 80), (x + 140, y + 80), (x + 100, y + 120), (x + 70, y + 160), (x + 130, y + 160)),
            det_score=0.9,
            embedding=vector.astype("<f4").tobytes(),
            quality=Measures(blur=200.0, blur_size=200, brightness=120.0, contrast=50.0, yaw=0.0, pitch=0.0, roll=0.0),
        )
        answer = wire.FacesAnswer(space="stub", width=1000, height=1000, faces=(face,))
        return web.Response(body=wire.encode(answer)[0], content_type=wire.MSGPACK)

    async def info(_: web.Request) -> web.Response:
        known = wire.Info(
            space="stub",
            family="w600k_r50",
            dimension=512,
            engine="synthetic",
            pack="stub",
            licence="",
            models=(),
            provider="none",
            limits=wire.Limits(max_pixels=10**8, max_bytes=10**8, max_in_flight=8),
            version="0",
        )
        return web.Response(body=msgspec.msgpack.encode(known), content_type=wire.MSGPACK)

    app = web.Application(client_max_size=10**8)
    app.router.add_post("/v1/faces", faces)
    app.router.add_get("/v1/info", info)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)


def fill(immich: FakeImmich, assets: int, faces: int) -> None:
    immich.add_user("anna")
    start = datetime(2010, 1, 1, tzinfo=UTC)
    old = datetime(2024, 1, 1, tzinfo=UTC)
    every = max(1, assets // faces)
    for number in range(assets):
        name = f"{number}.jpg"
        body = name.encode() * 40
        asset = immich.add_asset(
            data=lambda body=body: body,
            checksum=None if number % every == 0 else f"{number:028x}",
            file_name=name,
            owner="anna",
            width=1000,
            height=1000,
            taken_at=start + timedelta(minutes=number),
            created_at=old,
            updated_at=old + timedelta(seconds=number),
        )
        if number % every == 0 and number // every < faces:
            immich.add_face(asset, FakeFace((200, 200, 400, 400), 1000, 1000))


@dataclass(frozen=True)
class Cost:
    """``clock`` and ``processor`` in seconds, ``peak`` in MB, stalls in ms: of the service's loop, and of an idle one."""

    clock: float
    processor: float
    peak: float
    stall: float
    idle_stall: float


async def watched(environ: dict[str, str]) -> Cost:
    """Run ``sync`` beside an idle event loop, whose stalls are caused by the machine."""
    idle = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), "idle", env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), "sync", env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    seen = psutil.Process(process.pid)
    began, peak, processor = time.monotonic(), 0.0, 0.0
    while process.returncode is None:
        try:
            peak = max(peak, seen.memory_info().rss / 2**20)
            processor = max(processor, sum(seen.cpu_times()[:2]))
        except psutil.NoSuchProcess:
            break
        await asyncio.sleep(0.05)
    stdout, _ = await process.communicate()
    idle_stdout, _ = await idle.communicate(b"")
    if process.returncode != 0:
        raise SystemExit(f"sync ended with {process.returncode}: {stdout.decode()[-500:]}")
    return Cost(time.monotonic() - began, processor, peak, longest_stall(stdout), longest_stall(idle_stdout))


def longest_stall(stdout: bytes) -> float:
    return float(stdout.decode().rsplit("longest stall ", 1)[1].split()[0])


def idle_watched() -> None:
    """Run an event loop that only waits for the end of its input, and measure its stalls."""
    from service.monitoring.event_loop_lag import EventLoopWatch  # noqa: PLC0415 - only in the child

    async def run() -> None:
        watch = EventLoopWatch(interval_seconds=0.01)
        watching = asyncio.create_task(watch.run())
        await asyncio.to_thread(sys.stdin.buffer.read)
        watching.cancel()
        print(f"longest stall {watch.longest_seconds * 1000:.0f} ms")

    asyncio.run(run())


def sync_watched() -> None:
    """Run one sync in this process, and measure the stalls of its event loop."""
    from service.app import open_app  # noqa: PLC0415 - only in the child
    from service.monitoring.event_loop_lag import EventLoopWatch  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415
    from service.users import load_users  # noqa: PLC0415

    async def run() -> None:
        settings = load_settings()
        watch = EventLoopWatch(interval_seconds=0.01)
        async with open_app(settings, load_users(settings), asyncio.Event()) as app:
            watching = asyncio.create_task(watch.run())
            result = await app.runner.run("incremental")
            watching.cancel()
        print(result.outcome, result.message, result.counts)
        print(f"longest stall {watch.longest_seconds * 1000:.0f} ms")
        if result.outcome != "done":
            raise SystemExit(2)

    asyncio.run(run())


async def main(assets: int = 50_000, faces: int = 20_000) -> None:
    immich = FakeImmich("2.7.5")
    fill(immich, assets, faces)
    url = await immich.start()
    with tempfile.TemporaryDirectory() as folder:
        port = 20_000 + os.getpid() % 20_000
        stub = await asyncio.create_subprocess_exec(sys.executable, str(Path(__file__)), "stub", str(port))
        try:
            environ = {
                **{name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))},
                "IMMICH_URL": url,
                "IMMICH_API_KEY": immich.library.users["anna"].api_key,
                "FACESETS_DATA_DIR": folder,
                "FACESETS_EXPORT_DIR": f"{folder}/exports",
                "FACESETS_EMBEDDER_URLS": f"http://127.0.0.1:{port}",
                "PYTHONPATH": str(ROOT),
            }
            for name in ("first", "second"):
                before = dict(immich.requests.by_route)
                cost = await watched(environ)
                asked = {
                    route: count - before.get(route, 0)
                    for route, count in immich.requests.by_route.items()
                    if count > before.get(route, 0)
                }
                downloads = asked.pop("original", 0)
                print(
                    f"cost, {name} sync of {assets} assets, {faces} faces: {cost.clock:.0f} s, "
                    f"{cost.processor:.0f} s of the processor, peak {cost.peak:.0f} MB ({cost.peak / LIMIT_MB:.2f} of the "
                    f"limit), {downloads} downloads, {sum(asked.values()) / assets:.5f} other requests per asset, "
                    f"longest stall {cost.stall:.0f} ms (an idle loop beside it: {cost.idle_stall:.0f} ms)"
                )
        finally:
            stub.terminate()
            await stub.wait()
    await immich.stop()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["stub", _]:
            stub_embedder()
        case ["sync"]:
            sync_watched()
        case ["idle"]:
            idle_watched()
        case numbers:
            asyncio.run(main(*map(int, numbers)))
