"""kill -9 at and between all commit points: the next run reaches the state of an undisturbed run."""

import ast
import asyncio
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy
from fork_server import KILLED, ForkServer
from journey import Journey, Unkilled, begun, ended, until
from small_library import change, draw_small_library, long_life
from sync_result import SyncResult, read
from testdata import ROOT

from service.store.runs import last_runs

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

Kill = tuple[str, int, str]
"""The point, its occurrence, and the moments: b(efore), d(uring: all but the commit) and a(fter)."""

FIRST: dict[str, tuple[Kill, ...]] = {
    "discover": (
        ("begin_run", 1, "da"),
        ("apply_size_rule", 1, "da"),
        ("write_value", 1, "da"),
        ("remember_source", 1, "da"),
        ("remember_people", 1, "da"),
        ("remember_page", 1, "bda"),
        ("record_look", 1, "bda"),
        ("record_look", 4, "a"),
        ("finish_listing", 1, "da"),
        ("finish_listing", 2, "da"),
    ),
    "embed": (
        ("retry_above_limits", 1, "bda"),
        ("record_failure", 1, "bda"),
        ("record_content", 3, "bd"),  # first: a killed sync may have written others, so that fewer are left
        ("record_content", 1, "bda"),
    ),
    "group": (
        ("write_last_complete_sync", 1, "bda"),
        ("drop_orphans", 1, "da"),
        ("write_thresholds", 1, "bda"),
        ("use_space", 1, "bda"),
        ("write_value", 1, "da"),
        ("write_nearly_there", 1, "bda"),
        ("write_partings", 1, "bda"),
        ("write_queue", 1, "bda"),
        ("write_scope", 1, "bda"),
    ),
    "publish": (
        ("record_phash", 1, "bda"),
        ("record_crop_facts", 1, "bda"),
        ("record_crop_facts", 9, "a"),
        ("record_export", 1, "bda"),
        ("record_export", 2, "bda"),
        ("write_last_complete_sync", 2, "bda"),
        ("end_run", 1, "da"),
    ),
}
SECOND: tuple[Kill, ...] = (
    ("mark_person_gone", 1, "bda"),
    ("begin_reading_faces", 1, "bda"),
    ("finish_reading_faces", 1, "bda"),
    ("mark_gone", 1, "da"),
    ("mark_gone", 2, "a"),
    ("forget_lost", 1, "da"),
    ("record_alias", 1, "bda"),
    ("drop_orphans", 1, "da"),
    ("apply_grouping", 1, "bda"),
    ("record_removal", 1, "bda"),
    ("record_export", 1, "b"),
)
COPY: tuple[Kill, ...] = (("record_copy", 1, "bda"), ("record_copy", 2, "bda"))
"""Commit points of ``export --to``, which makes copies on demand."""

ALONE: tuple[Kill, ...] = (("record_removal", 1, "bda"), ("record_export", 1, "bda"), ("record_export", 2, "a"))
"""Commit points of ``export --person``."""

ERAS: tuple[Kill, ...] = (
    ("record_eras", 1, "bda"),
    ("record_crop_facts", 10, "a"),
    ("record_crop_facts", 15, "d"),
    ("record_export", 2, "b"),
)
"""Commit points of a person with eras."""

CUTS: tuple[Kill, ...] = (
    ("record_cut", 1, "bda"),
    ("record_cut", 4, "da"),
    ("record_export", 1, "b"),
)
"""Commit points of a form whose pictures are cut from originals."""

ELSEWHERE = {
    "record_crash",
    "announce_space",
    "see_again",
    "record_unlisted",
    "forget_removed",
    "record_enrichment",
} | {
    "record_no_faces",
    "make_due",
    "rename_source",
    "keep_likenesses",
    "mark_unasked",
    "write_ended_sessions",
    "decide",
    "decide_eras",
    "import_decisions",
    "add_reference",
    "record_vector",
    "decide_once",
    "keep_answer",
    "record_erased_pictures",
    "record_erased_directory",
    "record_erased_folder",
    "end_erasures",
}
"""
Commit points that need a crashing embedder, another model, more models, a folder, a later Immich, or another name.
``test_deadly_picture``, ``test_another_model``, ``test_enrich``, ``test_folder``, ``test_dialects`` and ``test_users``
kill there. So do ``test_decisions``, ``test_eras``, ``test_forget`` and ``test_references`` at those of decisions and reference pictures. A logout is no part of a sync; ``service/test_app`` restarts after one.
"""
FROM_EMBEDDED = {"group", "publish"}
QUICK = {"publish"}
"""The stage whose kills are in the quick run, too."""


EXTENT = pytest.mark.parametrize(
    "is_complete", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "complete"]
)
"""The quick run kills once at each commit point, during the transaction; the slow run kills at every listed moment."""


def moments_of(when: str, *, is_complete: bool) -> list[str]:
    """Return the moments to kill at, in words."""
    chosen = when if is_complete else "d" if "d" in when else when[0]
    return [{"b": "before", "d": "during", "a": "after"}[letter] for letter in chosen]


class Killed:
    """A service that is restarted after kills, and the pictures that it must not fetch a second time."""

    def __init__(self, journey: Journey, *, is_complete: bool = True) -> None:
        self.journey = journey
        self.is_complete = is_complete

    async def sync(self, *arguments: str, die_at: tuple[str, str, int] | tuple[()] = ()) -> int:
        """Run one sync and return its exit code. It must not fetch anything that was on disk before."""
        done, asked = self.journey.done(), len(self.journey.fetched())
        service = await self.journey.sync(*arguments, die_at=die_at)
        again = done.intersection(self.journey.fetched()[asked:])
        assert not again, f"fetched once more: {sorted(again)}"
        assert service.code is not None
        assert service.code in {0, KILLED}, service.stderr[-3000:]
        return service.code

    async def at_each(self, kills: Sequence[Kill], *arguments: str) -> None:
        """Kill it at these points, one after another, each time continuing from the state of the last kill."""
        for name, nth, when in kills:
            for moment in moments_of(when, is_complete=self.is_complete):
                code = await self.sync(*arguments, die_at=(name, moment, nth))
                assert code == KILLED, f"{name} {nth} was not reached"

    async def ends_like(self, unkilled: SyncResult, *arguments: str) -> None:
        """Run one sync to its end, and a second one without any work."""
        for _ in range(2):
            assert await self.sync(*arguments) == 0
            assert self.journey.result().differences(unkilled) == []


def commit_points() -> set[str]:
    """The functions that the service passes to ``write``, found in its source."""
    found: set[str] = set()
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            if node.func.attr == "write" and ast.unparse(node.func.value).endswith("store"):
                found.add(ast.unparse(node.args[0]).rpartition(".")[2])
    return found


def test_every_commit_point_is_among_those_that_are_killed() -> None:
    covered = {name for kills in [*FIRST.values(), SECOND, COPY, ERAS, CUTS] for name, _, _ in kills}
    assert len(covered) >= 18
    assert commit_points() == covered | ELSEWHERE


@EXTENT
@pytest.mark.parametrize("stage", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in FIRST])
async def test_a_first_sync_killed_at_its_commit_points_ends_like_one_never_killed(
    journey: Journey, unkilled: Unkilled, stage: str, *, is_complete: bool
) -> None:
    if stage in FROM_EMBEDDED:
        journey.begin_from(unkilled.embedded)
    killed = Killed(journey, is_complete=is_complete)
    await killed.at_each(FIRST[stage])
    await killed.ends_like(unkilled.first)


@pytest.mark.slow
async def test_a_later_sync_killed_at_its_commit_points_ends_like_one_never_killed(
    journey: Journey, unkilled: Unkilled
) -> None:
    journey.begin_from(unkilled.synced)
    next(iter(sorted((journey.data / "crops").glob("*/*")))).unlink()  # so that some rows are to be deleted
    change(journey.placed)
    killed = Killed(journey)
    await killed.at_each(SECOND, "--full")
    await killed.ends_like(unkilled.second, "--full")


@pytest.mark.slow
@EXTENT
async def test_a_form_of_cut_originals_killed_at_its_commit_points_fetches_none_of_them_twice(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, *, is_complete: bool
) -> None:
    """A kill costs the pictures in flight again, and no other one."""
    settings = {"FACESETS_EXPORT_PROFILES": "plain:3:half-body"}
    journey.begin_from(unkilled.synced)
    whole, fetched = await framed(journey, settings)
    assert 3 < len(fetched) == len(set(fetched))
    shutil.rmtree(journey.data)
    journey.begin_from(unkilled.synced)
    asked = len(journey.fetched())
    lost = 0
    for name, nth, when in CUTS:
        for moment in moments_of(when, is_complete=is_complete):
            service = await journey.sync(settings=settings, die_at=(name, moment, nth))
            assert service.code == KILLED, f"{name} {nth} was not reached"
            lost += name == "record_cut"
    result, _ = await framed(journey, settings)
    assert result.files == whole.files
    assert result.loose_ends() == []
    again = journey.fetched()[asked:]
    in_flight = 4
    assert len(again) <= len(fetched) + lost * in_flight
    assert (await framed(journey, settings))[1] == []
    asked = len(journey.fetched())
    copied = journey.start("export", "--profile", "plain:1:head", "--to", str(tmp_path / "copy"))
    assert await ended(copied) == 0, copied.stderr[-3000:]
    assert len(list((tmp_path / "copy").rglob("*.png"))) >= len(journey.fetched()[asked:]) > 0


async def framed(journey: Journey, settings: dict[str, str]) -> tuple[SyncResult, list[str]]:
    """Run a sync to its end; return its result, and what it fetched."""
    asked = len(journey.fetched())
    service = await journey.sync("--full", settings=settings)
    assert service.code == 0, service.stderr[-3000:]
    return journey.result(), journey.fetched()[asked:]


@EXTENT
async def test_a_copy_of_the_face_sets_killed_halfway_is_made_up_for(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, *, is_complete: bool
) -> None:
    journey.begin_from(unkilled.synced)

    async def copied(folder: str, die_at: tuple[str, str, int] | tuple[()] = ()) -> dict[str, bytes]:
        service = journey.start("export", "--profile", "plain", "--to", str(tmp_path / folder), die_at=die_at)
        assert await ended(service) == (KILLED if die_at else 0), service.stderr[-3000:]
        return files_in(tmp_path / folder)

    whole = await copied("whole")
    assert len(whole) > 2
    for name, nth, when in COPY:
        for moment in moments_of(when, is_complete=is_complete):
            part = await copied("part", (name, moment, nth))
            assert all(whole[file] == content for file, content in part.items() if not Path(file).name.startswith("."))
    assert await copied("part") == whole


@pytest.mark.slow
@EXTENT
async def test_an_export_of_one_person_killed_halfway_is_made_up_for(
    journey: Journey, unkilled: Unkilled, *, is_complete: bool
) -> None:
    """Another name moves a directory of a form, so that there is one to remove and one to write."""
    settings = {"FACESETS_EXPORT_PROFILES": "frigate:3:64,plain:3"}
    journey.begin_from(unkilled.synced)
    assert (await journey.sync("--full", settings=settings)).code == 0
    named = journey.start("identities", "label", "1", "Mara")
    assert await ended(named) == 0, named.stderr[-3000:]

    async def alone(die_at: tuple[str, str, int] | tuple[()] = ()) -> None:
        service = journey.start("export", "--person", "Mara", settings=settings, die_at=die_at)
        assert await ended(service) == (KILLED if die_at else 0), service.stderr[-3000:]

    before = files_in(journey.data / "exports")
    for name, nth, when in ALONE:
        for moment in moments_of(when, is_complete=is_complete):
            await alone((name, moment, nth))
    await alone()
    after = files_in(journey.data / "exports")
    assert "_profiles/frigate/clips/faces/Mara/manifest.json" in after
    assert any("/faces/Mira/" in path for path in before.keys() - after.keys())
    assert not any(".facesets-" in path for path in after)
    whole = journey.start("export", settings=settings)
    assert await ended(whole) == 0, whole.stderr[-3000:]
    assert files_in(journey.data / "exports") == after


def files_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize(("points", "seed"), [("any", 1), ("any", 2), ("file", 3), ("step", 4)])
async def test_a_sync_killed_again_and_again_somewhere_ends_like_one_never_killed(
    journey: Journey, unkilled: Unkilled, points: str, seed: int
) -> None:
    dice, killed, kills = random.Random(seed), Killed(journey), 0
    if points == "step":
        journey.begin_from(unkilled.embedded)
    span = {"any": (70, 250), "file": (25, 90), "step": (8, 30)}[points]
    while await killed.sync(die_at=(points, "", dice.randint(*span))) == KILLED:
        kills += 1
    assert kills >= 3
    await killed.ends_like(unkilled.first)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 6])
async def test_a_sync_killed_at_any_moment_ends_like_one_never_killed(
    journey: Journey, unkilled: Unkilled, seed: int
) -> None:
    dice, kills, requests = random.Random(seed), 0, journey.immich.requests
    for _ in range(8):
        service = journey.start("sync")
        enough = len(requests) + dice.randint(0, 30)
        await until(lambda: len(requests) >= enough or not service.is_running, pause=0)  # noqa: B023 - of this turn
        await asyncio.sleep(dice.uniform(0, 0.3))
        service.signal(-KILLED)
        kills += await ended(service) == KILLED
    assert kills >= 2
    await Killed(journey).ends_like(unkilled.first)


@pytest.mark.slow
async def test_eras_are_the_same_although_their_crops_were_looked_at_in_several_runs(
    forks: ForkServer, embedder_url: str, tmp_path: Path
) -> None:
    library = draw_small_library(tmp_path / "drawn", long_life())
    (tmp_path / "unkilled").mkdir()
    async with FaultyProxy(embedder_url) as proxy:
        async with begun(forks, library, proxy.url, tmp_path / "unkilled") as journey:
            unkilled = await journey.finish()
            assert sum("_era_" in directory for directory in unkilled.exports) == 2
            (run,) = read(journey.data, last_runs)
            assert run.counts["publish_checked"] <= len(unkilled.faces)  # crops of an era are not checked again
            proxy.trip("POST /v1/faces", 1, proxy.open)
            assert (await journey.finish()).differences(unkilled) == []
            assert not proxy.tripped.is_set()
        (tmp_path / "killed").mkdir()
        async with begun(forks, library, embedder_url, tmp_path / "killed") as journey:
            killed = Killed(journey)
            await killed.at_each(ERAS)
            await killed.ends_like(unkilled)
