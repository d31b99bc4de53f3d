"""
Time and bytes of the web pages against a static file server that serves the same bytes.

    PYTHONPATH=.:tests/support python tests/bench/bench_pages.py [--faces N] [--identities N] [--database FILE] [--rounds N]
        [--before CHECKOUT]

Both answer over loopback, in turns, from one process. A page is asked for once before it is measured, as the first one
reads what is kept in memory. ``first byte`` and ``whole`` are medians. ``changed`` is the median of the first page after
a change of the data. ``SQL`` counts the statements of one page. The last row is a decision with the page that it leads
back to. The aim is that no page takes 0.1 s, and none 0.5 s after a change. A test holds that no page needs more
statements for many entries than for few.

The baseline is another version: ``--before`` names its checkout, whose own benchmark then reads the same database in the
same run. ``before`` is how many times as long it took.
"""

import argparse
import asyncio
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import structlog
from aiohttp import ClientSession, web

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import SPACE, fill, power_law  # noqa: E402  the repository must be found first
from browsed_pages import ask_whether_members, browsed_scene, members  # noqa: E402
from counted_statements import counted_statements  # noqa: E402
from web_scene import ANY_PORT, BEARER, HTML, invented_thresholds  # noqa: E402

from service.store.database import Store, migrate, open_engine  # noqa: E402
from service.store.named_values import write_thresholds, write_value  # noqa: E402
from service.web.server import serve_web  # noqa: E402

AIM_SECONDS = 0.1
AIM_OF_CHANGED = 0.5
_ROW = re.compile(r"(/\S*|a decision).*? (?:whole|after it:)\s+([0-9.]+) ms")
PAGES = (
    "/people",
    "/people?show=unnamed&sort=name",
    "/people?q=person+12",
    "/people/1",
    "/people/1?sort=time&limit=200",
    "/people/1?sort=quality",
    "/people/1/history",
    "/people?sort=pictures",
    "/people?source=scans",
    "/facesets/without",
    "/review",
    "/faces/1",
    "/facesets",
    "/",
)
FIRST, WHOLE = attrgetter("first"), attrgetter("whole")
BROWSER = {**BEARER, **HTML}


@dataclass(frozen=True, slots=True)
class Answer:
    """The seconds until the first byte and until the last one, and the body."""

    first: float
    whole: float
    body: bytes


async def timed(client: ClientSession, address: str) -> Answer:
    began = time.perf_counter()
    async with client.get(address, headers=BROWSER) as answer:
        answer.raise_for_status()
        first = await answer.content.readany()
        until_first = time.perf_counter() - began
        body = first + await answer.read()
    return Answer(until_first, time.perf_counter() - began, body)


async def served_bytes(bodies: dict[str, bytes]) -> tuple[web.AppRunner, str]:
    """Serve bodies by number from files, and return the address."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(folder / request.match_info["name"])

    folder = Path(tempfile.mkdtemp())
    for place, body in enumerate(bodies.values()):
        (folder / str(place)).write_bytes(body)
    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def measure(store: Store, folder: Path, rounds: int, before: dict[str, float]) -> bool:
    slow = []
    async with serve_web(browsed_scene(store, folder).context(), ANY_PORT) as listen, ClientSession() as client:
        ours = f"http://{listen}"
        bodies = {path: (await timed(client, ours + path)).body for path in PAGES}
        runner, theirs = await served_bytes(bodies)
        for place, path in enumerate(PAGES):
            with counted_statements(store) as sent:
                await timed(client, ours + path)
            pairs = [
                (await timed(client, ours + path), await timed(client, f"{theirs}/{place}")) for _ in range(rounds)
            ]
            first, whole = (statistics.median(map(of, (one for one, _ in pairs))) for of in (FIRST, WHOLE))
            static = statistics.median(other.whole for _, other in pairs)
            changed = statistics.median([await after_a_change(store, client, ours + path) for _ in range(rounds)])
            print(
                f"{path:34} first byte {1000 * first:7.1f} ms  whole {1000 * whole:7.1f} ms  static {1000 * static:5.1f} ms"
                f"  changed {1000 * changed:7.1f} ms{ratio(before, path, whole)}"
                f"  {len(bodies[path]) / 1024:6.1f} KiB  SQL {len(sent):3}",
                flush=True,
            )
            slow += [path] if whole > AIM_SECONDS or changed > AIM_OF_CHANGED else []
        await runner.cleanup()
        seconds = [await decided(client, ours, face) for face in members(store, 3)[:rounds]]
        taken = statistics.median(seconds)
        print(
            f"a decision, and the page of the person after it: {1000 * taken:.1f} ms{ratio(before, 'a decision', taken)}"
        )
    print(f"pages above {AIM_SECONDS:g} s, or {AIM_OF_CHANGED:g} s after a change: {', '.join(slow) or 'none'}")
    return not slow


async def after_a_change(store: Store, client: ClientSession, address: str) -> float:
    """Return the seconds of a page when anything was written since the last one."""
    await store.write(write_value, "benchmark", time.time_ns())
    return (await timed(client, address)).whole


def measured_before(checkout: Path, given: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of each page by the benchmark of another version, on the same database."""
    options = [f"--{name}={getattr(given, name)}" for name in ("faces", "identities", "rounds", "database")]
    path = os.pathsep.join((str(checkout), str(checkout / "tests" / "support")))
    told = subprocess.run(
        [sys.executable, str(checkout / "tests" / "bench" / "bench_pages.py"), *options],
        env={**os.environ, "PYTHONPATH": path},
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    return {found[1]: float(found[2]) / 1000 for found in map(_ROW.match, told.splitlines()) if found is not None}


def ratio(before: dict[str, float], row: str, seconds: float) -> str:
    return f"  before {before[row] / seconds:5.1f} x" if row in before else ""


async def decided(client: ClientSession, address: str, face: int) -> float:
    """Return the seconds of a decision with the page that it leads back to."""
    began = time.perf_counter()
    form = {"action": "confirm", "faces": str(face), "back": "/people/3"}
    async with client.post(f"{address}/decide", data=form, headers=BROWSER) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.perf_counter() - began


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--identities", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--database", type=Path, help="a file that is filled at the first run, and used again")
    parser.add_argument("--before", type=Path, help="a checkout of another version, the baseline; needs --database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "facesets.db"
        is_new = not database.exists()
        engine = open_engine(f"sqlite:///{database}")
        migrate(engine)
        store = Store(engine)
        if is_new:
            fill(store, power_law(given.faces, given.identities))
            store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
            ask_whether_members(store, 3, 40)
        print(f"{given.faces:,} faces, {given.identities:,} identities; wall clock")
        before = {} if given.before is None else measured_before(given.before, given)
        done = asyncio.run(measure(store, Path(folder), given.rounds, before))
        store.close()
        return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
