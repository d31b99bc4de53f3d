"""A small library with decisions, in a database of its own, behind the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from browsed_library import SPACE, BrowsedLibrary, fill
from hostile_requests import in_thread
from web_scene import ANY_PORT, busy_scene, invented_thresholds

from immich_facesets.moderation.decisions import Ignore, Label, Lock, Merge, Part, Undo
from immich_facesets.runtime.listen_address import Listen
from service.files.export_tree import ExportTree
from service.files.references import ReferenceFolder
from service.moderation.over_api import ApiDecisions
from service.reports.library import library_reads
from service.settings import Settings
from service.store.database import Store, migrate, open_engine
from service.store.decisions import record_decision
from service.store.named_values import write_thresholds
from service.web.server import serve_web

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@contextmanager
def decided_library(folder: Path) -> Iterator[Store]:
    """A small library with decisions, in a database of its own."""
    engine = open_engine(f"sqlite:///{folder / 'facesets.db'}")
    migrate(engine)
    store = Store(engine)
    try:
        fill(store, BrowsedLibrary(sizes=(40, 25, 25, 12, 9, 7, 3, 3), strangers=30, named_share=0.5))
        store.write_now(write_thresholds, replace(invented_thresholds(), space=SPACE))
        for decision in (
            Lock(1),
            Label(2, "Zoe"),
            Merge(1, (Part(2),)),
            Ignore(identity=5),
            Merge(4, (Part(6),)),
            Undo(3),
        ):
            store.write_now(record_decision, decision, made_by="anna", now=NOW)
        yield store
    finally:
        store.close()


@contextmanager
def served_library(folder: Path) -> Iterator[Listen]:
    """The address at which a thread serves the library; what no database has is invented."""
    with decided_library(folder) as store:
        scene = busy_scene()
        own = Settings(data_dir=folder, export_dir=folder / "exports")
        scene.library = library_reads(store, own, scene.board)
        own.export_dir.mkdir()
        scene.decisions = ApiDecisions(
            store,
            ExportTree(own.export_dir),
            own.data_dir / "crops",
            ReferenceFolder(own.data_dir / "references"),
            lambda: NOW,
        ).calls()
        with in_thread(serve_web(scene.context(), ANY_PORT)) as listen:
            yield listen
