"""ONNX engine: results equal those of insightface on real photos with real models."""

import csv
import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from testdata import shared_data

from embedder.engine import Detection
from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.engines.recogniser import unit_rows
from embedder.enrichment.model_discovery import find_further_detectors
from embedder.faces import regions
from embedder.images.colour import is_srgb
from embedder.images.decoder import Decoder
from embedder.images.picture import Picture
from embedder.models.pack import open_pack
from immich_facesets.faces import Box

pytestmark = pytest.mark.models
Vectors = NDArray[np.float32]


@dataclass
class Looked:
    picture: Picture
    faces: list[Detection]
    vectors: Vectors


@functools.cache
def engine(*, flip: bool = False) -> OnnxEngine:
    return OnnxEngine(open_pack(shared_data() / "data" / "models", "bench_s"), Tuning(flip=flip))


def look(path: Path, using: OnnxEngine) -> Looked:
    picture = Decoder(150_000_000).decode(path.read_bytes())
    faces = using.detect([using.view(picture.pixels)])[0]
    aligned = [using.align(picture.pixels, face) for face in faces]
    return Looked(picture, faces, unit_rows(using.recognise(aligned)) if aligned else np.zeros((0, 512), np.float32))


def test_further_detectors_find_what_the_packs_own_one_misses_and_only_when_asked() -> None:
    models = shared_data() / "data" / "models"
    pack = open_pack(models, "bench_s")
    further = find_further_detectors(models, pack.detector)
    assert [file.name for file in further] == ["det_2.5g.onnx", "face_detection_yunet_2023mar.onnx"]
    using = OnnxEngine(pack, Tuning(), further)
    assert [model.name for model in using.facts.models if model.task in {"detection", "yunet"}] == [
        pack.detector.name,
        *(file.name for file in further),
    ]
    assert using.facts.space == engine().facts.space
    picture = Decoder(150_000_000).decode((shared_data() / "data/images/groups/composite_03_12faces.jpg").read_bytes())
    view = using.view(picture.pixels)
    (usual,), (asked,) = using.detect([view]), using.detect([replace(view, further=True)])
    (alone,) = OnnxEngine(replace(pack, detector=further[0]), Tuning()).detect([view])
    assert usual == engine().detect([view])[0]
    of_yunet = asked[len(usual) + len(alone) :]
    assert asked[: -len(of_yunet)] == [*usual, *alone]
    agreeing = [face for face in of_yunet if any(face.box.iou(other.box) > 0.5 for other in alone)]
    assert len(agreeing) >= 10, "YuNet finds the twelve people, too"


EXTENT = pytest.mark.parametrize("every", [9, pytest.param(3, marks=pytest.mark.slow)])
"""The quick run takes every ninth photo and a third of the groups, the slow run every third photo and all groups."""


@functools.cache
def looked(every: int) -> dict[str, Looked]:
    """Some photos of the reference, and some pictures of groups."""
    data = shared_data() / "data"
    paths = sorted(set(np.load(data / "reference_bench_s.npz")["path"].tolist()))
    groups = [path for path in paths if "/groups/" in path]
    chosen = {*paths[::every], *groups[:: every // 3]}
    return {path: look(data / path, engine()) for path in sorted(chosen)}


def has_own_colours(path: Path) -> bool:
    """Return whether the reference, which ignores colour profiles, decoded other pixels."""
    if path.suffix.lower() in {".dng", ".kdc"}:
        return True
    with Image.open(path) as image:
        profile = image.info.get("icc_profile")
        return image.mode == "CMYK" or (isinstance(profile, bytes) and not is_srgb(profile))


@EXTENT
def test_the_same_faces_with_the_same_vectors(every: int) -> None:
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
    overlaps: list[float] = []
    cosines: list[float] = []
    shifts: list[float] = []
    for path, found in looked(every).items():
        rows = np.flatnonzero(reference["path"] == path)
        assert len(rows) == len(found.faces), path
        for row in rows:
            ious = [Box(*reference["bbox"][row].tolist()).iou(face.box) for face in found.faces]
            best = int(np.argmax(ious))
            overlaps.append(ious[best])
            assert found.faces[best].score == pytest.approx(float(reference["det_score"][row]), abs=0.02)
            if not has_own_colours(data / path):
                cosines.append(float(found.vectors[best] @ reference["embedding"][row]))
                shifts.append(float(np.abs(np.array(found.faces[best].landmarks) - reference["kps"][row]).max()))
    assert len(cosines) > 450 // every
    assert np.mean(np.array(overlaps) > 0.9) >= 0.99
    assert np.mean(np.array(cosines) >= 0.9999) >= 0.99
    assert np.mean(np.array(shifts) < 1.0) >= 0.99


def test_pictures_without_people_show_no_face() -> None:
    data = shared_data() / "data"
    with (data / "labels.csv").open(encoding="utf-8") as stream:
        negatives = [row["file"] for row in csv.DictReader(stream) if row["file"].startswith("images/negatives")]
    assert negatives
    for path in negatives:
        assert look(data / path, engine()).faces == []


@EXTENT
def test_looking_only_around_known_boxes_finds_the_same_people(every: int) -> None:
    found, overlaps, missed = list[float](), list[float](), 0
    using = engine()
    for one in looked(every).values():
        for face, vector in zip(one.faces, one.vectors, strict=True):
            view = using.view(one.picture.pixels, regions.search_area(face.box), closely=True)
            again = regions.pick(face.box, using.detect([view])[0])
            if again is None:
                missed += 1
                continue
            overlaps.append(again.box.iou(face.box))
            if len(found) < 80:
                (other,) = unit_rows(using.recognise([using.align(one.picture.pixels, again)]))
                found.append(float(other @ vector))
    total = sum(len(one.faces) for one in looked(every).values())
    assert missed <= total * 0.03
    assert np.percentile(overlaps, 1) > 0.5
    assert np.percentile(found, 5) > 0.9
    assert np.median(found) > 0.96


@EXTENT
def test_a_face_that_fills_the_picture_is_found_from_farther_away(every: int) -> None:
    using, tried, found = engine(), 0, 0
    for one in looked(every).values():
        largest = max(one.faces, key=lambda face: face.box.area)
        if largest.box.face_short < 80:
            continue
        box = largest.box
        left, top, right, bottom = (max(0, round(value)) for value in (box.x1, box.y1, box.x2, box.y2))
        pixels = np.ascontiguousarray(one.picture.pixels[top:bottom, left:right])
        height, width = pixels.shape[:2]
        view = using.view(pixels, regions.padded_area(width, height), closely=True)
        hits = using.detect([view])[0]
        tried += 1
        found += any(hit.box.iou(Box(0, 0, width, height)) > 0.6 for hit in hits)
        if tried == 40:
            break
    assert tried >= 60 // every
    assert found >= tried * 0.9


def test_batches_and_single_faces_give_the_same_vectors() -> None:
    one = max(looked(9).values(), key=lambda item: len(item.faces))
    aligned = [engine().align(one.picture.pixels, face) for face in one.faces]
    singly = unit_rows(np.vstack([engine().recognise([face]) for face in aligned]))
    np.testing.assert_allclose((singly * one.vectors).sum(axis=1), 1.0, atol=1e-5)


def test_flip_averaging_is_a_space_of_its_own_and_ignores_mirrors() -> None:
    flipped = engine(flip=True)
    assert flipped.facts.space.name != engine().facts.space.name
    one = next(iter(looked(9).values()))
    aligned = flipped.align(one.picture.pixels, one.faces[0])
    mirrored = type(aligned)(np.ascontiguousarray(aligned.crop[:, ::-1]), aligned.span, aligned.detection)
    vectors = flipped.recognise([aligned, mirrored])
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_one_person_is_near_and_two_are_far() -> None:
    data = shared_data() / "data"
    folders = sorted((data / "images" / "lfw").iterdir())
    pairs = [sorted(folder.iterdir())[:2] for folder in folders if len(list(folder.iterdir())) >= 2][:12]
    vectors = [[look(path, engine()).vectors[0] for path in pair] for pair in pairs]
    same = [float(first @ second) for first, second in vectors]
    others = [float(a[0] @ b[1]) for i, a in enumerate(vectors) for j, b in enumerate(vectors) if i != j]
    assert np.median(same) > 0.5 > np.percentile(others, 99)


def test_the_edgeface_pack_works_too() -> None:
    using = OnnxEngine(open_pack(shared_data() / "data" / "models", "bench_edge"), Tuning())
    assert using.facts.family == "edgeface_xs"
    one = next(iter(looked(9).values()))
    vectors = using.recognise([using.align(one.picture.pixels, face) for face in one.faces])
    assert vectors.shape == (len(one.faces), 512)
    assert np.isfinite(vectors).all()


def test_a_recogniser_that_takes_one_face_at_a_time_is_fed_one_at_a_time(tmp_path: Path) -> None:
    models = shared_data() / "data" / "models" / "extra"
    pack = tmp_path / "int8"
    pack.mkdir()
    for name in ("det_2.5g.onnx", "w600k_mbf_int8_original.onnx"):
        (pack / name).symlink_to(models / name)
    using = OnnxEngine(open_pack(tmp_path, "int8"), Tuning())
    one = max(looked(9).values(), key=lambda item: len(item.faces))
    aligned = [using.align(one.picture.pixels, face) for face in one.faces[:3]]
    singly = unit_rows(np.vstack([using.recognise([face]) for face in aligned]))
    np.testing.assert_allclose((singly * unit_rows(using.recognise(aligned))).sum(axis=1), 1.0, atol=1e-3)
