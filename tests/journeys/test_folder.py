"""A folder source from its first sync to its removal, alone and beside Immich."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fork_server import KILLED, ForkedProcess, ForkServer
from journey import Journey, ended, serving, until
from small_library import ENVIRONMENT, SmallLibrary
from sqlalchemy import Connection, select
from sync_result import SyncResult, read, read_result

from immich_facesets.exports.identities_file import IDENTITIES
from service.store.members import list_identities
from service.store.runs import last_runs
from service.store.tables import assets, contents, failures, memberships


@dataclass(frozen=True)
class Trip:
    """A service and a folder for it; ``environ`` names an Immich or none."""

    forks: ForkServer
    environ: Mapping[str, str]
    data: Path
    root: Path

    async def run(self, *arguments: str, die_at: tuple[Any, ...] = ()) -> ForkedProcess:
        service = self.forks.start("service", *arguments, environ=self.environ, die_at=die_at)
        await ended(service)
        return service

    async def add(self, path: Path | None = None, *options: str) -> None:
        service = await self.run("sources", "add-folder", str(path or self.root), "--name", "album", *options)
        assert service.code == 0, service.stderr

    async def sync(self, *, code: int = 0) -> dict[str, int]:
        """One sync and what it counted."""
        service = await self.run("sync")
        assert service.code == code, service.stderr[-3000:]
        return dict(read(self.data, last_runs)[0].counts)

    def result(self) -> SyncResult:
        return read_result(self.data)

    def files(self) -> dict[str, bytes]:
        """Every exported file but the manifests and the list of identities, which tell of pictures."""
        tree = self.data / "exports"
        found = (path for path in tree.rglob("*") if path.is_file() and path.name not in {"manifest.json", IDENTITIES})
        return {path.relative_to(tree).as_posix(): path.read_bytes() for path in found}

    def shown(self, user: str = "album") -> set[str]:
        """The picture paths in a user's manifest."""
        manifest = json.loads((self.data / "exports" / "users" / user / "manifest.json").read_text(encoding="utf-8"))
        return {place["path"] for faceset in manifest["facesets"] for place in faceset["assets"]}

    def listed(self) -> dict[str, bool]:
        """The pictures of the folder, and whether they are gone."""

        def ask(tx: Connection) -> dict[str, bool]:
            rows = tx.execute(select(assets.c.asset_id, assets.c.is_gone).where(assets.c.source == "album"))
            return {row.asset_id: row.is_gone for row in rows}

        found: dict[str, bool] = read(self.data, ask)
        return found

    def failed(self) -> set[tuple[str, str]]:
        """The failed pictures and the reason of each."""
        rows = read(self.data, lambda tx: tx.execute(select(failures.c.item, failures.c.reason)).all())
        return {(row.item, row.reason) for row in rows}


def fill(root: Path, library: SmallLibrary) -> None:
    for number, file in enumerate(library.files):
        folder = root / ("Summer", "Winter")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.name)


@pytest.fixture
def trip(forks: ForkServer, drawn: SmallLibrary, embedder_url: str, tmp_path: Path) -> Trip:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FACESETS_", "IMMICH_"))}
    environ |= {**ENVIRONMENT, "FACESETS_EMBEDDER_URLS": embedder_url, "FACESETS_MIN_FACES": "3"}
    environ["FACESETS_DATA_DIR"] = str(tmp_path / "data")
    root = tmp_path / "album"
    fill(root, drawn)
    return Trip(forks, environ, tmp_path / "data", root)


@pytest.fixture
async def synced(trip: Trip) -> Trip:
    await trip.add()
    await trip.sync()
    return trip


async def test_a_folder_alone_becomes_face_sets_and_a_sync_without_news_changes_nothing(trip: Trip) -> None:
    assert (await trip.run("sync")).code == 3
    await trip.add()
    counts = await trip.sync()
    pictures = len(trip.listed())
    assert counts["discover_new"] == counts["embed_embedded"] == pictures
    assert counts["publish_facesets"] >= 4
    assert any(path.startswith("Summer/") for path in trip.shown())
    before = trip.result()
    for path in trip.root.rglob("*.jpg"):
        path.chmod(0)  # this changes only the time of change, which must not hide a changed file
        path.chmod(0o644)
    assert (await trip.sync())["discover_listed"] == pictures
    again = await trip.sync()
    assert (again["discover_listed"], again["discover_changed"], again["embed_fetched"]) == (pictures, 0, 0)
    assert trip.result().differences(before) == []


@pytest.mark.slow
async def test_files_that_are_renamed_and_moved_are_known_again(synced: Trip) -> None:
    before, files = synced.result(), synced.files()
    (synced.root / "Summer").rename(synced.root / "Holidays")
    moved = min((synced.root / "Winter").iterdir())
    moved.rename(synced.root / "first of all.jpg")
    counts = await synced.sync()
    assert (counts["embed_fetched"], counts["embed_embedded"], counts["group_dropped_contents"]) == (0, 0, 0)
    assert counts["discover_gone"] == counts["discover_new"] > 1
    after = synced.result()
    assert after.faces == before.faces
    assert after.identities == before.identities
    assert synced.files().keys() == files.keys()
    assert not any(path.startswith("Summer/") for path in synced.shown())
    assert any(path.startswith("Holidays/") for path in synced.shown())


@pytest.mark.slow
async def test_nothing_changes_when_the_root_moves(synced: Trip, tmp_path: Path) -> None:
    before = synced.result()
    shutil.move(synced.root, tmp_path / "elsewhere")
    await synced.add(tmp_path / "elsewhere")
    counts = await synced.sync()
    assert (counts["discover_changed"], counts["discover_gone"], counts["publish_written"]) == (0, 0, 0)
    assert synced.result().differences(before) == []


@pytest.mark.slow
async def test_every_place_of_the_same_bytes_is_in_the_manifests(synced: Trip) -> None:
    shutil.copy(synced.root / "Summer" / "IMG_000.jpg", synced.root / "a copy.jpg")
    counts = await synced.sync()
    assert (counts["discover_new"], counts["embed_fetched"]) == (1, 0)
    assert {"a copy.jpg", "Summer/IMG_000.jpg"} <= synced.shown()


@pytest.mark.parametrize(
    "trouble", ["missing", *(pytest.param(one, marks=pytest.mark.slow) for one in ("empty", "without pictures"))]
)
async def test_an_unmounted_folder_loses_nothing(synced: Trip, tmp_path: Path, trouble: str) -> None:
    before = synced.result()
    synced.root.rename(tmp_path / "away")
    if trouble != "missing":
        synced.root.mkdir()
    if trouble == "without pictures":
        (synced.root / "not mounted.txt").touch()
    service = await synced.run("sync")
    assert service.code == 2
    assert "is it mounted?" in service.stderr
    assert not any(synced.listed().values())
    if trouble != "missing":
        shutil.rmtree(synced.root)
    (tmp_path / "away").rename(synced.root)
    assert (await synced.sync())["embed_fetched"] == 0
    assert synced.result().differences(before) == []


@pytest.mark.slow
async def test_deleted_files_are_gone_after_the_next_sync(synced: Trip) -> None:
    deleted = {"Summer/IMG_000.jpg", "Winter/IMG_001.jpg"}
    for name in deleted:
        (synced.root / name).unlink()
    assert (await synced.sync())["discover_gone"] == 2
    assert {name for name, is_gone in synced.listed().items() if is_gone} == deleted
    assert deleted.isdisjoint(synced.shown())


@pytest.mark.slow
async def test_loops_unreadable_folders_and_odd_names_stop_nothing(trip: Trip) -> None:
    (trip.root / "Winter" / "round and round").symlink_to(trip.root)
    (trip.root / "lost").symlink_to(trip.root / "nowhere.jpg")
    (trip.root / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (trip.root / "clip.mp4").write_bytes(b"video")
    odd = Path(os.fsdecode(os.fsencode(trip.root / "Summer") + b"/\xff\n.jpg"))
    (trip.root / "Summer" / "IMG_000.jpg").rename(odd)
    closed = trip.root / "Closed"
    closed.mkdir()
    (trip.root / "Summer" / "IMG_002.jpg").rename(closed / "IMG_002.jpg")
    await trip.add()
    await trip.sync()
    assert "Summer/\\xff\\x0a.jpg" in trip.shown()
    assert "Closed/IMG_002.jpg" in trip.listed()
    assert trip.failed() == {(reasoned, reason) for reasoned, reason in trip.failed() if reason == "corrupt"}
    assert len(trip.failed()) == 1
    pictures = len(trip.listed())
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("nothing is unreadable for root; the unit tests of the folder source cover it")
        counts = await trip.sync()
        assert ("Closed", "denied") in trip.failed()
        assert counts["discover_gone"] == 0
        assert "Closed: access is denied" in (await trip.run("status")).stdout
    finally:
        closed.chmod(0o755)
    await trip.sync()
    assert ("Closed", "denied") not in trip.failed()
    assert len(trip.listed()) == pictures


@pytest.mark.slow
async def test_links_that_are_no_longer_followed_are_named_and_nothing_behind_them_is_lost(
    trip: Trip, tmp_path: Path
) -> None:
    (trip.root / "Winter").rename(tmp_path / "elsewhere")
    (trip.root / "Winter").symlink_to(tmp_path / "elsewhere")
    await trip.add(None, "--follow-links")
    await trip.sync()
    before = trip.result()
    assert any(path.startswith("Winter/") for path in trip.shown())
    await trip.add()
    assert "mixed, follows links" in (await trip.run("sources", "list")).stdout, "what no option says stays"
    await trip.add(None, "--no-follow-links")  # as a folder is that an earlier version added
    counts = await trip.sync()
    assert (counts["discover_gone"], counts["publish_written"]) == (0, 0)
    assert [part for part in trip.result().differences(before) if not part.startswith("failures")] == []
    assert trip.failed() == {("Winter", "link_outside")}
    assert "--follow-links" in (await trip.run("status")).stdout
    await trip.add(None, "--follow-links")
    await trip.sync()
    assert trip.result().differences(before) == []


KILLS = (
    ("remember_source", "before", 1),
    ("record_unlisted", "during", 1),
    ("remember_page", "during", 1),
    ("remember_page", "after", 1),
    ("finish_listing", "during", 1),
    ("record_content", "after", 3),
    ("record_content", "during", 5),
    ("use_space", "during", 1),
    ("record_export", "after", 1),
    ("see_again", "during", 1),
    ("mark_gone", "after", 1),
)


@pytest.mark.slow
async def test_a_killed_sync_of_a_folder_goes_on_and_ends_like_one_never_killed(trip: Trip, tmp_path: Path) -> None:
    (trip.root / "empty.jpg").touch()
    await trip.add()
    fresh = shutil.copytree(trip.data, tmp_path / "fresh")
    await trip.sync()
    unkilled = trip.result()
    shutil.rmtree(trip.data)
    fresh.rename(trip.data)
    for name, moment, nth in KILLS[:-1]:
        assert (await trip.run("sync", die_at=(name, moment, nth))).code == KILLED, (name, moment)
    counts = await trip.sync()
    assert counts["embed_fetched"] == 0
    differences = trip.result().differences(unkilled)
    assert [part for part in differences if not part.startswith(("failures", "ledger"))] == []
    (trip.root / "Summer" / "IMG_000.jpg").unlink()
    assert (await trip.run("sync", die_at=KILLS[-1])).code == KILLED
    await trip.sync()
    assert trip.listed()["Summer/IMG_000.jpg"]
    assert trip.result().loose_ends() == []


@pytest.mark.parametrize(
    "moment", ["during", *(pytest.param(moment, marks=pytest.mark.slow) for moment in ("before", "after"))]
)
async def test_a_folder_that_is_removed_leaves_nothing_in_the_exports(synced: Trip, moment: str) -> None:
    assert synced.shown()
    assert (await synced.run("sources", "remove", "album")).code == 0
    assert (await synced.run("sync", die_at=("forget_removed", moment, 1))).code == KILLED
    if moment != "after":
        await synced.sync()
        assert synced.files() == {}
        assert not (synced.data / "exports" / "users" / "album").exists()
        assert synced.result().crops == set()
    assert synced.listed() == {}
    assert all(path.is_file() for path in synced.root.rglob("*.jpg"))


@pytest.mark.slow
async def test_the_same_bytes_in_immich_and_in_a_folder_are_embedded_once(
    journey: Journey, drawn: SmallLibrary, tmp_path: Path
) -> None:
    trip = Trip(journey.forks, journey.environ, journey.data, tmp_path / "album")
    fill(trip.root, drawn)
    await trip.sync()
    known = {row.number: row.label for row in read(trip.data, list_identities)}
    many = read(trip.data, lambda tx: len(tx.execute(select(contents)).all()))
    await trip.add()
    counts = await trip.sync()
    late = 3  # two are only in the folder, and one has no face in Immich
    assert counts["discover_new"] == len(drawn.files)
    assert counts["embed_embedded"] == late
    assert read(trip.data, lambda tx: len(tx.execute(select(contents)).all())) == many + late
    assert {row.number: row.label for row in read(trip.data, list_identities)} == known
    assert any(path.startswith("Winter/") for path in trip.shown())
    assert (await trip.run("sync", "--source", "album")).code == 0
    assert (await trip.run("sources", "add-folder", str(trip.root), "--name", "anna")).code != 0


@pytest.fixture
async def beside(journey: Journey, drawn: SmallLibrary, tmp_path: Path) -> Trip:
    trip = Trip(journey.forks, journey.environ, journey.data, tmp_path / "album")
    fill(trip.root, drawn)
    await trip.add()
    await trip.sync()
    return trip


@pytest.mark.slow
async def test_an_unmounted_folder_does_not_keep_immich_from_being_synced(beside: Trip, journey: Journey) -> None:
    shutil.rmtree(beside.root)
    journey.immich.delete_asset(journey.placed.assets[0])
    service = await beside.run("sync", "--full")
    assert service.code == 2
    counts = read(beside.data, last_runs)[0].counts
    assert counts["discover_gone"] == 1
    assert counts["publish_facesets"] > 0
    assert not any(beside.listed().values())


@pytest.mark.slow
async def test_an_immich_that_is_down_does_not_keep_a_folder_from_being_synced(
    beside: Trip, journey: Journey, drawn: SmallLibrary
) -> None:
    before, of_immich = beside.listed(), select(assets).where(assets.c.source != "album")
    known = read(beside.data, lambda tx: len(tx.execute(of_immich.where(assets.c.is_gone.is_(False))).all()))
    new = beside.root / "Winter" / "new.jpg"
    shutil.copy(drawn.files[-1], new)
    with new.open("ab") as file:
        file.write(b"other bytes")
    deleted = min(name for name in before if name.startswith("Summer/"))
    (beside.root / deleted).unlink()
    await journey.immich.refuse()
    service = await beside.run("sync", "--full")
    assert service.code == 2
    assert service.stderr.splitlines()[-1].startswith("outage: Immich at ")
    counts = read(beside.data, last_runs)[0].counts
    assert (counts["discover_new"], counts["discover_gone"], counts["embed_embedded"]) == (1, 1, 1)
    assert "Winter/new.jpg" in beside.shown()
    after = beside.listed()
    assert [asset_id for asset_id, is_gone in after.items() if is_gone] == [deleted]
    assert read(beside.data, lambda tx: len(tx.execute(of_immich.where(assets.c.is_gone.is_(False))).all())) == known
    assert known > 0
    await journey.immich.resume()
    assert (await beside.run("sync")).code == 0


@pytest.mark.slow
async def test_a_service_syncs_at_once_when_a_source_is_back_that_others_went_on_without(
    beside: Trip, journey: Journey
) -> None:
    await journey.immich.refuse()
    async with serving(replace(journey, environ=beside.environ)) as (_, client):
        await until(lambda: idle(client, 2))
        await journey.immich.resume()
        await until(lambda: idle(client, 3), 400)
        runs = (await client.get("/api/status")).json()["facts"]["runs"]
        assert [run["outcome"] for run in runs][:2] == ["done", "outage"]


def sort_by_hand(root: Path, library: SmallLibrary) -> None:
    """
    One folder for each of two people, with bystanders and a wrong picture, and all other pictures beside them.

    One and the same bystander is on all pictures of "Mira" but one.
    """
    people = {"Mira": (*range(6, 11), 24), "Child": range(16, 21)}
    for number, file in enumerate(library.files):
        owner = next((name for name, numbers in people.items() if number in numbers), "")
        folder = root / owner if owner else root
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.name)
    shutil.copy(library.files[21], root / "Child" / "wrong.jpg")
    (root / "_left over").mkdir()


def who(data: Path) -> dict[str, tuple[str, int]]:
    """The origin and the number of faces of every named identity."""
    return {row.label: (row.origin, row.faces) for row in read(data, list_identities) if row.label}


async def test_hand_sorted_folders_name_people_and_leave_bystanders_out(trip: Trip, drawn: SmallLibrary) -> None:
    shutil.rmtree(trip.root)
    sort_by_hand(trip.root, drawn)
    await trip.add(None, "--trusted-by-subfolder")
    await trip.sync()
    # Mira is also on pictures outside the folder of that name.
    assert who(trip.data) == {"Mira": ("asserted", 12), "Child": ("asserted", 5)}
    said = read(trip.data, lambda tx: tx.execute(select(memberships.c.how)).scalars().all())
    assert said.count("asserted") == 11, "neither the bystanders nor the wrong picture"
    assert "trusted: 2 people" in (await trip.run("config", "check")).stdout
    before = trip.result()
    await trip.sync()
    assert trip.result().differences(before) == []


@pytest.mark.slow
async def test_trust_changes_no_identity_that_is_there_already(trip: Trip, drawn: SmallLibrary) -> None:
    shutil.rmtree(trip.root)
    sort_by_hand(trip.root, drawn)
    await trip.add()
    await trip.sync()
    assert who(trip.data) == {}
    before = {(row.number, row.origin, row.faces) for row in read(trip.data, list_identities)}
    await trip.add(None, "--trusted-by-subfolder")
    await trip.sync()
    assert set(who(trip.data)) == {"Mira", "Child"}
    assert {(row.number, row.origin, row.faces) for row in read(trip.data, list_identities)} == before
    await trip.add(None, "--mixed")
    await trip.sync()
    assert who(trip.data) == {}
    assert {(row.number, row.origin, row.faces) for row in read(trip.data, list_identities)} == before


@pytest.mark.slow
async def test_a_folder_never_renames_a_person_named_in_immich(
    journey: Journey, drawn: SmallLibrary, tmp_path: Path
) -> None:
    trip = Trip(journey.forks, journey.environ, journey.data, tmp_path / "album")
    await trip.sync()
    before = who(trip.data)
    assert "Mira" in before
    for number in range(5):
        (trip.root / "A nickname").mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn.files[number], trip.root / "A nickname")
    await trip.add(None, "--trusted-by-subfolder")
    await trip.sync()
    assert who(trip.data) == before


@pytest.mark.slow
async def test_a_running_service_takes_up_a_folder_with_its_next_sync(trip: Trip) -> None:
    (trip.root / "late").mkdir()
    await trip.add(trip.root / "Summer")
    journey = Journey(trip.forks, None, None, trip.environ, trip.data)  # type: ignore[arg-type]  # there is no Immich
    async with serving(journey) as (_, client):
        await until(lambda: idle(client, 1))
        second = await trip.run("sources", "add-folder", str(trip.root / "Winter"), "--name", "second")
        assert second.code == 0, second.stderr
        assert (await client.post("/api/jobs")).status_code == 202
        await until(lambda: idle(client, 2))
        status = (await client.get("/api/status")).json()
        kinds = {source["name"]: (source["kind"], source["assets"]) for source in status["facts"]["library"]["sources"]}
        assert kinds == {"album": ("folder", 13), "second": ("folder", 12)}
        assert {remote["name"] for remote in status["progress"]["remotes"]} >= {"folder album", "folder second"}
        shutil.rmtree(trip.root / "Winter")
        assert (await client.post("/api/jobs")).status_code == 202
        await until(lambda: idle(client, 3))
        assert (await client.get("/readyz")).status_code == 503
        runs = (await client.get("/api/status")).json()["facts"]["runs"]
        assert [run["outcome"] for run in runs] == ["outage", "done", "done"]


async def idle(client: httpx.AsyncClient, ended_runs: int) -> bool:
    """Return whether so many syncs have ended and none runs."""
    runs = (await client.get("/api/status")).json()["facts"]["runs"]
    return len(runs) >= ended_runs and all(run["outcome"] for run in runs)


@pytest.mark.slow
async def test_where_only_known_faces_are_looked_at_a_folder_is_looked_at_whole(trip: Trip) -> None:
    guided = Trip(trip.forks, {**trip.environ, "FACESETS_DETECTION": "guided"}, trip.data, trip.root)
    await guided.add()
    counts = await guided.sync()
    assert counts["embed_faces"] > counts["embed_embedded"] > 0
    assert counts["publish_facesets"] >= 4


@pytest.mark.slow
async def test_a_request_for_a_source_that_was_just_removed_does_not_end_the_service(trip: Trip) -> None:
    await trip.add()
    journey = Journey(trip.forks, None, None, trip.environ, trip.data)  # type: ignore[arg-type]  # there is no Immich
    async with serving(journey) as (service, client):
        await until(lambda: idle(client, 1))
        assert (await trip.run("sources", "remove", "album")).code == 0
        refused = await client.post("/api/jobs", json={"source": "album"})
        assert (refused.status_code, refused.json()["reason"]) == (503, "not_begun")
        assert "album" in refused.json()["detail"]
        await until(lambda: trip.listed() == {})
        assert (await client.post("/api/jobs")).status_code == 202
        await until(lambda: idle(client, 2))
        assert service.is_running
    assert trip.files() == {}
