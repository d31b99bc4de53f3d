"""The result of a sync without row numbers, by which two runs are compared."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from service.store.contents import needed_files
from service.store.database import Store, open_engine
from service.store.spaces import active_space
from service.store.tables import (
    assets,
    crops,
    embeddings,
    export_ledger,
    exports,
    faces,
    failures,
    fingerprints,
    hints,
    identities,
    memberships,
    people,
    review_items,
    sync_runs,
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SyncResult:
    """
    ``faces``, of the space in use: (content, box) to (identity number, how, distance, crop file, data of the crop).
    ``files``: those of the export folder. ``crops``: the stored ones. ``needed``: those of faces of any space.
    """

    faces: dict[Row, Row]
    assets: set[Row]
    hints: set[Row]
    identities: set[Row]
    people: set[Row]
    questions: set[Row]
    failures: set[Row]
    exports: dict[str, str]
    ledger: list[Row]
    files: dict[str, str]
    crops: set[str]
    needed: set[str]
    leftovers: set[str]
    last_run: str | None
    endless_runs: int

    def loose_ends(self) -> list[str]:
        """
        Return leftovers that no finished sync has: partial files, unused or missing crops, rows without face sets.
        """
        shown = {name.rpartition("/")[0] for name in self.files if name.endswith("manifest.json")}
        shown = {name for name in shown if name and not name.startswith("users/")}
        told = [f"left over: {sorted(self.leftovers)}"] if self.leftovers else []
        told += [f"crops: {sorted(self.needed ^ self.crops)}"] if self.needed != self.crops else []
        told += [f"facesets: {sorted(shown ^ self.exports.keys())}"] if shown != self.exports.keys() else []
        told += [f"last run: {self.last_run}"] if self.last_run != "done" else []
        return [*told, *([f"runs without an end: {self.endless_runs}"] if self.endless_runs else [])]

    def differences(self, other: "SyncResult") -> list[str]:
        """Return the differences of the two by part, and the leftovers here; empty when they are equal."""
        told = self.loose_ends()
        for name in self.__dataclass_fields__:
            mine, yours = getattr(self, name), getattr(other, name)
            if mine != yours:
                told.append(f"{name}: {_told(mine, yours)} | {_told(yours, mine)}")
        return told


def _told(mine: Any, yours: Any) -> str:
    if isinstance(mine, dict):
        return str({key: value for key, value in mine.items() if yours.get(key) != value})[:1500]
    if isinstance(mine, set):
        return str(mine - yours)[:1500]
    return str(mine)[:1500]


def read_result(data: Path) -> SyncResult:
    """Read the content of a data folder, with its export folder and database."""
    found = read(data, _rows)
    tree = data / "exports"
    files = {path.relative_to(tree).as_posix(): _digest(path) for path in sorted(tree.rglob("*")) if path.is_file()}
    stored = {path.relative_to(data / "crops").as_posix() for path in (data / "crops").rglob("*") if path.is_file()}
    drafts = {
        path.relative_to(data).as_posix()
        for path in data.rglob("*")
        if path.name.startswith(".") or path.suffix in {".draft", ".part"} or path.parent == data / "staging"
    }
    return SyncResult(**found, files=files, crops=stored, leftovers=drafts)


def read(data: Path, function: Any) -> Any:
    """Run a query on the database in a data folder."""
    store = Store(open_engine(f"sqlite:///{data / 'facesets.db'}"))
    try:
        return store.read_now(function)
    finally:
        store.close()


def fetched_already(tx: Connection, staged: set[str]) -> set[str]:
    """The ids of the assets whose pictures are done, or staged (``staged``: prefixes of file names)."""
    done = set(
        tx.scalars(
            select(assets.c.asset_id)
            .join(fingerprints, fingerprints.c.fingerprint == assets.c.fingerprint)
            .join(embeddings, embeddings.c.sha256 == fingerprints.c.sha256)
            .where(embeddings.c.detection != "")  # empty: its crops are lost, so it is searched again
        )
    )
    for row in tx.execute(select(assets.c.asset_id, assets.c.fingerprint)):
        if hashlib.sha256(row.fingerprint.encode()).hexdigest()[:40] in staged:
            done.add(row.asset_id)
    return done


def _digest(path: Path) -> str:
    body = path.read_bytes()
    if path.name == "manifest.json":
        manifest = json.loads(body)
        manifest.pop("generated_at", None)
        body = json.dumps(manifest, sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest()


def _rows(tx: Connection) -> dict[str, Any]:
    listed = tx.execute(
        select(faces, memberships.c.identity, memberships.c.how, memberships.c.distance, crops.c.file, crops.c.seen)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .outerjoin(crops, crops.c.face_id == faces.c.face_id)
    ).all()
    space = active_space(tx)
    listed = [row for row in listed if space in {None, row.space}]
    table = {
        (row.sha256, *(round(edge, 2) for edge in (row.x1, row.y1, row.x2, row.y2))): (
            row.identity,
            row.how,
            None if row.distance is None else round(row.distance, 5),
            row.file,
            row.seen,
        )
        for row in listed
    }
    assert len(table) == len(listed)
    written = {row.directory: row.digest for row in tx.execute(select(exports))}
    ledger = [(row.directory, row.identity, row.action, row.faces) for row in tx.execute(select(export_ledger))]
    last = tx.scalar(select(sync_runs.c.outcome).order_by(sync_runs.c.run_id.desc()).limit(1))
    return {
        "faces": table,
        "needed": needed_files(tx),
        "assets": _set(
            tx, assets.c.source, assets.c.asset_id, assets.c.fingerprint, assets.c.is_wanted, assets.c.is_gone
        ),
        "hints": _set(tx, hints.c.source, hints.c.asset_id, hints.c.face_id, hints.c.person_id),
        "identities": _set(tx, identities.c.number, identities.c.origin, identities.c.label),
        "people": {
            (row.source, row.person_id, row.name, row.identity) for row in tx.execute(select(people)) if not row.is_gone
        },
        "questions": {
            (row.kind, row.identity, row.other, row.sha256, round(row.probability, 2), row.settles)
            for row in tx.execute(
                select(review_items, faces.c.sha256).outerjoin(faces, faces.c.face_id == review_items.c.face_id)
            )
        },
        "failures": _set(tx, failures.c.stage, failures.c.item, failures.c.reason, failures.c.tries),
        "exports": written,
        "ledger": sorted(ledger, key=str),
        "last_run": last,
        "endless_runs": len(tx.execute(select(sync_runs.c.run_id).where(sync_runs.c.outcome.is_(None))).all()),
    }


def _set(tx: Connection, *columns: Any) -> set[Row]:
    return {tuple(row) for row in tx.execute(select(*columns))}
