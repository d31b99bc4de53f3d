"""Modes of files and folders under a umask that lets everybody in."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from immich_facesets.runtime.file_modes import (
    SHARED_FOLDER,
    close_to_others,
    close_tree_to_others,
    is_open_to_others,
    make_folder,
    private_opener,
    shared_opener,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead of modes")


@pytest.fixture(autouse=True)
def _nothing_masked() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_private_with_its_missing_parents_and_an_old_one_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path / "one" / "two")
    assert [mode(path) for path in (tmp_path, tmp_path / "one", tmp_path / "one" / "two")] == [0o755, 0o700, 0o700]
    make_folder(tmp_path)
    assert mode(tmp_path) == 0o755
    make_folder(tmp_path / "shown" / "to", mode=SHARED_FOLDER)
    assert [mode(tmp_path / "shown"), mode(tmp_path / "shown" / "to")] == [0o755, 0o755]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "inside")


def test_openers_set_the_mode_of_a_new_file(tmp_path: Path) -> None:
    with open(tmp_path / "ours", "xb", opener=private_opener), open(tmp_path / "shown", "xb", opener=shared_opener):
        assert (mode(tmp_path / "ours"), mode(tmp_path / "shown")) == (0o600, 0o644)


def test_a_tree_is_closed_to_others_and_links_lead_nowhere(tmp_path: Path) -> None:
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    (ours / "deep").mkdir(parents=True)
    foreign.mkdir()
    for path in (ours / "a", ours / "deep" / "b", foreign / "c"):
        path.touch()
    (ours / "link").symlink_to(foreign)
    (ours / "deep" / "link").symlink_to(foreign / "c")
    close_tree_to_others(ours)
    assert [mode(path) for path in (ours, ours / "deep", ours / "a", ours / "deep" / "b")] == [
        0o700,
        0o700,
        0o600,
        0o600,
    ]
    assert [mode(foreign), mode(foreign / "c")] == [0o777, 0o666]
    close_tree_to_others(tmp_path / "missing")


def test_a_mode_that_cannot_be_changed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_open_to_others(tmp_path / "file")
    assert close_to_others(tmp_path / "file")
    assert not is_open_to_others(tmp_path / "file")
    assert close_to_others(tmp_path / "missing")
    if sys.platform == "linux":
        assert not close_to_others(Path("/proc/self/status"))  # even root cannot change that mode
