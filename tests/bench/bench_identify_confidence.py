"""
How often identification is right: exemplars against all faces, and confidences against what is true.

    FACESETS_TEST_DATA=... python tests/bench/bench_identify_confidence.py

The galleries are people of LFW, of synthetic hard libraries, and of the labelled photos, the last with two models. The
people of LFW are those on which the confidences were not fitted, and so are the hard libraries. Half of the faces asked
about show strangers. ``wrong``: the share of members that are given to another person of the gallery.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests")]

from bench.bench_free_pack import labels_of, measure  # noqa: E402  the path is set above
from hard_library import hard_library  # noqa: E402
from mixtures import unit  # noqa: E402

from embedder.engines.onnx import OnnxEngine, Tuning  # noqa: E402
from embedder.models.pack import open_pack  # noqa: E402
from immich_facesets.faces import Gate  # noqa: E402
from immich_facesets.identification.answers import Identification, identify  # noqa: E402
from immich_facesets.identification.bank import ExemplarBank  # noqa: E402
from immich_facesets.identification.exemplars import Members, choose_exemplars  # noqa: E402
from immich_facesets.model_packs import FREE_PACK  # noqa: E402
from immich_facesets.runtime.model_folder import BUILT_IN  # noqa: E402
from immich_facesets.spaces import OPERATING_POINTS, OperatingPoints  # noqa: E402

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.995, 1.01)


@dataclass
class Asked:
    """A gallery, faces asked about, and whose they are; -1 are strangers. ``is_clear``, ``periods``: of the gallery."""

    points: OperatingPoints
    gallery: Vectors
    owners: Rows
    faces: Vectors
    truth: Rows
    is_clear: NDArray[np.bool_]
    periods: Rows

    def spoilt(self, share: float, seed: int = 0) -> "Asked":
        draw = np.random.default_rng(seed)
        owners = self.owners.copy()
        is_wrong = (draw.random(len(owners)) < share) & (np.bincount(owners)[owners] > 3)
        owners[is_wrong] = draw.integers(0, owners.max() + 1, is_wrong.sum())
        return Asked(self.points, self.gallery, owners, self.faces, self.truth, self.is_clear, self.periods)

    def bank(self, most: int) -> ExemplarBank:
        chosen = {}
        for number in np.unique(self.owners).tolist():
            rows = np.flatnonzero(self.owners == number)
            one = Members(
                self.gallery[rows], self.periods[rows], np.zeros(len(rows), dtype=np.bool_), self.is_clear[rows]
            )
            chosen[number] = self.gallery[rows[choose_exemplars(one, self.points.outlier, most)]]
        return ExemplarBank.of(chosen, self.gallery.shape[1])

    def right_of_all(self) -> float:
        """The share of known faces whose nearest face of the gallery is of the same person."""
        known = self.truth >= 0
        nearest = (self.faces[known] @ self.gallery.T).argmax(axis=1)
        return float((self.owners[nearest] == self.truth[known]).mean())


def asked_of(
    vectors: Vectors, who: Sequence[object], points: OperatingPoints, people: int, seed: int, held_out: float = 0.25
) -> Asked:
    """A gallery of some people with two faces and more; the others are strangers."""
    draw = np.random.default_rng(seed)
    names, codes = np.unique(np.array(who), return_inverse=True)
    count = np.bincount(codes)
    chosen = draw.permutation(np.flatnonzero(count >= 2))[:people]
    gallery, owners, faces, truth = [], [], [], []
    for number, person in enumerate(chosen.tolist()):
        rows = draw.permutation(np.flatnonzero(codes == person))
        out = max(1, int(len(rows) * held_out))
        faces += rows[:out][:5].tolist()
        truth += [number] * min(5, out)
        gallery += rows[out:].tolist()
        owners += [number] * (len(rows) - out)
    strangers = [
        int(draw.choice(np.flatnonzero(codes == p))) for p in range(len(names)) if p not in set(chosen.tolist())
    ]
    strangers = draw.permutation(strangers)[: len(faces)].tolist()
    n = len(gallery)
    return Asked(
        points,
        vectors[gallery],
        np.array(owners),
        vectors[[*faces, *strangers]],
        np.array([*truth, *[-1] * len(strangers)]),
        np.ones(n, dtype=np.bool_),
        np.zeros(n, dtype=np.int64),
    )


def lfw(data: Path, people: int, seed: int) -> Asked:
    found = np.load(data / "lfw_embeddings.npz")
    names, codes = np.unique(found["identity"], return_inverse=True)
    is_fitted = np.random.default_rng(0).permutation(len(names)) < len(names) // 2
    rows = np.flatnonzero(~is_fitted[codes])
    vectors = unit(found["embedding"].astype(np.float32))[rows]
    return asked_of(vectors, codes[rows].tolist(), OPERATING_POINTS["w600k_mbf"], people, seed)


def hard(seed: int, people: int) -> Asked:
    """Every fifth picture of a hard library is asked about; the faces of a person have periods of five years."""
    library, draw = hard_library(seed, faces=12_000, family=100), np.random.default_rng(seed)
    pictures = np.unique(library.pictures)
    is_asked = np.isin(library.pictures, draw.choice(pictures, len(pictures) // 5, replace=False))
    rows = np.flatnonzero(np.isin(library.who, draw.permutation(100)[:people]) & ~is_asked)
    names, owners = np.unique(library.who[rows], return_inverse=True)
    known = draw.permutation(np.flatnonzero(np.isin(library.who, names) & is_asked))
    strangers = draw.permutation(np.flatnonzero(~np.isin(library.who, names) & is_asked))
    least = min(len(known), len(strangers))
    known, strangers = known[:least], strangers[:least]
    return Asked(
        OPERATING_POINTS["w600k_mbf"],
        library.vectors[rows],
        owners.astype(np.int64),
        library.vectors[np.concatenate([known, strangers])],
        np.concatenate([np.searchsorted(names, library.who[known]), np.full(least, -1)]),
        library.table().admitted(Gate())[rows],
        (library.taken[rows] // (5 * 365)).astype(np.int64),
    )


def loss(name: str, scenes: Sequence[Asked]) -> None:
    """Print the share of known faces that are recognised first, by all faces and by exemplars."""
    parts = [f"all faces {np.mean([scene.right_of_all() for scene in scenes]):.4f}"]
    for most in (1, 2, 4, 8, 16):
        right, size = [], 0
        for scene in scenes:
            bank, known = scene.bank(most), scene.truth >= 0
            first = bank.numbers[bank.likenesses(scene.faces[known]).argmax(axis=1)]
            right.append(float((first == scene.truth[known]).mean()))
            size += len(bank.vectors)
        parts.append(f"{most}: {np.mean(right):.4f} ({size / sum(len(one.gallery) for one in scenes):.0%})")
    print(f"{name:32} " + "  ".join(parts), flush=True)


def calibration(name: str, scenes: Iterable[Asked]) -> None:
    told: list[tuple[Identification, int]] = []
    for scene in scenes:
        found = identify(scene.bank(8), scene.faces, cluster=scene.points.cluster, limit=3)
        told += list(zip(found, scene.truth.tolist(), strict=True))
    first = np.array([one.candidates[0].confidence for one, _ in told])
    right = np.array([one.candidates[0].number == truth for one, truth in told])
    nobody, strange = np.array([one.nobody for one, _ in told]), np.array([truth < 0 for _, truth in told])
    named = np.array([one.verdict == "known" for one, _ in told])
    unsure = np.array([one.verdict == "unsure" for one, _ in told])
    print(f"\n{name}: {len(told):,} faces")
    print(
        f"  known people named: {named[~strange].mean():.2%}, rightly: {right[named & ~strange].mean():.2%}; strangers named: "
        f"{named[strange].mean():.2%}; unsure: {unsure.mean():.2%}"
    )
    for label, shares, truth in (("first identity", first, right), ("nobody", nobody, strange)):
        cells = []
        for low, high in pairwise(BINS):
            here = (shares >= low) & (shares < high)
            if here.any():
                cells.append(f"{shares[here].mean():.3f}/{truth[here].mean():.3f} ({here.sum()})")
        print(f"  {label}, said/true (faces): {'  '.join(cells)}", flush=True)


def main() -> None:
    data = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
    faces = [lfw(data, people, seed) for people in (60, 200, 700) for seed in (0, 1)]
    aged = [hard(seed, people) for seed, people in ((0, 60), (1, 60), (2, 40))]
    for share in (0.0, 0.02):
        loss(f"LFW, {share:.0%} wrong", [scene.spoilt(share) for scene in faces])
        loss(f"hard libraries, {share:.0%} wrong", [scene.spoilt(share) for scene in aged])
    for share in (0.0, 0.02):
        calibration(f"LFW, {share:.0%} wrong", [scene.spoilt(share) for scene in faces])
        calibration(f"hard libraries, {share:.0%} wrong", [scene.spoilt(share) for scene in aged])
    labels = labels_of(data)
    for pack, folder in (("bench_s", data / "models"), (FREE_PACK, BUILT_IN)):
        engine = OnnxEngine(open_pack(folder, pack), Tuning(threads=1))
        found = measure(engine, data, labels)
        points, names = OPERATING_POINTS[engine.facts.family], [label.name for label in found.labels]
        calibration(f"labelled photos, {pack}", [asked_of(found.vectors, names, points, 45, seed) for seed in range(6)])


if __name__ == "__main__":
    main()
