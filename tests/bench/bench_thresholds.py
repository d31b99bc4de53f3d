"""
Accuracy of thresholds measured on a library's own pairs: ``python tests/bench/bench_thresholds.py``.

The first part fits few impostor pairs and finds the distance at a false match rate far too small to count. It is held
out: the shape comes from one half of the people of LFW, pairs and truth from the other. The second part measures the
gain or loss of grouping by these distances, with right and with wrong defaults. Real faces come from
FACESETS_TEST_DATA.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from hard_library import hard_library
from labelled_photos import labelled_photos
from mixtures import Library, table_of, unit

from immich_facesets.calibration.thresholds import (
    FARTHEST,
    PRIOR_PAIRS,
    TAIL,
    TARGET,
    fit_impostors,
    measure_thresholds,
    shifted,
)
from immich_facesets.evaluation.metrics import bcubed
from immich_facesets.faces import Gate
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints, operating_points

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
EDGES = np.linspace(0, 1.6, 3201)
RIGHT = operating_points("w600k_mbf")
DEFAULTS = {"right": RIGHT, "buffalo_l's": OperatingPoints(), "0.05 too loose": shifted(RIGHT, 0.05)}

Distances = NDArray[np.float64]
Fitting = Callable[[Distances, float], float]


@dataclass(frozen=True)
class People:
    """Faces and the person of each."""

    vectors: NDArray[np.float32]
    who: NDArray[np.intp]

    def impostors(self) -> NDArray[np.float64]:
        """All pairs of two people, counted by bins of distance."""
        counts = np.zeros(len(EDGES) - 1)
        for start in range(0, len(self.vectors), 1000):
            part = slice(start, start + 1000)
            apart = 1 - self.vectors[part] @ self.vectors[start:].T
            rows = np.arange(len(apart))[:, None]
            is_pair = (np.arange(apart.shape[1])[None] > rows) & (self.who[part][:, None] != self.who[start:][None])
            counts += np.histogram(apart[is_pair], EDGES)[0]
        return counts

    def sampled(self, rng: np.random.Generator, count: int) -> Distances:
        """Random pairs of two people."""
        one, two = rng.integers(len(self.vectors), size=(2, 2 * count + 50))
        is_two = self.who[one] != self.who[two]
        one, two = one[is_two][:count], two[is_two][:count]
        apart: Distances = 1 - np.einsum("ij,ij->i", self.vectors[one].astype(np.float64), self.vectors[two])
        return apart


def quantile(counts: NDArray[np.float64], rate: float) -> float:
    return float(EDGES[1:][np.searchsorted(np.cumsum(counts) / counts.sum(), rate)])


def shape_of(counts: NDArray[np.float64]) -> Callable[[float], float]:
    """Return the rate's distance below the mean in standard deviations, without too near impostor pairs."""
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    fit = fit_impostors(middles[counts > 0], counts[counts > 0])
    assert fit is not None
    return lambda rate: (fit.mean - quantile(counts, rate)) / fit.deviation


def moments(apart: Distances) -> tuple[float, float, float, float]:
    """Mean, deviation, skewness and excess kurtosis, without too near impostor pairs."""
    fit = fit_impostors(apart, np.ones(len(apart)))
    assert fit is not None
    middle = np.median(apart)
    spread = 1.4826 * np.median(np.abs(apart - middle))
    away = (apart[apart >= middle - FARTHEST * spread] - fit.mean) / fit.deviation
    return fit.mean, fit.deviation, float((away**3).mean()), float((away**4).mean() - 3)


def normal(apart: Distances, rate: float) -> float:
    mean, deviation, _, _ = moments(apart)
    return mean + deviation * NormalDist().inv_cdf(rate)


def skewed(apart: Distances, rate: float) -> float:
    """Cornish and Fisher with the third moment."""
    mean, deviation, skew, _ = moments(apart)
    z = NormalDist().inv_cdf(rate)
    return mean + deviation * (z + (z**2 - 1) * skew / 6)


def skewed_and_heavy(apart: Distances, rate: float) -> float:
    """Cornish and Fisher with the third and fourth moment."""
    mean, deviation, skew, excess = moments(apart)
    z = NormalDist().inv_cdf(rate)
    more = (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    return mean + deviation * (z + more)


def exponential(apart: Distances, rate: float) -> float:
    """The nearest twentieth falls off exponentially."""
    ordered = np.sort(apart)
    count = max(10, len(ordered) // 20)
    mean = float((ordered[count] - ordered[:count]).mean())
    return float(ordered[count]) - mean * float(np.log(count / len(ordered) / rate))


def generalised_pareto(apart: Distances, rate: float) -> float:
    """The nearest tenth, by probability-weighted moments (Hosking and Wallis 1987)."""
    ordered = np.sort(apart)
    count = max(20, len(ordered) // 10)
    beyond = np.sort(ordered[count] - ordered[:count])
    first = float(beyond.mean())
    second = float((beyond * (1 - (np.arange(1, count + 1) - 0.35) / count)).mean())
    shape, scale = 2 - first / (first - 2 * second), 2 * first * second / (first - 2 * second)
    return float(ordered[count] - scale / shape * ((count / len(ordered) / rate) ** shape - 1))


def bench_fits(everybody: People) -> None:
    """Of each fit and number of pairs: the root mean square error and the mean error at two rates."""
    rng = np.random.default_rng(0)
    is_first = rng.random(everybody.who.max() + 1) < 0.5
    here, there = (
        People(everybody.vectors[is_in], everybody.who[is_in])
        for is_in in (is_first[everybody.who], ~is_first[everybody.who])
    )
    known, truth = here.impostors(), there.impostors()
    shape = shape_of(known)

    def shaped(apart: Distances, rate: float) -> float:
        mean, deviation, _, _ = moments(apart)
        return mean - shape(rate) * deviation

    def drawn_to_default(apart: Distances, rate: float) -> float:
        default, trust = quantile(known, rate), len(apart) / (len(apart) + PRIOR_PAIRS)
        return default + trust * (shaped(apart, rate) - default)

    fits: Mapping[str, Fitting] = {
        "normal": normal,
        "skewed": skewed,
        "skewed and heavy": skewed_and_heavy,
        "exponential tail": exponential,
        "generalised Pareto": generalised_pareto,
        "shape of the other half": shaped,
        "the same with its quantile as prior (taken)": drawn_to_default,
    }
    print("fit of impostor pairs, held out: root mean square error (mean error) of the distance at a false match rate")
    for rate in (1e-4, 1e-5):
        right = quantile(truth, rate)
        for count in (50, 200, 1000, 10_000):
            samples = [there.sampled(rng, count) for _ in range(100 if count < 10_000 else 30)]
            errors = {name: np.array([fit(one, rate) - right for one in samples]) for name, fit in fits.items()}
            told = ", ".join(
                f"{name} {np.sqrt((error**2).mean()):.3f} ({error.mean():+.3f})" for name, error in errors.items()
            )
            print(f"  {rate:.0e} at {right:.3f}, {count:6} pairs: {told}")


def bench_reference(everybody: People) -> None:
    """Measure the constants of the calibration module again."""
    counts = everybody.impostors()
    shape = shape_of(counts)
    print(
        "tail of LFW in deviations: " + ", ".join(f"{rate:.0e} {shape(rate):.2f}" for rate, _ in TAIL if rate >= 1e-5)
    )
    below = counts[EDGES[1:] <= RIGHT.cluster + 1e-9].sum() / counts.sum()
    print(f"the default cut {RIGHT.cluster} stands at a false match rate of {below:.2e} (the target: {TARGET:.1e})")
    total = everybody.vectors.sum(axis=0, dtype=np.float64)
    own = np.stack(
        [everybody.vectors[everybody.who == person].sum(axis=0) for person in range(everybody.who.max() + 1)]
    )
    size = np.bincount(everybody.who)
    means = 1 - np.einsum("ij,ij->i", own, total - own) / size / (len(everybody.who) - size)
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    mean = float(np.average(middles, weights=counts))
    variance = float(np.average((middles - mean) ** 2, weights=counts))
    print(f"share of the variance that is a person's own: {means.var() / variance:.3f}")


def bench_library(
    name: str, table: FaceTable, truth: Sequence[object], rules: GroupingRules, *, marked: Sequence[int] | None = None
) -> None:
    """BCubed of grouping at the defaults and at the thresholds measured from them."""
    rows = range(len(table)) if marked is None else marked
    for called, defaults in DEFAULTS.items():
        measured = measure_thresholds(table, defaults=defaults, gate=rules.gate)
        told = []
        for points in dict.fromkeys((defaults, measured.chosen)):
            library = Library(table, rules=rules, points=points)
            library.group()
            labels = library.labels()
            score = bcubed([str(truth[row]) for row in rows], [labels[row] for row in rows])
            told.append(f"{points.cluster:.3f}: P {score.precision:.4f} R {score.recall:.4f} F {score.f:.4f}")
        impostor = measured.impostor
        print(
            f"{name:22} defaults {called:14} {' -> '.join(told)}"
            f"  (would cut at {measured.estimate}; {impostor.pairs} pairs worth {impostor.effective:.0f},"
            f" {impostor.set_aside} set aside)",
            flush=True,
        )


def bench_stability(table: FaceTable) -> None:
    """Add one hundredth of the pictures, twenty times over."""
    everything = measure_thresholds(table, defaults=RIGHT, gate=Gate())
    rng = np.random.default_rng(0)
    changes, moved = [], 0
    for _ in range(20):
        is_late = rng.random(table.pictures.max() + 1) < 0.01
        rows = np.flatnonzero(~is_late[table.pictures])
        early = replace(table, **{column.name: getattr(table, column.name)[rows] for column in fields(table)})
        before = measure_thresholds(early, defaults=RIGHT, gate=Gate())
        after = measure_thresholds(table, defaults=RIGHT, gate=Gate(), cut_in_use=before.chosen.cluster)
        changes.append(abs((after.estimate or 0) - (before.estimate or 0)))
        moved += after.chosen != before.chosen
    print(
        f"one face in a hundred more: the estimate {everything.estimate} moves by {max(changes):.4f} at most, "
        f"the cut in {moved} of {len(changes)} cases"
    )


def main() -> None:
    if DATA.is_dir():
        found = np.load(DATA / "lfw_embeddings.npz")
        everybody = People(unit(found["embedding"]), np.unique(found["identity"], return_inverse=True)[1])
        bench_reference(everybody)
        bench_fits(everybody)
        small = Gate(60, 0, 0.5)
        photos = labelled_photos(DATA)
        marked = [row for row, name in enumerate(photos.names) if name is not None]
        bench_library(
            "labelled photos", photos.table, photos.names, GroupingRules(min_faces=2, gate=small), marked=marked
        )
        rows = np.random.default_rng(0).permutation(len(everybody.who))[:4000]
        together = table_of(everybody.vectors[rows], pictures=np.arange(len(rows)) // 3)
        bench_library(
            "LFW in groups of 3", together, everybody.who[rows].tolist(), GroupingRules(min_faces=2, gate=small)
        )
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
    for seed in (0, 1):
        hard = hard_library(seed)
        table = hard.table()
        bench_library(f"hard library {seed}", table, hard.who.tolist(), GroupingRules(min_faces=6))
    bench_stability(table)


if __name__ == "__main__":
    main()
