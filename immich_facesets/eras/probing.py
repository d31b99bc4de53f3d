"""Decide whether an identity can be sorted by age, and collect the evidence for and against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from immich_facesets.clustering.blocked_products import row_blocks
from immich_facesets.clustering.linkage import average_linkage, split_by
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import anchors_among, look_alikes
from immich_facesets.eras.years import NO_YEAR, Years, as_years, dominant_year, is_one_event, span, years_of
from immich_facesets.grouping.centroids import cosine_distances
from immich_facesets.grouping.face_table import FaceTable, Rows

PROBED_CUTS = (0.30, 0.35, 0.40, 0.45, 0.50)
"""Cuts at which sub-clusters are inspected, in the buffalo_l space."""

BIN_WIDTH, BINS = 0.05, 20


class Verdict(StrEnum):
    """The result of a probe: eras can be made, or the reason why not."""

    SORTABLE = "sortable"
    FEW_DATED = "few_dated"
    NO_ANCHOR = "no_anchor"
    ONE_EVENT = "one_event"
    ONE_PERIOD = "one_period"


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
    Whether an identity can be sorted by age, with the evidence.

    ``histogram``: pairs of faces by distance, in 20 bins of 0.05 from 0 to 1 (larger distances are in the last).
    ``within``: those of the pairs that share a sub-cluster at the cut of ``split``. ``parts``: the sub-clusters for
    each cut, largest first. ``dated``: number of faces with a year. ``anchors``: the possible anchors of ``split``
    among the dated faces.
    """

    faces: int
    dated: int
    histogram: tuple[int, ...]
    within: tuple[int, ...]
    parts: tuple[tuple[float, tuple[Part, ...]], ...]
    anchors: tuple[Part, ...]
    verdict: Verdict
    reason: str

    @property
    def is_sortable(self) -> bool:
        return self.verdict is Verdict.SORTABLE


def probe(
    vectors: NDArray[np.float32],
    years: Sequence[int | None],
    rules: EraRules | None = None,
    *,
    taken: NDArray[np.float64] | None = None,
) -> Probe:
    """
    Probe an identity before it is split.

    ``vectors``: (n, d), unit length; ``years``: of each face, None when undated; ``taken``: (n,) days since 1970, NaN
    where unknown, which distinguish an event from a period.

    Cuts are those of ``PROBED_CUTS`` in proportion to the rules. Work is O(n^2 d) in blocks.
    """
    rules = EraRules() if rules is None else rules
    when = as_years(years, len(vectors))
    days = np.full(len(vectors), np.nan) if taken is None else taken
    cuts = [cut * rules.scale for cut in PROBED_CUTS]
    labels = [average_linkage(vectors, cut) for cut in cuts]
    anchors, verdict, reason = judge(vectors, when, days, rules)
    histogram, within = _histograms(vectors, labels[PROBED_CUTS.index(EraRules().cluster)])
    return Probe(
        faces=len(vectors),
        dated=int(np.count_nonzero(when != NO_YEAR)),
        histogram=histogram,
        within=within,
        parts=tuple((cut, _parts(split_by(found), when)) for cut, found in zip(cuts, labels, strict=True)),
        anchors=anchors,
        verdict=verdict,
        reason=reason,
    )


def verdict_of(table: FaceTable, rules: EraRules) -> tuple[Verdict, str]:
    """Return whether the faces of one identity can be sorted by age, and the reason; at most one clustering."""
    return judge(table.vectors, years_of(table.taken), table.taken, rules)[1:]


def judge(
    vectors: NDArray[np.float32], when: Years, taken: NDArray[np.float64], rules: EraRules
) -> tuple[tuple[Part, ...], Verdict, str]:
    """Return the anchors among the dated faces, whether ``split`` makes sense, and why. At most one clustering."""
    dated = np.flatnonzero(when != NO_YEAR)
    if len(dated) < rules.least_faces:
        found = (
            f"{len(dated)} of {len(when)} faces are dated, and groups of {rules.min_anchor} and of {rules.least_thin} are "
            "needed"
        )
        return (), Verdict.FEW_DATED, found
    clusters = look_alikes(dated, vectors[dated], when, rules)
    large = _parts([rows for rows in clusters if len(rows) >= rules.min_anchor], when)
    anchors = _parts(anchors_among(clusters, taken, rules), when)
    if not anchors:
        largest = max(map(len, clusters))
        return (
            anchors,
            Verdict.NO_ANCHOR,
            f"no {rules.min_anchor} dated faces look alike: the largest group has {largest}",
        )
    thin = _parts([rows for rows in clusters if rules.least_thin <= len(rows) and not is_one_event(taken[rows])], when)
    groups = list(dict.fromkeys((*anchors, *thin)))
    if _is_apart(anchors, groups, rules):
        main = sorted(part.dominant_year for part in groups if part.dominant_year is not None)
        return anchors, Verdict.SORTABLE, f"{len(groups)} groups that look alike, {main[0]} to {main[-1]}"
    if is_one_event(taken[dated]):
        return anchors, Verdict.ONE_EVENT, "all dated faces are of one day"
    if _reach(large) > rules.max_years:
        return anchors, Verdict.ONE_EVENT, "what is from another time is one event: all its faces are of one day"
    main_years = ", ".join(str(part.dominant_year) for part in sorted(anchors, key=lambda part: part.from_year or 0))
    return (
        anchors,
        Verdict.ONE_PERIOD,
        f"no two groups are more than {rules.max_years} years apart: most faces are of {main_years}",
    )


def _is_apart(anchors: Sequence[Part], groups: Sequence[Part], rules: EraRules) -> bool:
    """Return whether a group is of another time than an anchor."""
    years = [[part.dominant_year for part in parts if part.dominant_year is not None] for parts in (anchors, groups)]
    return any(abs(one - other) > rules.max_years for one in years[0] for other in years[1])


def _reach(parts: Sequence[Part]) -> int:
    """Return the number of years between the first and the last dominant year."""
    years = [part.dominant_year for part in parts if part.dominant_year is not None]
    return max(years) - min(years) if years else 0


def _part(years: Years) -> Part:
    first, last = span(years)
    return Part(len(years), first, dominant_year(years), last)


def _parts(sets: Sequence[Rows], years: Years) -> tuple[Part, ...]:
    parts = [_part(years[rows]) for rows in sets]
    return tuple(sorted(parts, key=lambda part: (-part.size, part.from_year or 0)))


def _histograms(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return histograms of the distances of all pairs, each counted once, and of the pairs with equal labels."""
    counts, within = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)
    for rows in row_blocks(len(vectors), len(vectors), most_rows=1024):
        start = rows.start
        gaps = cosine_distances(vectors[rows], vectors[start:])
        is_later = np.arange(len(vectors) - start)[None, :] > np.arange(len(gaps))[:, None]
        is_same = labels[rows, None] == labels[None, start:]
        place = np.clip((gaps / BIN_WIDTH).astype(np.int64), 0, BINS - 1)
        counts += np.bincount(place[is_later], minlength=BINS)
        within += np.bincount(place[is_later & is_same], minlength=BINS)
    return tuple(counts.tolist()), tuple(within.tolist())
