"""
Cost of eras, and calibration of the confidence of undated faces: ``python tests/bench/bench_eras.py [faces]``.

Probe and split of one identity are measured in processes of their own. The reference is scikit-learn's agglomerative
clustering, which makes only the sub-clusters of the five cuts. The identities are invented: their appearance drifts
without a break, as the synthetic engine draws it. The confidence is measured on identities that no parameter was fitted
to, with three dates in ten held back.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from era_builders import long_life
from isolated_measurement import Measured, Recipe, measured
from labelled_photos import labelled_photos

from immich_facesets.eras import EraRules, KeptEra, plan_eras, probe, years_of
from immich_facesets.eras.probing import PROBED_CUTS
from immich_facesets.grouping.face_table import FaceTable
from service.passes.publishing.eras import plan_identity_eras
from service.store.eras import StoredEras

DATA = Path(os.environ.get("FACESETS_TEST_DATA") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
RULES = EraRules()
FACES = 2000
LIVES = 16
SAID = (0.5, 0.8, 0.9, 0.95, 0.98, 1.0)


def cuts_by_scikit_learn(table: FaceTable) -> list[int]:
    """The number of sub-clusters at each cut."""
    found = []
    for cut in PROBED_CUTS:
        model = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=cut)
        found.append(int(model.fit(table.vectors).n_clusters_))
    return found


def probed(table: FaceTable) -> list[int]:
    found = probe(table.vectors, years_of(table.taken).tolist(), RULES, taken=table.taken)
    return [len(parts) for _, parts in found.parts]


def eras_of(table: FaceTable) -> list[int]:
    return sorted(len(era.face_ids) for era in plan_eras(table, (), RULES))


def looked_at(table: FaceTable, fresh: int) -> tuple[FaceTable, StoredEras]:
    """Return all faces, and the eras stored before the last ``fresh`` of them were added."""
    before = table.rows(np.arange(len(table) - fresh))
    return table, plan_identity_eras(before, StoredEras(), RULES, None).after


def looked_at_again(scene: tuple[FaceTable, StoredEras]) -> bool:
    return plan_identity_eras(*scene, RULES, None).is_done


def told(what: str, found: Measured[object]) -> None:
    print(f"{what:52} {found.seconds:7.3f} s  {found.extra:7.1f} MB  {found.result}", flush=True)


def bench_cost(faces: int) -> None:
    life = Recipe(long_life, (1, faces))
    print(f"one identity of {faces} faces: seconds, memory beyond the vectors, outcome")
    told("baseline: scikit-learn, sub-clusters at five cuts", measured(cuts_by_scikit_learn, life))
    told("probe: the same, histogram, years and verdict", measured(probed, life))
    told("split, undated faces and names", measured(eras_of, life))
    told("a sync without new faces", measured(looked_at_again, Recipe(_scene, (faces, 0))))
    told("a sync with 20 new faces", measured(looked_at_again, Recipe(_scene, (faces, 20))))


def _scene(faces: int, fresh: int) -> tuple[FaceTable, StoredEras]:
    return looked_at(long_life(1, faces), fresh)


def held_out(seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Measure confidence and accuracy of undated faces, and the share that gets an era."""
    dice = np.random.default_rng([seed, 3])
    life = long_life(seed, int(dice.integers(150, 700)), bursts=int(dice.choice([0, 4, 6, 9, 12, 16])))
    is_hidden = dice.random(len(life)) < 0.3
    undated = FaceTable(
        **{name: getattr(life, name) for name in FaceTable.__dataclass_fields__ if name != "taken"},
        taken=np.where(is_hidden, np.nan, life.taken),
    )
    rules = EraRules(sure=0.0)
    eras = plan_eras(undated, (), rules)
    placed = {face: (era, sure) for era in eras for face, sure in era.joined.items() if sure is not None}
    taken = dict(zip(life.face_ids.tolist(), life.taken.tolist(), strict=True))
    known = {
        face: when for face, when, hidden in zip(taken, taken.values(), is_hidden.tolist(), strict=True) if not hidden
    }
    right = [_era_of_time(eras, known, taken[face]) == era.name for face, (era, _) in placed.items()]
    return np.array([sure for _, sure in placed.values()]), np.array(right, dtype=np.bool_), int(is_hidden.sum())


def _era_of_time(eras: tuple[KeptEra, ...], known: dict[int, float], when: float) -> str:
    """The era of most dated faces of the same twelve months."""
    counts = {era.name: sum(face in known and abs(known[face] - when) <= 365 for face in era.face_ids) for era in eras}
    return max(counts, key=lambda name: counts[name])


def bench_placing() -> None:
    found = [held_out(5000 + seed) for seed in range(LIVES)]
    sure, right = (np.concatenate([one[column] for one in found if len(one[0])]) for column in (0, 1))
    hidden = sum(count for some, _, count in found if len(some))
    print(f"undated faces of {sum(len(one[0]) > 0 for one in found)} lives: {hidden}")
    low = 0.0
    for high in SAID:
        here = (sure >= low) & (sure < high + (high == 1.0))
        if here.any():
            print(
                f"  said {low:.2f} to {high:.2f}: {here.sum():5} faces, said {sure[here].mean():.3f}, right {right[here].mean():.3f}"
            )
        low = high
    in_era = sure >= RULES.sure
    print(f"  in an era (said {RULES.sure} or more): {in_era.sum()}, right {right[in_era].mean():.4f}")


def bench_photos(data: Path) -> None:
    """Measure on real photos of two times of one person: too few for eras, but each can be assigned to a time."""
    photos = labelled_photos(data)
    paths = np.load(data / "reference_bench_s.npz")["path"].tolist()
    with (data / "labels.csv").open(newline="") as rows:
        years = {row["file"]: row["year"] for row in csv.DictReader(rows)}
    times: dict[str, dict[str, list[int]]] = {}
    for row in np.flatnonzero(photos.is_single).tolist():
        year = "2003" if "/lfw/" in paths[row] else years[paths[row]]
        if year and photos.names[row]:
            times.setdefault(str(photos.names[row]), {}).setdefault(year, []).append(row)
    margins = []
    for of_person in times.values():
        first, last = of_person[min(of_person)], of_person[max(of_person)]
        sides = [(first, last), (last, first)] if len(of_person) > 1 else []
        margins += [
            _likeness(photos.table.vectors, row, [one for one in here if one != row])
            - _likeness(photos.table.vectors, row, there)
            for here, there in sides
            if len(here) > 1
            for row in here
        ]
    right = sum(margin > 0 for margin in margins)
    print(f"real faces, asked which of two times they look like: {len(margins)}, right {right}")


def _likeness(vectors: NDArray[np.float32], row: int, others: list[int]) -> float:
    middle = vectors[others].mean(axis=0)
    return float(vectors[row] @ middle / np.linalg.norm(middle))


def main() -> None:
    bench_cost(int(sys.argv[1]) if len(sys.argv) > 1 else FACES)
    bench_placing()
    if DATA.is_dir():
        bench_photos(DATA)
    else:
        print(f"no real faces at {DATA.name!r}: set FACESETS_TEST_DATA")


if __name__ == "__main__":
    main()
