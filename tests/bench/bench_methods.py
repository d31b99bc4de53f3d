"""
Accuracy of our grouping and of other methods on the same vectors.

    python tests/bench/bench_methods.py [--set NAME] [--ours]

The sets are LFW, the labelled photos (people at several ages, and group photos, apart) and the invented hard library.
Real faces come from FACESETS_TEST_DATA. Each other method gets the best threshold by the labels; ours has no access to
them.
"""

import argparse
import csv
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from hard_library import hard_library
from labelled_photos import labelled_photos
from mixtures import Library, table_of, unit

from immich_facesets.evaluation.baselines import BASELINES, Material, Outcome, run_baseline
from immich_facesets.evaluation.from_scratch import partition
from immich_facesets.evaluation.metrics import bcubed, cluster_count, pairwise, strangers_in_sets
from immich_facesets.faces import Gate
from immich_facesets.grouping.plan import FaceTable, GroupingRules
from immich_facesets.spaces import operating_points

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
POINTS = operating_points("w600k_mbf")
EXPORTED_PICTURES = 15

Labels = NDArray[np.int64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class LabelledSet:
    """
    ``who``: of each face, (n,), where ``is_known``; ``views``: named subsets of the known rows to score, besides all of
    them.
    """

    name: str
    table: FaceTable
    who: NDArray[np.str_]
    is_known: NDArray[np.bool_]
    views: dict[str, Rows] = field(default_factory=dict)

    def judge(self, labels: Labels) -> float:
        return bcubed(self.who[self.is_known], labels[self.is_known]).f


def sets() -> Iterator[tuple[str, Callable[[], LabelledSet]]]:
    if DATA.is_dir():
        yield "lfw", lfw
        yield "photos", photos
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")
    for seed in range(3):
        yield f"hard{seed}", lambda seed=seed: hard(seed)  # type: ignore[misc]  # a default binds the loop's value


def lfw() -> LabelledSet:
    found = np.load(DATA / "lfw_embeddings.npz")
    names = found["identity"].astype(str)
    table = table_of(unit(found["embedding"].astype(np.float32)))
    return LabelledSet("LFW", table, names, np.ones(len(names), dtype=np.bool_))


def photos() -> LabelledSet:
    """All faces of the photos are grouped; the labelled ones are scored."""
    found = labelled_photos(DATA)
    is_known = np.array([name is not None for name in found.names])
    years = defaultdict(set)
    with (DATA / "labels.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            if row["kind"] == "single":
                years[row["identity"]].add(row["year"])
    is_aging = np.array([name is not None and len(years[name]) > 1 for name in found.names])
    return LabelledSet(
        "labelled photos",
        found.table,
        np.array([name or "" for name in found.names]),
        is_known,
        {
            "people at several ages": np.flatnonzero(is_aging & found.is_single),
            "group photos": np.flatnonzero(is_known & ~found.is_single),
        },
    )


def hard(seed: int) -> LabelledSet:
    found = hard_library(seed)
    table = found.table()
    return LabelledSet(f"hard library, seed {seed}", table, found.who.astype(str), np.ones(len(table), dtype=np.bool_))


def ours(given: LabelledSet) -> Outcome:
    return Outcome(partition(given.table, POINTS, GroupingRules()), "every face, from nothing")


def ours_as_kept(given: LabelledSet) -> Outcome:
    """
    The default result of a library: identities of at least 15 pictures, founded by good faces; other faces stay
    unassigned.
    """
    library = Library(given.table, rules=GroupingRules(min_faces=EXPORTED_PICTURES), points=POINTS)
    library.group()
    return Outcome(np.array(library.labels()), f"identities of {EXPORTED_PICTURES} pictures and more, default gates")


def ours_small(given: LabelledSet) -> Outcome:
    """The same for a small library with small faces."""
    library = Library(given.table, rules=GroupingRules(min_faces=2, gate=Gate(60, 0, 0.5)), points=POINTS)
    library.group()
    return Outcome(np.array(library.labels()), "identities of 2 pictures and more, loose gates")


def tell(given: LabelledSet, name: str, outcome: Outcome, seconds: float) -> None:
    if outcome.labels is None:
        print(f"{name:28} {outcome.setting}", flush=True)
        return
    rows = np.flatnonzero(given.is_known)
    strangers = strangers_in_sets(given.who, outcome.labels, given.table.pictures, given.is_known, EXPORTED_PICTURES)
    sets = f"{strangers.per_thousand:7.1f} of {strangers.faces:5}" if strangers.faces else f"{'-':>16}"
    print(f"{name:28} {figures(given, outcome.labels, rows)} {sets} {seconds:7.1f}  {outcome.setting}", flush=True)
    for view, seen in given.views.items():
        print(f"  {view:26} {figures(given, outcome.labels, seen)}", flush=True)


def figures(given: LabelledSet, labels: Labels, rows: Rows) -> str:
    who, mine = given.who[rows], labels[rows]
    score, pairs = bcubed(who, mine), pairwise(who, mine)
    return (
        f"{score.precision:8.4f} {score.recall:8.4f} {score.f:8.4f} {pairs.precision:8.4f} {pairs.f:8.4f} "
        f"{cluster_count(mine):8}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", help="lfw, photos, hard0, hard1 or hard2; all of them otherwise")
    parser.add_argument("--ours", action="store_true", help="only our own")
    chosen = parser.parse_args()
    for key, load in sets():
        if chosen.set and key not in chosen.set:
            continue
        given = load()
        people = len(np.unique(given.who[given.is_known]))
        print(f"\n{given.name}: {len(given.table)} faces, {int(given.is_known.sum())} labelled, {people} people")
        print(
            f"{'method':28} {'BCubed P':>8} {'R':>8} {'F':>8} {'pairs P':>8} {'F':>8} {'clusters':>8} "
            f"{'strangers/1000':>16} {'seconds':>7}  setting"
        )
        for name, method in (("ours", ours), ("ours, as kept", ours_as_kept), ("ours, small library", ours_small)):
            began = time.perf_counter()
            outcome = method(given)
            tell(given, name, outcome, time.perf_counter() - began)
        material = Material(given.table.vectors, POINTS, given.judge)
        for baseline in () if chosen.ours else BASELINES:
            began = time.perf_counter()
            outcome = run_baseline(baseline, material)
            tell(given, baseline.name, outcome, time.perf_counter() - began)
    print(
        f"\nstrangers/1000: of the labelled faces in clusters of {EXPORTED_PICTURES} pictures and more, those of somebody "
        "else, before the gate of an export."
    )


if __name__ == "__main__":
    main()
