"""A change of the embedding model: everything is embedded again in the background, and only one space is visible."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fork_server import ANOTHER_MODEL, KILLED, ForkedProcess, ForkServer
from journey import Journey, Unkilled, announced_embedder, serving, until
from service_process import tree
from small_library import LATE, add_shot
from sync_result import SyncResult, read

from immich_facesets.faces import Box
from service.store import spaces
from service.store.database import Store, open_engine
from service.store.members import list_identities
from service.store.spaces import active_space

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def other(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings for an embedder that serves another space."""
    place = tmp_path_factory.mktemp("other") / "address.json"
    process, url = announced_embedder(forks, place, settings={ANOTHER_MODEL: "drawn-2"})
    yield {"FACESETS_EMBEDDER_URLS": url}
    process.close()


async def sync(journey: Journey, *arguments: str, **options: Any) -> ForkedProcess:
    service = await journey.sync(*arguments, **options)
    assert service.code == 0, service.stderr[-3000:]
    return service


def shown(journey: Journey) -> dict[str, Any]:
    """The visible result: identities with their faces' places, and every file of the exports."""
    outcome = journey.result()
    return {
        "identities": read(journey.data, list_identities),
        "faces": outcome.faces,
        "exports": tree(journey.data / "exports"),
    }


async def status(journey: Journey) -> dict[str, Any]:
    told = journey.start("status", "--json")
    assert await until(lambda: not told.is_running)
    report: dict[str, Any] = json.loads(told.stdout)
    return report


def identity_of(outcome: SyncResult, sha256: str, box: Box) -> int | None:
    """The identity of the face that is at this place."""
    found: list[int | None] = [
        row[0] for (content, *edges), row in outcome.faces.items() if content == sha256 and Box(*edges).iou(box) > 0.8
    ]
    (identity,) = found
    return identity


def check_carried(before: SyncResult, after: SyncResult) -> None:
    """Check that every face keeps its identity and number, and that exports are of the same people."""
    assert len(before.faces) == len(after.faces)
    assert before.faces.keys().isdisjoint(after.faces)
    for (sha256, *edges), row in before.faces.items():
        assert identity_of(after, sha256, Box(*edges)) == row[0]
    assert before.identities == after.identities
    assert before.people == after.people
    assert before.exports.keys() == after.exports.keys()
    assert after.loose_ends() == []


@pytest.mark.slow
async def test_another_model_takes_over_with_every_number_and_the_former_one_comes_back_for_nothing(
    journey: Journey, unkilled: Unkilled, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    before, space = journey.result(), read(journey.data, active_space)
    await sync(journey, settings=other)
    after, its_space = journey.result(), read(journey.data, active_space)
    check_carried(before, after)
    assert its_space != space
    manifests = list((journey.data / "exports").glob("*/manifest.json"))
    assert manifests
    assert {json.loads(path.read_bytes())["space"] for path in manifests} - {None} == {its_space}
    asked = len(journey.fetched())
    assert asked == len(set(journey.fetched()))
    assert len(journey.immich.library.assets) > 0
    await sync(journey, settings=other)
    assert journey.result().differences(after) == []
    await sync(journey)
    assert read(journey.data, active_space) == space
    back = journey.result()
    assert {place: row[0] for place, row in back.faces.items()} == {
        place: row[0] for place, row in before.faces.items()
    }
    assert back.exports == before.exports
    assert len(journey.fetched()) == asked, "its vectors were still there"


@pytest.mark.slow
async def test_until_the_other_space_is_complete_all_stays_as_it_is(
    journey: Journey, unkilled: Unkilled, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    before = shown(journey)
    late = add_shot(journey.immich, journey.placed.library, len(journey.placed.library.shots) - LATE)  # Ben's
    late.created_at = late.updated_at = journey.placed.assets[0].created_at
    told = await sync(journey, "--full", "--source", "anna", settings=other)
    assert "Re-embedding for space" in told.stdout
    assert shown(journey) == before
    report = await status(journey)
    assert 0 < report["reembedding"]["done"] < report["reembedding"]["total"]
    assert report["runs"][0]["outcome"] == "done"
    again = await sync(journey, "--source", "anna", settings=other)
    assert "Re-embedding for space" in again.stdout
    assert shown(journey) == before
    await sync(journey, settings=other)
    assert (await status(journey))["reembedding"] is None
    assert late.asset_id in journey.fetched()
    assert len(journey.result().faces) > len(before["faces"])


async def test_a_return_before_the_other_space_is_complete_loses_nothing(
    journey: Journey, unkilled: Unkilled, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    before = shown(journey)
    await sync(journey, "--source", "anna", settings=other)
    asked = len(journey.fetched())
    await sync(journey)
    assert len(journey.fetched()) == asked
    assert (await status(journey))["reembedding"] is None
    assert shown(journey) == before


@pytest.mark.parametrize("is_complete", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "complete"])
@pytest.mark.slow
async def test_a_service_killed_on_its_way_to_another_space_ends_like_one_never_killed(
    journey: Journey, unkilled: Unkilled, other: dict[str, str], tmp_path: Path, *, is_complete: bool
) -> None:
    journey.begin_from(unkilled.synced)
    await sync(journey, settings=other)
    undisturbed = journey.result()
    journey.data.rename(tmp_path / "undisturbed")
    journey.begin_from(unkilled.synced)
    before, space = shown(journey), read(journey.data, active_space)
    asked = len(journey.fetched())
    for name, nth, moments in (
        ("announce_space", 1, ("before", "during", "after")),
        ("record_content", 1, ("before", "during", "after")),
        ("record_content", 4, ("during", "after")),
        ("use_space", 1, ("before", "during")),
    ):
        for moment in moments if is_complete else ("during",):
            assert (await journey.sync(settings=other, die_at=(name, moment, nth))).code == KILLED, name
            assert shown(journey) == before
            assert read(journey.data, active_space) == space
    assert (await status(journey))["reembedding"]["space"] != space
    for name, moment in (("use_space", "after"), ("record_export", "during"), ("record_export", "after")):
        assert (await journey.sync(settings=other, die_at=(name, moment, 1))).code == KILLED, name
        assert read(journey.data, active_space) != space
    await sync(journey, settings=other)
    assert journey.result().differences(undisturbed) == []
    again = journey.fetched()[asked:]
    assert len(again) - len(set(again)) <= 4 * 6  # those in flight at the first six kills


async def test_serve_says_how_far_the_other_space_is(
    journey: Journey, unkilled: Unkilled, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    await sync(journey, "--source", "anna", settings=other)
    journey.immich.faults.add("original", "slow", delay=5.0)
    async with serving(journey, other) as (_, client):
        facts = (await client.get("/api/status")).json()["facts"]
        assert facts["reembedding"]["done"] < facts["reembedding"]["total"]
        assert facts["library"]["identities"] > 0
        page = (await client.get("/", headers={"Accept": "text/html"})).text
        assert "Re-embedding for space" in page
        journey.immich.faults.clear()


@pytest.mark.slow
async def test_members_whose_pictures_cannot_be_read_keep_their_identity_through_the_switch(
    journey: Journey, unkilled: Unkilled, other: dict[str, str]
) -> None:
    journey.begin_from(unkilled.synced)
    before = journey.result()
    numbers = {number for row in before.faces.values() if (number := row[0]) is not None}
    away = [asset for number, asset in enumerate(journey.placed.assets) if number in range(16, 21)]
    for asset in away:
        asset.is_offline = True
        journey.immich.touch(asset)
    told = await sync(journey, "--full", settings=other)
    assert "cannot be read now: 5" in told.stdout
    assert journey.result().exports == before.exports, "the switch waits"

    wait_no_longer(journey.data)
    await sync(journey, settings=other)
    switched = journey.result()
    left = {row[0] for row in switched.faces.values()} - {None}
    assert len(numbers - left) == 1, "the person whose pictures are all offline"

    for asset in away:
        asset.is_offline = False
        journey.immich.touch(asset)
    await sync(journey, "--full", settings=other)
    check_carried(before, journey.result())


def wait_no_longer(data: Path) -> None:
    """Move the announcement of the other space to a time that is long past."""
    store = Store(open_engine(f"sqlite:///{data / 'facesets.db'}"))
    try:
        space = store.read_now(spaces.coming_space)
        store.write_now(spaces.announce_space, space, datetime(2020, 1, 1, tzinfo=UTC))
    finally:
        store.close()
