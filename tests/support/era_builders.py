"""Dated faces of invented people over many years, for the tests and benchmarks of eras."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from mixtures import Vectors, table_of, unit
from numpy.typing import NDArray

from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.synthetic.embedding import Appearance, embed

UNKNOWN = float("nan")


def day(year: int, day_of_year: int = 150) -> float:
    """Return the day as days since 1970."""
    return float((np.datetime64(f"{year}-01-01") + day_of_year - np.datetime64("1970-01-01")).astype(np.int64))


@dataclass(frozen=True)
class Period:
    """So many faces of one look, in ``year``, on this many ``days`` of it (0: undated)."""

    year: int
    count: int
    days: int = 1000

    def taken(self) -> list[float]:
        if not self.days:
            return [UNKNOWN] * self.count
        return [day(self.year, 10 + number % self.days) for number in range(self.count)]


def periods(
    *spans: Period, seed: int = 0, step: float = 0.75, noise: float = 0.35, first_id: int = 1, looks: Sequence[int] = ()
) -> FaceTable:
    """
    Faces whose look changes between periods, and hardly within one; ids count up from ``first_id``.

    The look of a period depends on the seed and its place alone, or on its number in ``looks``: so more faces of the
    same period can be made later.
    """
    person = np.random.default_rng([1, seed]).normal(size=128)
    vectors: list[NDArray[np.float64]] = []
    taken: list[float] = []
    for place, span in enumerate(spans):
        look = np.random.default_rng([2, seed, looks[place] if looks else place]).normal(size=128)
        dice = np.random.default_rng([3, seed, place, first_id])
        vectors += [person + step * look + noise * dice.normal(size=128) for _ in range(span.count)]
        taken += span.taken()
    rows: Vectors = unit(np.array(vectors).reshape(len(taken), 128))
    ids = np.arange(first_id, first_id + len(taken))
    return table_of(rows, face_ids=ids, pictures=ids, taken=np.array(taken))


def together(*tables: FaceTable) -> FaceTable:
    """The faces of several tables as one."""
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in FaceTable.__dataclass_fields__
    }
    return replace(tables[0], **columns)


def long_life(seed: int, faces: int, *, years: int = 40, bursts: int = 0) -> FaceTable:
    """
    Faces of one person whose look drifts without a break, as the synthetic engine draws it, on many days.

    ``bursts``: around so many moments rather than evenly over the years.
    """
    dice = np.random.default_rng([seed, 17])
    ages = dice.uniform(0, years, faces)
    if bursts:
        ages = np.abs(dice.choice(dice.uniform(0, years, bursts), faces) + dice.normal(0, 1.0, faces))
    vectors = [
        embed(
            seed,
            Appearance(
                yaw=dice.normal(0, 9),
                roll=dice.normal(0, 6),
                brightness=dice.normal(0.7, 0.08),
                warmth=dice.normal(0.1, 0.08),
                mouth=dice.normal(0.4, 0.05),
                age=float(age),
            ),
        )
        for age in ages
    ]
    return table_of(np.array(vectors), taken=np.floor(day(1980, 1) + ages * 365.25))
