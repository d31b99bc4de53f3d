"""Long computations end at a checkpoint, and no step between two checkpoints is long."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from era_builders import Period, periods
from large_library import large_library, persons_of
from mixtures import Library, table_of, told
from numpy.typing import NDArray

from immich_facesets.calibration.thresholds import measure_thresholds
from immich_facesets.checkpoints import checked_by, checkpoint
from immich_facesets.clustering.blocked_products import BLOCK_CELLS
from immich_facesets.clustering.linkage import average_linkage
from immich_facesets.eras import EraRules, plan_eras, probe
from immich_facesets.evaluation.metrics import pair_histogram
from immich_facesets.faces import Gate
from immich_facesets.facesets.diversity import Aspect, order_by_diversity
from immich_facesets.grouping.matching import candidates, near_rows
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.near_duplicates.faces import CopyFacts, near_groups
from immich_facesets.near_duplicates.pictures import near_hashes
from immich_facesets.spaces import operating_points

POINTS = operating_points("w600k_mbf")
REFERENCE = (1024, 128)
"""Rows and dimensions of the product of rows by rows that long steps are compared with."""

MOST_REFERENCES = 150.0
"""The most products of 1024 x 1024 rows that a step may take as long as: about a second of one core."""


class StoppedError(Exception):
    """The error that the check of these tests raises."""


@dataclass
class Watch:
    """A check that counts, measures the steps by the time of this thread's core, and raises at ``stop_at``."""

    stop_at: int = -1
    count: int = 0
    longest: float = 0.0
    _last: float = field(default_factory=time.thread_time)

    def __call__(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.count += 1
        if self.count == self.stop_at:
            raise StoppedError
        self._last = time.thread_time()


@contextmanager
def watched(stop_at: int = -1) -> Iterator[Watch]:
    watch = Watch(stop_at)
    with checked_by(watch):
        yield watch


def group(n: int, method: Any) -> Any:
    named = told({str(one): (np.flatnonzero(persons_of(n) == one)[:20] + 1).tolist() for one in range(5)})
    rules = GroupingRules(min_faces=5, gate=Gate(60, 0, 0.5), method=method)
    return Library(table_of(large_library(n, d=128)), named, rules=rules, points=POINTS).plan()


def measure(n: int) -> Any:
    table = table_of(large_library(n, d=128), pictures=np.arange(n) // 2)
    return measure_thresholds(table, defaults=POINTS, gate=Gate(60, 0, 0.5)).chosen


def life(n: int) -> Any:
    return periods(*(Period(year, n // 4) for year in (1990, 2000, 2010)), Period(2010, n // 4, days=0))


def split(n: int) -> Any:
    return plan_eras(life(n), (), EraRules())


def probed(n: int) -> Any:
    table = life(n)
    return probe(table.vectors, [1990] * len(table), EraRules(), taken=table.taken)


def duplicates(n: int) -> Any:
    return near_groups(large_library(n, d=128), CopyFacts.of(list(range(n)), [None] * n))


def looks(n: int) -> Any:
    hashes: NDArray[np.uint64] = np.random.default_rng(1).integers(0, 2**63, n).astype(np.uint64)
    return [(low.tolist(), high.tolist()) for low, high in near_hashes(hashes, 10)]


def curated(n: int) -> Any:
    dice = np.random.default_rng(1)
    return order_by_diversity(np.sort(dice.random(n))[::-1], [Aspect(dice.integers(0, 9, n), 0.5)])


def histogram(n: int) -> Any:
    return [row.tolist() for row in pair_histogram(large_library(n, d=128), persons_of(n), np.linspace(0, 1.2, 61))]


def linked(n: int) -> Any:
    return average_linkage(large_library(n, d=128), POINTS.cluster).tolist()


def sampled(n: int) -> Any:
    return average_linkage(large_library(n, d=128), POINTS.cluster, exact_rows=n // 2).tolist()


def matched(n: int) -> Any:
    vectors = large_library(n, d=128)
    return candidates(vectors, np.arange(n), vectors, np.arange(n), POINTS.match).rows.tolist()


def neighbours(n: int) -> Any:
    vectors = large_library(n, d=128)
    return near_rows(vectors, np.arange(n // 2), vectors[n // 2 :], POINTS.match).tolist()


COMPUTATIONS: dict[str, tuple[Callable[[int], Any], int, int]] = {
    "linkage": (linked, 3000, 20_000),
    "sampled linkage": (sampled, 3000, 20_000),
    "careful grouping": (lambda n: group(n, "careful"), 1500, 30_000),
    "plain grouping": (lambda n: group(n, "plain"), 1500, 20_000),
    "matching": (matched, 3000, 8000),
    "neighbours": (neighbours, 6000, 50_000),
    "thresholds": (measure, 2000, 50_000),
    "eras": (split, 800, 8000),
    "probing": (probed, 600, 4000),
    "near-duplicates": (duplicates, 6000, 50_000),
    "pictures": (looks, 6000, 50_000),
    "diversity": (curated, 800, 50_000),
    "histogram": (histogram, 3000, 20_000),
}
"""Each long computation, with the number of rows of the quick and of the slow test."""

IN_PAIRS = ("linkage", "matching", "neighbours", "near-duplicates", "histogram")
"""The computations that compare all rows with all."""


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_a_computation_ends_at_the_checkpoint_that_the_caller_chooses(name: str) -> None:
    compute, rows, _ = COMPUTATIONS[name]
    with watched() as whole:
        result = compute(rows)
    assert whole.count > 2
    for stop_at in (1, whole.count // 2, whole.count):
        with watched(stop_at) as watch, pytest.raises(StoppedError):
            compute(rows)
        assert watch.count == stop_at
    assert repr(compute(rows)) == repr(result)


@pytest.mark.parametrize("name", IN_PAIRS)
def test_no_step_compares_more_pairs_than_a_block_has(name: str) -> None:
    compute, rows, _ = COMPUTATIONS[name]
    with watched() as watch:
        compute(rows)
    pairs = rows * rows / (4 if name == "neighbours" else 2)
    assert watch.count >= pairs / BLOCK_CELLS


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPUTATIONS)
def test_no_step_takes_longer_than_a_bounded_product_of_rows_by_rows(name: str) -> None:
    compute, _, rows = COMPUTATIONS[name]
    vectors = large_library(REFERENCE[0], d=REFERENCE[1])
    began = time.thread_time()
    for _ in range(20):
        vectors @ vectors.T
    reference = (time.thread_time() - began) / 20
    gc.collect()
    gc.freeze()  # a collection in the middle of a step would visit whatever earlier tests left in this process
    try:
        with watched() as watch:
            checkpoint()
            compute(rows)
    finally:
        gc.unfreeze()
    assert watch.longest <= MOST_REFERENCES * reference


def test_without_a_caller_that_checks_a_checkpoint_does_nothing() -> None:
    with watched() as watch:
        checkpoint()
    checkpoint()
    assert watch.count == 1
