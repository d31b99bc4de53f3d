"""
Eras: parts of a long life that look alike. ``probe`` says whether there are any, ``split`` finds them (PRODUCT 3.4).

Sub-clusters large enough are anchors and never merge with one another: merging from era to era drifts through the
years until a child and a grandmother are one set. A fragment may join one anchor, measured against the anchor as it was
found, so that fragments do not carry each other along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from immich_facesets.faces import Gate
from immich_facesets.identities import Centroids, FaceTable, Rows, distances
from immich_facesets.linkage import average_linkage, split_by
from immich_facesets.spaces import BUFFALO_L, OperatingPoints

NO_YEAR = 0
"""The year of a face nobody has dated."""

PROBED_CUTS = (0.30, 0.35, 0.40, 0.45, 0.50)
"""Where sub-clusters are looked at, in the buffalo_l space."""


@dataclass(frozen=True, slots=True)
class EraRules:
    """
    Distances of the buffalo_l space, and sizes. ``scaled`` gives the same rules for another space.

    ``recover``: candidates within it of the seed come in; ``tighten``: the gate after recentring; ``cluster``: the cut
    of sub-clusters; ``join``: a fragment and its nearest anchor, whose dominant years differ by ``max_years`` at most;
    ``min_anchor``: faces of an anchor, and of an era that is not thin.
    """

    recover: float = 0.55
    tighten: float = 0.50
    cluster: float = 0.35
    join: float = 0.40
    near: float = 0.05
    max_years: int = 5
    min_anchor: int = 20
    gate: Gate = field(default_factory=lambda: Gate(face_short=100.0))

    @classmethod
    def scaled(cls, points: OperatingPoints, gate: Gate | None = None) -> "EraRules":
        """The rules in proportion to the cut of a space's clusters."""
        factor = points.cluster / BUFFALO_L.cluster
        plain = cls()
        return cls(
            recover=plain.recover * factor,
            tighten=plain.tighten * factor,
            cluster=plain.cluster * factor,
            join=plain.join * factor,
            near=points.near,
            gate=plain.gate if gate is None else gate,
        )


@dataclass(frozen=True, slots=True)
class Era:
    """Faces of one period, by id; the years are None where no face of it is dated. ``is_thin``: too few to stand alone."""

    from_year: int | None
    to_year: int | None
    face_ids: tuple[int, ...]
    is_thin: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-cluster of a probe: its size and the first, dominant and last year of its dated faces."""

    size: int
    from_year: int | None
    dominant_year: int | None
    to_year: int | None


@dataclass(frozen=True, slots=True)
class Probe:
    """
    Whether an identity can be sorted by age.

    ``histogram``: pairs of faces by distance, in 20 bins of 0.05 from 0 to 1 (what is farther is in the last);
    ``parts``: for each cut the sub-clusters, largest first; ``dated``: faces with a year; ``is_sortable``: two anchors
    at the cut of ``split`` lie more than ``max_years`` apart.
    """

    histogram: tuple[int, ...]
    parts: tuple[tuple[float, tuple[Part, ...]], ...]
    dated: int
    is_sortable: bool


def probe(vectors: NDArray[np.float32], years: Sequence[int | None], rules: EraRules | None = None) -> Probe:
    """
    Look at an identity before it is split. ``vectors``: (n, d), unit; ``years``: of each face, None when undated.

    Cuts are those of ``PROBED_CUTS`` in proportion to the rules. Work is O(n^2 d) in blocks.
    """
    rules = EraRules() if rules is None else rules
    when = _as_years(years, len(vectors))
    factor = rules.cluster / EraRules().cluster
    parts = [(cut, tuple(_parts(average_linkage(vectors, cut), when))) for cut in (one * factor for one in PROBED_CUTS)]
    anchors = [
        part.dominant_year
        for part in _parts(average_linkage(vectors, rules.cluster), when)
        if part.size >= rules.min_anchor and part.dominant_year is not None
    ]
    return Probe(
        histogram=_histogram(vectors),
        parts=tuple(parts),
        dated=int(np.count_nonzero(when != NO_YEAR)),
        is_sortable=bool(anchors) and max(anchors) - min(anchors) > rules.max_years,
    )


def split(
    table: FaceTable, years: Sequence[int | None], *, curated: NDArray[np.bool_] | None = None, rules: EraRules
) -> tuple[Era, ...]:
    """
    Split an identity into eras, earliest first, undated last.

    ``table``: the candidates; ``years``: of each, None when undated; ``curated``: (n,) which of them certainly are this
    person and make the seed (all, when None). Each face is in one era at most: those that fail the gate, or are too far
    from the centre, are in none. The order of rows decides nothing.
    """
    when_by_face = dict(zip(table.face_ids.tolist(), _as_years(years, len(table)).tolist(), strict=True))
    seeds = set(table.face_ids[curated].tolist()) if curated is not None else set(when_by_face)
    table = table.in_order_of_content()
    when = np.array([when_by_face[face] for face in table.face_ids.tolist()], dtype=np.int64)
    is_seed = np.array([face in seeds for face in table.face_ids.tolist()], dtype=np.bool_)
    centroids = Centroids(table.vectors, np.ones(len(table), dtype=np.bool_), rules.near)
    rows = _recover(table, is_seed, centroids, rules)
    clusters = [rows[part] for part in split_by(average_linkage(table.vectors[rows], rules.cluster))]
    eras = [_era(table, when, part, rules) for part in _gather(when, clusters, centroids, rules)]
    return tuple(sorted(eras, key=lambda era: (era.from_year is None, era.from_year or 0, -len(era.face_ids))))


def _recover(table: FaceTable, is_seed: NDArray[np.bool_], centroids: Centroids, rules: EraRules) -> Rows:
    """Widely around the seed, then only good faces, then tightly around their own centre."""
    if not is_seed.any():
        return np.flatnonzero(is_seed)
    wide = distances(table.vectors, centroids.of(np.flatnonzero(is_seed))[None])[:, 0] <= rules.recover
    good = np.flatnonzero(wide & table.admitted(rules.gate))
    if len(good) == 0:
        return good
    return good[centroids.distances(good) <= rules.tighten]


def _gather(when: NDArray[np.int64], clusters: list[Rows], centroids: Centroids, rules: EraRules) -> list[Rows]:
    """Let each fragment join its nearest anchor if that is near in looks and in years; the others stand alone."""
    anchors = [rows for rows in clusters if len(rows) >= rules.min_anchor]
    fragments = [rows for rows in clusters if len(rows) < rules.min_anchor]
    if not anchors or not fragments:
        return clusters
    gaps = distances(centroids.matrix(fragments), centroids.matrix(anchors))
    parts = [[rows] for rows in anchors]
    alone = []
    for fragment, gap in zip(fragments, gaps, strict=True):
        nearest = int(gap.argmin())
        one, two = dominant_year(when[fragment]), dominant_year(when[anchors[nearest]])
        is_same_time = one is not None and two is not None and abs(one - two) <= rules.max_years
        if gap[nearest] <= rules.join and is_same_time:
            parts[nearest].append(fragment)
        else:
            alone.append(fragment)
    return [np.sort(np.concatenate(part)) for part in parts] + alone


def dominant_year(years: NDArray[np.int64]) -> int | None:
    """The commonest year, the earliest of equals; None when no face is dated."""
    found, counts = np.unique(years[years != NO_YEAR], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else None


def _era(table: FaceTable, when: NDArray[np.int64], rows: Rows, rules: EraRules) -> Era:
    part = _part(when[rows])
    face_ids = tuple(np.sort(table.face_ids[rows]).tolist())
    return Era(part.from_year, part.to_year, face_ids, is_thin=len(rows) < rules.min_anchor)


def _part(years: NDArray[np.int64]) -> Part:
    dated = years[years != NO_YEAR]
    if len(dated) == 0:
        return Part(len(years), None, None, None)
    return Part(len(years), int(dated.min()), dominant_year(dated), int(dated.max()))


def _parts(labels: NDArray[np.int64], years: NDArray[np.int64]) -> list[Part]:
    parts = [_part(years[rows]) for rows in split_by(labels)]
    return sorted(parts, key=lambda part: (-part.size, part.from_year or 0))


def _histogram(vectors: NDArray[np.float32]) -> tuple[int, ...]:
    """All pairs, each once, by distance."""
    counts = np.zeros(20, dtype=np.int64)
    for start in range(0, len(vectors), 1024):
        gaps = distances(vectors[start : start + 1024], vectors[start:])
        later = gaps[np.arange(len(vectors) - start)[None, :] > np.arange(len(gaps))[:, None]]
        counts += np.bincount(np.clip((later / 0.05).astype(np.int64), 0, 19), minlength=20)
    return tuple(counts.tolist())


def _as_years(years: Sequence[int | None], n: int) -> NDArray[np.int64]:
    if len(years) != n:
        raise ValueError("every face needs a year, or None")
    return np.array([NO_YEAR if year is None else year for year in years], dtype=np.int64)
