"""
Processor time of the API's pages against the bare SQL of the same page.

    PYTHONPATH=.:tests/support python tests/bench/bench_api.py [--faces N] [--identities N] [--database FILE] [--rounds N]

Both read the same SQLite file, in turns, and encode what they read as JSON. The bare side sends one statement with the
module sqlite3, with the page's rows and nothing else: no names by rule, no decisions, no places of pictures. Where a
database cannot compute the order (the score of a face), the bare side takes the order by distance. ``first`` is the
first page of a process, ``later`` the median of those after it; only the first reads what is kept in memory.
Processor time is compared, because other programs may use the machine. The aim is that no later page takes 0.2 s, and no proposal 2 s.
"""

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import SPACE, fill, power_law  # noqa: E402  the repository must be found first
from web_scene import invented_thresholds  # noqa: E402

from service.progress import ProgressBoard  # noqa: E402
from service.reports.library import library_reads  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store.database import Store, migrate, open_engine  # noqa: E402
from service.store.named_values import write_thresholds  # noqa: E402
from service.web.library.faces import SearchQuery  # noqa: E402
from service.web.library.identities import FacesQuery, IdentitiesQuery, NearestQuery, PageQuery  # noqa: E402
from service.web.library.proposals import SimilarQuery  # noqa: E402
from service.web.library.reads import LibraryReads  # noqa: E402

AIM_SECONDS = 0.2
PROPOSAL_SECONDS = 2.0
_LIST = """
SELECT i.number, i.origin, i.is_locked, i.never_export, m.n,
  (SELECT count(DISTINCT f.sha256) FROM memberships o JOIN faces f ON f.face_id = o.face_id WHERE o.identity = i.number),
  (SELECT c.file FROM memberships o JOIN crops c ON c.face_id = o.face_id WHERE o.identity = i.number
   ORDER BY o.distance, o.face_id LIMIT 1)
FROM identities i JOIN (SELECT identity, count(*) n FROM memberships GROUP BY identity) m ON m.identity = i.number
"""
_FACES = """
SELECT f.*, m.distance, m.how, m.confidence, c.file FROM memberships m JOIN faces f ON f.face_id = m.face_id
LEFT JOIN crops c ON c.face_id = m.face_id WHERE m.identity = 1
"""
_TAKEN = """
(SELECT min(a.local_date) FROM assets a
 WHERE a.content = f.sha256 AND a.is_gone = 0 AND a.date_kind IN ('camera', 'metadata'))
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: ours, and the bare statement; "" where there is none of its kind."""

    name: str
    ours: Callable[[LibraryReads], Awaitable[object]]
    bare: str
    aim_seconds: float = AIM_SECONDS


PAGES = (
    Page(
        "identities by faces",
        lambda r: r.identities(IdentitiesQuery()),
        f"{_LIST} ORDER BY m.n DESC, i.number LIMIT 50",
    ),
    Page(
        "identities by number",
        lambda r: r.identities(IdentitiesQuery(sort="number")),
        f"{_LIST} ORDER BY i.number LIMIT 50",
    ),
    Page(
        "identities with 20 pictures",
        lambda r: r.identities(IdentitiesQuery(min_pictures=20, sort="pictures")),
        f"SELECT * FROM ({_LIST} WHERE m.n >= 20) ORDER BY 6 DESC LIMIT 50",  # noqa: S608 - constants alone
    ),
    Page(
        "identities by name",
        lambda r: r.identities(IdentitiesQuery(q="person 12")),
        f"{_LIST} JOIN people p ON p.identity = i.number WHERE p.name LIKE '%person 12%' ORDER BY m.n DESC LIMIT 50",
    ),
    Page("one identity", lambda r: r.identity(1), f"{_LIST} WHERE i.number = 1"),
    Page("faces by distance", lambda r: r.faces(1, FacesQuery()), f"{_FACES} ORDER BY m.distance, f.face_id LIMIT 50"),
    Page(
        "faces by time",
        lambda r: r.faces(1, FacesQuery(sort="time")),
        f"{_FACES} ORDER BY {_TAKEN}, f.face_id LIMIT 50",
    ),
    Page(
        "faces by quality",
        lambda r: r.faces(1, FacesQuery(sort="quality")),
        f"{_FACES} ORDER BY m.distance, f.face_id LIMIT 50",
    ),
    Page(
        "companions",
        lambda r: r.together(1, PageQuery()),
        """
        SELECT o.identity, count(DISTINCT f.sha256) n FROM memberships m JOIN faces f ON f.face_id = m.face_id
        JOIN faces g ON g.sha256 = f.sha256 JOIN memberships o ON o.face_id = g.face_id
        WHERE m.identity = 1 AND o.identity <> 1 GROUP BY o.identity ORDER BY n DESC, o.identity LIMIT 50
        """,
    ),
    Page("nearest", lambda r: r.nearest(1, NearestQuery()), ""),
    Page(
        "similar faces of nobody",
        lambda r: r.similar(100, SimilarQuery()),
        """
        SELECT sum(length(v.vector)) FROM vectors v JOIN faces f ON f.face_id = v.face_id
        LEFT JOIN memberships m ON m.face_id = v.face_id WHERE m.face_id IS NULL
        """,
        PROPOSAL_SECONDS,
    ),
    Page("proposal for a split", lambda r: r.parts(100), "", PROPOSAL_SECONDS),
    Page("one face", lambda r: r.face(1), "SELECT * FROM faces WHERE face_id = 1"),
    Page(
        "search for a file",
        lambda r: r.search(SearchQuery(q="IMG_0012")),
        "SELECT * FROM assets WHERE lower(file_name) LIKE '%img_0012%' ORDER BY file_name LIMIT 20",
    ),
    Page(
        "search for a month",
        lambda r: r.search(SearchQuery(q="2014-07")),
        "SELECT * FROM assets WHERE local_date LIKE '2014-07%' ORDER BY local_date LIMIT 20",
    ),
)


def bare_seconds(database: Path, statement: str) -> float:
    """Return the processor time of one statement and its encoding."""
    connection = sqlite3.connect(database)
    began = time.process_time()
    json.dumps(connection.execute(statement).fetchall())
    seconds = time.process_time() - began
    connection.close()
    return seconds


async def our_seconds(page: Page, reads: LibraryReads) -> float:
    """Return the processor time of one page of ours, encoded."""
    began = time.process_time()
    msgspec.json.encode(await page.ours(reads))
    return time.process_time() - began


async def measure(page: Page, database: Path, rounds: int) -> float:
    """Print the figures of one page, and return the median of the later ones in seconds."""
    store = Store(open_engine(f"sqlite:///{database}"))
    reads = library_reads(store, Settings(), ProgressBoard())
    first, ours, bare = await our_seconds(page, reads), [], []
    for _ in range(rounds):
        ours.append(await our_seconds(page, reads))
        if page.bare:
            bare.append(bare_seconds(database, page.bare))
    store.close()
    later = statistics.median(ours)
    beside = f"bare SQL {1000 * statistics.median(bare):7.1f} ms" if bare else "no SQL of its kind"
    print(f"{page.name:28} first {1000 * first:8.1f} ms  later {1000 * later:7.1f} ms  {beside}", flush=True)
    return later


async def measure_all(database: Path, rounds: int) -> bool:
    slow = [page.name for page in PAGES if await measure(page, database, rounds) > page.aim_seconds]
    print(f"later pages above {AIM_SECONDS:g} s, proposals above {PROPOSAL_SECONDS:g} s: {', '.join(slow) or 'none'}")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return not slow


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--identities", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", type=Path, help="a file that is filled at the first run, and used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "facesets.db"
        if not database.exists():
            engine = open_engine(f"sqlite:///{database}")
            migrate(engine)
            store = Store(engine)
            fill(store, power_law(given.faces, given.identities))
            store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
            store.close()
        print(f"{given.faces:,} faces, {given.identities:,} identities; processor time")
        return 0 if asyncio.run(measure_all(database, given.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
