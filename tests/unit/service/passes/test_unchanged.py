"""A sync without changes skips grouping and publishing; every relevant change prevents that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import NOON
from journey import until
from pydantic import SecretStr
from small_library import Placed, SmallLibrary, place
from sqlalchemy import Connection, delete, insert, update

from immich_facesets.moderation.decisions import Label
from service.app import App, open_app
from service.demo.immich import FakeImmich
from service.settings import Settings
from service.store import decisions
from service.store.change_tracking import consequences, read_state
from service.store.database import Store
from service.store.named_values import read_last_complete_sync, write_value
from service.store.tables import failures, people
from service.store.upsert import BOOKKEEPING, upsert
from service.sync.outcome import Outcome
from service.sync.runner import Runner
from service.users import User


@dataclass
class Scene:
    """A service whose clock, settings and version a test may change between two syncs."""

    app: App
    placed: Placed
    later: timedelta = timedelta()
    settings: dict[str, object] = field(default_factory=dict)
    version: str = "1"

    async def looks(self, kind: str = "incremental") -> bool:
        """Sync, and return whether grouping and publishing were begun."""
        app = self.app
        conditions = replace(
            app.context,
            clock=lambda: datetime.now(UTC) + self.later,
            settings=app.settings.model_copy(update=self.settings),
        )
        runner = Runner(conditions, app.sources, app.pool, app.tree, app.metrics, self.version)
        result = await runner.run("full" if kind == "full" else "incremental")
        assert result.outcome is Outcome.DONE, result.message
        assert result.counts["publish_facesets"] >= 3
        return {app.board.stage("group").note, app.board.stage("publish").note} != {"nothing changed"}

    def decide(self) -> None:
        label = Label(1, "Somebody")
        self.app.store.write_now(decisions.record_decision, label, made_by="test", now=datetime.now(UTC))

    def rename(self) -> None:
        next(iter(self.placed.immich.library.people.values())).name = "Another"

    def touch(self) -> None:
        self._face().write_bytes(b"changed")

    def remove(self) -> None:
        self._face().unlink()

    def add(self) -> None:
        (self.app.settings.export_dir / "faceset_001" / "note.txt").write_text("mine")

    def wait(self) -> None:
        self.later += timedelta(hours=25)

    def set(self) -> None:
        self.settings["export_top"] = 5

    def upgrade(self) -> None:
        self.version = "2"

    def _face(self) -> Path:
        return self.app.settings.export_dir / "faceset_001" / "faces" / "0001.png"


CHANGES: tuple[Callable[[Scene], None], ...] = (
    Scene.decide,
    Scene.rename,
    Scene.touch,
    Scene.remove,
    Scene.add,
    Scene.wait,
    Scene.set,
    Scene.upgrade,
)


@pytest.fixture
async def scene(drawn: SmallLibrary, tmp_path: Path) -> AsyncIterator[Scene]:
    async with FakeImmich("2.7.5") as immich:
        placed = place(immich, drawn)
        settings = Settings(
            immich_url=immich.url,
            data_dir=tmp_path / "data",
            min_face_short=40,
            export_min_face_short=40,
            crop_size=128,
            min_faces=3,
            listen="127.0.0.1:0",
        )
        users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
        synthetic = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}
        async with open_app(settings, users, asyncio.Event(), embedder_environ=synthetic) as app:
            yield Scene(app, placed)


@pytest.mark.slow
async def test_a_sync_looks_again_after_whatever_may_matter_and_only_then(scene: Scene) -> None:
    assert await scene.looks()
    assert not await scene.looks()
    assert await scene.looks("full")
    assert not await scene.looks()
    for change in CHANGES:
        change(scene)
        assert await scene.looks(), f"the sync missed a change: {change.__name__}"
        assert not await scene.looks(), f"every later sync works again after: {change.__name__}"


async def test_no_complete_sync_is_stored_during_work_and_a_write_then_makes_the_next_sync_run(
    scene: Scene,
) -> None:
    app, decision = scene.app, Label(1, "Somebody")
    await scene.looks()
    running = asyncio.create_task(scene.looks("full"))
    await until(lambda: app.board.stage("publish").state == "running")
    assert await app.store.read(read_last_complete_sync) is None
    await app.store.write(decisions.record_decision, decision, made_by="test", now=datetime.now(UTC))
    assert await running
    assert await scene.looks()
    assert not await scene.looks()


ROW = {"source": "anna", "person_id": "p", "name": "Mira", "birth_date": None, "is_hidden": False}


def say(tx: Connection, name: str) -> None:
    upsert(tx, people, [{**ROW, "name": name}])


def rename(tx: Connection, person: str, options: dict[str, bool]) -> None:
    statement = update(people).where(people.c.person_id == person).values(name="Nora")
    tx.execute(statement, execution_options=options)


def fail(tx: Connection) -> None:
    moments = dict.fromkeys(("first_at", "last_at", "retry_at"), NOON)
    row = {"stage": "embed", "source": "anna", "item": "i", "reason": "r", "message": "m", "tries": 1, **moments}
    tx.execute(insert(failures).values(row))


def rename_and_fail(tx: Connection) -> None:
    rename(tx, "p", {})
    raise ValueError("undone")


def test_only_what_changes_something_gives_the_library_another_state(store: Store) -> None:
    def renews(function: Callable[..., None], *arguments: object) -> bool:
        before = store.read_now(read_state)
        store.write_now(function, *arguments)
        return store.read_now(read_state) != before

    assert store.read_now(read_state) is None
    assert renews(say, "Mira")
    assert not renews(say, "Mira")  # the person has that name already
    assert renews(say, "Mira Q.")
    assert not renews(rename, "nobody", {})
    assert not renews(rename, "p", BOOKKEEPING)
    assert not renews(fail)
    with consequences():
        assert not renews(say, "Mira R.")
    assert renews(write_value, "a fact", 1)
    assert renews(lambda tx: tx.execute(delete(people)))
    assert not renews(lambda tx: tx.execute(delete(people)))
    before = store.read_now(read_state)
    with pytest.raises(ValueError, match="undone"):
        store.write_now(rename_and_fail)
    assert not renews(rename, "nobody", {})
    assert store.read_now(read_state) == before


async def test_a_consequence_is_recognised_in_every_task(store: Store) -> None:
    with consequences():
        await asyncio.gather(store.write(say, "Mira"), asyncio.create_task(store.write(say, "Nora")))
    assert await store.read(read_state) is None
    await store.write(say, "Mira Q.")
    assert await store.read(read_state) is not None


def test_the_store_counts_what_changed_consequences_included(store: Store) -> None:
    def counts(function: Callable[..., None], *arguments: object) -> bool:
        before = store.changes
        store.write_now(function, *arguments)
        return store.changes == before + 1

    assert counts(say, "Mira")
    assert not counts(say, "Mira")
    with consequences():
        assert counts(say, "Mira R.")
    assert not counts(rename, "p", BOOKKEEPING)
    assert not counts(fail)
    before = store.changes
    with pytest.raises(ValueError, match="undone"):
        store.write_now(rename_and_fail)
    assert store.changes == before, "nothing was committed"
