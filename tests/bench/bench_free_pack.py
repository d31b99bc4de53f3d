"""
The free pack beside bench_s on the labelled photos: what it finds, whom it recognises, which distances fit it.

Each pack finds the faces itself. A labelled face is the one that overlaps the label best.

Run: python tests/bench/bench_free_pack.py
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from labelled_photos import labelled_photos  # noqa: E402  the path is set above

from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402
from embedder.engines.recogniser import unit_rows  # noqa: E402
from embedder.images.colour import cv2_array  # noqa: E402
from embedder.images.decoder import Decoder  # noqa: E402
from embedder.models.pack import open_pack  # noqa: E402
from immich_facesets.clustering.linkage import average_linkage  # noqa: E402
from immich_facesets.evaluation.metrics import (  # noqa: E402
    bcubed,
    pair_distances,
    pairwise,
    strangers_in_sets,
    tar_at_far,
)
from immich_facesets.faces import Box  # noqa: E402
from immich_facesets.model_packs import FREE_PACK  # noqa: E402
from immich_facesets.runtime.model_folder import BUILT_IN  # noqa: E402
from immich_facesets.spaces import operating_points  # noqa: E402

FARS = (1e-2, 1e-3, 1e-4)
CUTS = np.arange(0.45, 0.801, 0.05)
LEAST_OVERLAP = 0.4


@dataclass
class Label:
    """One labelled face: its picture, its box as the reference found it, whose it is, whether it stands alone."""

    path: str
    box: Box
    name: str
    is_single: bool


@dataclass
class Measured:
    """The vectors of the labelled faces that a pack found, and which of the labels these are."""

    vectors: NDArray[np.float32]
    labels: list[Label]
    scores: NDArray[np.float64]
    missed: list[Label]
    others: int


def labels_of(data: Path) -> list[Label]:
    photos, found = labelled_photos(data), np.load(data / "reference_bench_s.npz")
    return [
        Label(str(found["path"][row]), Box(*found["bbox"][row].tolist()), name, bool(photos.is_single[row]))
        for row, name in enumerate(photos.names)
        if name is not None and "orient_" not in str(found["path"][row])
    ]


def measure(engine: OnnxEngine, data: Path, labels: list[Label]) -> Measured:
    decoder = Decoder(150_000_000)
    vectors, kept, scores, missed, others = [], [], [], [], 0
    for path in dict.fromkeys(label.path for label in labels):
        pixels = decoder.decode((data / path).read_bytes()).pixels
        faces = engine.detect([engine.view(pixels)])[0]
        taken: set[int] = set()
        for label in (item for item in labels if item.path == path):
            best = max(range(len(faces)), key=lambda at: faces[at].box.iou(label.box), default=None)
            if best is None or faces[best].box.iou(label.box) < LEAST_OVERLAP:
                missed.append(label)
                continue
            taken.add(best)
            vectors.append(unit_rows(engine.recognise([engine.align(pixels, faces[best])]))[0])
            kept.append(label)
            scores.append(faces[best].score)
        others += len(faces) - len(taken)
    return Measured(np.array(vectors), kept, np.array(scores), missed, others)


def own_centroids(vectors: NDArray[np.float32], names: list[str], least: int = 3) -> tuple[list[float], list[float]]:
    """Distances of faces to the centroid of their person's others, and to the nearest centroid of another person."""
    of_name = {name: np.flatnonzero(np.array(names) == name) for name in set(names)}
    large = {name: rows for name, rows in of_name.items() if len(rows) >= least}
    own, other = [], []
    for row, name in enumerate(names):
        if name in large and len(large[name]) > least:
            rest = vectors[large[name][large[name] != row]].mean(axis=0)
            own.append(float(1 - vectors[row] @ rest / np.linalg.norm(rest)))
        means = [vectors[rows].mean(axis=0) for key, rows in large.items() if key != name]
        other.append(min(float(1 - vectors[row] @ mean / np.linalg.norm(mean)) for mean in means))
    return own, other


def centroid_distances(vectors: NDArray[np.float32], names: list[str]) -> tuple[list[float], list[float]]:
    """Distances between centroids of three faces: of one person (of six or more), and of two people."""
    rows = {name: np.flatnonzero(np.array(names) == name) for name in set(names)}
    draw = np.random.default_rng(0)

    def centroid(at: NDArray[np.int64]) -> NDArray[np.float32]:
        mean = vectors[at].mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)

    same = []
    for at in (at for at in rows.values() if len(at) >= 6):
        for _ in range(20):
            mixed = draw.permutation(at)
            same.append(float(1 - centroid(mixed[:3]) @ centroid(mixed[3:6])))
    means = np.array([centroid(at) for at in rows.values() if len(at) >= 3])
    others = 1 - (means @ means.T)[np.triu_indices(len(means), 1)]
    return same, others.tolist()


def report(name: str, engine: OnnxEngine, found: Measured) -> None:
    names, points = [label.name for label in found.labels], operating_points(engine.facts.family)
    same, different = pair_distances(found.vectors, names)
    print(
        f"\n{name}: {len(names)} of {len(names) + len(found.missed)} labelled faces, {found.others} further detections"
    )
    print(
        f"  scores of labelled faces: 1 % below {np.quantile(found.scores, 0.01):.2f}, median {np.median(found.scores):.2f}"
    )
    for far in FARS:
        rate = tar_at_far(same, different, far)
        print(f"  FAR {far:g}: TAR {rate.tar:.2%} at distance {rate.distance:.3f}")
    print(
        f"  same: median {np.median(same):.3f}, 99 % {np.quantile(same, 0.99):.3f}; different: mean {different.mean():.3f}, "
        f"deviation {different.std():.3f}, least {different.min():.3f}"
    )
    known = np.ones(len(names), dtype=np.bool_)
    for cut in sorted({*CUTS.round(2).tolist(), points.cluster}):
        groups = average_linkage(found.vectors, cut)
        pairs, cubed = pairwise(names, groups), bcubed(names, groups)
        strangers = strangers_in_sets(names, groups, np.arange(len(names)), known, 2)
        print(
            f"  cut {cut:.2f}{'*' if cut == points.cluster else ' '} pairwise F {pairs.f:.3f} precision {pairs.precision:.3f}  "
            f"BCubed F {cubed.f:.3f}  strangers per 1,000: {strangers.per_thousand:.1f}"
        )
    own, other = own_centroids(found.vectors, names)
    print(
        f"  to the own centroid: 95 % {np.quantile(own, 0.95):.3f}, 99 % {np.quantile(own, 0.99):.3f}, most {max(own):.3f}; "
        f"to another's: least {min(other):.3f}, 1 % {np.quantile(other, 0.01):.3f}"
    )

    one, two = centroid_distances(found.vectors, names)
    print(f"  centroids of 3: one person at most {max(one):.3f}, two people at least {min(two):.3f}")
    print(f"  pairs of one person nearer than {points.near}: {np.mean(same < points.near):.1%}")


def copies(engine: OnnxEngine, data: Path, labels: list[Label]) -> list[float]:
    """Distances of single portraits to re-encoded, smaller and slightly turned copies of themselves."""
    decoder, found = Decoder(150_000_000), list[float]()
    for label in [item for item in labels if item.is_single][::6]:
        pixels = decoder.decode((data / label.path).read_bytes()).pixels
        vectors = [vector for changed in changes(pixels) if (vector := best_vector(engine, changed)) is not None]
        found += [float(1 - vectors[0] @ vector) for vector in vectors[1:]]
    return found


def changes(pixels: NDArray[np.uint8]) -> Iterable[NDArray[np.uint8]]:
    yield pixels
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])
    yield cv2_array(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
    height, width = pixels.shape[:2]
    yield cv2_array(cv2.resize(pixels, (width * 3 // 4, height * 3 // 4), interpolation=cv2.INTER_AREA))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 4, 1)
    yield cv2_array(cv2.warpAffine(pixels, turn, (width, height)))


def best_vector(engine: OnnxEngine, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    faces = engine.detect([engine.view(pixels)])[0]
    best = max(faces, key=lambda face: face.box.width, default=None)
    return None if best is None else unit_rows(engine.recognise([engine.align(pixels, best)]))[0]


def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    labels = labels_of(data)
    packs = {
        "bench_s": OnnxEngine(open_pack(data / "models", "bench_s"), Tuning(threads=1)),
        "free": OnnxEngine(open_pack(BUILT_IN, FREE_PACK), Tuning(threads=1)),
    }
    for name, engine in packs.items():
        report(name, engine, measure(engine, data, labels))
        near = copies(engine, data, labels)
        print(f"  copies: 95 % within {np.quantile(near, 0.95):.3f}, 99 % {np.quantile(near, 0.99):.3f}")


if __name__ == "__main__":
    main()
