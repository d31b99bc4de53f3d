"""
A hard library, invented: relatives, two decades, bursts, strangers, bad faces, and children who look alike.

The geometry is that of a MobileFaceNet on LFW, measured on people with five pictures and more. Two faces of one person
have a mean cosine of 0.59, two people 0.02 with a standard deviation of 0.067. The variance between people fades along
the leading directions as exp(-k / 60). The variance within a person fades along the same directions as exp(-k / 165).
Everything else is invented and named below. The module does not depend on how faces are grouped.
"""

from dataclasses import dataclass

import numpy as np
from mixtures import Vectors, table_of, unit
from numpy.typing import NDArray

from immich_facesets.grouping.face_table import FaceTable

DIMENSION = 512
GENUINE = 0.593
"""Mean cosine of two faces of one person in one year."""

KIN = 0.4
"""Cosine of the centres of two relatives: they are 0.6 apart."""

YEARS = 20
STRANGERS = 0.4
BAD = 0.1

_BETWEEN = np.exp(-np.arange(DIMENSION) / 60)
_WITHIN = np.exp(-np.arange(DIMENSION) / 165)


@dataclass(frozen=True)
class HardLibrary:
    """
    Columns of equal length n. ``who``: the person of each face, a different one for each stranger. ``taken``: days
    since some day; ``is_bad``: faces with little information about the person. ``born``: the birthday of each person,
    NaN for most. ``kin``: pairs of persons. The measures are those of an embedder, with noise.
    """

    vectors: Vectors
    who: NDArray[np.int64]
    pictures: NDArray[np.int64]
    taken: NDArray[np.float64]
    face_short: NDArray[np.float32]
    blur: NDArray[np.float32]
    det_score: NDArray[np.float32]
    yaw: NDArray[np.float32]
    is_bad: NDArray[np.bool_]
    born: NDArray[np.float64]
    kin: NDArray[np.int64]

    def table(self) -> FaceTable:
        """The faces as the input of grouping: without persons, without ``is_bad``, and without birthdays."""
        return table_of(
            self.vectors,
            pictures=self.pictures,
            face_short=self.face_short,
            blur=self.blur,
            det_score=self.det_score,
            taken=self.taken,
            yaw=self.yaw,
        )


def hard_library(seed: int = 0, faces: int = 6000, family: int = 60) -> HardLibrary:
    """About ``faces`` faces: ``family`` frequent people, and strangers."""
    return _Maker(np.random.default_rng(seed), faces, family).make()


class _Maker:
    def __init__(self, rng: np.random.Generator, faces: int, family: int) -> None:
        self.rng = rng
        self.faces, self.family = faces, family
        self.between = np.sqrt(_BETWEEN / _BETWEEN.sum())
        self.within = np.sqrt(_WITHIN / _WITHIN.sum())
        self.mean = unit(rng.normal(size=(1, DIMENSION)) * self.between)[0]
        self.bad = unit(rng.normal(size=(1, DIMENSION)) * self.between)[0]  # the direction common to blurred faces
        self.child = unit(rng.normal(size=(1, DIMENSION)) * self.between)[0]  # the direction common to small children
        self.rows: list[tuple[np.ndarray, int, int, float, float, float]] = []

    def make(self) -> HardLibrary:
        rng = self.rng
        self._people()
        picture = 0
        wanted = int(self.faces * (1 - STRANGERS))
        while len(self.rows) < wanted:
            picture = self._event(picture)
        strangers = self.family
        while len(self.rows) < self.faces:
            beside = rng.random() < 0.5 and picture  # half are in the background of a family member's picture
            where = int(rng.integers(picture)) if beside else picture
            day = self.day_of[where] if beside else rng.uniform(0, YEARS * 365)
            if not beside:
                self.day_of.append(float(day))
                picture += 1
            self._face(self._centre(rng.normal(size=DIMENSION)), strangers, where, float(day))
            strangers += 1
        return self._columns(strangers)

    def _people(self) -> None:
        """The people: relatives in pairs, every second person born within the years of the library."""
        rng, n = self.rng, self.family
        seeds = rng.normal(size=(n, DIMENSION))
        self.young = np.stack([self._centre(seed) for seed in seeds])
        pairs = n // 4
        self.kin = np.stack([np.arange(pairs) * 2, np.arange(pairs) * 2 + 1], axis=1)
        for one, two in self.kin:
            own = self.young[two] - (self.young[two] @ self.young[one]) * self.young[one]
            self.young[two] = KIN * self.young[one] + np.sqrt(1 - KIN**2) * own / np.linalg.norm(own)
        # The direction of ageing: the cosine of young and old is about 0.35 for a child, about 0.8 for an adult.
        self.is_child = np.arange(n) % 5 < 2
        self.birthday = np.where(self.is_child, rng.uniform(0, 8, n), rng.uniform(-50, -18, n)) * 365
        reach = np.where(self.is_child, 0.35, 0.8)
        away = np.stack([self._centre(seed) for seed in rng.normal(size=(n, DIMENSION))])
        away -= (away * self.young).sum(1, keepdims=True) * self.young
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        self.old = reach[:, None] * self.young + np.sqrt(1 - reach[:, None] ** 2) * away
        self.weight = rng.lognormal(0, 1.1, n)
        self.day_of: list[float] = []

    def _centre(self, seed: np.ndarray) -> np.ndarray:
        mixed = unit((seed * self.between)[None] + 0.13 * self.mean)
        return np.asarray(mixed[0], dtype=np.float64)

    def _centre_on(self, person: int, day: float) -> np.ndarray:
        """The look of a person on a day: a place on the arc from young to old, which small children pass fastest."""
        age = (day - self.birthday[person]) / 365
        part = float(np.clip(1 - np.exp(-age / 7) if self.is_child[person] else day / (YEARS * 365), 0, 1))
        angle = np.arccos(np.clip(self.young[person] @ self.old[person], -1, 1))
        look = np.sin((1 - part) * angle) * self.young[person] + np.sin(part * angle) * self.old[person]
        look /= np.linalg.norm(look)
        if self.is_child[person]:
            look = look + 0.5 * np.exp(-max(age, 0) / 4) * self.child
        result: np.ndarray = look / np.linalg.norm(look)
        return result

    def _event(self, picture: int) -> int:
        """One day: some people, relatives usually together, on a few pictures, some of these in bursts."""
        rng = self.rng
        day = float(rng.uniform(0, YEARS * 365))
        born = np.flatnonzero(self.birthday < day)
        share = self.weight[born] / self.weight[born].sum()
        guests = set(rng.choice(born, size=min(len(born), int(rng.integers(1, 7))), replace=False, p=share).tolist())
        for one, two in self.kin.tolist():
            if (one in guests) != (two in guests) and rng.random() < 0.6:
                guests |= {person for person in (one, two) if self.birthday[person] < day}
        for _ in range(int(rng.integers(1, 8))):
            shown = [person for person in sorted(guests) if rng.random() < 0.5]
            shots = int(rng.integers(2, 7)) if rng.random() < 0.15 else 1
            if not shown:
                continue
            first = len(self.rows)
            for person in shown:
                self._face(self._centre_on(person, day), person, picture, day)
            self.day_of.append(day)
            for shot in range(1, shots):
                self.day_of.append(day)
                for row in range(first, first + len(shown)):
                    self._again(row, picture + shot)
            picture += shots
        return picture

    def _face(self, centre: np.ndarray, who: int, picture: int, day: float) -> None:
        rng = self.rng
        noise = rng.normal(size=DIMENSION) * self.within
        clear = 1.0
        vector = np.sqrt(GENUINE) * centre + np.sqrt(1 - GENUINE) * noise
        if rng.random() < BAD:
            clear = float(rng.uniform(0.15, 0.75))  # the share of the person's direction in the vector
            vector = clear * vector + (1 - clear) * (0.8 * self.bad + 0.6 * rng.normal(size=DIMENSION) * self.within)
        self.rows.append((unit(vector[None])[0], who, picture, day, clear, float(rng.normal(0, 22))))

    def _again(self, row: int, picture: int) -> None:
        """The next frame of a burst: at a cosine distance of 0.01 to 0.06."""
        vector, who, _, day, clear, yaw = self.rows[row]
        near = float(self.rng.uniform(0.1, 0.25))
        moved = vector + near * np.sqrt(2) * self.rng.normal(size=DIMENSION) * self.within
        self.rows.append((unit(moved[None])[0], who, picture, day, clear, yaw))

    def _columns(self, people: int) -> HardLibrary:
        rng, n = self.rng, len(self.rows)
        clear = np.array([row[4] for row in self.rows])
        seen = np.clip(clear + rng.normal(0, 0.12, n), 0.05, 1)  # measures carry noise
        born = np.full(people, np.nan)
        told = np.flatnonzero(self.is_child & (rng.random(self.family) < 0.5))
        born[told] = self.birthday[told]
        return HardLibrary(
            vectors=np.stack([row[0] for row in self.rows]).astype(np.float32),
            who=np.array([row[1] for row in self.rows], dtype=np.int64),
            pictures=np.array([row[2] for row in self.rows], dtype=np.int64),
            taken=np.array([row[3] for row in self.rows]),
            face_short=(np.exp(rng.normal(5.3, 0.4, n)) * (0.35 + 0.65 * seen)).astype(np.float32),
            blur=(np.exp(rng.normal(5.2, 0.6, n)) * seen**2).astype(np.float32),
            det_score=np.clip(0.62 + 0.26 * seen + rng.normal(0, 0.03, n), 0.5, 0.95).astype(np.float32),
            yaw=np.array([row[5] for row in self.rows], dtype=np.float32),
            is_bad=clear < 1,
            born=born,
            kin=self.kin,
        )
