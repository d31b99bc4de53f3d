"""A person who is barred from export while a publish runs is not written back by it, whenever the decision comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from small_library import SmallLibrary
from synced_app import BY, decide, synced_app

from immich_facesets.exports.identities_file import IDENTITIES, numbers_in
from immich_facesets.exports.requests import read_export_requests
from immich_facesets.moderation.requests import ForgetPerson, LockIdentity, MergePeople, NeverExportIdentity
from service.app import App
from service.files.export_tree import ExportTree
from service.moderation.decisions import make_decisions
from service.passes.withdraw import withdraw
from service.store import erasures, exports, members
from service.store.moderation import MadeDecisions
from service.sync.outcome import Outcome


@pytest.fixture
async def app(drawn: SmallLibrary, tmp_path: Path) -> AsyncIterator[App]:
    """A service that has grouped, and published nothing that is still there."""
    async with synced_app(drawn, tmp_path, export_profiles="fsz,plain,npz") as found:
        for directory in found.tree.on_disk():
            found.tree.remove_directory(directory)
        yield found


def traces_of(root: Path, number: int) -> list[str]:
    """The files of the export folder that tell of an identity, and directories of everybody."""
    named = [str(path) for path in root.rglob(f"*faceset_{number:03d}*")]
    told = [str(path) for path in root.rglob("manifest.json") if f"faceset_{number:03d}" in path.read_text()]
    return named + told + [IDENTITIES] * (number in listed(root))


def listed(root: Path) -> frozenset[int]:
    """The identities in the list of the export folder; none while there is no list."""
    file = root / IDENTITIES
    return numbers_in(file.read_bytes()) if file.is_file() else frozenset()


@pytest.mark.parametrize(
    "moment",
    [
        "before its directory",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("while its directory is written", "at the overviews")),
    ],
)
async def test_a_publish_that_runs_writes_nobody_back(app: App, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    number = (await app.store.read(members.list_identities))[-1].number
    root, loop, decided = app.settings.export_dir, asyncio.get_running_loop(), list[asyncio.Task[MadeDecisions]]()
    write, manifest, own = app.tree.write_directory, app.tree.write_file, f"faceset_{number:03d}"

    def begin() -> None:
        if not decided:
            decided.append(loop.create_task(decide(app, NeverExportIdentity(identity=number))))

    def write_directory(name: str, *others: Any) -> None:
        if moment.startswith("before") or (moment.startswith("while") and name == own):
            loop.call_soon_threadsafe(begin)
        write(name, *others)

    def write_file(name: str, body: bytes) -> bool:
        if moment.startswith("at"):
            loop.call_soon_threadsafe(begin)
        return manifest(name, body)

    monkeypatch.setattr(app.tree, "write_directory", write_directory)
    monkeypatch.setattr(app.tree, "write_file", write_file)
    await app.runner.publish_now()
    (made,) = decided
    await made
    recorded = await app.store.read(exports.recorded)
    assert traces_of(root, number) == []
    assert recorded == app.tree.on_disk(), "what is there, is known"
    assert not any(path.startswith("_profiles/npz") for path in recorded), (
        "a form of everybody waits for the next publish"
    )
    assert len([path for path in recorded if path.startswith("faceset_")]) >= 1, "all others are there"
    assert (await app.runner.run("incremental")).outcome is Outcome.DONE
    assert traces_of(root, number) == []
    assert listed(root)
    assert any(path.startswith("_profiles/npz") for path in await app.store.read(exports.recorded))


@pytest.mark.slow
async def test_somebody_who_was_merged_into_a_barred_person_is_withdrawn_too(app: App) -> None:
    await app.runner.publish_now()
    (one, two, *_) = [row.number for row in await app.store.read(members.list_identities)]
    root = app.settings.export_dir
    await decide(app, NeverExportIdentity(identity=one))
    assert traces_of(root, one) == []
    assert (root / f"faceset_{two:03d}").is_dir()
    await decide(app, MergePeople(numbers=(two,), into=one, label=await label_of(app, one)))
    assert not list(root.rglob(f"faceset_{two:03d}*"))


@pytest.mark.slow
async def test_a_sync_begins_with_what_a_killed_decision_left(app: App) -> None:
    await app.runner.publish_now()
    number = (await app.store.read(members.list_identities))[-1].number
    await make_decisions(app.store, [NeverExportIdentity(identity=number)], BY, app.context.clock())
    before = await app.store.read(exports.recorded)
    assert number in listed(app.settings.export_dir)
    await withdraw(app.context, app.tree)
    assert traces_of(app.settings.export_dir, number) == []
    gone = before.keys() - (await app.store.read(exports.recorded)).keys()
    assert gone
    assert all(f"faceset_{number:03d}" in path for path in gone)


async def test_every_command_begins_with_what_a_killed_forget_left(app: App, tmp_path: Path) -> None:
    await app.runner.publish_now()
    request, copy = read_export_requests("plain")[0], tmp_path / "copy"
    copy.mkdir()
    for command in (
        app.runner.publish_now,
        app.runner.group_now,
        lambda: app.runner.copy_now(request, None, ExportTree(copy)),
    ):
        number = (await app.store.read(members.list_identities))[-1].number
        forget = ForgetPerson(identity=number, confirm=number)
        await make_decisions(app.store, [forget], BY, app.context.clock())
        await command()
        assert traces_of(app.settings.export_dir, number) == []
        assert not (await app.store.read(erasures.open_erasures)).decisions


@pytest.mark.slow
async def test_what_a_sync_withdraws_goes_in_a_turn_of_its_own(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await decide(app, LockIdentity(identity=1))  # a sync looks at nothing while nothing was changed
    seen: list[bool] = []

    async def held_faces(*_: object, **__: object) -> set[int]:
        return {1}

    def look(tree: ExportTree, boxes: object) -> dict[str, bool]:
        assert boxes
        seen.append(tree.turn.locked())
        return {}

    monkeypatch.setattr("service.passes.withdraw.held_faces", held_faces)
    monkeypatch.setattr("service.passes.withdraw._withdraw", look)
    await withdraw(app.context, app.tree)
    assert seen == [True]


async def label_of(app: App, number: int) -> str | None:
    return next(row.label for row in await app.store.read(members.list_identities) if row.number == number)


def test_the_traces_are_found(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"facesets": [{"name": "faceset_007"}]}))
    assert traces_of(tmp_path, 7) == [str(tmp_path / "manifest.json")]
