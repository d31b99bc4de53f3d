"""Pictures of one publish: encoded once, by all cores, and one file on the disk as long as it is unchanged."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from immich_facesets.errors import ItemError
from immich_facesets.exports.profile import Content, PictureFile, ReadBack
from service.files.export_tree import ExportTree
from service.files.picture_shelf import PictureShelf

ONE, OTHER = "faceset_001", "_profiles/plain/faceset_001"


def coded(number: int) -> bytes:
    return b"picture %d" % number


class Encoder:
    """Encodes invented pictures and counts how often each was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def picture(self, number: int) -> PictureFile:
        def encode() -> bytes:
            self.asked.append(number)
            return coded(number)

        return PictureFile(number, encode, 1.0)


def directory(
    name: str, pictures: list[PictureFile], *, folder: str = "", caption: bytes = b"anna\n"
) -> Iterator[tuple[str, Content]]:
    names = [f"{folder}{rank:04d}.png" for rank in range(1, len(pictures) + 1)]
    yield from zip(names, pictures, strict=True)
    yield "0001.txt", caption
    yield "all.fsz", partial(bundle, names)
    faces = [{"file": file, "sha256": "0", "box": [picture.key]} for file, picture in zip(names, pictures, strict=True)]
    yield (
        "manifest.json",
        json.dumps({"schema": 1, "name": name.rsplit("/", 1)[-1], "faces": faces, "bundles": {}}).encode(),
    )


def bundle(names: list[str], file: BinaryIO, read_back: ReadBack) -> None:
    file.writelines(map(read_back, names))


def write(tree: ExportTree, shelf: PictureShelf, *numbers: int, encoder: Encoder) -> None:
    """Write two directories with the same pictures."""
    pictures = [encoder.picture(number) for number in numbers]
    tree.write_directory(ONE, directory(ONE, pictures, folder="faces/"), shelf)
    tree.write_directory(OTHER, directory(OTHER, pictures), shelf)


def test_a_picture_in_two_directories_is_encoded_once_and_is_one_file(tmp_path: Path) -> None:
    tree, encoder = ExportTree(tmp_path), Encoder()
    write(tree, tree.shelf(), 1, 2, encoder=encoder)
    assert sorted(encoder.asked) == [1, 2]
    for rank in (1, 2):
        face, same = tmp_path / ONE / f"faces/{rank:04d}.png", tmp_path / OTHER / f"{rank:04d}.png"
        assert face.read_bytes() == coded(rank)
        assert face.samefile(same)
    assert (tmp_path / OTHER / "all.fsz").read_bytes() == coded(1) + coded(2)
    sums = [(tmp_path / name / "SHA256SUMS").read_text().split()[::2] for name in (ONE, OTHER)]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("pictures", [1, 9])
def test_a_picture_with_two_names_in_one_directory_is_encoded_once_and_is_one_file(
    tmp_path: Path, pictures: int
) -> None:
    tree, encoder = ExportTree(tmp_path), Encoder()
    twice = [encoder.picture(number) for number in (*range(pictures), *range(pictures))]
    tree.write_directory(ONE, directory(ONE, twice), PictureShelf(cores=8))
    assert sorted(encoder.asked) == list(range(pictures))
    for rank in range(1, pictures + 1):
        first, second = (tmp_path / ONE / f"{number:04d}.png" for number in (rank, rank + pictures))
        assert first.read_bytes() == coded(rank - 1)
        assert first.samefile(second)
    copy = tmp_path / "copy"
    copy.mkdir()
    ExportTree(copy).write_directory(ONE, directory(ONE, twice), PictureShelf(may_link=False))
    assert {path.stat().st_nlink for path in copy.rglob("*.png")} == {1}


def test_equal_captions_are_never_one_file(tmp_path: Path) -> None:
    tree = ExportTree(tmp_path)
    write(tree, tree.shelf(), 1, encoder=Encoder())
    assert [(tmp_path / name / "0001.txt").stat().st_nlink for name in (ONE, OTHER)] == [1, 1]


def test_a_later_publish_links_to_what_is_in_place_even_under_another_name(tmp_path: Path) -> None:
    tree = ExportTree(tmp_path)
    tree.write_directory(ONE, directory(ONE, [Encoder().picture(number) for number in (1, 2)], folder="faces/"))
    inode = (tmp_path / ONE / "faces/0001.png").stat().st_ino
    write(tree, tree.shelf(), 3, 1, encoder=Encoder())
    moved = tmp_path / ONE / "faces/0002.png"
    assert moved.read_bytes() == coded(1)
    assert (moved.stat().st_ino, moved.stat().st_nlink) == (inode, 2)


def test_a_picture_that_a_program_changed_in_place_is_never_spread(tmp_path: Path) -> None:
    tree, encoder, shelf = ExportTree(tmp_path), Encoder(), ExportTree(tmp_path).shelf()
    pictures = [encoder.picture(1)]
    tree.write_directory(ONE, directory(ONE, pictures, folder="faces/"), shelf)
    (tmp_path / ONE / "faces/0001.png").write_bytes(b"retouched")
    tree.write_directory(OTHER, directory(OTHER, pictures), shelf)
    assert (tmp_path / OTHER / "0001.png").read_bytes() == coded(1)
    assert (tmp_path / ONE / "faces/0001.png").read_bytes() == b"retouched"
    assert encoder.asked == [1, 1]
    write(tree, tree.shelf(), 1, encoder=encoder)
    assert (tmp_path / ONE / "faces/0001.png").read_bytes() == coded(1)


def test_one_name_that_goes_leaves_the_others(tmp_path: Path) -> None:
    tree = ExportTree(tmp_path)
    write(tree, tree.shelf(), 1, encoder=Encoder())
    tree.remove_directory(ONE)
    assert (tmp_path / OTHER / "0001.png").read_bytes() == coded(1)


def test_without_links_a_picture_is_encoded_once_and_copied(tmp_path: Path) -> None:
    tree, encoder = ExportTree(tmp_path), Encoder()
    write(tree, PictureShelf(may_link=False), 1, encoder=encoder)
    face, same = tmp_path / ONE / "faces/0001.png", tmp_path / OTHER / "0001.png"
    assert face.read_bytes() == same.read_bytes() == coded(1)
    assert not face.samefile(same)
    assert encoder.asked == [1]


def test_a_file_on_another_disk_is_copied(tmp_path: Path) -> None:
    memory = Path("/dev", "shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system")
    shelf, encoder = PictureShelf(), Encoder()
    elsewhere = memory / f"facesets-{tmp_path.name}-{threading.get_native_id()}"
    elsewhere.mkdir()
    try:
        ExportTree(elsewhere).write_directory(ONE, directory(ONE, [encoder.picture(1)], folder="faces/"), shelf)
        ExportTree(tmp_path).write_directory(ONE, directory(ONE, [encoder.picture(1)], folder="faces/"), shelf)
    finally:
        for path in sorted(elsewhere.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        elsewhere.rmdir()
    assert (tmp_path / ONE / "faces/0001.png").read_bytes() == coded(1)
    assert encoder.asked == [1]


def test_as_many_pictures_are_encoded_at_once_as_there_are_cores(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def meeting(number: int) -> Callable[[], bytes]:
        def encode() -> bytes:
            both.wait(timeout=10)
            return coded(number)

        return encode

    pictures = [PictureFile(number, meeting(number), 1.0) for number in range(4)]
    ExportTree(tmp_path).write_directory(ONE, directory(ONE, pictures), PictureShelf(cores=2))
    assert [path.read_bytes() for path in sorted((tmp_path / ONE).glob("*.png"))] == [coded(n) for n in range(4)]


def test_a_picture_that_cannot_be_encoded_leaves_the_directory_as_it_was(tmp_path: Path) -> None:
    tree = ExportTree(tmp_path)
    write(tree, tree.shelf(), 1, encoder=Encoder())

    def broken() -> bytes:
        raise ItemError("a stored crop cannot be read", reason="bad_crop")

    with pytest.raises(ItemError):
        tree.write_directory(ONE, directory(ONE, [Encoder().picture(2), PictureFile("bad", broken, 1.0)]), tree.shelf())
    assert (tmp_path / ONE / "faces/0001.png").read_bytes() == coded(1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
