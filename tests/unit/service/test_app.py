"""The whole service in this process, beside a fake Immich and an embedder child process."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from journey import until
from pydantic import SecretStr
from small_library import Placed, SmallLibrary, change, place

from immich_facesets.errors import RequestError
from service.app import App, open_app
from service.daemon import Service, status_facts
from service.demo.immich import FakeImmich
from service.progress import ProgressBoard, RemoteState
from service.reports.library.users import UserLibraries
from service.settings import Settings
from service.storage import web_token
from service.store import members, named_values
from service.sync.outcome import Outcome
from service.users import User
from service.web.library.identities import IdentitiesQuery
from service.web.sessions import SESSION_COOKIE, Keyring

SYNTHETIC: Mapping[str, str] = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}
FIELDS: dict[str, Any] = {
    "min_face_short": 40,
    "export_min_face_short": 40,
    "crop_size": 128,
    "min_faces": 3,
    "listen": "127.0.0.1:0",
}


@pytest.fixture
async def placed(drawn: SmallLibrary) -> AsyncIterator[Placed]:
    async with FakeImmich("2.7.5") as immich:
        yield place(immich, drawn)


@pytest.fixture
async def app(placed: Placed, tmp_path: Path) -> AsyncIterator[App]:
    settings = Settings(immich_url=placed.immich.url, data_dir=tmp_path / "data", **FIELDS)
    users = tuple(User(name=name, api_key=SecretStr(user.api_key)) for name, user in placed.users.items())
    async with open_app(settings, users, asyncio.Event(), embedder_environ=SYNTHETIC) as opened:
        yield opened


async def test_a_sync_finds_people_and_a_second_one_finds_nothing_to_do(app: App, placed: Placed) -> None:
    first = await app.runner.run("incremental")
    assert first.outcome is Outcome.DONE
    assert first.counts["group_new_identities"] >= 3
    assert first.counts["embed_failed"] == 1  # the picture that cannot be read
    downloads = placed.immich.requests.count("original")
    second = await app.runner.run("incremental")
    assert second.counts["publish_written"] == second.counts["embed_embedded"] == 0
    assert placed.immich.requests.count("original") == downloads
    facts = await status_facts(app)
    assert facts.library.identities == first.counts["group_new_identities"]
    (failure,) = facts.failures
    assert failure.name == placed.broken.file_name
    assert failure.path is not None
    assert failure.path.startswith("/data/upload/")
    assert facts.failures_by_reason[0].count == 1
    assert facts.model is not None
    assert facts.thresholds is not None
    assert facts.thresholds.space == facts.model.space


async def test_the_metrics_count_what_a_sync_asks_of_immich_and_of_the_embedder(app: App, placed: Placed) -> None:
    counts = (await app.runner.run("incremental")).counts

    def requests(remote: str, route: str) -> float:
        labels = {"remote": remote, "route": route, "status": "200"}
        return app.metrics.registry.get_sample_value("facesets_requests_total", labels) or 0

    originals = sum(requests(f"Immich ({name})", "/api/assets/{id}/original") for name in placed.users)
    assert originals == placed.immich.requests.count("original") > 0
    assert requests("embedder", "/v1/faces") >= counts["embed_embedded"] > 0


async def test_pictures_come_and_go_and_numbers_stay(app: App, placed: Placed) -> None:
    await app.runner.run("full")
    before = {row.number: row for row in await app.store.read(members.list_identities)}
    labels = {row.label for row in before.values()}
    assert "Mira" in labels
    change(placed)
    result = await app.runner.run("full")
    assert result.counts["discover_gone"] > 0
    after = {row.number: row for row in await app.store.read(members.list_identities)}
    assert after.keys() < before.keys()  # the child is gone, and so is its number
    assert "Mira Q." in {row.label for row in after.values()}
    assert (await app.runner.publish_now()).written == 0


async def test_an_unknown_source_is_refused_and_one_source_is_synced_alone(app: App, placed: Placed) -> None:
    with pytest.raises(RequestError, match="anna, ben"):
        await app.runner.run("incremental", source="carla")
    result = await app.runner.run("incremental", source="anna")
    assert result.outcome is Outcome.DONE
    asked = {placed.immich.library.assets[asset_id].owner for asset_id in placed.immich.requests.assets("original")}
    assert asked == {"anna"}


async def test_serve_is_not_ready_while_no_picture_is_read_though_some_wait(app: App) -> None:
    now = [1000.0]
    board = ProgressBoard(clock=lambda: now[0])
    service = Service(replace(app, board=board))

    async def objections() -> list[str]:
        return [objection.message for objection in (await service.ready()).objections]

    board.update_stage("embed", state="running")
    now[0] += 9999
    assert await objections() == [], "it is not known yet whether any picture waits"
    board.update_stage("embed", done=0, total=20)
    now[0] += 359
    board.update_remote(RemoteState(name="embedder"))
    assert await objections() == [], "a slow picture takes twice the time of a request"
    now[0] += 1
    assert await objections() == ["no picture was read for 6 min, though 20 wait"]
    board.update_stage("embed", done=1, failed=1)
    assert await objections() == []
    now[0] += 600
    assert await objections() == ["no picture was read for 10 min, though 19 wait"]
    board.update_stage("embed", done=20)
    now[0] += 600
    assert await objections() == [], "nothing waits"
    board.update_stage("embed", total=21)
    now[0] += 600
    assert await objections() != []
    board.update_stage("embed", state="failed")
    assert await objections() == [], "the end of the sync says more"


async def test_serve_syncs_at_once_takes_requests_one_at_a_time_and_stops_quickly(app: App) -> None:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Service(app, on_serving=lambda listen: bound.set_result(str(listen))).run())
    token = {"Authorization": f"Bearer {web_token(app.settings)}"}
    async with httpx.AsyncClient(base_url=f"http://{await bound}", headers=token, trust_env=False) as client:
        await until(lambda: app.runner.is_running)
        assert (await client.post("/api/jobs", json={})).status_code == 409
        await until(lambda: not app.runner.is_running)
        assert (await client.get("/readyz")).status_code == 200
        status = (await client.get("/api/status")).json()
        assert status["facts"]["runs"][0]["outcome"] == "done"
        assert status["progress"]["next_sync_at"] is not None
        asked = await client.post("/api/jobs", json={"kind": "full"})
        assert asked.status_code == 202
        job = (await client.get(f"/api/jobs/{asked.json()['id']}")).json()
        assert (job["id"], job["kind"]) == (status["facts"]["runs"][0]["id"] + 1, "full")
        assert (await client.post("/api/jobs", json={"source": "carla"})).status_code == 404
        assert (await client.post("/api/jobs", json={"kind": "full", "people": [1]})).status_code == 400
        assert (await client.post("/api/jobs", json={"kind": "export", "source": "anna"})).status_code == 400
        await until(lambda: not app.runner.is_running)
        asked = await client.post("/api/jobs", json={"kind": "export", "people": [1]})
        await until(lambda: not app.runner.is_running)
        job = (await client.get(f"/api/jobs/{asked.json()['id']}")).json()
        assert "the face sets of 1 person are up to date" in job["message"]
    app.context.stop.set()
    async with asyncio.timeout(10):
        await serving


async def test_ended_sessions_are_kept_from_one_start_to_the_next(app: App) -> None:
    ring = Keyring(web_token(app.settings), time.time)
    first, second = ring.issue(), ring.issue()
    await app.store.write(named_values.write_ended_sessions, ring.end(first) or {})
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(Service(app, on_serving=lambda listen: bound.set_result(str(listen))).run())
    async with httpx.AsyncClient(base_url=f"http://{await bound}", trust_env=False) as client:
        cookies = [{"Cookie": f"{SESSION_COOKIE}={session}"} for session in (first, second)]
        assert [(await client.get("/api/jobs", headers=cookie)).status_code for cookie in cookies] == [401, 200]
        assert (await client.post("/logout", headers=cookies[1])).status_code == 303
    app.context.stop.set()
    async with asyncio.timeout(10):
        await serving
    kept = await app.store.read(named_values.read_ended_sessions)
    assert kept.keys() == {session.partition(".")[0] for session in (first, second)}


@pytest.mark.slow
async def test_serve_waits_for_an_immich_that_is_down_and_goes_on_by_itself(app: App, placed: Placed) -> None:
    placed.immich.die_after(12)
    result = await app.runner.run("incremental")
    assert result.outcome is Outcome.OUTAGE
    assert "Immich" in result.message
    assert any(remote.circuit != "closed" for remote in app.board.now.remotes)
    await placed.immich.resume()
    for source in app.sources.values():
        async with asyncio.timeout(60):
            await source.wait_until_up()
    assert (await app.runner.run("incremental")).outcome is Outcome.DONE
    assert all(count == 1 for count in downloads_by_asset(placed).values())


def downloads_by_asset(placed: Placed) -> dict[str, int]:
    asked = placed.immich.requests.assets("original")
    done = {asset_id: asked.count(asset_id) for asset_id in asked}
    done.pop(placed.broken.asset_id, None)
    return done


async def test_each_user_sees_their_own_part_of_what_a_sync_found(app: App) -> None:
    await app.runner.run("incremental")
    libraries = UserLibraries(app.user_database, app.settings, app.board)

    async def labels(user: str) -> set[str | None]:
        return {one.label for one in (await libraries.of(user).identities(IdentitiesQuery())).identities}

    annas, bens = await labels("anna"), await labels("ben")
    assert ("Mira" in annas, "Theo" in annas) == (True, False)
    assert ("Mira" in bens, "Theo" in bens) == (False, True)
