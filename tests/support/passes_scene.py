"""One sync pass alone: a fake Immich, a real database and a real embedder, under a clock that the test sets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from immich_scene import hurried
from pydantic import SecretStr
from sqlalchemy import Connection, Row, select
from sqlalchemy.sql import FromClause

from service.demo.immich import FakeAsset, FakeImmich
from service.passes.context import PassContext
from service.passes.discover import Discover
from service.passes.discovering.counts import DiscoverCounts
from service.progress import ProgressBoard
from service.settings import Settings
from service.sources.immich import ImmichSource, ServerGuards, build_immich_source
from service.store import runs
from service.store.database import Store, migrate, open_engine
from service.users import User

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that only the test moves."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Stage:
    """The objects that the passes of one service need, and the fake Immich."""

    immich: FakeImmich
    clock: Clock
    conditions: PassContext
    sources: dict[str, ImmichSource] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.conditions.store

    async def discover(self, name: str = "anna", *, whole: bool = False, faces: bool = False) -> DiscoverCounts:
        """One run of discover over one user."""
        run_id = await self.store.write(runs.begin_run, "incremental", [name], self.clock())
        discover = Discover(self.conditions, self.sources[name], run_id=run_id, configured=self.sources)
        await discover.run(whole=whole, faces=faces)
        return discover.counts

    def rows(self, table: FromClause) -> list[Row[Any]]:
        def read(tx: Connection) -> list[Row[Any]]:
            return list(tx.execute(select(table)))

        return self.store.read_now(read)

    def row(self, table: FromClause, asset: FakeAsset) -> Row[Any]:
        (found,) = (row for row in self.rows(table) if row.asset_id == asset.asset_id)
        return found

    def add(self, name: str = "a.jpg", *, owner: str = "anna", face: bool = True, **fields: Any) -> FakeAsset:
        """A picture, by default with one large face, uploaded now."""
        number = len(self.immich.library.assets)
        usual: dict[str, Any] = {
            "data": b"\xff\xd8\xff\xe0" + name.encode(),
            "file_name": name,
            "owner": owner,
            "width": 1600,
            "height": 1200,
            "taken_at": START - timedelta(days=400) + timedelta(minutes=number),
        }
        asset = self.immich.add_asset(**(usual | fields))
        if face:
            self.add_face(asset)
        return asset

    def add_face(self, asset: FakeAsset, *, person_id: str | None = None, side: int = 300) -> None:
        self.immich.add_face(
            asset, box=(600, 300, 600 + side, 300 + side), image_width=1600, image_height=1200, person_id=person_id
        )


@asynccontextmanager
async def staged(
    folder: Path, version: str = "3.1.0", *, users: tuple[str, ...] = ("anna",), page_limit: int = 1000, **settings: Any
) -> AsyncIterator[Stage]:
    """A server with these users, their sources, and an empty database."""
    clock = Clock()
    async with FakeImmich(version, clock=clock, page_limit=page_limit) as immich:
        chosen = Settings(immich_url=immich.url, data_dir=folder, **settings)
        engine = open_engine(f"sqlite:///{folder / 'facesets.db'}")
        migrate(engine)
        store = Store(engine)
        conditions = PassContext(store=store, settings=chosen, board=ProgressBoard(), stop=asyncio.Event(), clock=clock)
        stage = Stage(immich, clock, conditions)
        try:
            guards: ServerGuards = {}
            for name in users:
                user = immich.add_user(name)
                found = User(name=name, api_key=SecretStr(user.api_key))
                stage.sources[name] = build_immich_source(found, chosen, guards=guards, sleep=hurried)
            yield stage
        finally:
            for source in stage.sources.values():
                await source.close()
            store.close()
