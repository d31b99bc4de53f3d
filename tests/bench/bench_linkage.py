"""
Cost of average linkage at any size, and its loss of accuracy where it is not exact: ``bench_linkage.py [--million]``.

Each measurement is made in a process of its own. ``--million`` takes a quarter of an hour or more and 8 GB; it also
compares the partition of the million with the exact one of a hundred thousand of its faces.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from isolated_measurement import Measured, Recipe, measured
from large_library import large_library, persons_of
from mixtures import people, unit

from immich_facesets.clustering.blocked_products import SLACK, Directions
from immich_facesets.clustering.linkage import EXACT_ROWS, average_linkage
from immich_facesets.clustering.sampled_linkage import sampled_linkage
from immich_facesets.evaluation.metrics import bcubed, pairwise

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
CUT = 0.55

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def reference(vectors: Vectors, cut: float) -> Labels:
    from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415 a process without it stays small

    model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=cut)
    labels: Labels = model.fit_predict(vectors)
    return labels


def as_of_a_million(vectors: Vectors, cut: float) -> Labels:
    """Cluster as for a million faces, with a sample of the same proportion."""
    faces = Directions(vectors, np.linalg.norm(vectors, axis=1).astype(np.float64), np.arange(len(vectors)))
    return sampled_linkage(faces, np.ones(len(vectors)), cut, 1.0 - cut - SLACK, sample_rows=len(vectors) // 15)


def some_people(n: int, faces: int) -> NDArray[np.intp]:
    """The rows of people of `large_library`, taken at random until they have so many faces."""
    who = persons_of(n)
    sizes = np.bincount(who)
    order = np.random.default_rng(5).permutation(len(sizes))
    chosen = order[: np.searchsorted(np.cumsum(sizes[order]), faces)]
    return np.flatnonzero(np.isin(who, chosen))


def part_of_great_library(n: int, faces: int) -> Vectors:
    return large_library(n)[some_people(n, faces)]


def lfw() -> tuple[Vectors, NDArray[np.str_]]:
    found = np.load(DATA / "lfw_embeddings.npz")
    return unit(found["embedding"].astype(np.float32)), found["identity"]


def tell(name: str, n: int, run: Measured[Labels], more: str = "") -> None:
    print(
        f"{name:28} n={n:7}  {run.seconds:7.1f} s ({run.core_seconds:7.1f} of one core)  {run.extra:6.0f} MB beyond the"
        f" input, {run.total:6.0f} MB in all  {more}",
        flush=True,
    )


def tell_reference(ours: Measured[Labels], theirs: Measured[Labels]) -> None:
    same = pairwise(theirs.result, ours.result)
    is_same = same.precision == same.recall == 1
    print(
        f"  scikit-learn: {'the same partition' if is_same else f'ANOTHER partition (pairwise F {same.f:.6f})'},"
        f" {theirs.seconds:.1f} s ({theirs.core_seconds:.1f} of one core), {theirs.extra:.0f} MB:"
        f" time x{theirs.seconds / ours.seconds:.1f} (of one core x{theirs.core_seconds / ours.core_seconds:.1f}),"
        f" memory x{theirs.extra / ours.extra:.0f}",
        flush=True,
    )


def tell_loss(exact: Labels, likely: Labels) -> None:
    pairs, clusters = pairwise(exact, likely), bcubed(exact, likely)
    sizes = np.bincount(exact)[exact]
    is_rare = (sizes > 1) & (sizes <= 5)
    print(
        f"  against the exact partition: pairwise F {pairs.f:.6f}, BCubed F {clusters.f:.6f}; pairwise F of people with"
        f" 2 to 5 faces {pairwise(exact[is_rare], likely[is_rare]).f:.5f}",
        flush=True,
    )


def bench_curve() -> None:
    for n in (5_000, 19_480, 50_000, 100_000, 200_000):
        library = Recipe(large_library, (n,))
        ours = measured(average_linkage, library, CUT)
        tell("a great library" if n <= EXACT_ROWS else "a great library, not exact", n, ours)
        if n < 20_000:
            tell_reference(ours, measured(reference, library, CUT))
        if n == 100_000:
            likely = measured(as_of_a_million, library, CUT)
            tell("the same as if of a million", n, likely)
            tell_loss(ours.result, likely.result)
        print(f"  against the truth: pairwise F {pairwise(persons_of(n), ours.result).f:.6f}", flush=True)


def bench_real_faces() -> None:
    if not DATA.is_dir():
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
        return
    vectors, names = lfw()
    for cut in (0.55, 0.65):
        ours = measured(average_linkage, vectors, cut)
        score = (
            f"cut {cut}: BCubed F {bcubed(names, ours.result).f:.4f}, pairwise F {pairwise(names, ours.result).f:.4f}"
        )
        tell("LFW", len(vectors), ours, score)
        tell_reference(ours, measured(reference, vectors, cut))
        likely = measured(as_of_a_million, vectors, cut)
        tell("LFW as if of a million", len(vectors), likely)
        tell_loss(ours.result, likely.result)


def bench_hub() -> None:
    hub, _ = people(np.random.default_rng(0), [10_000], 0.8, d=512)
    tell("ten thousand of one", len(hub), measured(average_linkage, hub, CUT))


def bench_million(n: int = 1_000_000, faces: int = 100_000) -> None:
    ours = measured(average_linkage, Recipe(large_library, (n,)), CUT)
    tell("a great library, not exact", n, ours)
    print(f"  against the truth: pairwise F {pairwise(persons_of(n), ours.result).f:.6f}", flush=True)
    exact = measured(average_linkage, Recipe(part_of_great_library, (n, faces)), CUT)
    tell("some of its people, exact", len(exact.result), exact)
    tell_loss(exact.result, ours.result[some_people(n, faces)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="only the million")
    if parser.parse_args().million:
        bench_million()
        return
    bench_real_faces()
    bench_hub()
    bench_curve()


if __name__ == "__main__":
    main()
