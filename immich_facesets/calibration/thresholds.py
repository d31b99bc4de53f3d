"""
Thresholds measured on a library's own pairs of faces.

The cut belongs where a given share of pairs of two people would be taken for one: 1 in 50,000 or so, which no library has
pairs enough to count. What can be measured well is where impostor distances lie (their mean) and how wide they spread
(their standard deviation); how the far tail hangs on these two is a matter of the shape, and that is taken from a large
set. Of six fits, held out on LFW, it is by far the best: at 1e-5 it errs by 0.021 with 200 pairs and 0.009 with 1,000, a
normal distribution by 0.047 however many there are, fits of the tail itself by more (``tests/bench/bench_thresholds.py``).
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from immich_facesets.calibration.labelled_pairs import Pairs, genuine_pairs, impostor_pairs
from immich_facesets.faces import Gate
from immich_facesets.grouping.face_table import Assertion, FaceTable
from immich_facesets.spaces import OperatingPoints

TAIL = (
    (1e-1, 1.28),
    (1e-2, 2.44),
    (1e-3, 3.40),
    (1e-4, 4.33),
    (1e-5, 5.26),
    (1e-6, 6.19),
    (1e-7, 7.12),
)
"""
False match rates, and how many standard deviations below the mean of all impostor distances they stand: 77.8 million
pairs of LFW with w600k_mbf; below 1e-5, where wrong labels of LFW begin to count, as the decades before go on.
"""

TARGET = 2.2e-5
"""The false match rate at which the default cut of w600k_mbf (0.65) stands on LFW."""

REFERENCED = frozenset({"w600k_mbf"})
"""
Families whose default cut is known to stand at ``TARGET``. Of the others nobody knows where it stands, so that a library
may only tighten it, unless a person names the rate she wants.
"""

PRIOR_PAIRS = 200
"""
How many pairs the default is worth. The fit errs by 0.25 / sqrt(pairs), 0.018 for 200, and about so much real libraries
differ from LFW: at 200 pairs both say equally much.
"""

LEAST_PAIRS = 30
"""Fewer independent pairs say nothing."""

BOUND = 0.05
"""No measurement moves a distance farther from its default than this."""

STEP = 0.005
"""The cut moves by steps of this size, and only when the estimate is a whole step away from the cut in use."""

FARTHEST = 6.0
"""
Impostors nearer than so many (robust) standard deviations below the median are set aside: of LFW 2.5 in a million are,
most of them wrong labels, while 98 in 100 genuine pairs lie there.
"""

BINS = 70
BIN_WIDTH = 0.02

_MOVED = ("match", "cluster", "merge", "drop", "outlier")


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    Distances of one kind of pairs. ``shares``: of each of the bins of ``BIN_WIDTH`` from 0 on, the last takes what lies
    beyond; they add up to 1 (0 without pairs). ``pairs``: how many pairs of people (impostors) or people (genuine) they
    come from, ``people``: how many people take part, ``effective``: how many independent pairs that is worth;
    ``set_aside``: pairs of faces that are no evidence. ``default`` and ``chosen``: the error rate at the two cuts, None
    where nothing can be said.
    """

    shares: tuple[float, ...] = field(repr=False)
    pairs: int
    people: int
    effective: float
    set_aside: int
    default: float | None = None
    chosen: float | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """
    What a library says about distances, and what follows.

    ``impostor``: false match rates; ``genuine``: false non-match rates. ``estimate``: where the library alone would cut,
    None with too few pairs. ``reason``: one sentence.
    """

    target: float
    defaults: OperatingPoints
    chosen: OperatingPoints
    estimate: float | None
    impostor: Evidence
    genuine: Evidence
    reason: str

    @property
    def shift(self) -> float:
        """How far the chosen distances are from the defaults."""
        return round(self.chosen.cluster - self.defaults.cluster, 6)


@dataclass(frozen=True, slots=True)
class PointsInUse:
    """
    What a space decides at: ``points``, which are the measured ones when ``is_applied``. ``fixed``: the distances that a
    person set, which are obeyed as they are; ``stated``: those that came with a model of one's own.
    """

    space: str
    family: str
    points: OperatingPoints
    is_applied: bool
    fixed: tuple[str, ...]
    measured: Thresholds
    stated: OperatingPoints | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Where impostor distances lie: their mean and standard deviation, and how many pairs were too near to be any."""

    mean: float
    deviation: float
    set_aside: int

    def distance_at(self, rate: float) -> float:
        """The distance below which that share of impostors lies."""
        return self.mean - self.deviation * float(np.interp(-np.log10(rate), _DECADES, _DEVIATIONS))

    def rate_at(self, distance: float) -> float:
        """The share of impostors below a distance, between the ends of ``TAIL``."""
        away = (self.mean - distance) / self.deviation
        return float(10.0 ** -np.interp(away, _DEVIATIONS, _DECADES))


_DECADES = np.array([-np.log10(rate) for rate, _ in TAIL])
_DEVIATIONS = np.array([deviations for _, deviations in TAIL])


def measure_thresholds(
    table: FaceTable,
    *,
    defaults: OperatingPoints,
    gate: Gate,
    assertions: Sequence[Assertion] = (),
    may_repeat: Container[int] = frozenset(),
    target: float = TARGET,
    may_loosen: bool = True,
    cut_in_use: float | None = None,
) -> Thresholds:
    """
    The operating points for the false match rate ``target`` on this library.

    ``may_repeat``: pictures (their codes) that may hold a person twice. ``may_loosen``: whether distances may grow
    beyond the defaults. ``cut_in_use``: the cluster cut that is in use; a new one differs by a step at least. The same faces
    in any order and under any ids give the same answer, and so does asking again with what was chosen in use.
    """
    faces = table.in_order_of_content()
    is_good = faces.admitted(gate)
    impostors = impostor_pairs(faces, is_good, may_repeat, cut=defaults.cluster - BOUND)
    genuine = genuine_pairs(faces, is_good, assertions, defaults)
    fit = fit_impostors(impostors.distances, impostors.weights) if impostors.effective >= LEAST_PAIRS else None
    estimate = None if fit is None else fit.distance_at(target)
    shift, reason = _choose(estimate, impostors, defaults.cluster, may_loosen=may_loosen, cut_in_use=cut_in_use)
    chosen = shifted(defaults, shift)
    cuts = (defaults.cluster, chosen.cluster)
    return Thresholds(
        target=target,
        defaults=defaults,
        chosen=chosen,
        estimate=None if estimate is None else round(estimate, 4),
        impostor=_evidence(
            impostors,
            set_aside=0 if fit is None else fit.set_aside,
            rates=None if fit is None else tuple(fit.rate_at(cut) for cut in cuts),
        ),
        genuine=_evidence(genuine, rates=_missed(genuine, cuts)),
        reason=reason,
    )


def in_use(
    space: str,
    family: str,
    measured: Thresholds,
    *,
    fixed: Collection[str],
    is_wanted: bool,
    stated: OperatingPoints | None = None,
) -> PointsInUse:
    """What is decided at: what a person set stays, and where she set the cut itself, nothing is moved."""
    is_applied = is_wanted and "cluster" not in fixed
    points = shifted(measured.defaults, measured.shift, fixed=fixed) if is_applied else measured.defaults
    return PointsInUse(space, family, points, is_applied, tuple(sorted(fixed)), measured, stated)


def fit_impostors(distances: NDArray[np.float64], weights: NDArray[np.float64]) -> Fit | None:
    """Mean and deviation of impostor distances without those too near to be any; None where all are equal."""
    middle = _weighted_median(distances, weights)
    spread = 1.4826 * _weighted_median(np.abs(distances - middle), weights)
    is_kept = distances >= middle - FARTHEST * spread
    kept, share = distances[is_kept], weights[is_kept]
    mean = float(np.average(kept, weights=share))
    deviation = float(np.sqrt(np.average((kept - mean) ** 2, weights=share)))
    if deviation < 1e-6:
        return None
    return Fit(mean, deviation, int((~is_kept).sum()))


def shifted(points: OperatingPoints, shift: float, *, fixed: Container[str] = frozenset()) -> OperatingPoints:
    """All points but ``near`` and the ``fixed`` moved by the same, so that their order stays; none below ``near``."""
    moved = {
        item.name: max(points.near, round(getattr(points, item.name) + shift, 6))
        for item in fields(points)
        if item.name in _MOVED and item.name not in fixed
    }
    return replace(points, **moved) if shift else points


def _choose(
    estimate: float | None, pairs: Pairs, default: float, *, may_loosen: bool, cut_in_use: float | None
) -> tuple[float, str]:
    """How far to move from the defaults, and why."""
    if estimate is None:
        seen = f"{pairs.groups:,} pairs of people were seen together"
        return 0.0, f"The defaults are kept: {seen}, too few to measure by."
    trust = pairs.effective / (pairs.effective + PRIOR_PAIRS)
    wanted = trust * (estimate - default)
    upper = BOUND if may_loosen else 0.0
    bounded = min(max(wanted, -BOUND), upper)
    moved = 0.0 if cut_in_use is None else round(cut_in_use - default, 6)
    now = moved if -BOUND <= moved <= upper else 0.0
    shift = round(now if abs(bounded - now) < STEP else round(bounded / STEP) * STEP, 6)
    return shift, _reason(shift, wanted, pairs, may_loosen=may_loosen)


def _reason(shift: float, wanted: float, pairs: Pairs, *, may_loosen: bool) -> str:
    measured = f"measured on {pairs.groups:,} pairs of people who were seen together"
    if not may_loosen and shift == 0 and wanted >= STEP:
        return (
            f"The defaults are kept: {measured}, they could be looser by {min(wanted, BOUND):.3f}, but at which false "
            "match rate this model's defaults stand is not known; FACESETS_TARGET_FMR says which one you want."
        )
    if shift == 0:
        return f"The defaults are kept: {measured}, they fit."
    end = f", no farther than {BOUND:.2f} from the defaults" if abs(shift) >= BOUND and abs(wanted) > BOUND else ""
    return f"Moved by {shift:+.3f}: {measured}{end}."


def _missed(pairs: Pairs, cuts: tuple[float, float]) -> tuple[float, ...] | None:
    """The share of genuine pairs at or beyond each cut."""
    if len(pairs.distances) == 0:
        return None
    return tuple(float(np.average(pairs.distances >= cut, weights=pairs.weights)) for cut in cuts)


def _evidence(pairs: Pairs, *, rates: tuple[float, ...] | None, set_aside: int = 0) -> Evidence:
    places = np.clip((pairs.distances / BIN_WIDTH).astype(np.int64), 0, BINS - 1)
    heights = np.bincount(places, weights=pairs.weights, minlength=BINS)
    shares = heights / max(float(heights.sum()), 1e-12)
    default, chosen = (float(f"{rate:.3g}") for rate in rates) if rates is not None else (None, None)
    return Evidence(
        shares=tuple(round(share, 6) for share in shares.tolist()),
        pairs=pairs.groups,
        people=pairs.people,
        effective=round(pairs.effective, 1),
        set_aside=pairs.set_aside + set_aside,
        default=default,
        chosen=chosen,
    )


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
