"""A full or read-only disk: the sync reports it, ends with exit code 3, and continues once there is space."""

import re
import shutil
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from fork_server import ForkedProcess
from journey import Journey, Unkilled, ended, until
from small_disk import SmallDisk, small_disk
from small_library import LATE, add_shot
from sync_result import read_result

from immich_facesets.errors import SetupError, TransientError

pytestmark = pytest.mark.timeout(900)

IN_FLIGHT = 2 * 4 + 1
"""
Pictures that may be fetched again after an aborted sync. Four are in flight, each may have had a successor before all
stopped, and the unreadable one was released unrecorded.
"""


def steps(quick: int, thorough: int) -> pytest.MarkDecorator:
    """Growth of the disk from sync to sync: smaller steps in the slow run abort in many more places."""
    return pytest.mark.parametrize("step", [quick, pytest.param(thorough, marks=pytest.mark.slow)])


async def run(journey: Journey, disk: SmallDisk, *arguments: str) -> ForkedProcess:
    service = disk.forks.start("service", *arguments, environ=journey.environ)
    await ended(service)
    return service


def done(journey: Journey, data: Path) -> set[str]:
    """The assets that need not be fetched again, read from a copy, because the full disk has no space for SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        seen = shutil.copytree(data, Path(folder, "seen"), ignore=shutil.ignore_patterns("crops", "exports"))
        try:
            return journey.done(seen)
        except (SetupError, TransientError):  # there was no space even for tables
            return set()


async def grow(journey: Journey, disk: SmallDisk, options: Iterable[str], data: Path) -> set[str]:
    """
    Enlarge the disk a little each time until a sync succeeds; return the different messages before.

    ``data``: the path of the data folder in this process.
    """
    said: set[str] = set()
    held: set[str] = set()
    for option in options:
        disk.remount(option)
        before, kept = len(journey.fetched()), done(journey, data)
        service = await run(journey, disk, "sync")
        again = set(journey.fetched()[before:]).intersection(journey.fetched()[:before])
        assert not again & kept, "finished pictures are not fetched again"
        held |= kept
        if service.code == 0:
            assert held, "no picture was kept, so the check above is void"
            return said
        assert service.code == 3, f"with {option}: {service.stderr[-3000:]}"
        last = service.stderr.strip().splitlines()[-1]
        assert "full" in last
        assert "free some space" in last
        assert "Traceback" not in service.stderr
        said.add(last)
        assert len(again) <= IN_FLIGHT, "staged pictures are not fetched again"
    raise AssertionError("it never had enough")


@pytest.mark.slow
@steps(600, 150)
async def test_a_full_data_disk_loses_nothing(journey: Journey, unkilled: Unkilled, tmp_path: Path, step: int) -> None:
    with small_disk(journey.data, tmp_path) as disk:
        disk.run("mkdir", str(journey.data / "exports"))
        disk.run("mount", "-t", "tmpfs", "tmpfs", str(journey.data / "exports"))
        said = await grow(journey, disk, (f"size={kilobytes}k" for kilobytes in range(50, 20_000, step)), disk.seen_at)
        assert len(said) >= 2, "the syncs ended in different places"
        found = shutil.copytree(disk.seen_at, tmp_path / "found")
    assert read_result(found).differences(unkilled.first) == []


@steps(36, 9)
async def test_a_disk_without_space_for_another_file_is_a_full_one(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, step: int
) -> None:
    with small_disk(journey.data, tmp_path) as disk:
        disk.remount("size=60m")
        said = await grow(journey, disk, (f"nr_inodes={number}" for number in range(3, 2000, step)), disk.seen_at)
        assert len(said) >= 2
        found = shutil.copytree(disk.seen_at, tmp_path / "found")
    assert read_result(found).differences(unkilled.first) == []


@pytest.mark.slow
@pytest.mark.parametrize("step", [300])
async def test_a_full_export_disk_loses_nothing(
    journey: Journey, unkilled: Unkilled, tmp_path: Path, step: int
) -> None:
    exports = journey.data / "exports"
    with small_disk(exports, tmp_path) as disk:
        said = await grow(journey, disk, (f"size={kilobytes}k" for kilobytes in range(300, 20_000, step)), journey.data)
        assert all(f"cannot write to {exports}: the disk is full: free some space" in line for line in said)
        found = shutil.copytree(journey.data, tmp_path / "found", ignore=shutil.ignore_patterns("exports"))
        shutil.copytree(disk.seen_at, found / "exports")
    assert read_result(found).differences(unkilled.first) == []


@pytest.mark.parametrize("place", ["data", pytest.param("exports", marks=pytest.mark.slow)])
async def test_a_disk_that_cannot_be_written_is_told_at_once(journey: Journey, tmp_path: Path, place: str) -> None:
    folder = journey.data if place == "data" else journey.data / "exports"
    with small_disk(folder, tmp_path) as disk:
        disk.remount("ro")
        for command in (("sync",), ("serve",), ("config", "check")):
            service = await run(journey, disk, *command)
            assert service.code == 3
            assert "Traceback" not in service.stderr
            said = service.stdout + service.stderr
            assert f"cannot write to {folder}: it is mounted read-only: mount it with write access" in said
    assert journey.fetched() == []


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
async def test_commands_that_only_read_work_on_a_read_only_disk(journey: Journey, tmp_path: Path, killed: bool) -> None:
    die_at = ("use_space", "after", 1) if killed else ()
    with small_disk(journey.data, tmp_path) as disk:
        disk.remount("size=60m")
        first = disk.forks.start("service", "sync", environ=journey.environ, die_at=die_at)
        await ended(first)
        assert (disk.seen_at / "facesets.db-wal").is_file() == killed, (
            "what a killed process leaves beside the database"
        )
        disk.remount("ro")
        for command in ("status", "identities list", "sources list", "duplicates"):
            process = await run(journey, disk, *command.split())
            assert process.code == 0, process.stderr
        assert "anna" in (await run(journey, disk, "sources", "list")).stdout
        removing = await run(journey, disk, "sources", "remove", "album")
        assert removing.code == 3


@pytest.mark.slow
async def test_serve_survives_a_full_disk(journey: Journey, tmp_path: Path) -> None:
    token = "a-token-for-this-test"
    environ = {**journey.environ, "FACESETS_LISTEN": "127.0.0.1:0", "FACESETS_TOKEN": token}
    with small_disk(journey.data, tmp_path) as disk:
        disk.remount("size=60m")
        service = disk.forks.start("service", "serve", environ=environ)

        def outcomes() -> list[str]:
            assert service.is_running, service.stderr[-3000:]
            return re.findall(r'"outcome": "(\w+)"', service.stderr)

        await until(lambda: outcomes() == ["done"])
        (address,) = re.findall(r'"address": "(http://[^"]+)"', service.stderr)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            filler = str(journey.data / "filler")
            disk.run("sh", "-c", f"head -c 100m /dev/zero > '{filler}' || true")
            for number in range(len(journey.placed.library.shots) - LATE, len(journey.placed.library.shots)):
                journey.immich.touch(add_shot(journey.immich, journey.placed.library, number))
            asked = await client.post("/api/jobs", json={"kind": "full"})
            assert asked.is_success or (asked.json()["reason"] == "not_begun" and "full" in asked.json()["detail"])
            await until(lambda: outcomes() == ["done", "setup"] or "sync_not_begun" in service.stderr)
            readiness = await client.get("/readyz")
            assert readiness.status_code == 503
            assert "full" in readiness.text
            assert "free some space" in readiness.text

            disk.run("rm", filler)
            assert (await client.post("/api/jobs", json={"kind": "full"})).is_success
            await until(lambda: outcomes().count("done") == 2)
            assert (await client.get("/readyz")).status_code == 200
        service.signal(signal.SIGTERM)
        assert await ended(service) == 0
