"""
How long decisions take in a large library, from the request to the committed effect.

    .venv/bin/python tests/bench/bench_decisions.py --faces 300000 --people 5000
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from sqlalchemy import Connection, func, insert, select

from immich_facesets.moderation.decisions import KeepApart
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import (
    ForgetPerson,
    MergePeople,
    MoveFaces,
    NameIdentity,
    Request,
    UndoDecision,
)
from service.store import decisions, moderation, named_values
from service.store import tables as t
from service.store.database import Store, migrate, open_engine

BY, NOW = Author("bench", "command"), datetime(2026, 5, 1, tzinfo=UTC)
AT_ONCE = 5000
FACE = {
    "landmarks": [[1, 1]] * 5,
    "det_score": 0.9,
    "blur": 99.0,
    "blur_size": 112,
    "brightness": 99.0,
    "contrast": 50.0,
}
PLACE = {"space": "s", "x1": 1.0, "y1": 1.0, "x2": 200.0, "y2": 200.0, "yaw": 0.0, "pitch": 0.0, "roll": 0.0}


def fill(tx: Connection, faces: int, people: int) -> None:
    """Fill the store with random vectors; a few people have many faces, most have few."""
    rng = np.random.default_rng(0)
    owners = 1 + ((people - 1) * rng.random(faces) ** 2).astype(np.int64)
    rows = [{"number": number, "origin": "discovered", "created_at": NOW} for number in range(1, people + 1)]
    tx.execute(insert(t.identities), rows)
    picture = {"sha1": "0" * 40, "size_bytes": 1, "width": 1000, "height": 1000}
    for start in range(0, faces, AT_ONCE):
        ids = range(start + 1, min(start + AT_ONCE, faces) + 1)
        vectors = rng.normal(size=(len(ids), 512)).astype("<f4")
        tx.execute(insert(t.contents), [{"sha256": f"{one:064x}", **picture} for one in ids])
        tx.execute(insert(t.faces), [{"face_id": one, "sha256": f"{one:064x}", **PLACE, **FACE} for one in ids])
        tx.execute(
            insert(t.vectors),
            [{"face_id": one, "vector": row.tobytes()} for one, row in zip(ids, vectors, strict=True)],
        )
        joined = [(one, int(owners[one - 1])) for one in ids]
        tx.execute(
            insert(t.memberships),
            [{"face_id": one, "identity": number, "distance": 0.3, "how": "matched"} for one, number in joined],
        )
    named_values.write_value(tx, "space", "s")


def largest_first(tx: Connection) -> list[int]:
    count = func.count().label("faces")
    rows = tx.execute(select(t.memberships.c.identity, count).group_by(t.memberships.c.identity).order_by(count.desc()))
    return [row.identity for row in rows]


def some_faces(tx: Connection, number: int) -> tuple[int, ...]:
    return tuple(tx.scalars(select(t.memberships.c.face_id).where(t.memberships.c.identity == number).limit(5)))


def timed(label: str, work: Callable[[], moderation.MadeDecisions]) -> moderation.MadeDecisions:
    begun = time.perf_counter()
    done = work()
    moved = sum(one.joins for one in done.effect.changes)
    print(f"{label}: {time.perf_counter() - begun:.2f} s, {moved} faces moved")
    return done


def measure(store: Store) -> None:
    order = store.read_now(largest_first)
    big, middle = order[0], order[len(order) // 2 :]

    def made(label: str, request: Request) -> moderation.MadeDecisions:
        timed(f"preview of a {label}", lambda: store.read_now(moderation.preview_decisions, [request]))
        return timed(label, lambda: store.write_now(moderation.decide, [request], BY, NOW))

    made("name", NameIdentity(identity=middle[0], label="A"))
    merge = made("merge of two people of usual size", MergePeople(numbers=(middle[1],), into=middle[0]))
    made("undo of it", UndoDecision(decision=merge.decisions[0]))
    made("merge into the largest", MergePeople(numbers=(middle[2],), into=big))
    made("move of five faces of the largest", MoveFaces(faces=store.read_now(some_faces, big), into=middle[3]))
    many = [(KeepApart(number, number + 1), ()) for number in range(1, 1001)]
    store.write_now(decisions.record_batch, many, BY, NOW)
    made("name after 1,000 decisions", NameIdentity(identity=middle[0], label="B"))
    for label, number in (("a person of usual size", middle[4]), ("the largest person", big)):
        made(f"forgetting {label}", ForgetPerson(identity=number, confirm=number))
    begun = time.perf_counter()
    asyncio.run(store.compact())
    print(f"database written anew: {time.perf_counter() - begun:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=300_000)
    parser.add_argument("--people", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/facesets.db")
        migrate(engine)
        store = Store(engine)
        store.write_now(fill, asked.faces, asked.people)
        measure(store)
        store.close()


if __name__ == "__main__":
    main()
