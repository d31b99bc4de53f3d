"""Recogniser: ensembles of models as one space, and unusable model outputs."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_models import write_recogniser
from testdata import shared_data

from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.engines.recogniser import Recogniser, Recognition, unit_rows
from embedder.images.decoder import Decoder
from embedder.metrics import EmbedderMetrics
from embedder.models.onnx_header import read_header
from embedder.models.pack import KnownRecogniser, ModelFile, open_pack
from embedder.models.sessions import Device, open_session
from immich_facesets.errors import SetupError
from immich_facesets.model_packs import RecogniserFamily

FAMILY = RecogniserFamily("tiny", 512, 127.5, 127.5, "none")
RAW = RecogniserFamily("raw", 512, 0.0, 1.0, "none")


def crops(count: int, seed: int = 1) -> list[NDArray[np.uint8]]:
    """Smooth random crops: noise would be averaged away."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return list(np.ascontiguousarray(small.repeat(16, axis=1).repeat(16, axis=2)))


def recogniser(path: Path, weight: float = 1.0, family: RecogniserFamily = FAMILY) -> Recogniser:
    file = ModelFile(path, "recognition", read_header(path))
    return Recogniser(KnownRecogniser(file, family, weight), open_session(path, Device()))


def test_the_cosine_of_a_fused_space_is_the_weighted_sum_of_the_cosines(tmp_path: Path) -> None:
    first, second = (write_recogniser(tmp_path / f"{seed}.onnx", seed=seed) for seed in (1, 2))
    faces = crops(6)
    fused = Recognition([recogniser(first, 0.7), recogniser(second, 0.3)]).vectors(faces)
    one, two = (unit_rows(Recognition([recogniser(path)]).vectors(faces)) for path in (first, second))
    assert fused.shape == (6, 1024)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(fused @ fused.T, 0.7 * one @ one.T + 0.3 * two @ two.T, atol=1e-5)


def test_a_single_model_keeps_the_length_of_its_vectors(tmp_path: Path) -> None:
    one, faces = recogniser(write_recogniser(tmp_path / "one.onnx")), crops(3)
    vectors = Recognition([one]).vectors(faces)
    np.testing.assert_array_equal(vectors, one.vectors(faces))
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=0.1)


def test_a_face_that_one_model_says_nothing_about_is_refused_and_counted(tmp_path: Path) -> None:
    good = write_recogniser(tmp_path / "good.onnx", seed=1)
    blind = write_recogniser(tmp_path / "blind.onnx", seed=2)
    metrics = EmbedderMetrics()
    recognition = Recognition(
        [recogniser(good, 0.5), recogniser(blind, 0.5, RAW)], on_degenerate=metrics.count_degenerate
    )
    black = np.zeros((112, 112, 3), np.uint8)  # zeros for a model that takes raw pixels
    vectors = recognition.vectors([*crops(2), black])
    assert np.isfinite(vectors[:2]).all()
    assert np.isnan(vectors[2]).all()
    assert metrics.registry.get_sample_value("facesets_embedder_degenerate_outputs_total", {"model": "blind.onnx"}) == 1
    assert (
        metrics.registry.get_sample_value("facesets_embedder_degenerate_outputs_total", {"model": "good.onnx"}) is None
    )


@pytest.mark.parametrize(
    "row",
    [
        [np.nan, 1, 2, 3],
        [np.inf, 1, 2, 3],
        [-np.inf, np.inf, 2, 3],
        [0, 0, 0, 0],
        [1e-9, -1e-9, 0, 0],
        [5, 5, 5, 5],
        [5, 5, 5, 5.0001],
    ],
)
def test_an_output_without_direction_is_noticed_in_its_row_alone(row: list[float]) -> None:
    vectors = np.array([[1, 2, 3, -4], row, [3e38, -3e38, 0, 0]], np.float32)
    units = unit_rows(vectors)
    assert np.isnan(units[1]).all()
    np.testing.assert_allclose(np.linalg.norm(units[[0, 2]], axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(units[2], [math.sqrt(0.5), -math.sqrt(0.5), 0, 0], atol=1e-6)


def test_flip_averages_each_model_before_they_are_joined(tmp_path: Path) -> None:
    paths = [write_recogniser(tmp_path / f"{seed}.onnx", seed=seed) for seed in (1, 2)]
    faces = crops(2)
    mirrored = [np.ascontiguousarray(face[:, ::-1]) for face in faces]
    recognition = Recognition([recogniser(path, 0.5) for path in paths], flip=True)
    vectors = recognition.vectors(faces)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(vectors, recognition.vectors(mirrored), atol=1e-5)
    one = recogniser(paths[0])
    half = unit_rows(one.vectors(faces) + one.vectors(mirrored)) * math.sqrt(0.5)
    np.testing.assert_allclose(vectors[:, :512], half, atol=1e-6)


def test_a_model_of_half_precision_is_fed_half_precision(tmp_path: Path) -> None:
    whole = Recognition([recogniser(write_recogniser(tmp_path / "whole.onnx"))]).vectors(crops(4))
    half = Recognition([recogniser(write_recogniser(tmp_path / "half.onnx", half=True))]).vectors(crops(4))
    assert half.dtype == np.float32
    assert ((unit_rows(whole) * unit_rows(half)).sum(axis=1) > 0.9999).all()


def test_half_precision_that_overflows_is_a_refused_face_and_no_vector(tmp_path: Path) -> None:
    tiny = RecogniserFamily("tiny", 512, 0.0, 0.01, "none")  # pixels up to 25,500: fine, but not their sums
    overflowing = recogniser(write_recogniser(tmp_path / "half.onnx", half=True), family=tiny)
    assert np.isnan(Recognition([overflowing]).vectors(crops(2))).all()


@pytest.mark.parametrize("batch", [1, "N"])
def test_a_batch_gives_what_single_faces_give(batch: int | str, tmp_path: Path) -> None:
    one = recogniser(write_recogniser(tmp_path / "m.onnx", batch=batch))
    faces = crops(5)
    singly = np.vstack([one.vectors([face]) for face in faces])
    np.testing.assert_allclose(one.vectors(faces), singly, rtol=1e-4, atol=1e-4)


def test_a_model_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="gives vectors of 256 numbers, but tiny has 512"):
        recogniser(write_recogniser(tmp_path / "m.onnx", dimension=256))


@pytest.mark.models
def test_two_real_recognisers_are_served_as_one_space(tmp_path: Path) -> None:
    data = shared_data() / "data"
    models = data / "models"
    (tmp_path / "own").mkdir()
    for name in ("bench_s/det_500m.onnx", "bench_s/w600k_mbf.onnx", "bench_edge/edgeface_xs.onnx"):
        (tmp_path / "own" / Path(name).name).symlink_to(models / name)
    single = OnnxEngine(open_pack(tmp_path, "own", {"w600k_mbf": 1.0}), Tuning())
    other = OnnxEngine(open_pack(tmp_path, "own", {"edgeface_xs": 1.0}), Tuning())
    fused = OnnxEngine(open_pack(tmp_path, "own", {"w600k_mbf": 0.6, "edgeface_xs": 0.4}), Tuning())
    assert fused.facts.dimension == 1024
    assert [model.name for model in fused.facts.models] == ["det_500m.onnx", "w600k_mbf.onnx", "edgeface_xs.onnx"]
    assert len({engine.facts.space.name for engine in (single, other, fused)}) == 3
    path = data / "images" / "groups" / "composite_03_12faces.jpg"
    picture = Decoder(150_000_000).decode(path.read_bytes())
    faces = fused.detect([fused.view(picture.pixels)])[0]
    aligned = [fused.align(picture.pixels, face) for face in faces]
    cosines = [(rows := unit_rows(engine.recognise(aligned))) @ rows.T for engine in (single, other, fused)]
    np.testing.assert_allclose(cosines[2], 0.6 * cosines[0] + 0.4 * cosines[1], atol=1e-5)
