"""
How fast, how small and how right grouping is: ``python tests/bench/bench_grouping.py``.

Real faces come from FACESETS_TEST_DATA. Each measurement is made in a process of its own, so that its peak memory is its
own.
"""

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labelled_photos import labelled_photos
from mixtures import Library, people, table_of, unit
from own_process import measured

from immich_facesets.evaluation import bcubed
from immich_facesets.faces import Gate
from immich_facesets.grouping import GroupingRules
from immich_facesets.spaces import OperatingPoints, operating_points

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"

Vectors = NDArray[np.float32]


def lfw() -> tuple[Vectors, NDArray[np.str_]]:
    found = np.load(DATA / "lfw_embeddings.npz")
    return unit(found["embedding"].astype(np.float32)), found["identity"]


def group(vectors: Vectors, points: OperatingPoints, min_faces: int) -> tuple[list[int], bool]:
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=min_faces, gate=Gate(60, 0, 0.5)), points=points)
    library.group()
    return library.labels(), library.plan().is_empty


def bench_grouping(
    name: str, vectors: Vectors, truth: NDArray[np.generic], points: OperatingPoints, min_faces: int
) -> None:
    run = measured(group, vectors, points, min_faces)
    labels, is_stable = run.result
    score = bcubed(truth, labels)
    print(
        f"grouping {name:24} n={len(vectors):6} min_faces={min_faces:2} {run.seconds:6.1f} s (planned twice) {run.extra:7.0f} MB"
        f"  BCubed P {score.precision:.4f} R {score.recall:.4f} F {score.f:.4f}  stable: {is_stable}"
    )


def bench_labelled_photos(points: OperatingPoints) -> None:
    photos = labelled_photos(DATA)
    library = Library(photos.table, rules=GroupingRules(min_faces=2, gate=Gate(60, 0, 0.5)), points=points)
    library.group()
    labels = library.labels()
    for name, rows in (
        ("labelled single faces", np.flatnonzero(photos.is_single).tolist()),
        ("all labelled faces", [row for row, one in enumerate(photos.names) if one is not None]),
    ):
        score = bcubed([str(photos.names[row]) for row in rows], [labels[row] for row in rows])
        print(
            f"grouping {name:24} n={len(rows):6}  BCubed P {score.precision:.4f} R {score.recall:.4f} F {score.f:.4f}"
        )


def main() -> None:
    points = operating_points("w600k_mbf")
    if DATA.is_dir():
        vectors, names = lfw()
        for min_faces in (2, 15):
            bench_grouping("LFW", vectors, names, points, min_faces)
        bench_labelled_photos(points)
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
    rng = np.random.default_rng(0)
    library, who = people(rng, [1500, 1000, *([300] * 20), *([40] * 150), *([1] * 5500)], 0.8, d=512)
    bench_grouping("a family's library", library, who, OperatingPoints(), 15)


if __name__ == "__main__":
    main()
