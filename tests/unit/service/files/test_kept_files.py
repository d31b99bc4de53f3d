"""Files of others in the export folder: kept, beside their face, and never taken for ours."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from immich_facesets.exports.manifests import json_bytes
from immich_facesets.exports.profile import Content, ReadBack
from service.files.export_tree import ExportTree

NAME = "_profiles/kohya/faceset_001"


@pytest.fixture
def tree(tmp_path: Path) -> ExportTree:
    return ExportTree(tmp_path)


def write(tree: ExportTree, faces: Sequence[str], *, repeats: int = 7, config: bytes = b"resolution = 512") -> None:
    """A directory as the profile kohya lays it out; a face is its letter, in the order of rank."""
    files = {f"img/{repeats}_anna/{rank:04d}.png": face for rank, face in enumerate(faces, start=1)}
    notes = {file.replace(".png", ".txt"): f"anna {face}".encode() for file, face in files.items()}
    manifest = json_bytes(
        {
            "schema": 1,
            "name": "faceset_001",
            "profile": "kohya",
            "faces": [{"file": file, "sha256": face, "box": [1, 2, 3, 4]} for file, face in files.items()],
            "bundles": {"all": "all.fsz", "dataset.toml": "dataset.toml"},
        }
    )
    pictures = {file: f"picture of {face}".encode() for file, face in files.items()}

    def bundle(file: BinaryIO, _read_back: ReadBack) -> None:
        file.write(b"".join(pictures.values()))

    written: list[tuple[str, Content]] = [*pictures.items(), *notes.items(), ("dataset.toml", config)]
    tree.write_directory(NAME, [*written, ("all.fsz", bundle), ("manifest.json", manifest)])


def found(root: Path) -> dict[str, str]:
    """The files below a folder but the lists of digests and manifests."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in {"SHA256SUMS", "manifest.json"}
    }


def edit(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_caption_edited_by_hand_follows_its_face(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "abc")
    edit(tmp_path, {"img/7_anna/0001.txt": "anna a with glasses", "img/7_anna/0001_sdxl.npz": "latents"})
    write(tree, "xab", repeats=5)
    files = found(tmp_path / NAME)
    assert files["img/5_anna/0001.txt"] == "anna x"
    assert files["img/5_anna/0002.txt"] == "anna a with glasses"
    assert files["img/5_anna/0002_sdxl.npz"] == "latents"
    assert files["img/5_anna/0003.txt"] == "anna b"
    assert len([name for name in files if name.endswith(".txt")]) == 3
    kept = {path.relative_to(tmp_path / NAME).as_posix() for path in tree.take_kept()}
    assert kept == {"img/5_anna/0002.txt", "img/5_anna/0002_sdxl.npz"}
    assert tree.take_kept() == []
    write(tree, "ab")
    assert found(tmp_path / NAME)["img/7_anna/0001.txt"] == "anna a with glasses", "kept the second time, too"


def test_a_caption_whose_face_is_gone_is_kept_apart(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "abc")
    edit(tmp_path, {"img/7_anna/0003.txt": "anna c, laughing"})
    write(tree, "ab")
    assert found(tmp_path / "_kept") == {f"{NAME}/img/7_anna/0003.txt": "anna c, laughing"}
    assert "img/7_anna/0003.txt" not in found(tmp_path / NAME)


def test_a_picture_that_was_added_moves_with_the_folder_of_the_others(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "ab")
    edit(tmp_path, {"img/7_anna/whole.png": "on a bicycle", "img/7_anna/0003.png": "mine, too", "notes/to do.md": "1"})
    write(tree, "abc", repeats=6)
    files = found(tmp_path / NAME)
    assert files["img/6_anna/whole.png"] == "on a bicycle"
    assert files["img/6_anna/0003.png"] == "picture of c"
    assert files["img/6_anna/0003 (2).png"] == "mine, too"
    assert files["notes/to do.md"] == "1"


def test_a_changed_configuration_stays_and_ours_lies_beside_it(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "ab")
    edit(tmp_path, {"dataset.toml": "resolution = 768"})
    for new in ("resolution = 513", "resolution = 514"):
        write(tree, "abc", config=new.encode())
        files = found(tmp_path / NAME)
        assert (files["dataset.toml"], files["dataset.toml.new"]) == ("resolution = 768", new)
    (tmp_path / NAME / "dataset.toml").unlink()
    write(tree, "ab", config=b"resolution = 515")
    files = found(tmp_path / NAME)
    assert files["dataset.toml"] == "resolution = 515"
    assert "dataset.toml.new" not in files


def test_files_of_others_stay_when_the_directory_goes(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "ab")
    edit(tmp_path, {"img/7_anna/0001.txt": "anna a with glasses", "lora.safetensors": "trained"})
    assert tree.remove_directory(NAME) is True
    assert found(tmp_path) == {
        f"_kept/{NAME}/img/7_anna/0001.txt": "anna a with glasses",
        f"_kept/{NAME}/lora.safetensors": "trained",
    }
    assert tree.on_disk() == {}


def test_changed_pictures_and_bundles_of_ours_are_written_again_and_go_with_their_face(
    tree: ExportTree, tmp_path: Path
) -> None:
    write(tree, "ab")
    edit(tmp_path, {"img/7_anna/0001.png": "retouched", "all.fsz": "mine"})
    write(tree, "b")
    assert found(tmp_path) == {
        f"{NAME}/all.fsz": "picture of b",
        f"{NAME}/dataset.toml": "resolution = 512",
        f"{NAME}/img/7_anna/0001.png": "picture of b",
        f"{NAME}/img/7_anna/0001.txt": "anna b",
    }
    assert tree.take_kept() == []


def test_a_changed_vector_for_swapping_never_outlives_its_directory(tree: ExportTree, tmp_path: Path) -> None:
    name = "_profiles/visomaster/faceset_001"
    manifest = {"schema": 1, "name": "faceset_001", "profile": "visomaster", "faces": [], "bundles": {"a": "a.json"}}
    tree.write_directory(name, [("a.json", b"[1]"), ("manifest.json", json_bytes(manifest))])
    (tmp_path / name / "a.json").write_text("[2]", encoding="utf-8")
    assert tree.remove_directory(name) is True
    assert found(tmp_path) == {}


def test_nothing_is_kept_of_a_directory_that_nobody_touched(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "abc")
    write(tree, "ca", repeats=9)
    assert tree.take_kept() == []
    assert {name for name in found(tmp_path) if "9_anna" not in name} == {f"{NAME}/all.fsz", f"{NAME}/dataset.toml"}
    write(tree, "ca", repeats=9)
    tree.remove_directory(NAME)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_an_older_version_is_replaced_as_before(tree: ExportTree, tmp_path: Path) -> None:
    write(tree, "ab")
    (tmp_path / NAME / "SHA256SUMS").unlink()
    write(tree, "b")
    assert tree.take_kept() == []
    assert json.loads((tmp_path / NAME / "manifest.json").read_text(encoding="utf-8"))["faces"][0]["sha256"] == "b"
