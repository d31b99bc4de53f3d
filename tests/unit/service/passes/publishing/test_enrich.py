"""Enrichment of kept crops: landmarks in pixels of the original picture."""

from dataclasses import replace

import numpy as np
import pytest
from faceset_builders import face

from immich_facesets import wire
from immich_facesets.exports.crops import box_in_crop
from immich_facesets.faces import Box, Landmarks, Measures
from immich_facesets.quality.landmarks import NOTHING_FOUND
from service.passes.publishing.enrich import found_in, models_of
from service.store.enrichments import Unenriched
from service.store.exports import StoredCrop

AREA, SIDE = Box(100.0, 200.0, 400.0, 500.0), 150
LYING: Landmarks = ((270.0, 330.0), (270.0, 370.0), (250.0, 350.0), (230.0, 335.0), (230.0, 365.0))
"""Eyes above each other: its crop was turned once, counter-clockwise."""

ITEM = Unenriched(
    replace(face(1), box=Box(220.0, 320.0, 290.0, 380.0), landmarks=LYING),
    StoredCrop("a.jpg", AREA, 1000, 1000, 0.5, None, None, None, (), 512),
)


def answer(box: Box, **found: object) -> wire.FacesAnswer:
    seen = wire.FaceAnswer(
        box=(box.x1, box.y1, box.x2, box.y2),
        landmarks=LYING,
        det_score=0.9,
        embedding=b"",
        quality=Measures(100.0, 112, 120.0, 50.0, 0.0, 0.0, 0.0),
        **found,  # type: ignore[arg-type]  # what a test says was found
    )
    return wire.FacesAnswer(space="space", width=SIDE, height=SIDE, faces=(seen,))


def test_points_pose_and_depth_of_a_turned_crop_are_those_of_the_picture() -> None:
    there = box_in_crop(ITEM.face.box, ITEM.crop.area_corners, SIDE, turns=1)
    spot = box_in_crop(Box(270.0, 330.0, 270.0, 330.0), ITEM.crop.area_corners, SIDE, turns=1)  # the left eye
    found = found_in(
        answer(
            there,
            landmarks_106=((spot.x1, spot.y1),) * 106,
            landmarks_68=((spot.x1, spot.y1),) * 68,
            depth_68=(4.0,) * 68,
            head_pose=wire.HeadPose(yaw=10.0, pitch=-5.0, roll=3.0),
        ),
        ITEM,
    )
    assert found.of_106 == pytest.approx(np.full((106, 2), (270.0, 330.0)))
    assert found.of_68 == pytest.approx(np.full((68, 3), (270.0, 330.0, 8.0)))
    assert found.pose is not None
    assert (found.pose.yaw, found.pose.pitch, found.pose.roll) == (10.0, -5.0, 93.0)


def test_points_without_depth_say_so_and_what_was_not_asked_for_stays_empty() -> None:
    there = box_in_crop(ITEM.face.box, ITEM.crop.area_corners, SIDE, turns=1)
    found = found_in(answer(there, landmarks_68=((1.0, 2.0),) * 68), ITEM)
    assert found.of_68 is not None
    assert np.isnan(found.of_68[:, 2]).all()
    assert (found.of_106, found.pose) == (None, None)


def test_a_crop_in_which_the_face_is_not_found_again_says_nothing() -> None:
    assert found_in(answer(Box(0.0, 140.0, 9.0, 149.0), landmarks_68=((1.0, 2.0),) * 68), ITEM) is NOTHING_FOUND


def test_models_are_known_by_what_they_are_and_not_by_their_order_or_their_recogniser() -> None:
    def info(*models: tuple[str, str]) -> str:
        told = tuple(wire.ModelInfo(task=task, name=f"{sha}.onnx", sha256=sha) for task, sha in models)
        limits = wire.Limits(max_pixels=1, max_bytes=1, max_in_flight=1)
        return models_of(
            wire.Info(
                space="s",
                family="f",
                dimension=4,
                engine="onnx",
                pack="p",
                licence="none",
                models=told,
                provider="cpu",
                limits=limits,
                version="1",
            )
        )

    points, pose, vectors = ("landmarks", "a"), ("pose", "b"), ("recognition", "c")
    assert info(points, pose) == info(pose, vectors, points) != info(points)
