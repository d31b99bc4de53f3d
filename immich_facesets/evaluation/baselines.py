"""
Baselines: other methods that group the same vectors, for comparison with this project's grouping.

A method with a threshold is shown at the best of a few thresholds, chosen with the labels. That favours the baselines,
because users have no labels; this project's grouping never sees them. scikit-learn and Infomap are imported only here,
and only when called.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.clustering.neighbour_graph import NearPairs, TooManyPairsError
from immich_facesets.spaces import OperatingPoints

Labels = NDArray[np.int64]
Judge = Callable[[Labels], float]

CUTS = (-0.20, -0.15, -0.10, -0.05, 0.0, 0.05, 0.10, 0.15)
"""Offsets from the space's own cut that are tried as thresholds."""

PAIR_CUTS = CUTS[:6]
"""Offsets for methods that work on a graph: looser thresholds give only noise and cost the most."""

IMMICH_DISTANCE, IMMICH_FACES = 0.5, 3
"""Immich's defaults of ``machineLearning.facialRecognition``: ``maxDistance`` and ``minFaces``."""

MATRIX_FACES = {"scikit-learn": 4_000, "HDBSCAN": 16_000}
"""
The largest number of faces for methods that need the whole matrix: a few seconds and 0.5 GB, or a minute and 6 GB.
"""

_SEED = 1
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """The labels a method gave, (n,), with its setting in words; None when the method was left out, with the reason."""

    labels: Labels | None
    setting: str


class Material:
    """The input of every method: unit ``vectors`` (n, d), the space's ``points``, and a judge of labels (n,)."""

    def __init__(self, vectors: NDArray[np.float32], points: OperatingPoints, judge: Judge) -> None:
        self.vectors = vectors
        self.points = points
        self.judge = judge

    @cached_property
    def pairs(self) -> NearPairs:
        return NearPairs.within(self.vectors, max(IMMICH_DISTANCE, self.points.cluster + PAIR_CUTS[-1]))

    def best(self, tries: Iterable[tuple[float, Labels]], what: str) -> Outcome:
        """Return the try with the best score against the labels; the first of equals."""
        found = [(self.judge(labels), value, labels) for value, labels in tries]
        _, value, labels = max(found, key=lambda one: one[0])
        return Outcome(labels, f"{what} {value:.2f}, best of {len(found)}")

    def cuts(self, offsets: Iterable[float]) -> list[float]:
        return [round(self.points.cluster + offset, 3) for offset in offsets if self.points.cluster + offset > 0]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One other method. ``package``: the import name of the package it needs."""

    name: str
    run: Callable[[Material], Outcome]
    package: str | None = None


def missing_packages() -> tuple[str, ...]:
    """Return the packages that baselines need and that are not installed."""
    needed = dict.fromkeys(baseline.package for baseline in BASELINES if baseline.package is not None)
    return tuple(name for name in needed if find_spec(name) is None)


def run_baseline(baseline: Baseline, material: Material) -> Outcome:
    """Run one method; return the reason instead if it cannot handle so many faces or is not installed."""
    if baseline.package is not None and find_spec(baseline.package) is None:
        return Outcome(None, f"left out: the package {baseline.package} is not installed")
    try:
        return baseline.run(material)
    except TooManyPairsError as error:
        return Outcome(None, f"left out: {error}")


def linkage_at_default(material: Material) -> Outcome:
    """
    Cluster by average linkage at the space's cut: with scikit-learn while its matrix is small, otherwise with our own
    code.
    """
    cut, n = material.points.cluster, len(material.vectors)
    if 2 <= n <= MATRIX_FACES["scikit-learn"]:
        from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415 an optional dependency

        model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=cut)
        return Outcome(model.fit_predict(material.vectors).astype(np.int64), f"cut {cut:.2f}, by scikit-learn")
    return Outcome(
        average_linkage(material.vectors, cut), f"cut {cut:.2f}, by our linkage: the same partition without the matrix"
    )


def linkage_at_best(material: Material) -> Outcome:
    """Cluster by average linkage at its best cut, with our own code, which equals scikit-learn's at any size."""
    tries = ((cut, average_linkage(material.vectors, cut)) for cut in material.cuts(CUTS))
    return material.best(tries, "cut")


def hdbscan(material: Material) -> Outcome:
    """Cluster by HDBSCAN (Campello et al. 2013) on Euclidean distances of unit vectors; each noise point is alone."""
    n = len(material.vectors)
    if n > MATRIX_FACES["HDBSCAN"]:
        return Outcome(None, f"left out: it needs a matrix of {n:,} x {n:,}")
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 an optional dependency

    sizes = [size for size in (2, 3, 5) if size <= n]
    if not sizes:
        return Outcome(np.arange(n), "no two faces")
    found = []
    for size in sizes:
        model = HDBSCAN(min_cluster_size=size, algorithm="brute", metric="euclidean", copy=True)
        labels = model.fit_predict(material.vectors.astype(np.float64))
        found.append((size, with_singletons(labels.astype(np.int64))))
    best = max(found, key=lambda one: material.judge(one[1]))
    return Outcome(best[1], f"at least {best[0]} faces, best of {len(found)}")


def chinese_whispers(material: Material) -> Outcome:
    """Cluster by Chinese whispers (Biemann 2006) on pairs within the best threshold, weighted by similarity."""
    tries = ((cut, _whisper(material.pairs.nearer(cut))) for cut in material.cuts(PAIR_CUTS))
    return material.best(tries, "threshold")


def _whisper(pairs: NearPairs) -> Labels:
    """Give every face the heaviest label among its neighbours, in random order, until no label changes."""
    rng = np.random.default_rng(_SEED)
    labels = np.arange(len(pairs))
    weights = 1 - pairs.distances.astype(np.float64)
    connected = np.flatnonzero(np.diff(pairs.starts))
    for _ in range(_ROUNDS):
        changes = 0
        for face in rng.permutation(connected).tolist():
            here = slice(pairs.starts[face], pairs.starts[face + 1])
            names, place = np.unique(labels[pairs.others[here]], return_inverse=True)
            best = names[np.bincount(place, weights[here]).argmax()]
            changes += int(best != labels[face])
            labels[face] = best
        if not changes:
            break
    return labels


def immich(material: Material) -> Outcome:
    """Cluster by Immich's rule with its default settings."""
    labels = immich_labels(material.pairs.nearer(IMMICH_DISTANCE))
    return Outcome(labels, f"maxDistance {IMMICH_DISTANCE}, minFaces {IMMICH_FACES}, its defaults")


def immich_at_best(material: Material) -> Outcome:
    """Cluster by Immich's rule at its best maximal distance."""
    tries = ((cut, immich_labels(material.pairs.nearer(cut))) for cut in material.cuts(PAIR_CUTS))
    return material.best(tries, f"minFaces {IMMICH_FACES}, maxDistance")


def immich_labels(pairs: NearPairs, min_faces: int = IMMICH_FACES) -> Labels:
    """
    Return the labels of Immich's facial recognition for new faces that arrive in this order.

    The rule is that of ``handleRecognizeFaces`` in Immich's ``person.service.ts``, unchanged in its substance from
    1.132 to 3.x. A face with ``min_faces`` matches, itself included, is a core face. It joins the person of the nearest
    face that has one, otherwise it founds one. Other faces are deferred until all core faces are done, and then join
    likewise or stay alone. Immich finds matches through an approximate index and, since 3, skips people born later;
    neither matters here.
    """
    person = np.full(len(pairs), -1, dtype=np.int64)
    deferred: list[tuple[int, NDArray[np.int32]]] = []
    for face, near in enumerate(pairs.rows()):
        if len(near) == 0 and min_faces > 1:
            continue
        if 1 + len(near) < min_faces:
            deferred.append((face, near))
            continue
        known = near[person[near] >= 0]
        person[face] = person[known[0]] if len(known) else face
    for face, near in deferred:
        known = near[person[near] >= 0]
        if len(known):
            person[face] = person[known[0]]
    return with_singletons(person)


def infomap(material: Material) -> Outcome:
    """Cluster by Infomap (Rosvall and Bergstrom 2008) on pairs within the best threshold, weighted by similarity."""
    tries = ((cut, _modules(material.pairs.nearer(cut))) for cut in material.cuts(PAIR_CUTS))
    return material.best(tries, "threshold")


def _modules(pairs: NearPairs) -> Labels:
    from infomap import Infomap  # noqa: PLC0415 an optional dependency

    first = np.repeat(np.arange(len(pairs)), np.diff(pairs.starts))
    is_upper = first < pairs.others
    labels = np.full(len(pairs), -1, dtype=np.int64)
    if is_upper.any():
        links = np.column_stack([first[is_upper], pairs.others[is_upper], 1 - pairs.distances[is_upper]])
        network: Any = Infomap(two_level=True, seed=_SEED, num_trials=1, silent=True)
        network.add_links(links.astype(np.float64))
        for face, module in network.run().modules().items():
            labels[face] = module
    return with_singletons(labels)


def with_singletons(labels: Labels) -> Labels:
    """Return the same labels; each face without an identity (below 0) gets a label of its own, above all others."""
    nobody = np.flatnonzero(labels < 0)
    result = labels.copy()
    result[nobody] = labels.max(initial=0) + 1 + np.arange(len(nobody))
    return result


BASELINES = (
    Baseline("average linkage, default", linkage_at_default, "sklearn"),
    Baseline("average linkage, best cut", linkage_at_best),
    Baseline("HDBSCAN", hdbscan, "sklearn"),
    Baseline("Chinese whispers", chinese_whispers),
    Baseline("Immich's rule, default", immich),
    Baseline("Immich's rule, best distance", immich_at_best),
    Baseline("Infomap", infomap, "infomap"),
)
