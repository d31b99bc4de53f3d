"""The pack in use: the named one, otherwise the best that is installed, otherwise the free one."""

from pathlib import Path

import pytest

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import BEST_FIRST, FREE_PACK, PACKS
from immich_facesets.runtime import model_folder
from immich_facesets.runtime.pack_choice import choose_pack
from immich_facesets.spaces import OPERATING_POINTS

NOTES = """
[recognisers.mine]
mean = 127.5
std = 127.5
"""
DISTANCES = """
[recognisers.mine.distances]
match = 0.4
cluster = 0.5
merge = 0.3
drop = 0.5
outlier = 0.4
"""


def put(models: Path, pack: str, *names: str, notes: str = "") -> None:
    folder = models / pack
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.onnx").write_bytes(b"\x08\x07")
    if notes:
        (folder / "facesets.toml").write_text(notes)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "built-in")
    put(tmp_path / "built-in", FREE_PACK, "face_detection_yunet", "face_recognition_sface")
    return tmp_path / "models"


def test_the_free_pack_is_the_last_choice(models: Path) -> None:
    assert choose_pack(models).name == FREE_PACK
    put(models, "extra", "det_2.5g", "w600k_mbf_int8")
    put(models, "antelopev2", "scrfd_10g_bnkps", "glintr100")
    put(models, "unmeasured", "det_500m", "mine", notes=NOTES)
    put(models, "recogniser_alone", "w600k_r50")
    put(models, "two", "det_500m", "w600k_mbf", "w600k_r50")
    assert choose_pack(models).name == FREE_PACK


def test_a_pack_of_ones_own_comes_before_it_and_a_known_one_first(models: Path) -> None:
    put(models, "mine", "det_500m", "mine", notes=NOTES + DISTANCES)
    assert choose_pack(models).name == "mine"
    for name in reversed(BEST_FIRST):
        put(
            models,
            name,
            (PACKS[name].detector or "").removesuffix(".onnx"),
            (PACKS[name].recogniser or "").removesuffix(".onnx"),
        )
        assert choose_pack(models).name == name
    assert choose_pack(models, FREE_PACK).name == FREE_PACK


def test_a_known_model_under_another_name_is_told_by_its_family(models: Path) -> None:
    put(models, "renamed", "det_500m", "mine", notes=f'{NOTES}family = "w600k_r50"\n')
    assert choose_pack(models).name == "renamed"


def test_a_named_pack_that_is_missing_is_an_error(models: Path) -> None:
    with pytest.raises(SetupError, match="there are no models in"):
        choose_pack(models, "buffalo_l")


def test_every_pack_of_the_order_has_measured_distances() -> None:
    for name in (*BEST_FIRST, FREE_PACK):
        recogniser = PACKS[name].recogniser or ""
        assert any(recogniser.startswith(family) for family in OPERATING_POINTS), name
