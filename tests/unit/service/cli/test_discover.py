"""``discover``: its prediction equals the next sync, and it changes no data."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fork_server import ForkedProcess, ForkServer
from journey import Journey, begun, ended
from small_library import SmallLibrary
from sqlalchemy import Connection, delete, func, select, update
from sync_result import read
from synced_library import NO_REMOTES, SyncedLibrary

from service.store.database import Store, open_engine
from service.store.tables import assets, faces, fingerprints, identities, memberships, metadata

pytestmark = pytest.mark.timeout(600)

CHANGED = {"FACESETS_MIN_FACES": "4"}
"""Other rules than those of the sync before: every asset is decided again."""


def everything(tx: Connection) -> dict[str, list[Any]]:
    return {table.name: [tuple(row) for row in tx.execute(select(table))] for table in metadata.sorted_tables}


def forget_some(tx: Connection) -> None:
    """Every discovered identity, and two faces of each other identity."""
    found = select(identities.c.number).where(identities.c.origin == "discovered")
    tx.execute(delete(memberships).where(memberships.c.identity.in_(found)))
    tx.execute(delete(identities).where(identities.c.origin == "discovered"))
    members: dict[int, list[int]] = {}
    for face, number in tx.execute(select(memberships.c.face_id, memberships.c.identity)):
        members.setdefault(number, []).append(face)
    some = [face for several in members.values() for face in several[:2]]
    tx.execute(delete(memberships).where(memberships.c.face_id.in_(some)))


def lose_one(tx: Connection) -> int:
    """Delete a picture of one asset alone with unassigned faces only; return its number of faces."""
    sha256, count = tx.execute(
        select(faces.c.sha256, func.count(faces.c.face_id.distinct()))
        .join(fingerprints, fingerprints.c.sha256 == faces.c.sha256)
        .join(assets, assets.c.fingerprint == fingerprints.c.fingerprint)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .group_by(faces.c.sha256)
        .having(func.count(memberships.c.face_id) == 0, func.count(assets.c.asset_id.distinct()) == 1)
        .order_by(faces.c.sha256)
        .limit(1)
    ).one()
    shown = select(fingerprints.c.fingerprint).where(fingerprints.c.sha256 == sha256)
    tx.execute(update(assets).where(assets.c.fingerprint.in_(shown)).values(is_gone=True))
    return int(count)


def members(tx: Connection) -> dict[int, tuple[int, str]]:
    rows = tx.execute(select(memberships.c.face_id, memberships.c.identity, memberships.c.how))
    return {row.face_id: (row.identity, row.how) for row in rows}


@pytest.fixture
async def journey(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, synced_library: SyncedLibrary, tmp_path: Path
) -> AsyncIterator[Journey]:
    async with begun(forks, drawn, embedder_url, tmp_path) as found:
        found.begin_from(synced_library.data)
        store = Store(open_engine(f"sqlite:///{found.data / 'facesets.db'}"))
        store.write_now(forget_some)
        store.close()
        yield found


async def discover(journey: Journey, *arguments: str, code: int = 0) -> ForkedProcess:
    service = journey.start("discover", *arguments, settings=CHANGED)
    assert await ended(service) == code, (service.stdout + service.stderr)[-3000:]
    return service


async def told_beforehand(journey: Journey, **settings: str) -> Any:
    """Return the output of a dry run without any remote."""
    service = journey.start("discover", "--dry-run", "--json", settings={**CHANGED, **NO_REMOTES, **settings})
    assert await ended(service) == 0, (service.stdout + service.stderr)[-3000:]
    return json.loads(service.stdout)


def compare(told: Any, before: dict[int, tuple[int, str]], after: dict[int, tuple[int, str]]) -> None:
    """Compare the predicted changes with the memberships before and after."""
    joined: dict[int, Counter[str]] = {}
    for face, (number, how) in after.items():
        if before.get(face, (None,))[0] != number:
            joined.setdefault(number, Counter())[how] += 1
    new = {one["identity"]: one["faces"] for one in told["new"]}
    assert new == {number: how.total() for number, how in joined.items() if number in new}
    assert {one["identity"]: one["how"] for one in told["joins"]} == {
        number: dict(how) for number, how in joined.items() if number not in new
    }
    assert told["leaves"] == len(before.keys() - after.keys())


async def test_a_sync_does_exactly_what_was_told_before(journey: Journey) -> None:
    before = read(journey.data, everything)
    told = await told_beforehand(journey)
    assert read(journey.data, everything) == before
    assert told["looks_at_all"]
    assert len(told["new"]) >= 2
    assert told["joins"]
    earlier = read(journey.data, members)
    service = await journey.sync(settings=CHANGED)
    assert service.code == 0, service.stderr[-3000:]
    compare(told, earlier, read(journey.data, members))
    again = await told_beforehand(journey)
    assert (again["new"], again["joins"], again["leaves"]) == ([], [], 0)
    assert not again["looks_at_all"]


async def test_sizes_and_survivors_of_each_gate_are_told(journey: Journey) -> None:
    told = await told_beforehand(journey)
    left = told["survivors"]
    assert left["faces"] >= left["large"] >= left["sharp"] >= left["lit"] >= left["sure"] >= left["clear"] > 0
    for one in told["new"]:
        gates = one["gates"]
        assert gates["faces"] >= gates["clear"] >= gates["near"] >= gates["pictures"] >= told["min_faces"] == 4
    strict = await told_beforehand(journey, FACESETS_MIN_FACES="50")
    assert strict["new"] == []
    most = max(one["gates"]["faces"] for one in told["new"])
    assert strict["clusters"][0]["faces"] >= most
    assert all(cluster["faces"] > 1 and cluster["pictures"] < 50 for cluster in strict["clusters"])
    blurred = await told_beforehand(journey, FACESETS_MIN_BLUR="1e9")
    assert (blurred["survivors"]["sharp"], blurred["new"]) == (0, [])
    printed = (await discover(journey, "--dry-run")).stdout
    assert "Nothing changes" in printed
    assert f"New identities: {len(told['new'])}" in printed


async def test_discover_groups_what_is_there_without_asking_anybody_for_news(journey: Journey) -> None:
    whole = await told_beforehand(journey)
    store = Store(open_engine(f"sqlite:///{journey.data / 'facesets.db'}"))
    gone = store.write_now(lose_one)
    store.close()
    told = await told_beforehand(journey)
    assert told["faces"] == whole["faces"] - gone > 0, "faces that the next sync drops do not count"
    earlier, asked = read(journey.data, members), len(journey.immich.requests)
    printed = (await discover(journey)).stdout
    compare(told, earlier, read(journey.data, members))
    assert len(journey.immich.requests) == asked
    assert f"{len(told['new'])} new identit" in printed


async def test_json_is_about_a_dry_run(journey: Journey) -> None:
    assert "--dry-run" in (await discover(journey, "--json", code=3)).stderr
