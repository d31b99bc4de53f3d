"""
Speed and memory of grouping: ``python tests/bench/bench_grouping.py``; ``bench_methods.py`` measures accuracy.

Real faces come from FACESETS_TEST_DATA. Each measurement is made in a process of its own, so that its peak memory is
its own.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from isolated_measurement import measured
from mixtures import Library, people, table_of, unit

from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.faces import Gate
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints, operating_points

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"

Vectors = NDArray[np.float32]


def lfw() -> Vectors:
    return unit(np.load(DATA / "lfw_embeddings.npz")["embedding"].astype(np.float32))


def group(vectors: Vectors, points: OperatingPoints, min_faces: int) -> tuple[int, bool]:
    library = Library(table_of(vectors), rules=GroupingRules(min_faces=min_faces, gate=Gate(60, 0, 0.5)), points=points)
    library.group()
    return len(library.known), library.plan().is_empty


def bench_grouping(name: str, vectors: Vectors, points: OperatingPoints, min_faces: int) -> None:
    run = measured(group, vectors, points, min_faces)
    identities, is_stable = run.result
    print(
        f"grouping {name:24} n={len(vectors):6} min_faces={min_faces:2} {run.seconds:6.1f} s (planned twice) "
        f"{run.extra:7.0f} MB  {identities} identities  stable: {is_stable}"
    )


def arrive(vectors: Vectors, fresh: int, points: OperatingPoints) -> tuple[float, float, float]:
    """
    Return the seconds to group the last ``fresh`` faces alone and all of them, and the similarity of both results
    (BCubed F).
    """
    table, rules = table_of(vectors), GroupingRules(gate=Gate(60, 0, 0.5))
    before = Library(table.rows(np.arange(len(table) - fresh)), rules=rules, points=points)
    before.group()
    ends, seconds = [], []
    for only in (frozenset(table.face_ids[-fresh:].tolist()), None):
        after = replace(before, table=table, fresh=only, memberships=dict(before.memberships), known=dict(before.known))
        started = time.perf_counter()
        after.group()
        seconds.append(time.perf_counter() - started)
        ends.append(after.labels())
    return seconds[0], seconds[1], bcubed(*ends).f


def bench_small_sync(name: str, vectors: Vectors, fresh: int, points: OperatingPoints) -> None:
    alone, everything, alike = arrive(vectors, fresh, points)
    print(
        f"{fresh} fresh faces of {name:18} n={len(vectors):6}  alone {alone:6.1f} s, all again {everything:6.1f} s"
        f"  (x{everything / alone:.1f})  the same end: BCubed F {alike:.4f}"
    )


def main() -> None:
    points = operating_points("w600k_mbf")
    if DATA.is_dir():
        vectors = lfw()
        for min_faces in (2, 15):
            bench_grouping("LFW", vectors, points, min_faces)
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
    rng = np.random.default_rng(0)
    library, _ = people(rng, [1500, 1000, *([300] * 20), *([40] * 150), *([1] * 5500)], 0.8, d=512)
    bench_grouping("a family's library", library, OperatingPoints(), 15)
    library = library[rng.permutation(len(library))]
    for part in (5000, len(library)):
        bench_small_sync("a family's library", library[:part], 100, OperatingPoints())


if __name__ == "__main__":
    main()
