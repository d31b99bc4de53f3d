"""``serve``: recovery from outages, shutdown on signals, and never two syncs at once."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psutil
import pytest
from faulty_proxy import FaultyProxy
from journey import Journey, Unkilled, ended, serving, until

from immich_facesets.runtime.shutdown import ExitCode
from service.demo.immich import FakeImmich

pytestmark = pytest.mark.timeout(600)

IMPATIENT = {"FACESETS_REQUEST_TIMEOUT": "1", "FACESETS_EMBEDDING_TIMEOUT": "3"}
STOP_SECONDS = 10.0


async def last_run(client: httpx.AsyncClient) -> dict[str, Any]:
    runs = (await client.get("/api/jobs")).json()["jobs"]
    return dict(runs[0]) if runs else {"outcome": None}


async def until_run(client: httpx.AsyncClient, outcome: str) -> dict[str, Any]:
    """The last run, once it has this outcome."""

    async def found() -> dict[str, Any] | None:
        run = await last_run(client)
        return run if run["outcome"] == outcome else None

    run: dict[str, Any] = await until(found, pause=0.1)
    return run


async def objected(client: httpx.AsyncClient) -> list[dict[str, str]]:
    """The reasons why the service is not ready."""
    answer = await client.get("/readyz")
    objections: list[dict[str, str]] = answer.json().get("objections", [])
    assert answer.status_code == (503 if objections else 200)
    return objections


async def circuits(client: httpx.AsyncClient) -> dict[str, str]:
    remotes = (await client.get("/api/status")).json()["progress"]["remotes"]
    return {remote["name"]: remote["circuit"] for remote in remotes}


async def say_503(immich: FakeImmich) -> None:
    immich.faults.clear()
    immich.faults.add("all", "status", status=503)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [say_503, pytest.param(FakeImmich.refuse, marks=pytest.mark.slow)])
async def test_it_goes_on_by_itself_when_immich_is_back(
    journey: Journey, unkilled: Unkilled, outage: Callable[[FakeImmich], Awaitable[None]]
) -> None:
    immich = journey.immich
    immich.faults.add("original", "slow", delay=0.1)
    async with serving(journey, IMPATIENT) as (service, client):
        await until(lambda: immich.requests.count("original") >= 8)
        await outage(immich)
        run = await until_run(client, "outage")
        assert "is down since" in run["message"]
        assert "open" in (await circuits(client)).values()
        assert (await client.get("/readyz")).status_code == 503
        done, asked = journey.done(), len(journey.fetched())
        assert done

        immich.faults.clear()
        await immich.refuse()
        await immich.resume()
        await until_run(client, "done")
        assert set((await circuits(client)).values()) == {"closed"}
        assert (await client.get("/readyz")).status_code == 200
        assert done.isdisjoint(journey.fetched()[asked:])
        assert journey.result().differences(unkilled.first) == []
        assert service.is_running


@pytest.mark.slow
async def test_it_goes_on_by_itself_when_the_embedder_is_back(
    journey: Journey, unkilled: Unkilled, embedder_url: str
) -> None:
    async with FaultyProxy(embedder_url) as proxy:

        async def shut() -> None:
            await proxy.shut("refused")

        proxy.trip("POST /v1/faces", 5, shut)
        async with serving(journey, {**IMPATIENT, "FACESETS_EMBEDDER_URLS": proxy.url}) as (_, client):
            await until_run(client, "outage")
            assert (await circuits(client))["embedder"] == "open"
            done, asked = journey.done(), len(journey.fetched())
            await proxy.open()
            await until_run(client, "done")
            assert set((await circuits(client)).values()) == {"closed"}
            assert done.isdisjoint(journey.fetched()[asked:])
            assert journey.result().differences(unkilled.first) == []


@pytest.mark.slow
async def test_a_failure_that_no_circuit_sees_is_not_met_by_one_sync_after_another(
    journey: Journey, unkilled: Unkilled, embedder_url: str
) -> None:
    journey.begin_from(unkilled.embedded)
    async with FaultyProxy(embedder_url) as proxy:
        await proxy.shut("unavailable", only="POST /v1/faces")
        async with serving(journey, {**IMPATIENT, "FACESETS_EMBEDDER_URLS": proxy.url}) as (_, client):
            first = await until_run(client, "outage")
            objections = await until(lambda: objected(client))
            assert objections == [{"message": first["message"], "advice": "The next sync tries again by itself."}]
            await asyncio.sleep(4)
            assert await last_run(client) == first


@pytest.mark.slow
async def test_a_stop_during_a_sync_ends_soon_leaves_no_process_and_continues_later(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.immich.faults.add("original", "slow", delay=0.4)
    async with serving(journey, {"FACESETS_EMBEDDER_URLS": ""}) as (service, _):
        await until(lambda: list((journey.data / "crops").rglob("*.jpg")))
        children = psutil.Process(service.pid).children(recursive=True)
        assert children
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
        assert time.monotonic() - began < STOP_SECONDS
        assert not any(child.is_running() for child in children)
    assert journey.result().last_run == "stopped"
    journey.immich.faults.clear()
    await journey.goes_on(unkilled.first)


async def test_told_to_stop_it_does_not_wait_for_a_server_that_hangs(journey: Journey) -> None:
    async with serving(journey) as (service, _):
        journey.immich.faults.add("all", "hang")
        await until(lambda: journey.immich.requests.in_flight)
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
        assert time.monotonic() - began < STOP_SECONDS
    assert journey.result().last_run == "stopped"


@pytest.mark.slow
async def test_a_sync_told_to_stop_does_not_wait_for_a_server_that_hangs_either(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.immich.faults.add("original", "hang", after=5)
    service = journey.start("sync")
    await until(lambda: journey.immich.requests.count("original") > 5)
    began = time.monotonic()
    service.signal(signal.SIGINT)
    assert await ended(service) == ExitCode.STOPPED, service.stderr[-3000:]
    assert time.monotonic() - began < STOP_SECONDS
    assert service.stderr.splitlines()[-1].startswith("stopped: ")
    journey.immich.faults.clear()
    await journey.goes_on(unkilled.first)


async def test_a_sync_of_faces_by_the_api_reads_the_faces_of_all_pictures_again(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    async with serving(journey) as (_, client):
        first = await until_run(client, "done")
        read = journey.immich.requests.count("faces")
        assert (await client.post("/api/jobs", json={"kind": "faces"})).status_code == 202

        async def ended_after_it() -> dict[str, Any] | None:
            run = await last_run(client)
            return run if run["id"] > first["id"] and run["outcome"] is not None else None

        run: dict[str, Any] = await until(ended_after_it, pause=0.1)
        assert (run["kind"], run["outcome"]) == ("faces", "done")
        shown = [asset for asset in journey.immich.library.assets.values() if not asset.is_trashed]
        assert journey.immich.requests.count("faces") - read >= len(shown)


async def ended_job(client: httpx.AsyncClient, number: int) -> dict[str, Any] | None:
    run = await last_run(client)
    return run if run.get("id") == number and run["outcome"] is not None else None


async def test_an_export_after_a_decision_writes_its_face_sets_without_a_listing(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    async with serving(journey) as (_, client):
        first = await until_run(client, "done")
        (one, *_) = (await client.get("/api/identities")).json()["identities"]
        folder = journey.data / "exports" / f"faceset_{one['number']:03d}"
        assert folder.exists()
        never = {"decisions": [{"action": "never_export", "identity": one["number"]}]}
        assert (await client.post("/api/decisions", json=never)).status_code == 200
        assert not folder.exists()
        again = {"decisions": [{"action": "never_export", "identity": one["number"], "is_on": False}]}
        assert (await client.post("/api/decisions", json=again)).status_code == 200
        asked = journey.immich.requests.count()
        answer = await client.post("/api/jobs", json={"kind": "export", "source": "anna"})
        assert (answer.status_code, "leave the source out" in answer.text) == (400, True)
        assert (await client.post("/api/jobs", json={"kind": "export"})).status_code == 202
        run: dict[str, Any] = await until(lambda: ended_job(client, first["id"] + 1), pause=0.05)
        assert (run["kind"], run["outcome"]) == ("export", "done")
        assert folder.exists()
        assert journey.immich.requests.count() == asked, "Immich is not asked for anything"


@pytest.mark.slow
async def test_a_cancelled_sync_ends_between_two_pictures_and_the_next_goes_on(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.immich.faults.add("original", "slow", delay=0.3)
    async with serving(journey) as (service, client):
        await until(journey.fetched)
        assert (await client.post("/api/jobs/1/cancel")).status_code == 202
        run: dict[str, Any] = await until(lambda: ended_job(client, 1), pause=0.05)
        assert run["outcome"] == "stopped"
        assert service.is_running
        assert (await client.post("/api/jobs/1/cancel")).status_code == 409
        assert (await client.post("/api/jobs/99/cancel")).status_code == 404
        journey.immich.faults.clear()
        assert (await client.post("/api/jobs")).status_code == 202
        run = await until(lambda: ended_job(client, 2), pause=0.05)
        assert run["outcome"] == "done"
    assert len(journey.fetched()) == len(set(journey.fetched())), "nothing is fetched twice"
    assert journey.result().differences(unkilled.first) == []


async def test_it_serves_below_the_path_that_the_settings_name(journey: Journey, unkilled: Unkilled) -> None:
    journey.begin_from(unkilled.synced)
    async with serving(journey, {"FACESETS_BASE_PATH": "/faces"}) as (service, client):
        assert str(client.base_url).endswith("/faces/")
        assert (await client.get("/api/status")).status_code == 200
        root = client.base_url.copy_with(path="/")
        assert (await client.get(root.join("/healthz"))).status_code == 200
        answer = await client.get(root.join("/api/status"))
        assert answer.status_code == 404
        assert "FACESETS_BASE_PATH" in answer.json()["detail"]
        assert service.is_running


@pytest.mark.slow
async def test_there_are_never_two_syncs_at_once(journey: Journey) -> None:
    journey.immich.faults.add("original", "slow", delay=0.5)
    async with serving(journey) as (_, client):
        await until(journey.fetched)
        for _ in range(3):
            assert (await client.post("/api/jobs", json={"kind": "full"})).status_code == 409
        beside = await journey.sync()
        assert beside.code == ExitCode.SETUP
        assert "another immich-facesets is working in the data folder" in beside.stderr
        run = await until_run(client, "done")
        assert run["id"] == 1
        assert (await client.post("/api/jobs", json={"kind": "full"})).status_code == 202
        journey.immich.faults.clear()

        async def ran_again() -> bool:
            run = await last_run(client)
            return bool(run["id"] == 2 and run["outcome"] == "done")

        await until(ran_again, pause=0.1)
    assert len(journey.fetched()) == len(set(journey.fetched()))
