"""Sidecars replaced in a folder of others."""

import os
from pathlib import Path

import pytest

from immich_facesets.errors import ItemError
from service.files.sidecars import MOST_BYTES, read_sidecar, replace_sidecar, sidecars_in


def test_a_sidecar_that_changed_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b"before")
    found = read_sidecar(path)
    path.write_bytes(b"of others")
    with pytest.raises(ItemError, match="another program"):
        replace_sidecar(found, b"ours")
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"a.xmp": b"of others"}
    path.unlink()
    with pytest.raises(ItemError, match="gone"):
        replace_sidecar(found, b"ours")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_by_hard_links_keeps_the_old_sidecar(tmp_path: Path) -> None:
    path, backup = tmp_path / "a.xmp", tmp_path / "backup"
    path.write_bytes(b"before")
    os.link(path, backup)
    (tmp_path / ".facesets-draft-a.xmp").write_bytes(b"left by a kill")
    replace_sidecar(read_sidecar(path), b"after")
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"a.xmp": b"after", "backup": b"before"}


def test_a_sidecar_belongs_to_the_picture_of_its_name_or_of_its_stem(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.jpg.xmp", "a.xmp", "b.jpg", "b.xmp", "c.jpg", "c.raw", "c.XMP", "d.xmp", ".e.jpg.xmp"):
        (tmp_path / name).touch()
    found = {item.name: [path.name for path in item.pictures] for item in sidecars_in(tmp_path)}
    assert found == {"a.jpg.xmp": ["a.jpg"], "a.xmp": [], "b.xmp": ["b.jpg"], "c.XMP": ["c.jpg", "c.raw"], "d.xmp": []}


@pytest.mark.parametrize("kind", ["large", "pipe"])
def test_a_sidecar_that_is_too_large_or_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.xmp"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(MOST_BYTES + 1)
    with pytest.raises(ItemError, match="16 MiB" if kind == "large" else "no ordinary file") as caught:
        read_sidecar(path)
    assert caught.value.reason == "unreadable_sidecar"


def test_the_largest_sidecar_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b" " * MOST_BYTES)
    assert len(read_sidecar(path).body) == MOST_BYTES
