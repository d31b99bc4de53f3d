"""OpenCV engine: YuNet and SFace, the latter with random weights."""

import csv
import os
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from small_models import write_recogniser
from testdata import shared_data

from embedder.__main__ import open_engine
from embedder.engine import Detection
from embedder.engines.opencv import OpenCvEngine, OpenCvTuning, area_view, whole_view
from embedder.faces.regions import padded_area
from embedder.images.decoder import Decoder
from embedder.metrics import EmbedderMetrics
from embedder.models.pack import open_pack
from embedder.settings import load_settings
from immich_facesets.errors import SetupError
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box

pytestmark = pytest.mark.models

YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
DEFAULT = OpenCvTuning()
Pixels = NDArray[np.uint8]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "opencv_zoo"
    folder.mkdir()
    (folder / YUNET).symlink_to(shared_data() / "data" / "models" / "extra" / YUNET)
    write_recogniser(folder / SFACE, dimension=128, batch=1)
    return tmp_path


def engine(models: Path, tuning: OpenCvTuning = DEFAULT) -> OpenCvEngine:
    return OpenCvEngine(open_pack(models, "opencv_zoo", detector_task="yunet"), tuning)


def photo(path: Path) -> Pixels:
    return Decoder(150_000_000).decode(path.read_bytes()).pixels


def group() -> Pixels:
    return photo(shared_data() / "data" / "images" / "groups" / "composite_03_12faces.jpg")


def test_yunet_finds_in_a_tile_what_it_finds_in_the_whole(models: Path) -> None:
    pixels, using = group(), engine(models)
    faces = using.detect([using.view(pixels)])[0]
    assert len(faces) >= 12
    height, width = pixels.shape[:2]
    tile = Box(0, 0, width // 2, height)
    seen = using.detect([using.closer_view(pixels, tile, 0.8)])[0]
    inside = [face.box for face in faces if face.box.x2 < tile.x2 - 20]
    assert inside
    assert all(max(one.box.iou(box) for one in seen) > 0.6 for box in inside)
    sure = len(faces)
    assert len(using.detect([replace(using.view(pixels), doubtful=True)])[0]) >= sure
    assert len(using.detect([using.view(pixels)])[0]) == sure


def test_the_faces_are_those_that_scrfd_finds(models: Path) -> None:
    data = shared_data() / "data"
    reference, using = np.load(data / "reference_bench_s.npz"), engine(models)
    with (data / "labels.csv").open(encoding="utf-8") as stream:
        singles = [row["file"] for row in csv.DictReader(stream) if row["kind"] == "single"]
    same, shifts = 0, list[float]()
    for path in singles:
        pixels = photo(data / path)
        rows = np.flatnonzero(reference["path"] == path)
        row = rows[np.argmax(reference["det_score"][rows])]
        box = Box(*reference["bbox"][row].tolist())
        best = max(using.detect([using.view(pixels)])[0], key=lambda face: face.box.iou(box), default=None)
        if best is not None and best.box.iou(box) > 0.5:
            same += 1
            shifts.append(float(np.abs(np.array(best.landmarks) - reference["kps"][row]).max()) / box.face_short)
    print(f"YuNet finds {same} of {len(singles)} faces, points {np.median(shifts):.3f} of a face's short edge off")  # noqa: T201  shown with -s: a figure of the README
    assert same >= 0.98 * len(singles)
    assert np.median(shifts) < 0.1


def test_every_face_of_a_group_is_found_at_any_size_of_input(models: Path) -> None:
    pixels = group()
    for side in (640, 960, 1600):
        using = engine(models, OpenCvTuning(detector_side=side, detector_threshold=0.7))
        for turned in (pixels, np.ascontiguousarray(pixels[:, :1100])):  # the size changes from picture to picture
            found = using.detect([using.view(turned)])[0]
            assert len(found) >= (12 if turned is pixels else 8)
            assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)


def test_pictures_without_people_show_no_face(models: Path) -> None:
    folder, using = (
        shared_data() / "data" / "images" / "negatives",
        engine(models, OpenCvTuning(detector_threshold=0.7)),
    )
    assert all(using.detect([using.view(photo(path))]) == [[]] for path in folder.iterdir())


def test_a_close_look_and_a_look_from_afar_find_the_face_where_it_is(models: Path) -> None:
    pixels, using = group(), engine(models)
    height, width = pixels.shape[:2]
    faces = using.detect([using.view(pixels)])[0]
    for face in faces[:6]:
        box = face.box
        near = Box(box.x1 - box.width / 2, box.y1 - box.height / 2, box.x2 + box.width / 2, box.y2 + box.height / 2)
        closely = using.detect([using.view(pixels, near, closely=True)])[0]
        assert max(other.box.iou(box) for other in closely) > 0.6
        cut = np.ascontiguousarray(pixels[int(max(0, box.y1)) : int(box.y2), int(max(0, box.x1)) : int(box.x2)])
        far = using.view(cut, padded_area(cut.shape[1], cut.shape[0]), closely=True)
        assert max(other.box.iou(Box(0, 0, cut.shape[1], cut.shape[0])) for other in using.detect([far])[0]) > 0.6
    outside = using.view(pixels, Box(width + 50, height + 50, width + 90, height + 90))
    assert using.detect([outside]) == [[]]
    assert using.detect([using.view(np.zeros((1, 1, 3), np.uint8))]) == [[]]


def test_a_view_leads_back_to_the_picture() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[100:110, 200:210] = 255
    for view in (whole_view(pixels, 200), area_view(pixels, Box(-100, -50, 500, 350), 300)):
        rows, columns = np.nonzero(np.asarray(view.tensor).max(axis=2) > 200)
        for at, factor, margin, start, true in (
            (columns, view.x_factor, view.margin_x, view.left, 205),
            (rows, view.y_factor, view.margin_y, view.top, 105),
        ):
            assert ((at.min() + at.max() + 1) / 2 - margin) / factor + start == pytest.approx(true, abs=2)


def test_our_alignment_is_sfaces_own(models: Path) -> None:
    pixels, using = group(), engine(models)
    sface = cv2.FaceRecognizerSF.create(str(models / "opencv_zoo" / SFACE), "")
    for face in using.detect([using.view(pixels)])[0]:
        points = [value for point in face.landmarks for value in point]
        row = np.array([[face.box.x1, face.box.y1, face.box.width, face.box.height, *points, 1.0]], np.float32)
        theirs = cv2.cvtColor(np.asarray(sface.alignCrop(pixels, row)), cv2.COLOR_RGB2BGR)[..., ::-1]
        ours = using.align(pixels, face).crop
        assert float(np.abs(ours.astype(float) - theirs.astype(float)).mean()) < 0.5


def test_vectors_are_those_of_opencv_scaled_to_unit_length(models: Path) -> None:
    pixels, using = group(), engine(models)
    aligned = [using.align(pixels, face) for face in using.detect([using.view(pixels)])[0]]
    vectors = using.recognise(aligned)
    assert vectors.shape == (len(aligned), 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    sface = cv2.FaceRecognizerSF.create(str(models / "opencv_zoo" / SFACE), "")
    first, second = (np.array(sface.feature(cv2.cvtColor(face.crop, cv2.COLOR_RGB2BGR))) for face in aligned[:2])
    cosine = sface.match(first, second, cv2.FaceRecognizerSF_FR_COSINE)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(cosine, abs=1e-4)


def test_threads_do_not_disturb_one_another(models: Path) -> None:
    using = engine(models)
    pictures = [np.ascontiguousarray(group()[:, : 1600 - 150 * number]) for number in range(4)]
    views = [using.view(picture) for picture in pictures]
    alone = [using.detect([view])[0] for view in views]
    together: dict[int, list[list[Detection]]] = {}

    def look(number: int) -> None:
        together[number] = [using.detect([views[number]])[0] for _ in range(4)]

    threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found == alone[number] for number in range(4) for found in together[number])


def test_a_face_without_direction_is_refused_and_counted(models: Path) -> None:
    metrics = EmbedderMetrics()
    pack = open_pack(models, "opencv_zoo", detector_task="yunet")
    using = OpenCvEngine(pack, OpenCvTuning(), on_degenerate=metrics.count_degenerate)
    black = np.zeros((112, 112, 3), np.uint8)  # the random model gives zeros for it
    face = Detection(Box(0, 0, 112, 112), using.probe().landmarks, 1.0)
    assert np.isnan(using.recognise([using.align(black, face)])).all()
    counted = metrics.registry.get_sample_value("facesets_embedder_degenerate_outputs_total", {"model": SFACE})
    assert counted == 1


def test_flip_is_a_space_of_its_own(models: Path) -> None:
    plain, flipped = engine(models), engine(models, OpenCvTuning(flip=True))
    assert plain.facts.space.name != flipped.facts.space.name
    pixels = group()
    face = plain.align(pixels, plain.detect([plain.view(pixels)])[0][0])
    mirrored = type(face)(np.ascontiguousarray(face.crop[:, ::-1]), face.span, face.detection)
    assert float(flipped.recognise([face])[0] @ flipped.recognise([mirrored])[0]) == pytest.approx(1.0, abs=1e-5)


def test_the_probe_of_a_health_check_is_on_the_template(models: Path) -> None:
    np.testing.assert_allclose(engine(models).probe().landmarks, TEMPLATE, atol=0.1)


@pytest.fixture
def _settings(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FACESETS_") and name != "FACESETS_TEST_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("FACESETS_MODELS_DIR", str(models))
    monkeypatch.setenv("FACESETS_MODEL_PACK", "opencv_zoo")
    monkeypatch.setenv("FACESETS_EMBEDDER_ENGINE", "opencv")


@pytest.mark.usefixtures("_settings")
def test_the_settings_choose_it_and_what_does_not_fit_is_told(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = open_engine(load_settings(), EmbedderMetrics()).facts
    assert (facts.kind, facts.family, facts.dimension) == ("opencv", "face_recognition_sface", 128)
    assert "MIT" in facts.licence
    assert "Apache-2.0" in facts.licence
    monkeypatch.setenv("FACESETS_EMBEDDER_PROVIDER", "cuda")
    with pytest.raises(SetupError, match="run on the CPU only"):
        open_engine(load_settings(), EmbedderMetrics())
    monkeypatch.delenv("FACESETS_EMBEDDER_PROVIDER")
    monkeypatch.setenv("FACESETS_EMBEDDER_ENGINE", "onnx")
    with pytest.raises(SetupError, match="Set FACESETS_EMBEDDER_ENGINE=opencv"):
        open_engine(load_settings(), EmbedderMetrics())
    monkeypatch.setenv("FACESETS_EMBEDDER_ENGINE", "opencv")
    (models / "opencv_zoo" / SFACE).unlink()
    write_recogniser(models / "opencv_zoo" / "w600k_mbf.onnx", batch=1)
    with pytest.raises(SetupError, match="for another recogniser set FACESETS_EMBEDDER_ENGINE=onnx"):
        open_engine(load_settings(), EmbedderMetrics())
    (models / "opencv_zoo" / "w600k_mbf.onnx").unlink()
    write_recogniser(models / "opencv_zoo" / SFACE, dimension=256, batch=1)
    with pytest.raises(SetupError, match="gives vectors of 256 numbers, but face_recognition_sface has 128"):
        open_engine(load_settings(), EmbedderMetrics())
