"""Crops in the data folder: durable writes, names by content, and clean-up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from service.files import crops
from service.files.crops import keep_crop

SHA = "ab" * 32


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_crop_is_named_by_its_picture_and_its_bytes(tmp_path: Path) -> None:
    name = keep_crop(tmp_path, SHA, b"one")
    assert name.startswith(f"ab/{SHA}.")
    assert name.endswith(".jpg")
    assert (tmp_path / name).read_bytes() == b"one"
    other = keep_crop(tmp_path, SHA, b"two")
    assert other != name
    assert files(tmp_path) == {name, other}


def test_a_crop_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    name = keep_crop(tmp_path, SHA, b"one")
    before = (tmp_path / name).stat()
    assert keep_crop(tmp_path, SHA, b"one") == name
    after = (tmp_path / name).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_half_a_crop_of_a_kill_is_written_over(tmp_path: Path) -> None:
    name = keep_crop(tmp_path, SHA, b"whole")
    whole = tmp_path / name
    whole.rename(whole.with_suffix(".draft"))
    whole.with_suffix(".draft").write_bytes(b"who")
    assert keep_crop(tmp_path, SHA, b"whole") == name
    assert files(tmp_path) == {name}
    assert whole.read_bytes() == b"whole"


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Limit the size of files, as on a full disk."""
    resource = pytest.importorskip("resource", reason="limits of files exist on POSIX systems only")
    signal = pytest.importorskip("signal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_refuses_is_a_thing_to_mend(tmp_path: Path) -> None:
    with small_files(1000), pytest.raises(SetupError, match="cannot write to"):
        keep_crop(tmp_path, SHA, os.urandom(5000))
    assert not [name for name in files(tmp_path) if name.endswith(".jpg")], "no partial file has a crop's name"
    name = keep_crop(tmp_path, SHA, b"small")
    assert crops.tidy(tmp_path, {name}) == 1


def test_tidying_removes_what_no_face_needs_and_nothing_else(tmp_path: Path) -> None:
    needed, old = keep_crop(tmp_path, SHA, b"needed"), keep_crop(tmp_path, SHA, b"old")
    (tmp_path / "ab" / "left-over.draft").touch()
    assert crops.tidy(tmp_path, {needed}) == 2
    assert files(tmp_path) == {needed}
    assert not (tmp_path / old).exists()
    assert crops.tidy(tmp_path / "nowhere", set()) == 0


def test_a_lost_crop_is_noticed(tmp_path: Path) -> None:
    kept, lost = keep_crop(tmp_path, SHA, b"kept"), keep_crop(tmp_path, "cd" * 32, b"lost")
    (tmp_path / lost).unlink()
    assert crops.find_lost(tmp_path, {kept, lost}) == {lost}
    assert crops.find_lost(tmp_path / "nowhere", {kept}) == {kept}
    assert crops.read_crop(tmp_path, kept) == b"kept"
    with pytest.raises(SetupError, match="run 'immich-facesets sync', which fetches its picture again"):
        crops.read_crop(tmp_path, lost)
