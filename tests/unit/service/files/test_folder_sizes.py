"""How much room folders take."""

import os
from pathlib import Path

from service.files.folder_sizes import folder_size


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_a_folder_is_as_large_as_its_files_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path / "a", 3)
    write(tmp_path / "one/two/b", 5)
    size = folder_size(tmp_path)
    assert (size.files, size.bytes) == (2, 8)


def test_a_file_with_two_names_counts_once_and_a_link_leads_nowhere(tmp_path: Path) -> None:
    os.link(write(tmp_path / "sets/one/a", 7), tmp_path / "sets/b")
    write(tmp_path / "elsewhere/c", 100)
    (tmp_path / "sets/outside").symlink_to(tmp_path / "elsewhere")
    size = folder_size(tmp_path / "sets")
    assert (size.files, size.bytes - (tmp_path / "sets/outside").lstat().st_size) == (2, 7)


def test_what_counts_elsewhere_is_left_out_and_a_missing_folder_is_empty(tmp_path: Path) -> None:
    write(tmp_path / "a", 1)
    write(tmp_path / "apart/b", 10)
    size = folder_size(tmp_path, but={tmp_path / "apart"})
    assert (size.files, size.bytes) == (1, 1)
    missing = folder_size(tmp_path / "nothing")
    assert (missing.files, missing.bytes) == (0, 0)
