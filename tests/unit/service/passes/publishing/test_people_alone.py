"""Face sets of one person that are written alone: as an export of everybody writes them, and nobody else's are touched."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from small_library import SmallLibrary
from synced_app import decide, opened_app, synced_app

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.moderation.requests import (
    HoldFromSets,
    MergePeople,
    NameIdentity,
    NeverExportIdentity,
)
from service.app import App
from service.reports.identity import exportable_person
from service.store import exports, members
from service.sync.outcome import Outcome

LIBRARY = "_profiles/npz/"
FIELDS: dict[str, Any] = {"export_profiles": "fsz,frigate:5:64,kohya:3:96,npz"}


@pytest.fixture(scope="module")
def synced(drawn: SmallLibrary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service after its first sync; tests work on a copy."""
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> Path:
        async with synced_app(drawn, folder, **FIELDS):
            return folder / "data"

    with ThreadPoolExecutor(1) as pool:  # a thread, because the event loop of the test starts later
        return pool.submit(asyncio.run, sync()).result()


@pytest.fixture
async def app(drawn: SmallLibrary, synced: Path, tmp_path: Path) -> AsyncIterator[App]:
    shutil.copytree(synced, tmp_path / "data")
    async with opened_app(drawn, tmp_path, **FIELDS) as found:
        yield found


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


async def people(app: App) -> dict[str | None, int]:
    """The numbers by name; of those without a name the last one."""
    return {row.label: row.number for row in await app.store.read(members.list_identities)}


async def one_face(app: App, number: int) -> int:
    """A face that is in the person's face set."""
    body = json.loads((app.settings.export_dir / f"faceset_{number:03d}/manifest.json").read_bytes())
    shown = {(face["sha256"], round(face["box"][0])) for face in body["faces"]}
    rows = await app.store.read(members.members_of, number)
    return next(row.face_id for row in rows if (row.sha256, round(row.box.x1)) in shown)


async def test_one_person_alone_is_written_as_with_everybody_and_no_other_file_changes(app: App) -> None:
    root, known = app.settings.export_dir, await people(app)
    mine, other = known["Mira"], known["Theo"]
    await decide(app, HoldFromSets(faces=(await one_face(app, mine), await one_face(app, other))))
    await decide(app, NameIdentity(identity=mine, label="Mara"))
    before = files(root)
    result = await app.runner.run("export", people=frozenset({mine}))
    assert result.outcome is Outcome.DONE
    assert "the face sets of 1 person are up to date" in result.message
    assert "npz, which is about whole libraries" in result.message
    alone = files(root)
    lists = {"manifest.json", "identities.json", "users/anna/manifest.json", "users/ben/manifest.json"}
    theirs = {path for path in changed(before, alone) if f"faceset_{mine:03d}" not in path} - lists
    assert theirs
    assert all(path.startswith("_profiles/frigate/clips/faces/M") for path in theirs), theirs
    assert not (root / "_profiles/frigate/clips/faces/Mira").exists()
    check_entry(app, mine)
    check_entry(app, other)
    recorded = await app.store.read(exports.recorded)
    assert {path: recorded[path] for path in app.tree.on_disk()} == app.tree.on_disk()
    counts = await app.runner.publish_now()
    assert (counts.written, counts.removed) == (1, 0), "of the other person alone"
    late = {path for path in changed(alone, files(root)) if not path.startswith(LIBRARY)} - lists
    assert all(f"faceset_{other:03d}" in path or "/Theo/" in path for path in late), late


def check_entry(app: App, number: int) -> None:
    """Check that a person's entry in the list is that of the files that are there."""
    root, name = app.settings.export_dir, f"faceset_{number:03d}"
    own = json.loads((root / name / "manifest.json").read_bytes())
    listed = json.loads((root / "manifest.json").read_bytes())["facesets"]
    assert [one["faces"] for one in listed if one["name"] == name] == [len(own["faces"])]


async def test_everybody_one_after_another_is_everybody_at_once(app: App) -> None:
    root, known = app.settings.export_dir, await people(app)
    for name, number in known.items():
        await decide(app, HoldFromSets(faces=(await one_face(app, number),)))
        if name is not None:
            await decide(app, NameIdentity(identity=number, label=f"{name} the first"))
    for number in [row.number for row in await app.store.read(members.list_identities)]:
        await app.runner.publish_now(frozenset({number}))
    alone = files(root)
    counts = await app.runner.publish_now()
    assert (counts.written, counts.removed) == (0, 0)
    late = {path for path in changed(alone, files(root)) if not path.startswith((LIBRARY, "_candidates/"))}
    assert late == set()


async def test_a_number_that_was_merged_loses_its_directories_with_the_person_that_has_its_faces(app: App) -> None:
    root, known = app.settings.export_dir, await people(app)
    into, gone = known["Theo"], known[None]
    await decide(app, MergePeople(numbers=(gone,), into=into, label="Theo"))
    before = files(root)
    await app.runner.publish_now(frozenset({into}))
    assert not list(root.glob(f"**/faceset_{gone:03d}*"))
    named = {one["identity"] for one in json.loads((root / "manifest.json").read_bytes())["facesets"]}
    assert gone not in named
    assert into in named
    with pytest.raises(RequestError, match=f"it is identity {into} now"):
        await exportable_person(app.store, str(gone))
    assert {path for path in before if path.startswith(LIBRARY)} <= files(root).keys(), "a library stays as it is"


async def test_a_directory_with_the_name_of_somebody_else_stays_theirs_until_everybody_is_written(app: App) -> None:
    root, known = app.settings.export_dir / "_profiles/frigate/clips/faces", await people(app)
    mine, other = known["Mira"], known["Theo"]
    await decide(app, NameIdentity(identity=other, label="Otto"))
    await decide(app, NameIdentity(identity=mine, label="Theo"))
    before = files(root)
    counts = await app.runner.publish_now(frozenset({mine}))
    assert any(told.startswith("frigate, where the directory of somebody else") for told in counts.left)
    assert files(root) == before
    await app.runner.publish_now()
    owners = {path.name: json.loads((path / "manifest.json").read_bytes())["identity"] for path in root.iterdir()}
    assert (owners["Theo"], owners["Otto"]) == (mine, other)


async def test_without_the_list_of_everybody_nobody_is_written_alone(app: App) -> None:
    number = (await people(app))["Mira"]
    assert await exportable_person(app.store, "mira") == await exportable_person(app.store, str(number)) == number
    (app.settings.export_dir / "manifest.json").unlink()
    shutil.rmtree(app.settings.export_dir / f"faceset_{number:03d}")
    with pytest.raises(SetupError, match="write those of everybody first"):
        await app.runner.publish_now(frozenset({number}))
    assert not (app.settings.export_dir / f"faceset_{number:03d}").exists()
    await decide(app, NeverExportIdentity(identity=number))
    with pytest.raises(RequestError, match="must never be exported"):
        await exportable_person(app.store, "Mira")
    with pytest.raises(RequestError, match="nobody has that name"):
        await exportable_person(app.store, "9" * 5000)
