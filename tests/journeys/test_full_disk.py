"""A full disk, or one that cannot be written: the sync says so, ends with 3, and goes on once there is room."""

import shutil
from pathlib import Path

import pytest
from forked import Forked
from journey import Journey, Unkilled, ended
from outcome import outcome
from small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.timeout(900)

IN_FLIGHT = 4 + 1
"""Pictures that may be fetched again after a sync that broke off: so many come at once, and the unreadable one was let
go before it could be written down."""


async def run(journey: Journey, disk: SmallDisk, *arguments: str) -> Forked:
    service = disk.forks.start("service", *arguments, environ=journey.environ)
    await ended(service)
    return service


async def grow(journey: Journey, disk: SmallDisk, sizes: range) -> set[str]:
    """Give the disk room, so many kilobytes at a time, until a sync succeeds; the different things said before."""
    said: set[str] = set()
    for kilobytes in sizes:
        disk.remount(f"size={kilobytes}k")
        before = len(journey.fetched())
        service = await run(journey, disk, "sync")
        if service.code == 0:
            return said
        assert service.code == 3, f"with {kilobytes} kB: {service.stderr[-3000:]}"
        last = service.stderr.strip().splitlines()[-1]
        assert "full" in last
        assert "free some space" in last
        assert "Traceback" not in service.stderr
        said.add(last)
        again = set(journey.fetched()[before:]).intersection(journey.fetched()[:before])
        assert len(again) <= IN_FLIGHT, "what is done, or whole on disk, is not fetched again"
    raise AssertionError("it never had enough")


async def test_a_full_data_disk_loses_nothing(journey: Journey, unkilled: Unkilled, tmp_path: Path) -> None:
    with small_disk(journey.data, tmp_path) as disk:
        disk.run("mkdir", str(journey.data / "exports"))
        disk.run("mount", "-t", "tmpfs", "tmpfs", str(journey.data / "exports"))
        said = await grow(journey, disk, range(50, 20_000, 150))
        assert len(said) >= 2, "it broke off in different places"
        found = shutil.copytree(disk.seen_at, tmp_path / "found")
    assert outcome(found).differences(unkilled.first) == []


async def test_a_full_export_disk_loses_nothing(journey: Journey, unkilled: Unkilled, tmp_path: Path) -> None:
    exports = journey.data / "exports"
    with small_disk(exports, tmp_path) as disk:
        said = await grow(journey, disk, range(300, 20_000, 300))
        assert all(f"cannot write to {exports}: the disk is full: free some space" in line for line in said)
        found = shutil.copytree(journey.data, tmp_path / "found", ignore=shutil.ignore_patterns("exports"))
        shutil.copytree(disk.seen_at, found / "exports")
    assert outcome(found).differences(unkilled.first) == []


@pytest.mark.parametrize("place", ["data", "exports"])
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
