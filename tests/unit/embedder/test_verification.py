"""Face verification over HTTP, in full and in guided mode, on the labelled photos."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from face_check import answered
from labelled_photos import labelled_photos
from numpy.typing import NDArray
from real_embedder import RealEmbedder
from testdata import shared_data
from verification import tar_at_far

from embedder.faces import regions
from immich_facesets import wire
from immich_facesets.faces import Box

pytestmark = pytest.mark.models

PEOPLE_PER_KIND = 15
FAR = 1e-3
Vectors = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferenceFaces:
    """One face in each of ``photos``: its person, its box by insightface, and its vector by ``full``."""

    photos: list[bytes]
    names: list[str]
    boxes: list[Box]
    full: Vectors


def boxes_of_another_detector(boxes: list[Box]) -> list[Box]:
    """The same boxes, 6 % smaller to 9 % larger, each edge off by some pixels more (4 % of the box)."""
    rng = np.random.default_rng(7)
    others = []
    for box in boxes:
        grown = float(rng.uniform(-0.06, 0.09)) / 2
        width, height = box.width * grown, box.height * grown
        left, top, right, bottom = rng.normal(0, 0.04 * max(box.width, box.height), 4).tolist()
        others.append(
            Box(box.x1 - width + left, box.y1 - height + top, box.x2 + width + right, box.y2 + height + bottom)
        )
    return others


def vector_at(answer: wire.FacesAnswer, box: Box) -> NDArray[np.float64]:
    """The vector of the face at a box; zeros, which match no face, where there is none."""
    found = answered(answer)
    ious = [box.iou(Box(*other.tolist())) for other in found.boxes]
    if not ious or max(ious) < regions.LEAST_IOU:
        return np.zeros(512)
    vector: NDArray[np.float64] = found.vectors[int(np.argmax(ious))]
    return vector


def chosen_rows(data: Path) -> tuple[list[int], list[str]]:
    """Two single portraits of each of some people, and the faces of group photos that are labelled with them."""
    labelled = labelled_photos(data)
    paths = np.load(data / "reference_bench_s.npz")["path"].tolist()
    rows: list[int] = []
    for kind in ("/lfw/", "/multi_age/"):
        here = [row for row in np.flatnonzero(labelled.is_single).tolist() if kind in paths[row]]
        by_name: dict[str, list[int]] = {}
        for row in here:
            by_name.setdefault(labelled.names[row] or "", []).append(row)
        pairs = [mine[:2] for _name, mine in sorted(by_name.items()) if len(mine) >= 2]
        rows += [row for pair in pairs[:PEOPLE_PER_KIND] for row in pair]
    known = {labelled.names[row] for row in rows}
    groups = [row for row, path in enumerate(paths) if "/groups/composite_0" in path and labelled.names[row] in known]
    rows += groups
    return rows, [labelled.names[row] or "" for row in rows]


@pytest.fixture(scope="module")
def reference_faces(embedder_of_bench_s: RealEmbedder) -> ReferenceFaces:
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")
    rows, names = chosen_rows(data)
    photos = [(data / reference["path"][row]).read_bytes() for row in rows]
    boxes = [Box(*reference["bbox"][row].tolist()) for row in rows]
    answers = embedder_of_bench_s.faces_of_all(photos)
    full = np.stack([vector_at(answer, box) for answer, box in zip(answers, boxes, strict=True)])
    return ReferenceFaces(photos, names, boxes, full)


def test_full_mode_tells_people_apart_as_insightface_does(reference_faces: ReferenceFaces) -> None:
    data = shared_data() / "data"
    reference = np.load(data / "reference_bench_s.npz")["embedding"][chosen_rows(data)[0]]
    assert float(np.median((reference_faces.full * reference).sum(axis=1))) > 0.9999
    assert tar_at_far(reference_faces.full, reference_faces.names, FAR) >= tar_at_far(
        reference, reference_faces.names, FAR
    )
    assert tar_at_far(reference_faces.full, reference_faces.names, FAR) >= 0.99


@pytest.mark.parametrize(
    "whose", [pytest.param("insightface's boxes", marks=pytest.mark.slow), "another detector's boxes"]
)
def test_guided_mode_is_as_good_as_full(
    whose: str, reference_faces: ReferenceFaces, embedder_of_bench_s: RealEmbedder
) -> None:
    boxes = (
        reference_faces.boxes if whose == "insightface's boxes" else boxes_of_another_detector(reference_faces.boxes)
    )
    answers = embedder_of_bench_s.guided_of_all(reference_faces.photos, [[box] for box in boxes])
    guided = np.stack([vector_at(answer, box) for answer, box in zip(answers, reference_faces.boxes, strict=True)])
    cosines = (guided * reference_faces.full).sum(axis=1)
    assert float(np.median(cosines)) >= 0.99
    assert float(cosines.min()) >= 0.9
    full, mine = (tar_at_far(vectors, reference_faces.names, FAR) for vectors in (reference_faces.full, guided))
    assert mine >= full - 0.001
