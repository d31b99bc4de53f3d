"""Faces that are included by hand and profiles that are switched off: planned, published, and taken back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from small_library import SmallLibrary
from synced_app import decide, synced_app

from immich_facesets.errors import RequestError
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.moderation.requests import HoldFromSets, IncludeInSets, SwitchProfiles, UndoDecision
from service.app import App
from service.files.export_tree import ExportTree
from service.reports.library.left_out import LeftOut
from service.reports.library.planned_sets import PlannedSets
from service.store import members
from service.store.moderation import MadeDecisions
from service.sync.outcome import Outcome
from service.web.library.facesets import LeftOutFace, LeftOutQuery


@pytest.fixture
async def app(drawn: SmallLibrary, tmp_path: Path) -> AsyncIterator[App]:
    """A service after its first sync."""
    profiles = "fsz,kohya:3:96,plain,npz"
    async with synced_app(drawn, tmp_path, export_profiles=profiles, outlier_distance=0.06) as found:
        yield found


async def left_out(app: App) -> list[LeftOutFace]:
    """The faces that rules of likeness leave out: by their vector, and by a look at the finished crop."""
    reads = LeftOut(app.store, app.settings.export_dir, "")
    rows = await app.store.read(members.list_identities)
    pages = [await reads.page(f"faceset_{row.number:03d}", LeftOutQuery()) for row in rows]
    found = {one.reason: one for page in pages if page is not None for one in page.faces}
    return [found[reason] for reason in ("outlier", "crop_unlike_identity")]


def manifest(app: App, directory: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((app.settings.export_dir / directory / "manifest.json").read_bytes())
    return found


def places(app: App, directory: str) -> set[tuple[str, float]]:
    return {(one["sha256"], one["box"][0]) for one in manifest(app, directory)["faces"]}


@pytest.mark.slow
async def test_a_face_that_is_included_is_planned_and_then_written(app: App) -> None:
    plans, root = PlannedSets(app.store, app.settings), app.settings.export_dir
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for one in await left_out(app):
        number, mine = one.face.identity or 0, (one.face.picture.sha256, round(one.face.box.x1, 2))
        name = f"faceset_{number:03d}"
        planned = await plans.of(number)
        assert (planned.coming, planned.going, planned.unchecked) == (0, 0, 0), "what is written is what the plan says"
        assert planned.written == planned.faces
        done = await decide(app, IncludeInSets(faces=(one.face.id,)))
        planned = await plans.of(number)
        assert [face.id for face in planned.comes_in] == [one.face.id]
        assert (planned.going, planned.included, planned.refused) == (0, 1, ())
        await app.runner.publish_now()
        assert mine in places(app, name)
        assert mine in places(app, f"_profiles/kohya/{name}"), "among three faces it is the first"
        planned = await plans.of(number)
        assert (planned.coming, planned.going) == (0, 0)
        report = json.loads((root / name / "preflight.json").read_bytes())
        assert report["included"] == {"faces": 1, "left_out": {}}
        assert report["known"] == len(manifest(app, name)["faces"]) + sum(report["left_out"].values())
        held = await decide(app, HoldFromSets(faces=(one.face.id,)))
        await app.runner.publish_now()
        assert mine not in places(app, name)
        await decide(app, UndoDecision(decision=held.decisions[0]))
        assert (await plans.of(number)).included == 1
        await decide(app, UndoDecision(decision=done.decisions[0]))
    await app.runner.publish_now()
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    changed = {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {"manifest.json"}, "without the decisions everything is as it was"


@pytest.mark.slow
async def test_a_form_that_is_switched_off_for_a_person_goes_at_once_and_comes_back(app: App, tmp_path: Path) -> None:
    number = (await app.store.read(members.list_identities))[-1].number
    root, name = app.settings.export_dir, f"faceset_{number:03d}"
    mine = manifest(app, name)["faces"][0]["sha256"]
    done = await decide(app, SwitchProfiles(identity=number, off=("kohya", "npz")))
    assert not list(root.glob(f"_profiles/kohya/{name}*"))
    assert not list(root.glob("_profiles/npz/*/manifest.json")), "forms of everybody wait for the next publish"
    assert (root / "_profiles" / "plain" / name).is_dir()
    assert (await app.runner.run("incremental")).outcome is Outcome.DONE
    assert not list(root.glob(f"_profiles/kohya/{name}*"))
    assert list(root.glob("_profiles/kohya/*")), "all others have it"
    assert list(root.glob("_profiles/npz/*/manifest.json"))
    (request,) = read_export_requests("kohya:3:96")
    with pytest.raises(RequestError, match=f"kohya is switched off for identity {number}: .* --on kohya"):
        await app.runner.copy_now(request, number, ExportTree(tmp_path / "copy"))
    await decide(app, UndoDecision(decision=done.decisions[0]))
    await app.runner.publish_now()
    assert mine in {one["sha256"] for one in manifest(app, f"_profiles/kohya/{name}")["faces"]}


@pytest.mark.slow
async def test_a_form_that_is_switched_off_while_a_publish_runs_is_not_written_back(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await app.store.read(members.list_identities))[-1].number
    name, loop, decided = f"faceset_{number:03d}", asyncio.get_running_loop(), list[asyncio.Task[MadeDecisions]]()
    write = app.tree.write_directory

    def begin() -> None:
        if not decided:
            decided.append(loop.create_task(decide(app, SwitchProfiles(identity=number, off=("kohya",)))))

    def write_directory(directory: str, *others: Any) -> None:
        loop.call_soon_threadsafe(begin)
        write(directory, *others)

    for directory in app.tree.on_disk():
        app.tree.remove_directory(directory)
    monkeypatch.setattr(app.tree, "write_directory", write_directory)
    await app.runner.publish_now()
    await decided[0]
    kohya = app.settings.export_dir / "_profiles" / "kohya"
    assert not list(kohya.glob(f"{name}*"))
    assert (app.settings.export_dir / "_profiles" / "plain" / name).is_dir()
    assert list(kohya.iterdir()), "all others have it"
