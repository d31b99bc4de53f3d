"""
Identification in a large library: the bank of exemplars against bare NumPy over all faces.

    PYTHONPATH=.:tests/support python tests/bench/bench_identify.py [--faces N] [--identities N] [--database FILE]

The baseline compares a face with every member's vector in one matrix product, and takes the nearest of each identity. It
has the vectors in memory already, in single precision, sorted by identity. Ours is the whole answer after the embedder's:
whether the bank is current, the search, the confidences and the ranking. Both are timed in turns, in processor time of
one process. The bank in half precision is measured beside it.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsed_library import SPACE, fill, power_law  # noqa: E402  the repository must be found first
from web_scene import invented_thresholds  # noqa: E402

from immich_facesets.identification.answers import Identification, identify  # noqa: E402
from immich_facesets.moderation.records import Author  # noqa: E402
from immich_facesets.moderation.requests import MoveFaces, NameIdentity  # noqa: E402
from service.passes.context import utc_now  # noqa: E402
from service.reports.identification.known_exemplars import Known, KnownExemplars  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store import moderation, named_values  # noqa: E402
from service.store.database import Store, migrate, open_engine  # noqa: E402
from service.store.tables import memberships, vectors  # noqa: E402

BY = Author("bench", "command")
PROBES = 40


def all_members(tx: Connection) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The vectors of all members, sorted by identity, and the identities."""
    rows = tx.execute(
        select(memberships.c.identity, vectors.c.vector)
        .join(vectors, vectors.c.face_id == memberships.c.face_id)
        .order_by(memberships.c.identity)
    ).all()
    matrix = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), -1)
    return matrix.astype(np.float32), np.array([row.identity for row in rows], dtype=np.int64)


def a_face(tx: Connection, number: int) -> int:
    return tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == number)).first() or 0


def nearest_of_all(
    matrix: NDArray[np.float32], starts: NDArray[np.intp], face: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The baseline: the likeness to the nearest face of each identity."""
    found: NDArray[np.float32] = np.maximum.reduceat(matrix @ face, starts)
    return found


def milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


async def seconds_until_current(exemplars: KnownExemplars, what: str) -> Known:
    began = time.perf_counter()
    known = await exemplars.now()
    print(f"{what:52} {time.perf_counter() - began:8.3f} s", flush=True)
    return known


async def measure(store: Store) -> None:
    exemplars = KnownExemplars(store, Settings())
    known = await seconds_until_current(exemplars, "the bank is built, at the first question")
    bank = known.bank
    await seconds_until_current(exemplars, "the next question, after no change")
    store.write_now(named_values.write_value, "anything", 1)
    await seconds_until_current(exemplars, "after a change that is not about people")
    store.write_now(moderation.decide, [NameIdentity(identity=2, label=f"Person of {time.time_ns()}")], BY, utc_now())
    await seconds_until_current(exemplars, "after a name")
    moved = MoveFaces(faces=(store.read_now(a_face, 2),))
    store.write_now(moderation.decide, [moved], BY, utc_now())
    await seconds_until_current(exemplars, "after a face of a person with thousands moved")
    matrix, owners = store.read_now(all_members)
    starts = np.flatnonzero(np.r_[True, np.diff(owners) > 0])
    print(f"faces of identities: {len(matrix):,}; exemplars: {len(bank.vectors):,}; identities: {len(bank.numbers):,}")
    draw = np.random.default_rng(1)
    bare, ours, halves, agree = [], [], [], 0
    half = bank.vectors.astype(np.float16)
    for row in draw.choice(len(matrix), PROBES, replace=False):
        face = matrix[row] + 0.02 * draw.standard_normal(matrix.shape[1], dtype=np.float32)
        face /= np.linalg.norm(face)
        bare.append(milliseconds(lambda face=face: nearest_of_all(matrix, starts, face)))  # type: ignore[misc]
        ours.append(milliseconds(lambda face=face: answer(known, face)))  # type: ignore[misc]
        halves.append(milliseconds(lambda face=face: half.astype(np.float32) @ face))  # type: ignore[misc]
        (told,) = answer(known, face)
        first = owners[starts[nearest_of_all(matrix, starts, face).argmax()]]
        agree += told.candidates[0].number == first
    beside, mine = statistics.median(bare), statistics.median(ours)
    print(f"bare NumPy over all faces {beside:.1f} ms; ours {mine:.1f} ms; ratio {mine / beside:.2f}")
    print(f"one product in single precision {product(bank.vectors):.1f} ms, in half {statistics.median(halves):.1f} ms")
    print(f"the same first identity: {agree} of {PROBES}")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the baseline's included")


def answer(known: Known, face: NDArray[np.float32]) -> tuple[Identification, ...]:
    return identify(known.bank, face[None], cluster=known.points.cluster, limit=5, unnamed=known.people.hidden)


def product(matrix: NDArray[np.float32]) -> float:
    face = matrix[0]
    return statistics.median(milliseconds(lambda: matrix @ face) for _ in range(9))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--identities", type=int, default=5_000)
    parser.add_argument("--strangers", type=float, default=0.3, help="the share of faces that belong to nobody")
    parser.add_argument("--database", type=Path, help="a file that is filled at the first run, and changed by each")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or Path(folder) / "facesets.db"
        is_new = not database.exists()
        engine = open_engine(f"sqlite:///{database}")
        migrate(engine)
        store = Store(engine)
        if is_new:
            fill(store, power_law(given.faces, given.identities, strangers=given.strangers))
            store.write_now(named_values.write_thresholds, replace(invented_thresholds(), space=SPACE))
        print(f"{given.faces:,} faces, {given.identities:,} identities")
        asyncio.run(measure(store))
        store.close()


if __name__ == "__main__":
    main()
