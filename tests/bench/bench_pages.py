"""
Time and bytes of the web pages against a static file server that serves the same bytes.

    PYTHONPATH=.:tests/support python tests/bench/bench_pages.py [--faces N] [--identities N] [--database FILE] [--rounds N]
        [--cpu] [--before CHECKOUT]

Both answer over loopback, in turns, from one process. A page is asked for once before it is measured, as the first one
reads what is kept in memory. ``first byte`` and ``whole`` are medians. ``SQL`` counts the statements of one page. The others
are the first page after a change: ``read``, a picture of nobody was read, as in a sync; ``named``, a person got a name;
``moved``, a face got another person. The last rows are decisions with the page that they lead back to. The aim is that no page
takes 0.1 s, and none 0.5 s after a change. A test holds that no page needs more statements for many entries than for few.

The baseline is another version: ``--before`` names its checkout. This benchmark then measures that first, on a copy of the same
database. Its seconds stand behind each time, as how many times as long it took. With ``--cpu`` all times are processor time of
the process, with both sides of the connection: other programs may use the machine.
"""

import argparse
import asyncio
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from operator import attrgetter
from pathlib import Path

import structlog
from aiohttp import ClientSession, web

ROOT = Path(os.environ.get("MEASURED", Path(__file__).resolve().parents[2]))
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import SPACE, fill, power_law  # noqa: E402  the repository must be found first
from browsed_pages import ask_whether_members, browsed_scene, members  # noqa: E402
from counted_statements import counted_statements  # noqa: E402
from sqlalchemy import Connection, exists, select  # noqa: E402
from web_scene import ANY_PORT, BEARER, HTML, invented_thresholds  # noqa: E402

from service.store.contents import EmbeddedContent, record_content  # noqa: E402
from service.store.database import Store, migrate, open_engine  # noqa: E402
from service.store.embedding_work import Recipe  # noqa: E402
from service.store.named_values import write_thresholds  # noqa: E402
from service.store.tables import assets, faces, memberships  # noqa: E402
from service.web.server import serve_web  # noqa: E402

AIM_SECONDS = 0.1
AIM_OF_CHANGED = 0.5
_TIME = re.compile(r"(whole|read|named|moved) ([0-9.]+) ms")
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
clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
FIRST, WHOLE = attrgetter("first"), attrgetter("whole")
BROWSER = {**BEARER, **HTML}


@dataclass(frozen=True, slots=True)
class Answer:
    """The seconds until the first byte and until the last one, and the body."""

    first: float
    whole: float
    body: bytes


async def timed(client: ClientSession, address: str) -> Answer:
    began = clock()
    async with client.get(address, headers=BROWSER) as answer:
        answer.raise_for_status()
        first = await answer.content.readany()
        until_first = clock() - began
        body = first + await answer.read()
    return Answer(until_first, clock() - began, body)


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


Change = Callable[[], Awaitable[None]]


async def measure(store: Store, folder: Path, rounds: int, before: Mapping[str, float]) -> bool:
    slow = []
    async with serve_web(browsed_scene(store, folder).context(), ANY_PORT) as listen, ClientSession() as client:
        ours = f"http://{listen}"
        changes = changes_of(store, client, ours)
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
            after = {
                name: await after_a_change(client, ours + path, change, rounds) for name, change in changes.items()
            }
            times = {"whole": whole, **after}
            told = "  ".join(f"{name} {said(before, path, name, value)}" for name, value in times.items())
            sizes = (
                f"first byte {1000 * first:.1f} ms  static {1000 * static:.1f} ms  {len(bodies[path]) / 1024:.1f} KiB"
            )
            print(f"{path}  {told}  {sizes}  SQL {len(sent)}", flush=True)
            slow += [path] if whole > AIM_SECONDS or max(after.values()) > AIM_OF_CHANGED else []
        await runner.cleanup()
        await decisions(store, client, ours, rounds, before)
    print(f"pages above {AIM_SECONDS:g} s, or {AIM_OF_CHANGED:g} s after a change: {', '.join(slow) or 'none'}")
    return not slow


def said(before: Mapping[str, float], row: str, name: str, seconds: float) -> str:
    """Return a time, and how many times as long the baseline took, where there is one."""
    known = before.get(f"{row} {name}")
    return f"{1000 * seconds:.1f} ms" + ("" if known is None else f" ({known / seconds:.1f} x)")


def changes_of(store: Store, client: ClientSession, address: str) -> dict[str, Change]:
    """Return the changes after which pages are measured."""
    free, faces, number = iter(store.read_now(pictures_of_nobody)), iter(members(store, 3)[100:]), count(time.time_ns())

    async def read() -> None:
        recipe = Recipe(space=SPACE, detection="full", crop_size=512, crop_padding=0.5, crop_short=90.0)
        sha256 = f"{next(number):064x}"
        await store.write(
            record_content, EmbeddedContent(next(free), sha256, "0" * 40, 1, 900, 900, recipe, ()), datetime.now(UTC)
        )

    async def named() -> None:
        await decided(client, address, action="label", identity="40", label=f"Name {next(number)}", back="/people/40")

    async def moved() -> None:
        await decided(client, address, action="move", faces=str(next(faces)), into="4000", back="/people/40")

    return {"read": read, "named": named, "moved": moved}


def pictures_of_nobody(tx: Connection) -> list[str]:
    """Return the fingerprints of pictures that show nobody."""
    shows = exists().where(faces.c.sha256 == assets.c.content, memberships.c.face_id == faces.c.face_id)
    return list(tx.scalars(select(assets.c.fingerprint).where(~shows).order_by(assets.c.fingerprint).limit(500)))


async def after_a_change(client: ClientSession, address: str, change: Change, rounds: int) -> float:
    """Return the median of the seconds of a page after a change."""
    taken = []
    for _ in range(rounds):
        await change()
        taken.append((await timed(client, address)).whole)
    return statistics.median(taken)


async def decisions(
    store: Store, client: ClientSession, address: str, rounds: int, before: Mapping[str, float]
) -> None:
    """Print the seconds of decisions about a person of 4,476 faces, each with the page that it leads back to."""
    number, faces = count(time.time_ns()), iter(members(store, 3))
    forms: dict[str, Callable[[], dict[str, str]]] = {
        "a confirmed face": lambda: {"action": "confirm", "faces": str(next(faces))},
        "a moved face": lambda: {"action": "move", "faces": str(next(faces)), "into": "4000"},
        "a name": lambda: {"action": "label", "identity": "3", "label": f"Name {next(number)}"},
    }
    for row, form in forms.items():
        seconds = [await decided(client, address, **form(), back="/people/3") for _ in range(rounds)]
        print(f"{row}, and its page  whole {said(before, f'{row}, and its page', 'whole', statistics.median(seconds))}")


def measured_before(checkout: Path, given: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of each row of another version, measured by this file on a copy of the database."""
    copy = given.database.with_suffix(".before")
    shutil.copy(given.database, copy)
    options = [f"--{name}={getattr(given, name)}" for name in ("faces", "identities", "rounds")]
    told = subprocess.run(
        [sys.executable, __file__, *options, f"--database={copy}", *(["--cpu"] if given.cpu else [])],
        env={**os.environ, "MEASURED": str(checkout)},
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    copy.unlink()
    rows = [line.split("  ", 1) for line in told.splitlines() if "  " in line]
    return {f"{row} {name}": float(value) / 1000 for row, rest in rows for name, value in _TIME.findall(rest)}


async def decided(client: ClientSession, address: str, **form: str) -> float:
    """Return the seconds of a decision with the page that it leads back to."""
    began = clock()
    async with client.post(f"{address}/decide", data=form, headers=BROWSER) as answer:
        answer.raise_for_status()
        await answer.read()
        if "done" not in answer.url.query:
            raise RuntimeError(f"not decided: {form['action']}")
    return clock() - began


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--identities", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--database", type=Path, help="a file that is filled at the first run, and used again")
    parser.add_argument("--before", type=Path, help="a checkout of another version, the baseline; needs --database")
    parser.add_argument("--cpu", action="store_true", help="measure processor time")
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
        print(
            f"{given.faces:,} faces, {given.identities:,} identities; {'processor time' if given.cpu else 'wall clock'}"
        )
        before = {} if given.before is None else measured_before(given.before, given)
        done = asyncio.run(measure(store, Path(folder), given.rounds, before))
        store.close()
        return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
