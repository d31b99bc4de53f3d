"""The pages over an invented library in a real database, with decisions, questions and drawn crops."""

import contextlib
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from browsed_library import SPACE, BrowsedLibrary, fill
from PIL import Image
from sqlalchemy import insert, select
from web_scene import ANY_PORT, Scene, busy_scene, invented_thresholds

from immich_facesets.runtime.listen_address import Listen
from service.files.export_tree import ExportTree
from service.files.references import ReferenceFolder
from service.moderation.over_api import ApiDecisions
from service.reports.library import library_reads
from service.reports.library.eras import EraReads
from service.settings import Settings
from service.store.database import Store, migrate, open_engine
from service.store.named_values import write_thresholds
from service.store.tables import memberships, review_items
from service.web.server import serve_web

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIBRARY = BrowsedLibrary(sizes=(40, 25, 25, 12, 9, 7, 3, 3), strangers=30, named_share=0.5)
"""Person 1 is locked, person 2 is never exported, and the even numbers have names."""


@contextlib.contextmanager
def browsed_store(folder: Path, library: BrowsedLibrary = LIBRARY) -> Iterator[Store]:
    engine = open_engine(f"sqlite:///{folder / 'facesets.db'}")
    migrate(engine)
    store = Store(engine)
    fill(store, library)
    store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Store]:
    with browsed_store(tmp_path) as store:
        yield store


def browsed_scene(store: Store, folder: Path) -> Scene:
    """The scene with what the store holds; its crops are grey squares."""
    scene, own = busy_scene(), Settings(data_dir=folder, export_dir=folder / "exports", export_profiles="fsz,kohya")
    scene.board.end("")
    own.export_dir.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (120, 140, 150)).save(buffer, "JPEG")

    async def image(*_: object) -> bytes:
        return buffer.getvalue()

    scene.library = replace(library_reads(store, own, scene.board), crop=image, thumbnail=image)
    scene.picture = image
    scene.eras = EraReads(store, own).calls()
    references = ReferenceFolder(folder)
    scene.decisions = ApiDecisions(store, ExportTree(own.export_dir), folder / "crops", references, lambda: NOW).calls()
    return scene


@contextlib.asynccontextmanager
async def served(store: Store, folder: Path) -> AsyncIterator[Listen]:
    async with serve_web(browsed_scene(store, folder).context(), ANY_PORT) as listen:
        yield listen


def members(store: Store, number: int) -> list[int]:
    """The faces of an identity, ascending."""
    return sorted(store.read_now(lambda tx: tx.scalars(select(memberships.c.face_id).filter_by(identity=number)).all()))


def ask_whether_members(store: Store, number: int, count: int) -> None:
    """Ask about faces of an identity, one by one, whether they are it."""
    faces = members(store, number)
    rows: list[dict[str, Any]] = [
        {
            "key": f"face {face}", "kind": "member", "reason": "far", "identity": number, "other": None, "face_id": face,
            "part": [], "sizes": [len(faces)], "probability": 0.9 - 0.01 * place, "settles": 1, "is_exported": True,
            "benefit": 0.9 - 0.01 * place, "comes_last": False, "basis": 1, "evidence": [[one for one in faces if one != face][:4]],
        }
        for place, face in enumerate(faces[:count])
    ]  # fmt: skip
    store.write_now(lambda tx: tx.execute(insert(review_items), rows))
