"""Invented faces of any number, written straight into the database of a synced library."""

import hashlib
from pathlib import Path

import numpy as np
from large_library import large_library
from sqlalchemy import Connection, func, insert, select

from service.store import tables
from service.store.database import Store, open_engine

_BATCH = 2000


def add_faces(data: Path, count: int) -> None:
    """Add so many pictures with one face each to the first source of this data folder."""
    store = Store(open_engine(f"sqlite:///{data / 'facesets.db'}"))
    try:
        store.write_now(_add, count)
    finally:
        store.close()


def memberships(data: Path) -> dict[int, int]:
    """The identity of each face."""
    store = Store(open_engine(f"sqlite:///{data / 'facesets.db'}"))

    def read(tx: Connection) -> dict[int, int]:
        rows = tx.execute(select(tables.memberships.c.face_id, tables.memberships.c.identity))
        return {row.face_id: row.identity for row in rows}

    try:
        return store.read_now(read)
    finally:
        store.close()


def _add(tx: Connection, count: int) -> None:
    like = {
        table: dict(tx.execute(select(table).limit(1)).mappings().one())
        for table in (tables.assets, tables.contents, tables.embeddings, tables.faces)
    }
    size = len(tx.execute(select(tables.vectors.c.vector).limit(1)).scalar_one()) // 4
    first = tx.execute(select(func.max(tables.faces.c.face_id))).scalar_one() + 1
    vectors = large_library(count, d=size).astype("<f4")
    good = {"x1": 0.0, "y1": 0.0, "x2": 300.0, "y2": 300.0, "det_score": 0.9, "blur": 500.0}
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        names = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
        for table, own in (
            (tables.contents, [{"sha256": name, "sha1": name[:40]} for name in names]),
            (
                tables.assets,
                [{"asset_id": name, "fingerprint": name, "checksum": name[:40], "content": name} for name in names],
            ),
            (tables.embeddings, [{"sha256": name} for name in names]),
            (
                tables.faces,
                [{**good, "sha256": name, "face_id": first + n} for n, name in zip(numbers, names, strict=True)],
            ),
        ):
            tx.execute(insert(table), [{**like[table], **row} for row in own])
        tx.execute(insert(tables.fingerprints), [{"fingerprint": name, "sha256": name} for name in names])
        tx.execute(
            insert(tables.vectors),
            [{"face_id": first + n, "vector": np.asarray(vectors[n]).tobytes()} for n in numbers],
        )
