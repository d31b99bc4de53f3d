"""
Relatives that are never in one picture: how many pairs are merged, with and without the comparison of the same years.

    python tests/bench/bench_kin.py [--seeds N] [--likeness L]...

The libraries are the invented hard ones (``hard_library``), with each face in a picture of its own. So nothing but
looks and dates separates relatives. ``likeness`` is the cosine of the centres of two relatives. A pair counts when both
have 15 faces and more, and is merged when most faces of both have one identity. Average linkage stands at its best cut.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import hard_library as hard  # noqa: E402  the repository must be found first

from immich_facesets.clustering.linkage import average_linkage  # noqa: E402  the repository must be found first
from immich_facesets.evaluation.from_scratch import partition  # noqa: E402  the repository must be found first
from immich_facesets.evaluation.metrics import bcubed  # noqa: E402  the repository must be found first
from immich_facesets.grouping.contemporaries import Contemporaries  # noqa: E402  the repository must be found first
from immich_facesets.grouping.plan import GroupingRules  # noqa: E402  the repository must be found first
from immich_facesets.spaces import operating_points  # noqa: E402  the repository must be found first

POINTS = operating_points("w600k_mbf")
FEWEST = 15
CUTS = (0.55, 0.58, 0.60, 0.62, 0.65)

Labels = NDArray[np.int64]


@dataclass
class Result:
    """``merged`` of ``pairs``; BCubed F and precision, a figure for each library."""

    pairs: int
    merged: int
    f: float
    precision: float


def result(library: hard.HardLibrary, labels: Labels) -> Result:
    who = library.who
    pairs = [pair for pair in library.kin.tolist() if min(np.count_nonzero(who == one) for one in pair) >= FEWEST]
    merged = sum(_most(labels[who == one]) == _most(labels[who == other]) for one, other in pairs)
    score = bcubed(who.astype(np.str_), labels)
    return Result(len(pairs), merged, score.f, score.precision)


def _most(labels: Labels) -> int:
    values, counts = np.unique(labels, return_counts=True)
    return int(values[counts.argmax()])


def told(name: str, results: list[Result]) -> str:
    merged, pairs = sum(one.merged for one in results), sum(one.pairs for one in results)
    f, precision = np.mean([one.f for one in results]), np.mean([one.precision for one in results])
    return f"{name}: {merged} of {pairs} pairs, F {f:.4f} ({precision:.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many libraries at each likeness")
    parser.add_argument("--likeness", type=float, action="append", help="may be given again")
    options = parser.parse_args()
    for likeness in options.likeness or (0.40, 0.47, 0.53, 0.60):
        found: dict[str, list[Result]] = {}
        for seed in range(options.seeds):
            with patch.object(hard, "KIN", likeness):
                library = hard.hard_library(seed, 3000)
            table = replace(library.table(), pictures=np.arange(len(library.who)))
            ours = partition(table, POINTS, GroupingRules())
            with patch.object(Contemporaries, "are_two_people", lambda *_: False):
                without = partition(table, POINTS, GroupingRules())
            average = max((result(library, average_linkage(table.vectors, cut)) for cut in CUTS), key=lambda one: one.f)
            for name, one in (
                ("ours", result(library, ours)),
                ("without the comparison", result(library, without)),
                ("average linkage", average),
            ):
                found.setdefault(name, []).append(one)
        print(f"likeness {likeness}: " + "; ".join(told(name, results) for name, results in found.items()), flush=True)


if __name__ == "__main__":
    main()
