"""
How near step by step comes to all at once: ``python tests/bench/bench_steps.py [FACES ...]``.

Hard libraries arrive in 5, 30 and 200 syncs, in shuffled order. As in the service, a sync looks at all faces where many
are new, at every 24th sync, and at the end; else at the new ones alone. Shown are the pairwise F to the result of one
sync, and the faces whose number changed. Ends with 1 where F is below the bound.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from arrivals import LEAST, arrive
from hard_library import hard_library

from immich_facesets.evaluation.metrics import bcubed, pairwise
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import operating_points

POINTS = operating_points("w600k_mbf")
PEOPLE = {500: 8, 2000: 20, 6000: 60}
"""How many people come again and again, by the number of faces."""

SEEDS = (0, 1, 2)
STEPS = (5, 30, 200)


def main(sizes: list[int]) -> int:
    failed = 0
    for faces in sizes:
        for seed in SEEDS:
            hard = hard_library(seed, faces, PEOPLE.get(faces, faces // 100))
            for min_faces in (15, 6):
                rules = GroupingRules(min_faces=min_faces)
                once = arrive(hard.table(), rules, POINTS, syncs=1, seed=0).library
                truth = bcubed(hard.who, once.labels()).f
                print(
                    f"{faces} faces, seed {seed}, min_faces {min_faces}: {len(once.parts())} identities, BCubed {truth:.4f}"
                )
                for syncs in STEPS:
                    started = time.perf_counter()
                    steps = arrive(hard.table(), rules, POINTS, syncs=syncs, seed=seed + 100)
                    seconds = time.perf_counter() - started
                    alike = pairwise(once.labels(), steps.library.labels()).f
                    failed += alike < LEAST
                    print(
                        f"  {syncs:3} syncs: pairwise F {alike:.4f}  {len(steps.library.parts())} identities of "
                        f"{len(steps.library.known)} numbers, {steps.moved} faces moved, {steps.released} released  {seconds:.1f} s",
                        flush=True,
                    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(PEOPLE)))
