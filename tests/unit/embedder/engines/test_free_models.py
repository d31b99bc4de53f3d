"""The free pack: YuNet and SFace in ONNX Runtime find and recognise what OpenCV's own classes do with the same files."""

import csv
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from testdata import shared_data

from embedder.engine import Detection
from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.engines.yunet import THRESHOLD
from embedder.faces.regions import padded_area
from embedder.images.decoder import Decoder
from embedder.models.pack import open_pack
from embedder.models.sessions import Device, Provider, open_session
from immich_facesets.face_template import TEMPLATE
from immich_facesets.faces import Box
from immich_facesets.model_packs import FREE_PACK, OPENCV_ZOO
from immich_facesets.runtime.free_pack import shipped_files
from immich_facesets.runtime.model_folder import BUILT_IN

pytestmark = pytest.mark.models

DEFAULT = Tuning(threads=1)
Pixels = NDArray[np.uint8]


def engine(tuning: Tuning = DEFAULT) -> OnnxEngine:
    return OnnxEngine(open_pack(BUILT_IN, FREE_PACK), tuning)


@pytest.fixture(scope="module")
def using() -> OnnxEngine:
    return engine()


def photo(path: Path) -> Pixels:
    return Decoder(150_000_000).decode(path.read_bytes()).pixels


def group() -> Pixels:
    return photo(shared_data() / "data" / "images" / "groups" / "composite_03_12faces.jpg")


def detector(file: str, size: tuple[int, int]) -> cv2.FaceDetectorYN:
    made = cv2.FaceDetectorYN.create(file, "", size, THRESHOLD)
    made.setInputSize(size)
    return made


def files() -> tuple[str, str]:
    yunet, sface = sorted((BUILT_IN / FREE_PACK).glob("*.onnx"))
    return str(yunet), str(sface)


def test_facts(using: OnnxEngine) -> None:
    facts = using.facts
    assert (facts.kind, facts.pack, facts.family, facts.dimension) == ("onnx", FREE_PACK, "face_recognition_sface", 128)
    assert (facts.licence, facts.least_score) == (OPENCV_ZOO, THRESHOLD)
    np.testing.assert_allclose(using.probe().landmarks, TEMPLATE, atol=0.1)


@pytest.mark.parametrize("of_package", [False, True])
@pytest.mark.parametrize("size", [(640, 448), (960, 640), (320, 320)])
def test_yunet_finds_what_opencv_finds_with_it(using: OnnxEngine, size: tuple[int, int], *, of_package: bool) -> None:
    file = str(shipped_files()["face_detection_yunet_2023mar_int8bq.onnx"]) if of_package else files()[0]
    shown = cv2.resize(group(), size, interpolation=cv2.INTER_AREA)
    rows = detector(file, size).detect(np.ascontiguousarray(shown[:, :, ::-1]))[1]
    found = using.detect([using.closer_view(np.asarray(shown, dtype=np.uint8), Box(0, 0, *size), 1.0)])[0]
    assert len(found) == len(rows) >= 12
    for face, row in zip(found, sorted(rows.tolist(), key=lambda item: -item[14]), strict=True):
        x, y, width, height, *points, score = row
        assert face.score == pytest.approx(score, abs=1e-4)
        np.testing.assert_allclose(
            [face.box.x1, face.box.y1, face.box.width, face.box.height], [x, y, width, height], atol=0.02
        )
        np.testing.assert_allclose(np.ravel(face.landmarks), points, atol=0.02)


def test_sface_gives_the_vectors_of_opencv(using: OnnxEngine) -> None:
    sface, pixels = cv2.FaceRecognizerSF.create(files()[1], ""), group()
    faces = [using.align(pixels, face) for face in using.detect([using.view(pixels)])[0]]
    vectors = using.recognise(faces)
    assert vectors.shape == (len(faces), 128)
    for face, vector in zip(faces, vectors, strict=True):
        theirs = np.ravel(sface.feature(cv2.cvtColor(face.crop, cv2.COLOR_RGB2BGR)))
        assert float(vector @ theirs / np.linalg.norm(vector) / np.linalg.norm(theirs)) >= 0.9999


def test_our_alignment_is_sfaces_own(using: OnnxEngine) -> None:
    sface, pixels = cv2.FaceRecognizerSF.create(files()[1], ""), group()
    for face in using.detect([using.view(pixels)])[0]:
        points = [value for point in face.landmarks for value in point]
        row = np.array([[face.box.x1, face.box.y1, face.box.width, face.box.height, *points, 1.0]], np.float32)
        theirs = np.asarray(sface.alignCrop(pixels, row))
        ours = using.align(pixels, face).crop
        assert float(np.abs(ours.astype(float) - theirs.astype(float)).mean()) < 0.5


@pytest.mark.slow
def test_the_faces_are_those_that_scrfd_finds(using: OnnxEngine) -> None:
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
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
    assert same >= 0.98 * len(singles)
    assert np.median(shifts) < 0.1


def test_every_face_of_a_group_is_found_at_any_size_of_input() -> None:
    pixels = group()
    for side in (640, 960, 1600):
        using = engine(Tuning(threads=1, detector_side=side))
        for cut in (pixels, np.ascontiguousarray(pixels[:, :1100])):  # the size changes from picture to picture
            found = using.detect([using.view(cut)])[0]
            assert len(found) >= (12 if cut is pixels else 8)
            assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)


def test_pictures_without_people_show_no_face(using: OnnxEngine) -> None:
    folder = shared_data() / "data" / "images" / "negatives"
    assert all(using.detect([using.view(photo(path))]) == [[]] for path in folder.iterdir())


def test_a_tile_and_a_part_show_what_the_whole_shows(using: OnnxEngine) -> None:
    pixels = group()
    whole = using.view(pixels)
    faces = using.detect([whole])[0]
    assert len(faces) >= 12
    height, width = pixels.shape[:2]
    tile = Box(0, 0, width // 2, height)
    seen = using.detect([using.closer_view(pixels, tile, 0.8)])[0]
    inside = [face.box for face in faces if face.box.x2 < tile.x2 - 20]
    assert inside
    assert all(max(one.box.iou(box) for one in seen) > 0.6 for box in inside)
    for face in faces:
        part = using.part(whole, face.box)
        assert part is not None
        assert max(other.box.iou(face.box) for other in using.detect([part])[0]) > 0.8
    assert len(using.detect([replace(whole, doubtful=True)])[0]) >= len(faces)


def test_a_close_look_and_a_look_from_afar_find_the_face_where_it_is(using: OnnxEngine) -> None:
    pixels = group()
    height, width = pixels.shape[:2]
    for face in using.detect([using.view(pixels)])[0][:6]:
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


def test_a_view_of_a_small_picture_is_no_larger_than_the_strides_ask_for(using: OnnxEngine) -> None:
    view = using.view(np.full((100, 250, 3), 255, np.uint8))
    assert view.pixels.shape == (128, 256, 3)
    assert (view.x_factor, view.y_factor) == (1.0, 1.0)
    assert view.pixels[:100, :250].min() == 255
    assert view.pixels[100:].max() == view.pixels[:, 250:].max() == 0


def test_on_devices_that_compile_each_shape_every_view_has_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_cpu(path: Path, device: Device) -> onnxruntime.InferenceSession:
        return open_session(path, replace(device, provider=Provider.CPU))

    monkeypatch.setattr("embedder.engines.onnx.open_session", on_cpu)
    using = engine(Tuning(Provider.CUDA))
    pixels = group()
    shapes = {
        using.view(pixels).pixels.shape,
        using.view(pixels[:100, :250]).pixels.shape,
        using.closer_view(pixels, Box(10, 10, 700, 300), 0.5).pixels.shape,
    }
    assert shapes == {(640, 640, 3)}
    assert len(using.detect([using.view(pixels)])[0]) >= 12


def test_yunet_with_a_fixed_input_finds_the_same_people(using: OnnxEngine) -> None:
    from embedder.enrichment.model_discovery import find_further_detectors  # noqa: PLC0415

    models, pack = shared_data() / "data" / "models", open_pack(BUILT_IN, FREE_PACK)
    fixed = next(file for file in find_further_detectors(models, pack.detector) if file.task == "yunet")
    other = OnnxEngine(replace(pack, detector=fixed), DEFAULT)
    pixels = group()
    found = other.detect([other.view(pixels)])[0]
    faces = using.detect([using.view(pixels)])[0]
    assert all(max(one.box.iou(face.box) for one in found) > 0.7 for face in faces)
    assert other.part(other.view(pixels), faces[0].box) is None


def test_threads_do_not_disturb_one_another(using: OnnxEngine) -> None:
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


def test_flip_is_a_space_of_its_own(using: OnnxEngine) -> None:
    flipped = engine(replace(DEFAULT, flip=True))
    assert using.facts.space.name != flipped.facts.space.name
    pixels = group()
    face = using.align(pixels, using.detect([using.view(pixels)])[0][0])
    mirrored = replace(face, crop=np.ascontiguousarray(face.crop[:, ::-1]))
    assert float(flipped.recognise([face])[0] @ flipped.recognise([mirrored])[0]) == pytest.approx(1.0, abs=1e-5)
