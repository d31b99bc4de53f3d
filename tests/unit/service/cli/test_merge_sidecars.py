"""``export --merge-into``: people added to sidecars in a folder of others, and nothing else changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from service_process import tree
from small_disk import small_disk
from synced_library import SyncedLibrary

EMPTY = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
NOT_CLOSED = b"<x:xmpmeta>"


@pytest.fixture
def library(synced_library: SyncedLibrary, tmp_path: Path) -> SyncedLibrary:
    return synced_library.copy(tmp_path)


@pytest.fixture
def folder(library: SyncedLibrary, tmp_path: Path) -> Path:
    """Copies of the album's pictures under other names, each kind with a sidecar, and some that fit nothing."""
    root = tmp_path / "photos"
    (root / "2019").mkdir(parents=True)
    shutil.copy(library.album / "copy.jpg", root / "2019/IMG_1.jpg")
    shutil.copy(library.album / "copy.jpg", root / "2019/IMG_2.jpg")
    shutil.copy(library.album / "meadow.jpg", root / "meadow.jpg")
    for name in ("2019/IMG_1.jpg.xmp", "2019/IMG_2.XMP", "meadow.jpg.xmp", "2019/IMG_3.jpg.xmp"):
        (root / name).write_bytes(EMPTY)
    (root / "2019/IMG_1.jpg.xmp").chmod(0o640)
    return root


async def test_people_come_into_the_sidecars_of_the_same_bytes_once(library: SyncedLibrary, folder: Path) -> None:
    before = tree(folder)
    done = await library.run("export", "--profile", "xmp", "--merge-into", folder, "--dry-run")
    assert tree(folder) == before
    assert "Nothing was written. It would be: 4 sidecars, 2 changed" in done.stdout

    done = await library.run("export", "--profile", "xmp", "--merge-into", folder)
    after = tree(folder)
    assert {name for name in before if after[name] != before[name]} == {"2019/IMG_1.jpg.xmp", "2019/IMG_2.XMP"}
    assert after.keys() == before.keys()
    assert b"<mwg-rs:Name>" in after["2019/IMG_1.jpg.xmp"][1]
    assert after["2019/IMG_1.jpg.xmp"][1] == after["2019/IMG_2.XMP"][1]
    assert (folder / "2019/IMG_1.jpg.xmp").stat().st_mode & 0o777 == 0o640
    assert "2019/IMG_2.XMP: regions added" in done.stdout
    assert "no picture beside it: 1" in done.stdout
    assert "nobody known in the picture: 1" in done.stdout

    done = await library.run("export", "--profile", "xmp", "--merge-into", folder)
    assert tree(folder) == after
    assert "up to date: 2" in done.stdout


async def test_a_damaged_sidecar_is_named_and_stops_no_other(library: SyncedLibrary, folder: Path) -> None:
    (folder / "2019/IMG_1.jpg.xmp").write_bytes(NOT_CLOSED)
    done = await library.run("export", "--profile", "xmp", "--merge-into", folder, code=3)
    assert (folder / "2019/IMG_1.jpg.xmp").read_bytes() == NOT_CLOSED
    assert b"<mwg-rs:Name>" in (folder / "2019/IMG_2.XMP").read_bytes()
    told = done.stderr.strip().splitlines()
    assert "2019/IMG_1.jpg.xmp: it is no well-formed XML" in told[-1]


async def test_a_sidecar_that_two_pictures_share_and_a_link_are_left_alone(
    library: SyncedLibrary, folder: Path
) -> None:
    shutil.copy(folder / "2019/IMG_2.jpg", folder / "2019/IMG_2.png")
    (folder / "elsewhere").write_bytes(EMPTY)
    (folder / "2019/IMG_1.jpg.xmp").unlink()
    (folder / "2019/IMG_1.jpg.xmp").symlink_to(folder / "elsewhere")
    done = await library.run("export", "--profile", "xmp", "--merge-into", folder)
    assert "several pictures beside it: 1" in done.stdout
    assert (folder / "2019/IMG_2.XMP").read_bytes() == (folder / "elsewhere").read_bytes() == EMPTY
    assert (folder / "2019/IMG_1.jpg.xmp").is_symlink()


async def test_sidecars_without_pictures_are_known_by_their_place_in_our_tree(
    library: SyncedLibrary, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    await library.run("export", "--profile", "xmp", "--to", copied, with_remotes=True)
    ours = [name for name in tree(copied / "anna") if name.endswith(".xmp")]
    assert ours
    for name in ours:
        (copied / "anna" / name).write_bytes(EMPTY)
    done = await library.run("export", "--profile", "xmp", "--merge-into", copied / "anna")
    assert f"{len(ours)} sidecars, {len(ours)} changed" in done.stdout
    assert all(b"<mwg-rs:Name>" in (copied / "anna" / name).read_bytes() for name in ours)


@pytest.mark.parametrize("place", [".", "data", "data/exports"])
async def test_our_own_folders_are_refused(library: SyncedLibrary, place: str) -> None:
    refused = await library.run("export", "--profile", "xmp", "--merge-into", library.data.parent / place, code=3)
    assert "a folder of this program" in refused.stderr


async def test_a_missing_folder_is_told(library: SyncedLibrary, folder: Path) -> None:
    refused = await library.run("export", "--profile", "xmp", "--merge-into", folder / "none", code=3)
    assert "is no folder" in refused.stderr


@pytest.mark.slow
async def test_a_folder_that_is_mounted_read_only_is_told_before_anything_is_changed(
    library: SyncedLibrary, folder: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "mount", tmp_path) as disk:
        (disk.seen_at / "IMG_1.jpg").write_bytes((folder / "2019/IMG_1.jpg").read_bytes())
        (disk.seen_at / "IMG_1.jpg.xmp").write_bytes(EMPTY)
        disk.remount("ro")
        inside = replace(library, forks=disk.forks)
        command = ("export", "--profile", "xmp", "--merge-into", disk.folder)
        refused = await inside.run(*command, code=3)
        assert "mounted read-only: mount it with write access" in " ".join(refused.stderr.split())
        planned = await inside.run(*command, "--dry-run")
        assert "1 sidecars, 1 changed" in planned.stdout


async def test_a_source_folder_gets_its_sidecars_too_and_no_new_picture(library: SyncedLibrary, tmp_path: Path) -> None:
    album = tmp_path / "album"
    shutil.copytree(library.album, album)
    await library.run("sources", "add-folder", album, "--name", "album")
    (album / "old/again.jpg.xmp").write_bytes(EMPTY)
    before = tree(album)
    await library.run("export", "--profile", "xmp", "--merge-into", album)
    after = tree(album)
    assert {name for name in after if after[name] != before.get(name)} == {"old/again.jpg.xmp"}
