"""The same library through every supported version of Immich: equal face sets, and few requests."""

import asyncio
from pathlib import Path

import pytest
from fork_server import KILLED, ForkServer
from journey import Journey
from real_library import write_users
from service_process import environment
from small_library import ENVIRONMENT, SmallLibrary, place
from sync_result import SyncResult

from service.demo.immich import FakeImmich

VERSIONS = ("2.7.5", "3.1.0", "3.3.5")


async def synced(
    version: str, forks: ForkServer, drawn: SmallLibrary, embedder_url: str, folder: Path, **more: str
) -> tuple[SyncResult, FakeImmich]:
    await asyncio.to_thread(folder.mkdir)
    async with FakeImmich(version) as immich:
        placed = place(immich, drawn)
        environ = environment(
            immich.url, write_users(immich, folder), folder, FACESETS_EMBEDDER_URLS=embedder_url, **ENVIRONMENT, **more
        )
        return await Journey(forks, immich, placed, environ, folder / "data").finish(), immich


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_every_version_gives_the_same_face_sets(
    version: str, forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    oldest, _ = await synced(VERSIONS[0], forks, drawn, embedder_url, tmp_path / "oldest")
    newer, _ = await synced(version, forks, drawn, embedder_url, tmp_path / "newer")
    assert newer.faces == oldest.faces
    assert newer.identities == oldest.identities
    assert newer.files.keys() == oldest.files.keys()


async def test_on_2_7_the_faces_come_with_the_listing(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    _, immich = await synced("2.7.5", forks, drawn, embedder_url, tmp_path / "x")
    assert immich.requests.count("faces") == 0
    assert immich.requests.count("original") == len(set(immich.requests.assets("original")))


async def test_from_3_2_on_pictures_without_faces_are_not_asked_about(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    _, immich = await synced("3.3.5", forks, drawn, embedder_url, tmp_path / "x")
    with_faces = {asset.asset_id for asset in immich.library.assets.values() if asset.faces}
    assert len(with_faces) < len(immich.library.assets)
    assert set(immich.requests.assets("faces")) == with_faces


@pytest.mark.slow
async def test_from_3_2_on_a_sync_killed_while_faceless_pictures_are_settled_goes_on(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    unkilled, _ = await synced("3.3.5", forks, drawn, embedder_url, tmp_path / "unkilled")
    (tmp_path / "killed").mkdir()
    async with FakeImmich("3.3.5") as immich:
        placed = place(immich, drawn)
        users = write_users(immich, tmp_path / "killed")
        environ = environment(
            immich.url, users, tmp_path / "killed", FACESETS_EMBEDDER_URLS=embedder_url, **ENVIRONMENT
        )
        journey = Journey(forks, immich, placed, environ, tmp_path / "killed" / "data")
        assert (await journey.sync(die_at=("record_no_faces", "during", 1))).code == KILLED
        late = next(asset for asset in placed.assets if asset.faces and asset.owner == "ben")
        known, late.faces = late.faces, []
        assert (await journey.sync()).code == 0
        late.faces = known
        whole = {"FACESETS_FULL_LISTING_INTERVAL": "1"}
        assert (await journey.sync(settings=whole, die_at=("make_due", "during", 1))).code == KILLED
        assert (await journey.finish("--full")).hints == unkilled.hints


@pytest.mark.slow
async def test_guided_detection_finds_the_same_people(
    forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path
) -> None:
    full, _ = await synced("3.1.0", forks, drawn, embedder_url, tmp_path / "full")
    guided, _ = await synced("3.1.0", forks, drawn, embedder_url, tmp_path / "guided", FACESETS_DETECTION="guided")
    assert guided.identities == full.identities
    assert guided.faces.keys() == full.faces.keys()


@pytest.mark.slow
async def test_a_sync_killed_while_a_guided_search_is_due_again_goes_on(
    journey: Journey,
) -> None:
    guided = {"FACESETS_DETECTION": "guided"}
    late = next(asset for asset in journey.placed.assets if len(asset.faces) == 2)
    face = late.faces.pop()
    assert (await journey.sync(settings=guided)).code == 0
    faces = len(journey.result().faces)
    late.faces.append(face)
    assert (await journey.sync("--faces", settings=guided, die_at=("mark_unasked", "during", 1))).code == KILLED
    asked = len(journey.fetched())
    assert (await journey.sync(settings=guided)).code == 0
    assert len(journey.result().faces) == faces + 1
    assert journey.fetched()[asked:] == [late.asset_id]
    assert (await journey.sync("--faces", settings=guided)).code == 0
    assert len(journey.fetched()) == asked + 1, "a box once asked about is not asked about again"
