"""
Proposals for a split: what identities of one person, and of two, are parted into.

    python tests/bench/bench_split.py [--seeds N] [--identities N]

Identities of two are two people of LFW, two relatives, or two strangers of the invented hard libraries, with their dates
and without. The baseline cuts average linkage at the distance in use, and takes each cluster of three and more for a part.
``parted``: identities with more than one part. ``right``: faces of parts that are of the person most of the part is of.
``unclear``: faces of no part. An identity of one person should not be parted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import hard_library as hard  # noqa: E402  the repository must be found first
from mixtures import table_of  # noqa: E402  the repository must be found first

from immich_facesets.clustering.linkage import average_linkage, split_by  # noqa: E402  the repository must be found first
from immich_facesets.grouping.plan import FaceTable, GroupingRules  # noqa: E402  the repository must be found first
from immich_facesets.grouping.split_proposal import (  # noqa: E402  the repository must be found first
    LEAST_PICTURES,
    propose_split,
)
from immich_facesets.spaces import operating_points  # noqa: E402  the repository must be found first

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or ROOT.parent / "shared") / "data"
POINTS = operating_points("w600k_mbf")
RULES = GroupingRules()
FEWEST = 10

Who = NDArray[np.int64]
Identity = tuple[FaceTable, Who]
Parts = list[NDArray[np.intp]]


@dataclass
class Figures:
    parted: list[bool] = field(default_factory=list)
    right: int = 0
    placed: int = 0
    faces: int = 0

    def add(self, who: Who, parts: Parts) -> None:
        self.parted.append(len(parts) > 1)
        self.right += sum(int(np.unique(who[rows], return_counts=True)[1].max()) for rows in parts)
        self.placed += sum(map(len, parts))
        self.faces += len(who)

    def __str__(self) -> str:
        parted, right = np.mean(self.parted), self.right / max(1, self.placed)
        return f"parted {parted:.1%}, right {right:.2%}, unclear {1 - self.placed / self.faces:.1%}"


def ours(table: FaceTable) -> Parts:
    found = propose_split(table, POINTS, RULES)
    return [np.flatnonzero(np.isin(table.face_ids, part)) for part in found.parts]


def baseline(table: FaceTable) -> Parts:
    clusters = split_by(average_linkage(table.vectors, POINTS.cluster))
    return [rows for rows in clusters if len(rows) >= LEAST_PICTURES]


def together(table: FaceTable, who: Who, people: list[int]) -> Identity:
    """An identity of these people, each face in a picture of its own."""
    rows = np.flatnonzero(np.isin(who, people))
    return replace(table, pictures=np.arange(len(table))).rows(rows), who[rows]


def undated(identities: list[Identity]) -> list[Identity]:
    return [(replace(table, taken=np.full(len(table), np.nan)), who) for table, who in identities]


def lfw(count: int) -> Iterator[tuple[str, list[Identity]]]:
    stored = np.load(DATA / "lfw_embeddings.npz", allow_pickle=False)
    vectors = stored["embedding"].astype(np.float32)
    names, who = np.unique(stored["identity"], return_inverse=True)
    table = table_of(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), taken=10_000.0)
    sizes = np.bincount(who, minlength=len(names))
    frequent = np.flatnonzero(sizes >= FEWEST)
    chosen = np.random.default_rng(1).permutation(frequent)[: count + 1].tolist()
    two = [together(table, who, list(pair)) for pair in pairwise(chosen)]
    one = [together(table, who, [person]) for person in chosen]
    yield "LFW, one year, two people", two
    yield "LFW, no dates, two people", undated(two)
    yield "LFW, one year, one person", one
    yield "LFW, no dates, one person", undated(one)


def lives(seeds: int, count: int, likeness: float) -> Iterator[tuple[str, list[Identity]]]:
    two: list[Identity] = []
    one: list[Identity] = []
    strangers: list[Identity] = []
    for seed in range(seeds):
        with patch.object(hard, "KIN", likeness):
            library = hard.hard_library(seed, 3000)
        table, who = library.table(), library.who
        sizes = np.bincount(who)
        kin = [pair for pair in library.kin.tolist() if min(sizes[pair]) >= FEWEST]
        two += [together(table, who, pair) for pair in kin[:count]]
        people = np.flatnonzero(sizes >= FEWEST).tolist()[:count]
        one += [together(table, who, [person]) for person in people]
        strangers += [together(table, who, list(pair)) for pair in pairwise(people[1::2])]
    yield f"lives, relatives at {likeness}", two
    yield f"lives, relatives at {likeness}, no dates", undated(two)
    yield "lives, two strangers", strangers
    yield "lives, two strangers, no dates", undated(strangers)
    yield "lives, one person", one
    yield "lives, one person, no dates", undated(one)


def told(identities: list[Identity], part: Callable[[FaceTable], Parts]) -> str:
    figures = Figures()
    for table, who in identities:
        figures.add(who, part(table))
    return str(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=2, help="how many invented libraries")
    parser.add_argument("--identities", type=int, default=40, help="how many identities of each kind and library")
    options = parser.parse_args()
    kinds = list(lives(options.seeds, options.identities, 0.47))
    if DATA.exists():
        kinds = [*lfw(options.identities), *kinds]
    for name, identities in kinds:
        print(
            f"{name} ({len(identities)}): {told(identities, ours)} | average linkage: {told(identities, baseline)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
