"""An outage of PostgreSQL: one clear line and exit code 2, or a service that waits; no data is lost."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import Cluster, postgres_cluster, postgres_programs
from journey import Journey, ended, serving, until
from sqlalchemy import create_engine, text

from immich_facesets.runtime.shutdown import ExitCode

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

MESSAGE = "the database does not answer: check FACESETS_DATABASE_URL and the database server"


@pytest.fixture
def postgres() -> Iterator[Cluster]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pytest-pg-") as folder, postgres_cluster(Path(folder), programs) as found:
        admin = create_engine(found.address.format(name="postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE facesets"))
        admin.dispose()
        yield found


def settings_for(postgres: Cluster) -> dict[str, str]:
    return {"FACESETS_DATABASE_URL": postgres.address.format(name="facesets")}


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 6, 12, 20])
async def test_a_sync_without_its_database_ends_with_one_line_and_the_next_goes_on(
    journey: Journey, postgres: Cluster, nth: int
) -> None:
    settings = settings_for(postgres)
    journey.immich.faults.add("original", "slow", delay=0.1)
    service = journey.start("sync", settings=settings)
    await until(lambda: len(journey.fetched()) >= nth)
    await asyncio.to_thread(postgres.stop)
    assert await ended(service) == ExitCode.OUTAGE, service.stderr[-3000:]
    lines = [line for line in service.stderr.splitlines() if line.startswith("outage:")]
    assert lines == [f"outage: {MESSAGE}"]
    assert "Traceback" not in service.stderr
    without = await journey.sync(settings=settings)
    assert without.code == ExitCode.OUTAGE
    assert MESSAGE in without.stderr
    assert "Traceback" not in without.stderr
    await asyncio.to_thread(postgres.start)
    again = await journey.sync(settings=settings)
    assert again.code == 0, again.stderr[-3000:]


async def test_a_service_without_its_database_says_so_stays_alive_and_recovers_by_itself(
    journey: Journey, postgres: Cluster
) -> None:
    async with serving(journey, settings_for(postgres)) as (service, client):
        await until(lambda: outcomes(client))
        assert await outcomes(client) == ["done"]
        assert (await client.get("/readyz")).status_code == 200
        for number in range(1, 3):
            await asyncio.to_thread(postgres.stop)
            assert (await client.get("/healthz")).status_code == 200
            answer = await client.get("/readyz")
            assert (answer.status_code, MESSAGE in answer.text) == (503, True)
            assert (await client.get("/api/status")).status_code == 503
            refused = await client.post("/api/jobs", json={"kind": "full"})
            assert (refused.status_code, refused.json()["reason"]) == (503, "not_begun"), refused.text
            await until(lambda: service.stderr.count('"database_down"') == number)  # noqa: B023 - of this turn
            assert (await client.get("/healthz")).status_code == 200
            await asyncio.to_thread(postgres.start)
            await until(lambda: ready_again(client, 1 + number))  # noqa: B023 - of this turn
            assert service.stderr.count('"database_back"') == number
        assert "Traceback" not in service.stderr
        assert service.is_running


async def outcomes(client: httpx.AsyncClient) -> list[str]:
    """The outcomes of all finished syncs, the oldest first."""
    runs: list[dict[str, Any]] = (await client.get("/api/jobs")).json()["jobs"]
    return [run["outcome"] for run in reversed(runs) if run["outcome"]]


async def ready_again(client: httpx.AsyncClient, syncs: int) -> bool:
    answer = await client.get("/readyz")
    return answer.status_code == 200 and await outcomes(client) == ["done"] * syncs
