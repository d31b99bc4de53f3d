"""Landmarks and head pose on request: insightface's own points, for the requested faces only."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import httpx
import msgspec
import numpy as np
import pytest
from embedder_scene import FACE, ScriptedEngine, face_at, picture, running
from numpy.typing import NDArray
from small_models import write_pooled
from testdata import shared_data

from embedder.engine import Detection
from embedder.enrichment.lanes import (
    Enriched,
    Enricher,
    EnrichmentModels,
    LandmarkCrop,
    cut_landmark_crop,
    open_enrichment,
)
from embedder.enrichment.model_discovery import EnrichmentFiles, find_enrichment_files
from embedder.enrichment.models import LEFT, RIGHT, pose_of_points
from embedder.faces import regions
from embedder.images.decoder import Decoder
from embedder.models.sessions import Device
from embedder.pipeline import PipelineSize
from immich_facesets import face_requests, wire
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box
from immich_facesets.quality.pose import Pose, estimate_pose, pose_of
from immich_facesets.runtime.model_folder import EXTRA_FOLDER

ALL = frozenset(face_requests.Enrichment)
CENTRE = (156.0, 160.0)
"""The middle of the box of ``FACE``, which is 72 x 100: landmark models get 150 pixels around it."""


def write_landmarks(path: Path, places: NDArray[np.float64]) -> Path:
    """A model that always returns these points (n, 2 or 3), in [-1, 1]."""
    numbers = places.reshape(-1)
    return write_pooled(path, np.zeros((3, len(numbers))), bias=numbers, side=192)


def write_pose(path: Path, *, last: str | None = None) -> Path:
    """A model whose three angles are the colours of its input, in their order."""
    return write_pooled(path, np.eye(3) * 128, side=64, batch=1, last=last)


def extras(models: Path) -> EnrichmentModels:
    return open_enrichment(find_enrichment_files(models, "pack"), Device(threads=1))


def many_points() -> NDArray[np.float64]:
    return np.random.default_rng(1).uniform(-0.5, 0.5, (106, 2))


def head(seed: int = 2) -> NDArray[np.float64]:
    """68 points (depth towards the viewer) of an invented face at rest: mirror images, brows above the chin."""
    points = np.random.default_rng(seed).uniform(-0.2, 0.2, (68, 3))
    points[17:27, 1:] = (-0.4, 0.1)
    points[7:10, 1:] = (0.5, 0.1)
    points[list(LEFT), 0] = -0.1 - np.abs(points[list(LEFT), 0])
    points[list(RIGHT)] = points[list(LEFT)] * [-1, 1, 1]
    return points


def whole_head(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The layout of insightface's model: 1103 points, of which the last 68 are known."""
    return np.vstack([np.full((1103 - 68, 3), 9.0), points])


def turned(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Points of a head at rest after it looks to ``pose``; depth towards the viewer."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    away = points * [1, 1, -1]
    there: NDArray[np.float64] = away @ (about_z @ about_y @ about_x).T * [1, 1, -1]
    return there


async def test_points_come_in_pixels_of_the_original(tmp_path: Path) -> None:
    places = many_points()
    write_landmarks(tmp_path / "pack" / "2d106det.onnx", places)
    async with running(enrichment=extras(tmp_path)) as scene:
        (face,) = (await scene.answer(picture(), enrich="landmarks")).faces
        assert face.landmarks_106 is not None
        assert np.array(face.landmarks_106) == pytest.approx(CENTRE + places * 75, abs=0.01)
        assert face.landmarks_68 is None
        assert face.head_pose is None


class Watched(Enricher):
    """A model that counts its input faces."""

    def __init__(self, files: EnrichmentFiles) -> None:
        super().__init__(files, Device(threads=1))
        self.faces = 0

    def enrich(self, looks: Sequence[LandmarkCrop]) -> list[Enriched]:
        self.faces += len(looks)
        return super().enrich(looks)


def watched(models: Path) -> tuple[EnrichmentModels, Watched]:
    files = find_enrichment_files(models, "pack")
    watcher = Watched(files)
    return EnrichmentModels(files, enricher=watcher), watcher


async def test_no_model_is_opened_or_run_for_those_who_do_not_ask(tmp_path: Path) -> None:
    file = write_landmarks(tmp_path / "pack" / "2d106det.onnx", many_points())
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet.onnx")
    lazy, watcher = watched(tmp_path)
    async with running(enrichment=lazy) as scene:
        file.unlink()
        (face,) = (await scene.answer(picture())).faces
        assert (face.landmarks_106, face.landmarks_68, face.head_pose) == (None, None, None)
        assert watcher.faces == 0
        assert (await scene.answer(picture(), enrich="pose")).faces[0].head_pose is not None
        asked = await scene.ask(picture(), enrich="landmarks")
        assert (asked.status_code, msgspec.json.decode(asked.content, type=wire.ErrorBody).reason) == (503, "setup")


async def test_only_chosen_faces_are_enriched(tmp_path: Path) -> None:
    write_landmarks(tmp_path / "pack" / "2d106det.onnx", many_points())
    counted, watcher = watched(tmp_path)
    seen = [face_at(14, 60), face_at(124, 60), face_at(234, 60)]
    async with running(ScriptedEngine(seen=seen), enrichment=counted) as scene:
        boxes = {face_requests.BOXES_HEADER: json.dumps([[234, 60, 306, 160]])}
        response = await scene.client.post(
            "/v1/faces", content=picture(), params={"mode": "guided", "enrich": "landmarks"}, headers=boxes
        )
        (face,) = wire.decode_faces(response.content).faces
        assert face.landmarks_106 is not None
        assert watcher.faces == 1
        everyone = await scene.answer(picture(), enrich="landmarks")
        assert [face.landmarks_106 is not None for face in everyone.faces] == [True, True, True]
        assert watcher.faces == 4


@pytest.mark.parametrize(
    ("asked", "named"), [("landmarks", "2d106det.onnx"), ("pose", "fsanet"), ("pose,landmarks", "2d106det")]
)
async def test_what_no_model_gives_is_a_400_that_names_the_missing_file(asked: str, named: str) -> None:
    async with running() as scene:
        trouble = told(await scene.ask(picture(), enrich=asked))
        assert trouble.reason == "bad_question"
        assert named in trouble.message


@pytest.mark.parametrize("asked", ["age", "landmarks;pose", ","])
async def test_an_unknown_enrichment_is_a_400(tmp_path: Path, asked: str) -> None:
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet.onnx")
    async with running(enrichment=extras(tmp_path)) as scene:
        assert "landmarks, pose" in told(await scene.ask(picture(), enrich=asked)).message


def told(response: httpx.Response) -> wire.ErrorBody:
    assert response.status_code == 400
    return msgspec.json.decode(response.content, type=wire.ErrorBody)


async def test_info_says_what_can_be_asked_for_and_how_the_lanes_are_sized(tmp_path: Path) -> None:
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet.onnx")
    size = PipelineSize(max_in_flight=5, workers=3, detectors=2, recognisers=1, batch=7, threads=4)
    async with running(size=size, enrichment=extras(tmp_path)) as scene:
        content = (await scene.client.get("/v1/info")).content
        info = msgspec.json.decode(content, type=wire.Info)
        assert msgspec.json.decode(content)["lanes"]["hands"] == 3, "the name on the wire"
        assert info.enrich == (face_requests.Enrichment.POSE,)
        assert [(model.task, model.name) for model in info.models] == [("pose", "fsanet.onnx")]
        assert info.lanes == wire.Lanes(workers=3, detectors=2, recognisers=1, batch=7, threads=4, precision="fp32")


async def test_the_pose_model_is_fed_bgr_and_turned_into_our_signs(tmp_path: Path) -> None:
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet.onnx")
    shades = np.full((240, 320, 3), (127.5 + 20, 127.5 + 11, 127.5 - 5), np.uint8)
    async with running(enrichment=extras(tmp_path)) as scene:
        data = cv2.imencode(".png", shades)[1].tobytes()
        (face,) = (await scene.answer(data, enrich="pose")).faces
        assert face.head_pose is not None
        angles = (face.head_pose.yaw, face.head_pose.pitch, face.head_pose.roll)
        assert angles == pytest.approx((-19.5, 10.5, -5.5), abs=0.1)
        assert face.landmarks_68 is None


async def test_several_pose_models_are_averaged(tmp_path: Path) -> None:
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet-1x1.onnx")
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet-var.onnx", last="Neg")
    async with running(enrichment=extras(tmp_path)) as scene:
        (face,) = (await scene.answer(picture(shade=150), enrich="pose")).faces
        assert face.head_pose is not None
        assert (face.head_pose.yaw, face.head_pose.pitch, face.head_pose.roll) == pytest.approx((0, 0, 0), abs=1e-4)


async def test_the_points_of_a_whole_head_show_where_it_looks(tmp_path: Path) -> None:
    points = turned(head(), Pose(25, -10, 8))
    write_landmarks(tmp_path / "pack" / "1k3d68.onnx", whole_head(points))
    async with running(enrichment=extras(tmp_path)) as scene:
        (face,) = (await scene.answer(picture(), enrich="pose,landmarks")).faces
        assert face.head_pose is not None
        angles = (face.head_pose.yaw, face.head_pose.pitch, face.head_pose.roll)
        assert angles == pytest.approx((25, -10, 8), abs=0.1)
        assert face.landmarks_68 is not None
        assert np.array(face.landmarks_68) == pytest.approx(CENTRE + points[:, :2] * 75, abs=0.01)
        assert np.array(face.depth_68) == pytest.approx(points[:, 2] * 75, abs=0.01)
        (bare,) = (await scene.answer(picture(), enrich="pose")).faces
        assert (bare.head_pose, bare.landmarks_68) == (face.head_pose, None)


async def test_the_points_of_a_head_that_lies_on_its_side_are_those_of_an_upright_one_turned(tmp_path: Path) -> None:
    points = turned(head(), Pose(25, -10, 8))
    write_landmarks(tmp_path / "pack" / "1k3d68.onnx", whole_head(points))
    a, b, c, d, e = ((CENTRE[0] - (y - CENTRE[1]), CENTRE[1] + (x - CENTRE[0])) for x, y in FACE.landmarks)
    lying = Detection(Box(106, 124, 206, 196), (a, b, c, d, e), 0.9)
    async with running(ScriptedEngine(seen=[lying]), enrichment=extras(tmp_path)) as scene:
        (face,) = (await scene.answer(picture(), enrich="pose,landmarks")).faces
        assert face.head_pose is not None
        assert (face.head_pose.yaw, face.head_pose.pitch, face.head_pose.roll) == pytest.approx((25, -10, 98), abs=0.1)
        expected = CENTRE + points[:, [1, 0]] * [-75, 75]
        assert np.array(face.landmarks_68) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("pose", [Pose(0, 0, 0), Pose(50, 0, 0), Pose(-35, 20, 0), Pose(10, -25, -30), Pose(0, 40, 90)])
def test_the_axes_of_a_head_are_read_from_its_points(pose: Pose) -> None:
    found = pose_of_points(turned(head(), pose))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((pose.yaw, pose.pitch, pose.roll), abs=1e-6)


def test_points_on_one_spot_look_nowhere() -> None:
    assert pose_of_points(np.ones((68, 3))) == Pose(0, 0, 0)


def test_the_axes_of_a_head_are_those_that_insightface_finds_with_its_mean_face() -> None:
    mean_face, transform = insightface_pose()
    for pose in [Pose(0, 0, 0), Pose(30, 0, 0), Pose(-40, 15, 5), Pose(5, -20, -10), Pose(20, 25, 30)]:
        points = turned(mean_face.astype(np.float64), pose) * 90 + 100
        _, rotation, _ = transform.P2sRt(transform.estimate_affine_matrix_3d23d(mean_face, points.astype(np.float32)))
        away = np.array(rotation, dtype=np.float64) * np.outer([1, 1, -1], [1, 1, -1])
        ours, theirs = pose_of_points(points), pose_of(away[0], away[1])
        assert (ours.yaw, ours.pitch, ours.roll) == pytest.approx((theirs.yaw, theirs.pitch, theirs.roll), abs=2)


def insightface_pose() -> tuple[NDArray[np.float32], Any]:
    from insightface.data import get_object  # noqa: PLC0415  takes a second to import
    from insightface.utils import transform  # noqa: PLC0415

    return get_object("meanshape_68.pkl"), transform


async def test_a_model_that_gives_no_numbers_for_a_face_leaves_its_answer_out(tmp_path: Path) -> None:
    write_pose(tmp_path / EXTRA_FOLDER / "fsanet.onnx", last="Sqrt")
    write_landmarks(tmp_path / "pack" / "2d106det.onnx", np.full((106, 2), np.nan))
    async with running(enrichment=extras(tmp_path)) as scene:
        (face,) = (await scene.answer(picture(shade=20), enrich="landmarks,pose")).faces
        assert (face.landmarks_106, face.head_pose) == (None, None)
        assert len(face.vector()) == 4


def test_a_model_that_gives_no_angles_is_no_pose_model(tmp_path: Path) -> None:
    write_pooled(tmp_path / EXTRA_FOLDER / "fsanet.onnx", np.ones((3, 5)), side=64)
    files = find_enrichment_files(tmp_path, "pack")
    with pytest.raises(SetupError, match="three angles"):
        Enricher(files, Device(threads=1)).enrich([cut_landmark_crop(np.zeros((240, 320, 3), np.uint8), FACE, ALL)])


@functools.cache
def enricher() -> Enricher:
    return Enricher(find_enrichment_files(shared_data() / "data" / "models", "bench_s"), Device(threads=1))


EXTENT = pytest.mark.parametrize("every", [16, pytest.param(4, marks=pytest.mark.slow)])
"""The quick run takes every 16th photo, the slow run every fourth."""


@functools.cache
def enriched_photos(every: int) -> list[tuple[NDArray[np.uint8], Detection, Enriched]]:
    """Some labelled photos, each with its first upright face of 60 pixels or more as the reference found it."""
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
    found: list[tuple[NDArray[np.uint8], Detection, Enriched]] = []
    for path in np.unique(reference["path"]).tolist()[::every]:
        row = int(np.flatnonzero(reference["path"] == path)[0])
        box = Box(*reference["bbox"][row].tolist())
        a, b, c, d, e = ((x, y) for x, y in reference["kps"][row].tolist())
        detection = Detection(box, (a, b, c, d, e), float(reference["det_score"][row]))
        if box.face_short >= 60:
            pixels = Decoder(150_000_000).decode((data / path).read_bytes()).pixels
            found.append((pixels, detection, enricher().enrich([cut_landmark_crop(pixels, detection, ALL)])[0]))
    assert len(found) > 160 // every
    return found


def mirror(detection: Detection, width: int) -> Detection:
    box = detection.box
    a, b, c, d, e = ((width - 1 - x, y) for x, y in detection.landmarks)
    return Detection(Box(width - 1 - box.x2, box.y1, width - 1 - box.x1, box.y2), (b, a, c, e, d), detection.score)


def at(x: float, y: float) -> Detection:
    """A detection that is only one point."""
    return Detection(Box(x, y, x, y), ((x, y),) * 5, 1.0)


@pytest.mark.models
class TestRealPhotos:
    """Photos with real models: insightface's landmark class and the five-point estimate are the measure."""

    @EXTENT
    def test_the_68_points_are_those_of_insightface(self, every: int) -> None:
        from insightface.app.common import Face  # noqa: PLC0415  takes a second to import
        from insightface.model_zoo.landmark import Landmark  # noqa: PLC0415

        models = shared_data() / "data" / "models"
        theirs = Landmark(str(models / "bench_s" / "2d68.onnx"))
        furthest = 0.0
        for pixels, detection, ours in enriched_photos(every):
            box = detection.box
            face = Face(bbox=np.array([box.x1, box.y1, box.x2, box.y2], np.float32), det_score=0.9)
            points = theirs.get(np.ascontiguousarray(pixels[:, :, ::-1]), face)
            assert ours.landmarks_68 is not None
            furthest = max(furthest, float(np.abs(ours.landmarks_68 - points).max()))
        print(f"68 points: at most {furthest:.3f} pixels from insightface's")  # noqa: T201  shown by pytest -s
        assert furthest < 1.0

    @EXTENT
    def test_the_pose_model_and_the_five_points_agree(self, every: int) -> None:
        pairs = [(estimate_pose(face.landmarks), more.head_pose) for _, face, more in enriched_photos(every)]
        few = np.array([(pose.yaw, pose.pitch, pose.roll) for pose, _ in pairs])
        many = np.array([(pose.yaw, pose.pitch, pose.roll) for _, pose in pairs if pose is not None])
        agreement = [float(np.corrcoef(few[:, axis], many[:, axis])[0, 1]) for axis in range(3)]
        errors = np.abs(few - many).mean(axis=0)
        for axis, name in enumerate(("yaw", "pitch", "roll")):
            figures = f"correlation {agreement[axis]:.2f}, mean difference {errors[axis]:.1f} degrees"
            print(f"{name}: {figures} on {len(few)} faces")  # noqa: T201  shown by pytest -s
        assert all(np.array(agreement) > [0.9, 0.7, 0.75])
        assert all(errors < [5, 10, 4])

    def test_a_mirrored_head_looks_the_other_way(self) -> None:
        ours = enricher()
        differences = []
        for pixels, detection, more in enriched_photos(16):
            mirrored = np.ascontiguousarray(pixels[:, ::-1])
            (other,) = ours.enrich([cut_landmark_crop(mirrored, mirror(detection, pixels.shape[1]), ALL)])
            assert more.head_pose is not None
            assert other.head_pose is not None
            here, there = more.head_pose, other.head_pose
            differences.append((here.yaw + there.yaw, here.pitch - there.pitch, here.roll + there.roll))
        assert all(np.abs(differences).mean(axis=0) < 2)

    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_the_points_of_a_turned_photo_are_the_points_turned(self, turns: int) -> None:
        ours = enricher()
        for pixels, detection, more in enriched_photos(16)[:12]:
            height, width = pixels.shape[:2]
            # turned_back(k) undoes k quarter turns, so the way there is that of the other 4 - k
            lying = regions.turned_back(detection, 4 - turns, *((height, width) if turns % 2 else (width, height)))
            (other,) = ours.enrich([cut_landmark_crop(np.ascontiguousarray(np.rot90(pixels, turns)), lying, ALL)])
            assert other.head_pose is not None
            assert more.head_pose is not None
            apart = other.head_pose.roll - (more.head_pose.roll - 90 * turns)
            assert abs((apart + 180) % 360 - 180) < 5
            assert other.landmarks_68 is not None
            assert more.landmarks_68 is not None
            back = np.array(
                [regions.turned_back(at(x, y), turns, width, height).landmarks[0] for x, y in other.landmarks_68]
            )
            assert np.abs(back - more.landmarks_68).max() < 0.03 * detection.box.height
