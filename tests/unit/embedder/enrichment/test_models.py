"""Quality models: a model's answer where there is a model, and no value otherwise."""

from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from embedder_scene import FACE, Pixels, ScriptedEngine, face_at, running
from small_models import write_pooled, write_recogniser

from embedder.engine import Aligned, Detection
from embedder.enrichment.lanes import EnrichmentModels, open_enrichment
from embedder.enrichment.model_discovery import find_enrichment_files
from embedder.images import alignment
from embedder.models.onnx_header import read_header
from embedder.models.pack import open_pack, task_of
from embedder.models.sessions import Device
from immich_facesets import wire
from immich_facesets.errors import SetupError
from immich_facesets.faces import Measures
from immich_facesets.runtime.model_folder import EXTRA_FOLDER, record_pack

FILE = "ediffiqa_tiny_jun2024.onnx"
RED = np.array([[1.0], [0.0], [0.0]])
"""A model whose answer is the first channel of its input."""


def painted(red: int, green: int = 0, blue: int = 0) -> bytes:
    picture = np.full((240, 320, 3), (blue, green, red), np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


def opened(models: Path) -> EnrichmentModels:
    return open_enrichment(find_enrichment_files(models, "pack"), Device(threads=1))


def judge(
    models: Path,
    weights: np.ndarray = RED,
    *,
    side: int = 112,
    batch: int | str = "N",
    window: tuple[int, int, int, int] | None = None,
    last: str | None = None,
) -> EnrichmentModels:
    """The further models of a folder with one quality model of this shape."""
    write_pooled(models / "pack" / FILE, weights, side=side, batch=batch, window=window, last=last)
    return opened(models)


async def test_without_a_model_nothing_is_said(tmp_path: Path) -> None:
    async with running(enrichment=opened(tmp_path)) as scene:
        (face,) = (await scene.answer(painted(204))).faces
        assert face.quality.quality is None
        info = msgspec.json.decode((await scene.client.get("/v1/info")).content, type=wire.Info)
        assert "quality" not in [model.task for model in info.models]


@pytest.mark.parametrize(("red", "said"), [(204, 0.6), (255, 1.0), (166, 0.302), (20, 0.0)])
async def test_the_model_sees_rgb_between_minus_one_and_one(tmp_path: Path, red: int, said: float) -> None:
    async with running(enrichment=judge(tmp_path)) as scene:
        (face,) = (await scene.answer(painted(red, green=90, blue=255))).faces
        assert face.quality.quality == pytest.approx(said, abs=0.002)
        assert face.quality.brightness > 0


async def test_the_model_is_among_the_models_that_are_served(tmp_path: Path) -> None:
    async with running(enrichment=judge(tmp_path)) as scene:
        info = msgspec.json.decode((await scene.client.get("/v1/info")).content, type=wire.Info)
        assert [(model.task, model.name) for model in info.models] == [("quality", FILE)]
        assert len(info.models[0].sha256) == 64


@pytest.mark.parametrize("batch", ["N", 1])
async def test_each_face_of_a_picture_has_its_own_quality(tmp_path: Path, batch: int | str) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    for x, red in ((0, 160), (110, 200), (220, 240)):
        picture[:, x : x + 100, 2] = red
    engine = ScriptedEngine(seen=[face_at(14, 60, 0.9), face_at(124, 60, 0.8), face_at(234, 60, 0.7)])
    async with running(engine, enrichment=judge(tmp_path, batch=batch, window=(50, 50, 62, 80))) as scene:
        answer = await scene.answer(cv2.imencode(".png", picture)[1].tobytes())
        said = [face.quality.quality for face in answer.faces]
        assert said == pytest.approx([160 / 127.5 - 1, 200 / 127.5 - 1, 240 / 127.5 - 1], abs=0.01)


async def test_a_face_at_which_the_model_fails_is_answered_without_its_quality(tmp_path: Path) -> None:
    async with running(enrichment=judge(tmp_path, last="Sqrt")) as scene:
        (good,) = (await scene.answer(painted(204))).faces
        (bad,) = (await scene.answer(painted(20))).faces
        assert good.quality.quality == pytest.approx(0.6**0.5, abs=0.01)
        assert bad.quality.quality is None
        assert len(bad.vector()) == 4


class WideEngine(ScriptedEngine):
    """An engine whose recogniser takes 128 pixels, with the face elsewhere in them."""

    def align(self, pixels: Pixels, detection: Detection) -> Aligned:
        return alignment.align(pixels, detection, 128)


@pytest.mark.parametrize("engine", [ScriptedEngine, WideEngine])
async def test_the_model_sees_the_face_where_it_was_trained_to(tmp_path: Path, engine: type[ScriptedEngine]) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    x, y = FACE.landmarks[0]
    cv2.circle(picture, (round(x), round(y)), 4, (255, 255, 255), -1)
    extras = judge(tmp_path, window=(36, 50, 40, 54))
    async with running(engine(), enrichment=extras) as scene:
        (face,) = (await scene.answer(cv2.imencode(".png", picture)[1].tobytes())).faces
        assert face.quality.quality == pytest.approx(1.0)


@pytest.mark.parametrize("folder", ["pack", EXTRA_FOLDER])
def test_the_model_is_found_in_the_pack_and_in_the_folder_beside_the_packs(tmp_path: Path, folder: str) -> None:
    path = write_pooled(tmp_path / folder / FILE, RED)
    found = find_enrichment_files(tmp_path, "pack").quality
    assert found is not None
    assert found.path == path


def test_the_packs_own_model_comes_first(tmp_path: Path) -> None:
    write_pooled(tmp_path / EXTRA_FOLDER / FILE, RED)
    own = write_pooled(tmp_path / "pack" / FILE, RED)
    found = find_enrichment_files(tmp_path, "pack").quality
    assert found is not None
    assert found.path == own


def test_the_model_is_never_taken_for_a_recogniser(tmp_path: Path) -> None:
    path = write_recogniser(tmp_path / FILE)
    assert task_of(path.name, read_header(path)) == "quality"
    assert task_of("own.onnx", read_header(path)) == "recognition"


def test_a_file_that_is_not_this_model_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not eDifFIQA"):
        judge(tmp_path, np.ones((3, 7)))
    with pytest.raises(SetupError, match="not eDifFIQA"):
        judge(tmp_path, side=96)


def test_a_model_that_changed_since_it_was_installed_is_refused(tmp_path: Path) -> None:
    write_pooled(tmp_path / EXTRA_FOLDER / FILE, RED)
    record_pack(tmp_path / EXTRA_FOLDER)
    find_enrichment_files(tmp_path, "pack")
    write_pooled(tmp_path / EXTRA_FOLDER / FILE, RED * 2)
    with pytest.raises(SetupError, match="changed"):
        find_enrichment_files(tmp_path, "pack")


def test_a_pack_is_served_with_the_model_in_it(tmp_path: Path) -> None:
    write_pooled(tmp_path / "pack" / FILE, RED)
    write_recogniser(tmp_path / "pack" / "w600k_mbf.onnx")
    with pytest.raises(SetupError, match=r"lacks an SCRFD detector.*ediffiqa_tiny_jun2024\.onnx \(quality\)"):
        open_pack(tmp_path, "pack")


def test_measures_of_before_are_still_understood() -> None:
    measures = Measures(blur=1, blur_size=112, brightness=2, contrast=3, yaw=0, pitch=0, roll=0)
    fields = {name: getattr(measures, name) for name in Measures.__dataclass_fields__ if name != "quality"}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Measures) == measures
    assert replace(measures, quality=0.5) != measures
