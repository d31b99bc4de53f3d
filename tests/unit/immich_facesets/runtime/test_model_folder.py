"""Model packs on disk: installed from local files only, completely or not at all, and verified afterwards."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import NON_COMMERCIAL, PACKS, PUBLISHED, RECOGNISERS, pack_licence, recogniser_family
from immich_facesets.runtime import model_folder
from immich_facesets.runtime.model_folder import (
    RECORD_NAME,
    Difference,
    check_pack,
    digest_file,
    find_pack,
    list_packs,
    verify_pack,
)
from immich_facesets.runtime.pack_description import PackNotes, RecogniserNote, read_notes
from immich_facesets.runtime.pack_installation import install_from_archive


@pytest.fixture(autouse=True)
def _nothing_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "built-in")


FILES = {"det_500m.onnx": b"\x08\x07detector", "w600k_mbf.onnx": b"\x08\x07recogniser"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_pack_is_installed_from_an_archive_and_verified(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {**FILES, "README.txt": b"hello"})
    models = tmp_path / "models"
    pack = install_from_archive(archive, models, "buffalo_s", accept_license=True)
    assert (pack.name, pack.files, pack.licence) == ("buffalo_s", tuple(sorted(FILES)), NON_COMMERCIAL)
    assert pack == find_pack(models, "buffalo_s")
    assert list_packs(models) == (pack,)
    assert verify_pack(models, "buffalo_s") == ()
    assert (models / "buffalo_s" / RECORD_NAME).read_text().splitlines()[0].endswith("  det_500m.onnx")
    assert [path.name for path in models.iterdir()] == ["buffalo_s"]


def test_a_pack_is_installed_from_a_folder_and_from_a_folder_inside(tmp_path: Path) -> None:
    inner = tmp_path / "download" / "antelopev2"
    inner.mkdir(parents=True)
    for name, data in FILES.items():
        (inner / name).write_bytes(data)
    for source, name in ((inner, "one"), (inner.parent, "two")):
        pack = install_from_archive(source, tmp_path / "models", name, accept_license=True)
        assert pack.files == tuple(sorted(FILES))


def test_nothing_is_installed_before_the_licence_is_accepted(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", FILES)
    with pytest.raises(SetupError, match="non-commercial"):
        install_from_archive(archive, tmp_path / "models", "buffalo_s", accept_license=False)
    assert not (tmp_path / "models").exists()


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"../../evil.onnx": b"\x08x", "/etc/worse.onnx": b"\x08y"})
    pack = install_from_archive(archive, tmp_path / "models", "own", accept_license=True)
    assert pack.files == ("evil.onnx", "worse.onnx")
    assert not (tmp_path / "evil.onnx").exists()
    assert not (tmp_path.parent / "evil.onnx").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a/x.onnx": b"\x08a", "b/x.onnx": b"\x08b"}, "twice"),
        ({"readme.md": b"x"}, "no .onnx"),
        ({"x.onnx": b""}, "is empty"),
        ({"x.onnx": b"version https://git-lfs.github.com/spec/v1\n"}, "not an ONNX model"),
        ({"x.onnx": b"<html>"}, "not an ONNX model"),
        ({".hidden.onnx": b"\x08"}, "not taken"),
    ],
)
def test_an_archive_that_is_not_a_pack_leaves_nothing_behind(
    files: dict[str, bytes], words: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    with pytest.raises(SetupError, match=words):
        install_from_archive(zipped(tmp_path / "x.zip", files), models, "own", accept_license=True)
    assert not models.exists() or list(models.iterdir()) == []


def test_a_damaged_or_missing_archive_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "x.zip"
    damaged.write_bytes(b"no zip at all")
    with pytest.raises(SetupError, match="cannot be read"):
        install_from_archive(damaged, tmp_path / "models", "own", accept_license=True)
    with pytest.raises(SetupError, match="no such archive"):
        install_from_archive(tmp_path / "none.zip", tmp_path / "models", "own", accept_license=True)
    good = zipped(tmp_path / "y.zip", FILES)
    data = bytearray(good.read_bytes())
    data[data.index(b"detector")] ^= 0xFF
    good.write_bytes(data)
    with pytest.raises(SetupError, match="damaged"):
        install_from_archive(good, tmp_path / "models", "own", accept_license=True)
    assert list((tmp_path / "models").iterdir()) == []


def test_installing_twice_changes_nothing_and_another_pack_is_not_overwritten(tmp_path: Path) -> None:
    archive, models = zipped(tmp_path / "x.zip", FILES), tmp_path / "models"
    first = install_from_archive(archive, models, "own", accept_license=True)
    assert install_from_archive(archive, models, "own", accept_license=True) == first
    other = zipped(tmp_path / "y.zip", {"det_500m.onnx": b"\x08other"})
    with pytest.raises(SetupError, match=r"holds another det_500m\.onnx"):
        install_from_archive(other, models, "own", accept_license=True)
    assert find_pack(models, "own") == first


def test_verification_tells_each_difference(tmp_path: Path) -> None:
    models = tmp_path / "models"
    files = {**FILES, "genderage.onnx": b"\x08g"}
    path = install_from_archive(zipped(tmp_path / "x.zip", files), models, "own", accept_license=True).path
    (path / "det_500m.onnx").write_bytes(b"\x08changed")
    (path / "genderage.onnx").unlink()
    (path / "new.onnx").write_bytes(b"\x08n")
    assert verify_pack(models, "own") == (
        Difference("det_500m.onnx", "changed"),
        Difference("genderage.onnx", "missing"),
        Difference("new.onnx", "unrecorded"),
    )
    (path / RECORD_NAME).unlink()
    with pytest.raises(SetupError, match="not recorded"):
        verify_pack(models, "own")


def test_a_single_model_is_added_to_a_pack_and_recorded(tmp_path: Path) -> None:
    models = tmp_path / "models"
    install_from_archive(zipped(tmp_path / "x.zip", FILES), models, "own", accept_license=True)
    more = tmp_path / "w600k_mbf_int8.onnx"
    more.write_bytes(b"\x08int8")
    pack = install_from_archive(more, models, "own", accept_license=True)
    assert pack.files == (*sorted(FILES), "w600k_mbf_int8.onnx")
    assert check_pack(models, "own") == pack
    assert pack.digests is not None
    assert set(pack.digests) == set(pack.files)


def test_a_pack_that_is_not_as_it_was_installed_is_not_served(tmp_path: Path) -> None:
    models = tmp_path / "models"
    path = install_from_archive(zipped(tmp_path / "x.zip", FILES), models, "own", accept_license=True).path
    (path / "det_500m.onnx").write_bytes(b"\x08changed")
    (path / "more.onnx").write_bytes(b"\x08more")
    with pytest.raises(SetupError, match=r"det_500m\.onnx is changed, more\.onnx is unrecorded"):
        check_pack(models, "own")


def test_a_folder_put_there_by_hand_is_served_and_can_be_recorded_in_place(tmp_path: Path) -> None:
    path = tmp_path / "models" / "own"
    path.mkdir(parents=True)
    (path / "w600k_mbf.onnx").write_bytes(b"\x08x")
    assert check_pack(tmp_path / "models", "own").digests is None
    install_from_archive(path, tmp_path / "models", "own", accept_license=True)
    assert verify_pack(tmp_path / "models", "own") == ()


def test_a_file_under_a_published_name_that_is_not_the_published_one_is_told(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {**FILES, "mine.onnx": b"\x08m"})
    pack = install_from_archive(archive, tmp_path / "models", "buffalo_sc", accept_license=True)
    assert pack.unpublished == ("det_500m.onnx", "w600k_mbf.onnx")


def test_what_a_pack_says_of_itself_is_installed_with_it(tmp_path: Path) -> None:
    notes = b'licence = "CC BY 4.0, mine"\n[recognisers.mine]\nmean = 127.5\nstd = 127.5\n'
    archive = zipped(
        tmp_path / "x.zip", {"p/mine.onnx": b"\x08m", "p/facesets.toml": notes, "p/MODEL.LICENSE": b"<terms>"}
    )
    with pytest.raises(SetupError, match=r"CC BY 4\.0, mine.*--accept-license"):
        install_from_archive(archive, tmp_path / "models", "own", accept_license=False)
    pack = install_from_archive(archive, tmp_path / "models", "own", accept_license=True)
    assert (pack.files, pack.licence) == (("mine.onnx",), "CC BY 4.0, mine")
    assert pack.notes.recognisers["mine"].mean == 127.5
    assert (pack.path / "MODEL.LICENSE").read_bytes() == b"<terms>"
    (pack.path / "facesets.toml").write_bytes(notes.replace(b"CC BY", b"CC BY-SA"))
    assert check_pack(tmp_path / "models", "own").licence == "CC BY-SA 4.0, mine"


def raccoon(recogniser: bytes, **recognition: object) -> dict[str, bytes]:
    """A pack in the layout of insightface 2: a manifest with the task of each file."""
    tasks = {
        "detection": {"file": "face.onnx", "preprocessing": {"mean": 127.5, "std": 128.0}},
        "verification": {"file": "check.onnx", "preprocessing": "embedded"},
        "recognition": {"file": "models/id.onnx", "sha256": hashlib.sha256(recogniser).hexdigest(), **recognition},
    }
    manifest = {"manifest_version": 2, "model_id": "raccoon_x", "license": "MODEL.LICENSE", "tasks": tasks}
    return {
        "raccoon_x/manifest.json": json.dumps(manifest).encode(),
        "raccoon_x/face.onnx": b"\x08face",
        "raccoon_x/check.onnx": b"\x08check",
        "raccoon_x/models/id.onnx": recogniser,
    }


def test_a_pack_with_a_manifest_says_which_file_does_what(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", raccoon(b"\x08id", preprocessing="embedded", embedding_dimension=512))
    pack = install_from_archive(archive, tmp_path / "models", "raccoon_l", accept_license=True)
    assert pack.licence == NON_COMMERCIAL
    assert (pack.notes.detector, pack.notes.recogniser) == ("face.onnx", "id.onnx")
    assert pack.notes.recognisers["id"] == RecogniserNote(mean=0.0, std=1.0, dimension=512)
    assert verify_pack(tmp_path / "models", "raccoon_l") == ()
    (pack.path / "manifest.json").write_bytes(b"{}")
    assert verify_pack(tmp_path / "models", "raccoon_l") == (Difference("manifest.json", "changed"),)


def test_a_pack_whose_manifest_has_other_digests_is_not_installed(tmp_path: Path) -> None:
    files = raccoon(b"\x08id")
    files["raccoon_x/models/id.onnx"] = b"\x08cut"
    with pytest.raises(SetupError, match=r"id\.onnx is not the file"):
        install_from_archive(zipped(tmp_path / "x.zip", files), tmp_path / "models", "raccoon_l", accept_license=True)
    del files["raccoon_x/models/id.onnx"]
    with pytest.raises(SetupError, match="not in the archive"):
        install_from_archive(zipped(tmp_path / "y.zip", files), tmp_path / "models", "raccoon_l", accept_license=True)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("facesets.toml", "licence = ", "cannot be used"),
        ("facesets.toml", "license = 'MIT'", "license"),
        ("facesets.toml", "[recognisers.m]\nstd = 0", "std"),
        ("facesets.toml", "[recognisers.m]\nmaen = 1", "maen"),
        ("facesets.toml", "[recognisers.m.distances]\nmatch = 0.5", "cluster"),
        ("facesets.toml", "[recognisers.m]\ncolours = 'grey'", "colours"),
        ("manifest.json", "{", "cannot be used"),
        ("manifest.json", '{"manifest_version": 2}', "tasks"),
        (
            "manifest.json",
            json.dumps({"manifest_version": 2, "tasks": {"detection": {"file": "d.onnx"}}}),
            "recognition",
        ),
        (
            "manifest.json",
            json.dumps(
                {
                    "manifest_version": 2,
                    "tasks": {
                        "detection": {"file": "d.onnx", "preprocessing": {"mean": 0, "std": 1}},
                        "recognition": {"file": "r.onnx"},
                    },
                }
            ),
            "another normalisation than SCRFD",
        ),
    ],
)
def test_notes_that_make_no_sense_are_told(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SetupError, match=words):
        read_notes(tmp_path)


def test_a_manifest_of_another_version_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"manifest_version": 1, "tasks": 5}')
    assert read_notes(tmp_path) == PackNotes()


def test_a_published_model_is_known_by_its_content_under_any_name() -> None:
    family = recogniser_family("face_id.onnx", PUBLISHED["w600k_r50.onnx"])
    assert family == RECOGNISERS["w600k_r50"]
    assert recogniser_family("face_id.onnx", "0" * 64) is None


def test_a_digest_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_bytes(b"one")
    first = digest_file(file)
    assert digest_file(file) == first
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert digest_file(file) != first


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "x" * 200])
def test_a_pack_has_a_plain_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not a name"):
        find_pack(tmp_path, name)


def test_a_missing_pack_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="packs found: none"):
        find_pack(tmp_path / "nowhere", "buffalo_l")
    (tmp_path / "models" / "buffalo_l").mkdir(parents=True)
    (tmp_path / "models" / "buffalo_l" / "x.onnx").write_bytes(b"\x08")
    with pytest.raises(SetupError, match="set FACESETS_MODELS_DIR to"):
        find_pack(tmp_path, "buffalo_l")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("w600k_r50.onnx", "w600k_r50"),
        ("W600K_MBF.onnx", "w600k_mbf"),
        ("w600k_mbf_int8.onnx", "w600k_mbf"),
        ("edgeface_s_gamma_05.onnx", "edgeface_s"),
        ("edgeface_xxs_q.onnx", "edgeface_xxs"),
        ("w600k_r500.onnx", None),
        ("mystery.onnx", None),
    ],
)
def test_families_are_known_by_file_name(name: str, family: str | None) -> None:
    found = recogniser_family(name)
    assert (None if found is None else found.name) == family


def test_every_published_pack_has_a_known_recogniser() -> None:
    for pack in PACKS.values():
        if pack.recogniser is not None:
            assert recogniser_family(pack.recogniser) in RECOGNISERS.values()
        assert pack.files or "manifest.json" in pack.remark
        assert len(set(pack.files)) == len(pack.files)
    assert pack_licence("own", "w600k_r50.onnx") == NON_COMMERCIAL
    assert pack_licence("own", "mystery.onnx").startswith("unknown")
