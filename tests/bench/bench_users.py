"""
Processor time of what a user asks, who sees a third of a library, against the same questions of the administrator.

    PYTHONPATH=.:tests/support python tests/bench/bench_users.py [--faces N] [--identities N] [--database FILE] [--rounds N]

Both read the same SQLite file, in turns. ``later`` is the median of the answers after the first one. ``changed`` is the median
of those right after a change of the database: the faces that a user sees are listed anew then. Processor time is compared,
because other programs may use the machine. The aim is that no later answer to a user takes 3 times that of the administrator.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import SPACE, fill, power_law  # noqa: E402  the repository must be found first
from sqlalchemy import Connection, Integer, cast, func, insert, update  # noqa: E402
from web_scene import invented_thresholds  # noqa: E402

from service.progress import ProgressBoard  # noqa: E402
from service.reports.library import library_reads  # noqa: E402
from service.reports.library.users import user_reads  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store.database import Store, migrate, open_engine  # noqa: E402
from service.store.named_values import write_thresholds, write_value  # noqa: E402
from service.store.tables import assets, sources  # noqa: E402
from service.store.user_database import UserDatabase  # noqa: E402
from service.web.library.faces import SearchQuery  # noqa: E402
from service.web.library.identities import FacesQuery, IdentitiesQuery, NearestQuery, PageQuery  # noqa: E402
from service.web.library.reads import LibraryReads  # noqa: E402

AIM = 3.0
USER, OTHER = "ben", "anna"
QUESTIONS: Mapping[str, Callable[[LibraryReads], Awaitable[object]]] = {
    "first page of people": lambda r: r.identities(IdentitiesQuery()),
    "people by name": lambda r: r.identities(IdentitiesQuery(q="person 12")),
    "one person": lambda r: r.identity(1),
    "faces by distance": lambda r: r.faces(1, FacesQuery()),
    "faces by time": lambda r: r.faces(1, FacesQuery(sort="time")),
    "faces by quality": lambda r: r.faces(1, FacesQuery(sort="quality")),
    "figures": lambda r: r.figures(1),
    "nearest": lambda r: r.nearest(1, NearestQuery()),
    "companions": lambda r: r.together(1, PageQuery()),
    "search for a file": lambda r: r.search(SearchQuery(q="IMG_0012")),
    "search for a month": lambda r: r.search(SearchQuery(q="2014-07")),
}


async def seconds_of(question: Callable[[LibraryReads], Awaitable[object]], reads: LibraryReads) -> float:
    """Return the processor time of one answer, encoded."""
    began = time.process_time()
    msgspec.json.encode(await question(reads))
    return time.process_time() - began


async def measure(store: Store, database: UserDatabase, rounds: int) -> bool:
    slow = []
    everything = library_reads(store, Settings(), ProgressBoard())
    part = user_reads(database.reader(USER), Settings(), ProgressBoard())
    for name, question in QUESTIONS.items():
        await seconds_of(question, everything), await seconds_of(question, part)
        whole, own, changed = [], [], []
        for turn in range(rounds):
            whole.append(await seconds_of(question, everything))
            own.append(await seconds_of(question, part))
            await store.write(write_value, "measured", turn)
            changed.append(await seconds_of(question, part))
        administrator, user, later = (statistics.median(one) for one in (whole, own, changed))
        print(
            f"{name:22} administrator {1000 * administrator:7.1f} ms  user {1000 * user:7.1f} ms  "
            f"ratio {user / administrator:5.2f}  changed {1000 * later:7.1f} ms",
            flush=True,
        )
        slow += [name] if user > AIM * administrator else []
    print(f"above {AIM:g} times: {', '.join(slow) or 'none'}")
    return not slow


def share(tx: Connection) -> None:
    """Give a third of the pictures to a user of their own."""
    number = cast(func.substr(assets.c.asset_id, 2), Integer)
    tx.execute(insert(sources).values(name=USER, kind="immich", user_id=USER))
    tx.execute(update(assets).values(source=OTHER))
    tx.execute(update(assets).where(number % 3 == 0).values(source=USER))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--identities", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", type=Path, help="a file that is filled at the first run, and used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "facesets.db"
        is_new = not database.exists()
        store = Store(open_engine(f"sqlite:///{database}"))
        migrate(store.engine)
        if is_new:
            fill(store, power_law(given.faces, given.identities))
            store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
            store.write_now(share)
        users = UserDatabase(open_engine(f"sqlite:///{database}"))
        print(f"{given.faces:,} faces, {given.identities:,} identities, a third of them seen; processor time")
        done = asyncio.run(measure(store, users, given.rounds))
        users.close()
        store.close()
        return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
