"""The sync runner: one sync at a time, and the recorded outcome of each."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from embedder_scene import ScriptedEngine, picture, running
from immich_scene import hurried
from passes_scene import Stage, staged
from pydantic import SecretStr
from sqlalchemy import event

from embedder.engine import EngineFacts
from immich_facesets.errors import RequestError, SetupError
from service.demo.immich import FakeImmich
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.monitoring.metrics import Metrics
from service.sources import SourceAwayError
from service.sources.immich import build_immich_source
from service.store import runs, spaces
from service.sync.outcome import Outcome
from service.sync.runner import Runner
from service.users import User


class OtherEngine(ScriptedEngine):
    """The same faces in another space."""

    @property
    def facts(self) -> EngineFacts:
        facts = super().facts
        return replace(facts, space=replace(facts.space, flip=True), pack="another")


HURRY: dict[str, Any] = {"min_face_short": 40, "export_min_face_short": 40, "crop_size": 64, "min_faces": 2}


@asynccontextmanager
async def ready(folder: Path, *users: str) -> AsyncIterator[tuple[Stage, Runner]]:
    """A runner with all its parts, before any sync. Distances are set, because the scripted engine has no defaults."""
    distances: dict[str, Any] = {f"{name}_distance": 0.5 for name in ("match", "cluster", "merge", "drop", "outlier")}
    async with running() as embedder, staged(folder, users=users or ("anna",), **HURRY, **distances) as stage:
        pool = EmbedderPool([Embedder(str(embedder.client.base_url), None)])
        (folder / "exports").mkdir()
        metrics = Metrics(stage.conditions.board, version="0")
        tree = ExportTree(folder / "exports")
        try:
            yield stage, Runner(stage.conditions, stage.sources, pool, tree, metrics, "0")
        finally:
            await pool.close()


def add(stage: Stage, count: int = 3, *, shade: int = 100) -> None:
    for number in range(count):
        asset = stage.add(f"{number}.png", face=False, data=picture(shade=shade + number), width=320, height=240)
        stage.immich.add_face(asset, box=(120, 110, 192, 210), image_width=320, image_height=240)


def make_impatient(stage: Stage) -> None:
    """Shorten the wait for a locked database from ten seconds to a moment."""
    engine = stage.store.engine

    @event.listens_for(engine, "connect")
    def hurry(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=200")

    engine.dispose()


async def outcomes(stage: Stage) -> list[str | None]:
    return [run.outcome for run in await stage.store.read(runs.last_runs)]


async def test_a_sync_goes_through_all_stages_and_is_written_down(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        add(stage)
        result = await runner.run("full")
        assert (result.outcome, result.message) == (Outcome.DONE, "everything is up to date"), result
        assert (result.counts["discover_new"], result.counts["embed_embedded"]) == (3, 3)
        assert await outcomes(stage) == ["done"]
        assert [stage.state for stage in stage.conditions.board.now.stages] == ["done"] * 4
        assert not runner.is_running


def add_damaged(stage: Stage) -> None:
    asset = stage.add("damaged.png", face=False, data=picture()[:60], width=320, height=240)
    stage.immich.add_face(asset, box=(120, 110, 192, 210), image_width=320, image_height=240)


async def test_a_sync_that_leaves_pictures_unread_says_how_many_and_why(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        add(stage)
        add_damaged(stage)
        first = next(iter(stage.immich.library.assets))
        stage.immich.faults.add("original", "status", status=503, asset_id=first)
        with structlog.testing.capture_logs() as logs:
            result = await runner.run("full")
        told = "2 pictures were not read: 1 damaged, 1 not reachable; all others are up to date"
        assert (result.outcome, result.message, result.counts["embed_unread"]) == (Outcome.DONE, told, 2)
        (line,) = (line for line in logs if line["event"] == "pictures_not_read")
        assert (line["log_level"], line["reasons"]) == ("warning", {"corrupt": 1, "unavailable": 1})
        assert stage.conditions.board.now.message == told
        (run,) = await stage.store.read(runs.last_runs)
        assert (run.message, run.counts["embed_unread"]) == (told, 2)

        for _ in range(2):  # it is tried, and then rests, too
            stage.clock.move(minutes=1)
            result = await runner.run("incremental")
            assert result.message == "1 picture was not read: 1 not reachable; all others are up to date"
        stage.immich.faults.clear()
        stage.clock.move(hours=2)
        result = await runner.run("incremental")
        assert result.message == "1 picture was not read: 1 damaged; all others are up to date"
        stage.clock.move(minutes=1)
        result = await runner.run("incremental")
        assert result.message == "everything is up to date", "what rests because of itself is nothing new"


@pytest.mark.slow
async def test_an_embedder_that_goes_away_leaves_a_number_of_pictures_unread(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        add(stage, 5)
        assert (await runner.run("full")).message == "everything is up to date"
        add(stage, 4, shade=150)
        add_damaged(stage)
        embedder = runner._pool._embedders[0]
        there, embedder._http.base_url = embedder._http.base_url, httpx.URL("http://127.0.0.1:9")
        result = await runner.run("incremental")
        assert result.outcome is Outcome.OUTAGE
        assert result.message.startswith("embedder is down since ")
        assert result.message.endswith(". 5 pictures were not read: 5 waiting.")
        embedder._http.base_url = there
        await runner._pool.wait_until_usable()
        result = await runner.run("incremental")
        assert (result.outcome, result.counts["embed_unread"]) == (Outcome.DONE, 1)


async def test_there_are_never_two_at_once(tmp_path: Path) -> None:
    async with ready(tmp_path) as (_, runner):
        first = asyncio.create_task(runner.run("full"))
        await asyncio.sleep(0)
        assert runner.is_running
        with pytest.raises(RequestError, match="a sync is running"):
            await runner.run("full")
        assert (await first).outcome is Outcome.DONE


async def test_an_unknown_source_is_told_with_those_that_exist(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        with pytest.raises(RequestError, match=r"there is no source 'nina'; there are: anna"):
            await runner.run("full", source="nina")
        assert await outcomes(stage) == []


async def test_nothing_is_exported_before_the_first_sync(tmp_path: Path) -> None:
    async with ready(tmp_path) as (_, runner):
        with pytest.raises(SetupError, match="nothing was synced yet"):
            await runner.publish_now()


async def test_a_database_that_is_locked_is_an_outage_of_this_sync_alone(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        make_impatient(stage)
        add(stage)
        other = sqlite3.connect(tmp_path / "facesets.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        result = await runner.run("full")
        assert (result.outcome, result.message) == (Outcome.OUTAGE, "the database is locked by another program")
        other.execute("ROLLBACK")
        other.close()
        assert (await runner.run("full")).outcome is Outcome.DONE


async def test_an_end_that_cannot_be_written_down_is_no_good_end(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        make_impatient(stage)
        other = sqlite3.connect(tmp_path / "facesets.db", isolation_level=None)

        async def lock_at_the_last_stage() -> None:
            async for now in stage.conditions.board.changes():
                if now.stages[-1].state == "running":
                    other.execute("BEGIN IMMEDIATE")
                    return

        locking = asyncio.create_task(lock_at_the_last_stage())
        result = await runner.run("full")
        await locking
        other.execute("ROLLBACK")
        other.close()
        assert (result.outcome, result.message) == (Outcome.OUTAGE, "the database is locked by another program")
        assert (await runner.run("full")).outcome is Outcome.DONE
        assert await outcomes(stage) == ["done", "killed"]


async def test_another_model_is_taken_up_although_a_user_is_gone(tmp_path: Path) -> None:
    async with ready(tmp_path, "anna", "ben") as (stage, runner):
        add(stage)
        assert (await runner.run("full")).outcome is Outcome.DONE
        others = {"ben": stage.sources["ben"]}
        async with running(OtherEngine()) as embedder:
            pool = EmbedderPool([Embedder(str(embedder.client.base_url), None)])
            metrics = Metrics(stage.conditions.board, version="0")
            without = Runner(stage.conditions, others, pool, ExportTree(tmp_path / "exports"), metrics, "0")
            assert (await without.run("full")).outcome is Outcome.DONE
            assert await stage.store.read(spaces.active_space) == embedder.pipeline.space
            await pool.close()


async def test_setup_errors_and_bugs_are_outcomes_too(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        add(stage)
        stage.immich.revoke_key(stage.immich.library.users["anna"].api_key)
        result = await runner.run("full")
        assert result.outcome is Outcome.SETUP
        assert "Immich refused the API key" in result.message
        stage.sources["anna"].people = None  # type: ignore[assignment, method-assign]  # a bug
        stage.immich.add_key(stage.immich.library.users["anna"], ["all"], stage.immich.library.users["anna"].api_key)
        result = await runner.run("full")
        assert (result.outcome, result.message) == (Outcome.BUG, "a bug ended the sync (TypeError); the log says more")
        assert await outcomes(stage) == ["bug", "setup"]


async def move_ben(stage: Stage, other: FakeImmich) -> None:
    """Let ben's pictures come from another server."""
    user = User(name="ben", api_key=SecretStr(other.add_user("ben").api_key))
    settings = stage.conditions.settings.model_copy(update={"immich_url": other.url})
    await stage.sources["ben"].close()
    stage.sources["ben"] = build_immich_source(user, settings, sleep=hurried)


@pytest.mark.slow
async def test_a_user_whose_server_is_up_is_synced_although_another_server_is_down(tmp_path: Path) -> None:
    async with ready(tmp_path, "anna", "ben") as (stage, runner), FakeImmich("3.1.0", clock=stage.clock) as other:
        add(stage)
        await move_ben(stage, other)
        await other.refuse()
        result = await runner.run("full")
        assert (result.outcome, result.counts["embed_embedded"]) == (Outcome.OUTAGE, 3)
        assert result.message.startswith(f"Immich at {other.url.removeprefix('http://')} is down since")
        assert isinstance(result.error, SourceAwayError)
        assert result.error.sources == {"ben"}
        assert await stage.store.read(spaces.active_space) is not None, "what there is was grouped"
        await other.resume()
        await stage.sources["ben"].wait_until_up()
        assert (await runner.run("full")).outcome is Outcome.DONE


@pytest.mark.slow
async def test_a_source_that_goes_down_while_pictures_are_fetched_is_left_out(tmp_path: Path) -> None:
    async with ready(tmp_path, "anna", "ben") as (stage, runner), FakeImmich("3.1.0", clock=stage.clock) as other:
        add(stage)
        await move_ben(stage, other)
        for number in range(3):
            shade = picture(shade=200 + number)
            fields: dict[str, Any] = {"file_name": f"b{number}.png", "data": shade, "owner": "ben"}
            asset = other.add_asset(width=320, height=240, taken_at=stage.clock(), **fields)
            other.add_face(asset, box=(120, 110, 192, 210), image_width=320, image_height=240)
        other.faults.add("original", "status", status=503)
        other.faults.add("key", "status", status=503, when=lambda *_: other.requests.count("original") > 0)
        result = await runner.run("full")
        assert result.outcome is Outcome.OUTAGE
        assert result.message.startswith(f"Immich at {other.url.removeprefix('http://')} is down since")
        assert result.counts["embed_embedded"] == 3
        assert await stage.store.read(spaces.active_space) is None, "grouping waits for pictures that are only late"
        other.faults.clear()
        await stage.sources["ben"].wait_until_up()
        assert (await runner.run("full")).outcome is Outcome.DONE


@pytest.mark.parametrize("users", [("anna",), ("anna", "ben", "cara")], ids=["one", "three"])
async def test_a_server_that_is_down_is_waited_for_once_however_many_users_it_has(
    tmp_path: Path, users: tuple[str, ...]
) -> None:
    async with ready(tmp_path, *users) as (stage, runner):
        add(stage)
        stage.immich.faults.add("all", "status", status=503)
        result = await runner.run("full")
        assert result.outcome is Outcome.OUTAGE
        assert result.message.count("is down since") == 1, "one server, one sentence"
        asked = {name: sum(source.requests.values()) for name, source in stage.sources.items()}
        assert asked == {name: 13 if name == "anna" else 0 for name in users}, "12 failures, and a probe"
        assert len({source.guard for source in stage.sources.values()}) == 1, "and it is back for all at once"


async def test_a_sync_that_is_cut_off_says_so_in_its_row(tmp_path: Path) -> None:
    async with ready(tmp_path) as (stage, runner):
        add(stage)
        stage.immich.faults.add("search", "hang")
        work = asyncio.create_task(runner.run("full"))
        while not stage.immich.requests.count("search"):  # noqa: ASYNC110 - a fake server has no event for it
            await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        stage.immich.faults.clear()
        assert await outcomes(stage) == ["stopped"]
        assert (await runner.run("full")).outcome is Outcome.DONE
