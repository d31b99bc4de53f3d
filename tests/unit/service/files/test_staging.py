"""Staging of pictures: reuse of fetched files, and a bound on the disk space."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from service.files.staging import Staging
from service.sources import Staged

needs_a_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def fetched(folder: Path, content: bytes) -> Staged:
    """A picture as a source leaves it: whole, under a name of its own."""
    path = folder / hashlib.md5(content, usedforsecurity=False).hexdigest()
    path.write_bytes(content)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return Staged(path, len(content), sha1, hashlib.sha256(content).hexdigest())


def staging(folder: Path, *, room: int = 1 << 20) -> Staging:
    opened = Staging(folder / "staging", room=room)
    opened.prepare()
    return opened


async def test_a_picture_that_was_kept_is_found_by_the_next_run_with_its_digests(tmp_path: Path) -> None:
    first = staging(tmp_path)
    kept = first.keep("original:abc", fetched(first.folder, b"picture"))
    second = staging(tmp_path)
    found = await second.find("original:abc")
    assert found == kept
    assert found.path.read_bytes() == b"picture"
    assert await second.find("original:abc") is None, "each picture is given to one caller only"
    assert await second.find("original:other") is None


async def test_names_of_pictures_owe_nothing_to_what_a_source_says(tmp_path: Path) -> None:
    opened = staging(tmp_path)
    nasty = "original:../../etc/passwd\n🦊"
    kept = opened.keep(nasty, fetched(opened.folder, b"picture"))
    assert kept.path.parent == opened.folder
    assert await staging(tmp_path).find(nasty) == kept


async def test_a_picture_that_a_power_cut_left_half_is_fetched_again(tmp_path: Path) -> None:
    first = staging(tmp_path)
    kept = first.keep("original:abc", fetched(first.folder, b"picture"))
    kept.path.write_bytes(b"pict")
    assert await staging(tmp_path).find("original:abc") is None
    assert not kept.path.exists()


def test_whatever_else_lies_there_is_removed_at_the_beginning(tmp_path: Path) -> None:
    folder = tmp_path / "staging"
    (folder / "a folder" / "below").mkdir(parents=True)
    (folder / ".0123.part").touch()
    (folder / "0123456789abcdef").touch()
    staging(tmp_path)
    assert list(folder.iterdir()) == []


async def test_unused_pictures_are_deleted_and_the_others_stay(tmp_path: Path) -> None:
    first = staging(tmp_path)
    kept = {
        name: first.keep(name, fetched(first.folder, name.encode())).path for name in ("asked", "unasked", "needed")
    }
    second = staging(tmp_path)
    found = await second.find("asked")
    assert found is not None
    second.sweep(["needed", "never fetched"])
    assert set(second.folder.iterdir()) == {found.path, kept["needed"]}


async def test_what_is_done_with_is_gone_and_what_is_left_stays_for_later(tmp_path: Path) -> None:
    opened = staging(tmp_path)
    done = opened.keep("done", fetched(opened.folder, b"done"))
    left = opened.keep("left", fetched(opened.folder, b"left"))
    opened.release(done)
    opened.leave(left)
    opened.sweep(())
    assert list(opened.folder.iterdir()) == [left.path]
    assert await staging(tmp_path).find("left") == left


async def is_let_in(opened: Staging) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await opened.wait_for_room()
    except TimeoutError:
        return False
    return True


async def test_fetching_waits_while_there_is_no_space(tmp_path: Path) -> None:
    opened = staging(tmp_path, room=100)
    assert await is_let_in(opened)
    large = opened.keep("large", fetched(opened.folder, bytes(100)))
    assert not await is_let_in(opened)
    waiting = [asyncio.create_task(opened.wait_for_room()) for _ in range(3)]
    await asyncio.sleep(0)
    opened.release(large)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)


async def test_pictures_of_a_previous_run_count_and_leaving_one_frees_its_space(tmp_path: Path) -> None:
    first = staging(tmp_path)
    first.keep("large", fetched(first.folder, bytes(100)))
    second = staging(tmp_path, room=10)
    assert await is_let_in(second)
    large = await second.find("large")
    assert large is not None
    assert not await is_let_in(second)
    second.leave(large)
    assert await is_let_in(second)


async def test_a_caller_that_stopped_waiting_blocks_no_other(tmp_path: Path) -> None:
    opened = staging(tmp_path, room=10)
    large = opened.keep("large", fetched(opened.folder, bytes(100)))
    impatient = asyncio.create_task(opened.wait_for_room())
    patient = asyncio.create_task(opened.wait_for_room())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    opened.release(large)
    async with asyncio.timeout(5):
        await patient


@needs_a_user
def test_a_folder_that_cannot_be_written_is_a_thing_to_mend(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SetupError, match="give the user this service runs as the right to write there"):
            staging(tmp_path)
    finally:
        tmp_path.chmod(0o700)
