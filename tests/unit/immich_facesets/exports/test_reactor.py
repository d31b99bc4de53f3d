"""Face models for ReActor, loaded, used, blended and saved again as its nodes do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artifact_builders import form, maybe, put, written
from faceset_builders import candidate, face, faceset
from numpy.typing import NDArray
from references import mean_head, pose_by_insightface
from safetensors import safe_open

from immich_facesets.exports.reactor import tensors
from immich_facesets.facesets.faceset import EraYears
from immich_facesets.quality.landmarks import Details, Enriched
from immich_facesets.quality.pose import Pose

Model = Mapping[str, NDArray[Any]]

NOSE = 30
"""The tip of the nose among 68 points."""

VECTORS = 20.0 * np.asarray(np.eye(512, dtype=np.float32)[:3])
SAVED = {
    "bbox": ("float32", (4,)),
    "kps": ("float32", (5, 2)),
    "det_score": ("float32", ()),
    "landmark_3d_68": ("float32", (68, 3)),
    "pose": ("float32", (3,)),
    "landmark_2d_106": ("float32", (106, 2)),
    "embedding": ("float32", (512,)),
    "gender": ("int64", ()),
    "age": ("int64", ()),
}
"""The tensors of a model that ReActor saved with insightface's results."""


def listed(folder: Path) -> list[str]:
    """The models that *Load Face Model* offers: files of ``models/reactor/faces`` itself, by their ending."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".safetensors"))


def loaded(file: Path) -> Model:
    """A face model as the node gives it on: every tensor of the file, as an array."""
    with safe_open(file, framework="np") as held:
        return {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118  # no mapping


def source_face(models: Sequence[Model], *, gender: str = "no") -> Model | None:
    """The face that is swapped in: the largest by its box, if it passes the filter of the source's gender."""
    first = max(models, key=lambda held: (held["bbox"][2] - held["bbox"][0]) * (held["bbox"][3] - held["bbox"][1]))
    wanted = {"no": None, "female": 0, "male": 1}[gender]
    return first if wanted is None or first["gender"] == wanted else None


def latent(model: Model) -> NDArray[np.float32]:
    """The vector as a swapper gets it before its own matrix: of unit length."""
    return np.asarray(model["embedding"] / np.linalg.norm(model["embedding"]), dtype=np.float32)


def saved_again(models: Sequence[Model], how: str = "Mean") -> dict[str, NDArray[Any]]:
    """*Build Blended Face Model* and *Save Face Model*: one vector of all, everything else of the first model."""
    vectors = [model["embedding"] for model in models]
    blended = np.mean(vectors, axis=0) if how == "Mean" else np.median(vectors, axis=0)
    return {name: models[0][name] for name in SAVED} | {"embedding": blended}


def model_of(tmp_path: Path, **how: Any) -> Model:
    folder = put(tmp_path, form("reactor", **({"vectors": VECTORS} | how)))
    (name,) = listed(folder)
    return loaded(folder / name)


def test_a_model_has_the_nine_tensors_that_reactor_saves(tmp_path: Path) -> None:
    held = model_of(tmp_path)
    assert {name: (str(array.dtype), array.shape) for name, array in held.items()} == SAVED


def test_a_model_is_listed_by_the_person_and_the_era(tmp_path: Path) -> None:
    assert listed(put(tmp_path, form("reactor", vectors=VECTORS))) == ["Anna.safetensors"]
    era = faceset(3, era=EraYears("2011", 2010, 2012))
    assert listed(put(tmp_path, form("reactor", era, vectors=VECTORS))) == ["Anna 2011.safetensors"]


def test_a_swapper_gets_the_direction_of_the_mean_of_the_recognisers_own_vectors(tmp_path: Path) -> None:
    held = source_face([model_of(tmp_path, vectors=VECTORS * np.array([[1.0], [1.5], [2.0]], dtype=np.float32))])
    assert held is not None
    expected = np.array([1.0, 1.5, 2.0]) / np.linalg.norm([1.0, 1.5, 2.0])
    np.testing.assert_allclose(latent(held)[:4], [*expected, 0.0], atol=1e-6)


def test_the_gender_is_unknown_and_passes_where_no_filter_is_set(tmp_path: Path) -> None:
    held = model_of(tmp_path)
    assert source_face([held], gender="no") is held
    assert source_face([held], gender="male") is None
    assert source_face([held], gender="female") is None


def test_a_model_blended_of_ours_and_one_of_reactors_weighs_both_alike_and_can_be_saved(tmp_path: Path) -> None:
    ours = model_of(tmp_path, vectors=np.repeat(VECTORS[:1], 3, axis=0))
    theirs = {**ours, "embedding": VECTORS[1]}
    both = saved_again([ours, theirs])
    assert both.keys() == SAVED.keys()
    assert float(latent(both) @ latent(ours)) == pytest.approx(float(latent(both) @ latent(theirs)), abs=1e-6)


def test_the_other_tensors_are_of_the_first_face(tmp_path: Path) -> None:
    built = faceset(3)
    first = built.faces[0].candidate.face
    points = np.arange(68 * 3, dtype=np.float32).reshape(68, 3)
    points[:, 2] = np.nan
    found = Enriched(of_106=np.ones((106, 2), dtype=np.float32), of_68=points)
    held = model_of(tmp_path, built=built, first_enriched=found)
    box = first.box
    np.testing.assert_allclose(held["bbox"], [box.x1, box.y1, box.x2, box.y2])
    np.testing.assert_allclose(held["kps"], first.landmarks)
    assert float(held["det_score"]) == pytest.approx(first.det_score)
    np.testing.assert_array_equal(held["landmark_3d_68"][:, :2], points[:, :2])
    assert not held["landmark_3d_68"][:, 2].any(), "a depth that no model gave is that of the picture"
    assert held["landmark_2d_106"].all()


def test_points_that_no_model_measured_are_zero(tmp_path: Path) -> None:
    held = model_of(tmp_path)
    assert not held["landmark_3d_68"].any()
    assert not held["landmark_2d_106"].any()


@pytest.mark.parametrize("pose", [Pose(20.0, 0.0, 0.0), Pose(0.0, -15.0, 0.0), Pose(0.0, 0.0, 10.0)])
def test_the_pose_has_the_order_and_the_signs_of_insightface(pose: Pose) -> None:
    head = turned(pose)
    aside, down, _ = head[NOSE] - head.mean(axis=0) - (mean_head()[NOSE] - mean_head().mean(axis=0))
    assert aside * pose.yaw >= 0.0
    assert down * pose.pitch <= 0.0
    measured = tensors(replace(candidate(1), details=Details(pose=pose)), Enriched(), VECTORS)["pose"]
    np.testing.assert_allclose(measured, pose_by_insightface(head), atol=0.01)


def test_a_pose_estimated_from_five_points_stands_where_no_model_measured_one() -> None:
    first = candidate(1, of=face(1, yaw=12.0, pitch=17.0, roll=-3.0))
    np.testing.assert_allclose(tensors(first, Enriched(), VECTORS)["pose"], [10.0, 12.0, -3.0], atol=1e-4)


def turned(pose: Pose) -> NDArray[np.float64]:
    """insightface's mean head (x right, y down, z to the viewer) that looks to the right, up, or is tilted clockwise."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    right = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    up = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    clockwise = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return mean_head() @ np.array(right).T @ np.array(up).T @ np.array(clockwise).T


def test_the_same_faces_give_the_same_bytes_and_other_vectors_another_artifact() -> None:
    assert written(form("reactor", vectors=VECTORS)) == written(form("reactor", vectors=VECTORS))
    assert form("reactor", vectors=VECTORS).digest != form("reactor", vectors=VECTORS[::-1] * 0.5 + 0.1).digest


def test_no_vector_of_a_minor_is_written() -> None:
    assert maybe("reactor", faceset(candidates=[candidate(1, is_minor=True)])) is None
    built = faceset(candidates=[candidate(number, is_minor=number == 1) for number in (1, 2, 3)])
    with pytest.raises(ValueError, match="vector of every face"):
        form("reactor", built, vectors=VECTORS)
    assert form("reactor", built, vectors=VECTORS[:2]).entry["faces"] == 2


@pytest.mark.parametrize("vectors", [VECTORS[:0], VECTORS[:, :128]])
def test_vectors_of_another_length_are_not_written(vectors: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="512 numbers"):
        tensors(candidate(1), Enriched(), vectors)
