"""
How fast, how small and how right grouping is: ``python tests/bench/bench_grouping.py [--reference]``.

Real faces come from FACESETS_TEST_DATA; ``--reference`` runs scikit-learn too, which needs gigabytes. Each measurement
is made in a process of its own, so that its peak memory is its own.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labelled_photos import labelled_photos
from mixtures import Library, people, table_of, unit

from immich_facesets.evaluation import bcubed, pairwise
from immich_facesets.faces import Gate
from immich_facesets.grouping import GroupingRules
from immich_facesets.linkage import average_linkage
from immich_facesets.spaces import OperatingPoints, operating_points

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"

Vectors = NDArray[np.float32]
T = TypeVar("T")


def reference(vectors: Vectors, cut: float) -> NDArray[np.int64]:
    from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415 a process without it stays small

    model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=cut)
    labels: NDArray[np.int64] = model.fit_predict(vectors)
    return labels


def megabytes(field: str) -> float:
    """A figure of this process as Linux gives it: ``VmRSS`` is now, ``VmHWM`` the peak since it was last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def _measure(answer: Connection, work: Callable[..., object], *arguments: object) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, started = megabytes("VmRSS"), time.perf_counter()
    result = work(*arguments)
    answer.send((result, time.perf_counter() - started, megabytes("VmHWM") - before))


def measured(work: Callable[..., T], *arguments: object) -> tuple[T, float, float]:
    """The result, the seconds, and the megabytes beyond those of the arguments."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(theirs, work, *arguments))
    process.start()
    theirs.close()
    answer: tuple[T, float, float] = ours.recv()
    process.join()
    return answer


def lfw() -> tuple[Vectors, NDArray[np.str_]]:
    found = np.load(DATA / "lfw_embeddings.npz")
    return unit(found["embedding"].astype(np.float32)), found["identity"]


def bench_linkage(name: str, vectors: Vectors, truth: NDArray[np.generic], cut: float, *, with_reference: bool) -> None:
    labels, seconds, extra = measured(average_linkage, vectors, cut)
    clusters, pairs = bcubed(truth, labels), pairwise(truth, labels)
    print(
        f"linkage  {name:24} n={len(vectors):6} cut={cut:.2f}  {seconds:6.1f} s {extra:7.0f} MB"
        f"  BCubed F {clusters.f:.4f}  pairwise F {pairs.f:.4f}"
    )
    if with_reference:
        theirs, their_seconds, their_extra = measured(reference, vectors, cut)
        same = pairwise(theirs, labels).f
        print(
            f"  scikit-learn {'the same partition' if same == 1 else f'ANOTHER partition ({same:.6f})'}:"
            f" {their_seconds:6.1f} s {their_extra:7.0f} MB"
            f"  (time x{their_seconds / seconds:.1f}, memory x{their_extra / extra:.0f})"
        )


def group(vectors: Vectors, points: OperatingPoints, min_faces: int) -> tuple[list[int], bool]:
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=min_faces, gate=Gate(60, 0, 0.5)), points=points)
    library.group()
    return library.labels(), library.plan().is_empty


def bench_grouping(
    name: str, vectors: Vectors, truth: NDArray[np.generic], points: OperatingPoints, min_faces: int
) -> None:
    (labels, is_stable), seconds, extra = measured(group, vectors, points, min_faces)
    score = bcubed(truth, labels)
    print(
        f"grouping {name:24} n={len(vectors):6} min_faces={min_faces:2} {seconds:6.1f} s (planned twice) {extra:7.0f} MB"
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", action="store_true", help="compare with scikit-learn")
    with_reference: bool = parser.parse_args().reference
    points = operating_points("w600k_mbf")
    if DATA.is_dir():
        vectors, names = lfw()
        for cut in (0.55, 0.65):
            bench_linkage("LFW", vectors, names, cut, with_reference=with_reference)
        for min_faces in (2, 15):
            bench_grouping("LFW", vectors, names, points, min_faces)
        bench_labelled_photos(points)
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
    rng = np.random.default_rng(0)
    library, who = people(rng, [1500, 1000, *([300] * 20), *([40] * 150), *([1] * 5500)], 0.8, d=512)
    bench_linkage("a family's library", library, who, 0.55, with_reference=with_reference)
    bench_grouping("a family's library", library, who, OperatingPoints(), 15)
    hub, one = people(rng, [10_000], 0.8, d=512)
    bench_linkage("ten thousand of one", hub, one, 0.55, with_reference=False)


if __name__ == "__main__":
    main()
