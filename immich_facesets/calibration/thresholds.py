"""
Thresholds measured on a library's own pairs of faces.

The cut should give a fixed false match rate, the share of pairs of two people taken for one: about 1 in 50,000. No
library has enough pairs to count that. Only the mean and the standard deviation of its impostor distances can be
measured well. The shape of the tail relative to these two comes from a large data set. Of six fits, on held-out parts
of LFW, this is by far the best. At 1e-5 it errs by 0.021 with 200 pairs and by 0.009 with 1,000. A normal distribution
errs by 0.047 with any number of pairs, and fits of the tail itself by more (``tests/bench/bench_thresholds.py``).
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
False match rates, and how many standard deviations below the mean of all impostor distances they lie.

Measured on 77.8 million pairs of LFW with w600k_mbf. Below 1e-5, where wrong labels of LFW begin to matter, the values
are extrapolated from the decades before.
"""

TARGET = 2.2e-5
"""The false match rate of the default cut of w600k_mbf (0.65) on LFW."""

REFERENCED = frozenset({"w600k_mbf"})
"""
Families whose default cut is known to have the false match rate ``TARGET``.

For other families that rate is unknown, so a measurement may only tighten the cut, unless a user sets the target rate.
"""

PRIOR_PAIRS = 200
"""
The weight of the default cut, in pairs.

The fit errs by 0.25 / sqrt(pairs), which is 0.018 for 200 pairs. Real libraries differ from LFW by about as much, so
at 200 pairs the default and the measurement weigh the same.
"""

LEAST_PAIRS = 30
"""The least number of independent pairs for an estimate."""

BOUND = 0.05
"""The farthest that a measurement may move a distance from its default."""

STEP = 0.005
"""The step size of the cut; it moves only when the estimate is at least one step from the cut in use."""

FARTHEST = 6.0
"""
The limit, in robust standard deviations below the median, beyond which impostor pairs are set aside.

On LFW these are 2.5 in a million pairs, most of them wrong labels; 98 in 100 genuine pairs lie there.
"""

BINS = 70
BIN_WIDTH = 0.02

_MOVED = ("match", "cluster", "merge", "drop", "outlier")


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The distribution of the distances of one kind of pairs.

    ``shares``: a histogram with bins of ``BIN_WIDTH`` from 0 on, the last bin open-ended; the sum is 1 (0 without
    pairs). ``pairs``: the number of pairs of people (impostors) or of people (genuine). ``people``: the number of
    people involved. ``effective``: the number of independent pairs with the same information. ``set_aside``: pairs of
    faces that are no evidence. ``default`` and ``chosen``: the error rates at the two cuts, None where unknown.
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
    The distances measured on a library, and the operating points that follow.

    ``impostor``: with false match rates; ``genuine``: with false non-match rates. ``estimate``: the cut from the
    library alone, None with too few pairs. ``reason``: one sentence that explains the choice.
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
        """The difference between the chosen distances and the defaults."""
        return round(self.chosen.cluster - self.defaults.cluster, 6)


@dataclass(frozen=True, slots=True)
class PointsInUse:
    """
    The operating points that a space uses.

    ``points``: the points in use, which are the measured ones when ``is_applied``. ``fixed``: the distances set by a
    user, which are never moved. ``stated``: the distances that came with a user's own model. ``blank``: unit vectors, the
    directions of crops that show nobody.
    """

    space: str
    family: str
    points: OperatingPoints
    is_applied: bool
    fixed: tuple[str, ...]
    measured: Thresholds
    stated: OperatingPoints | None = None
    blank: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """The mean and standard deviation of impostor distances, and the number of pairs too near to be impostors."""

    mean: float
    deviation: float
    set_aside: int

    def distance_at(self, rate: float) -> float:
        """Return the distance below which the share ``rate`` of impostors lies."""
        return self.mean - self.deviation * float(np.interp(-np.log10(rate), _DECADES, _DEVIATIONS))

    def rate_at(self, distance: float) -> float:
        """Return the share of impostors below a distance, limited to the range of ``TAIL``."""
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
    Measure the operating points for the false match rate ``target`` on this library.

    ``may_repeat``: codes of pictures that may hold a person twice. ``may_loosen``: whether distances may grow beyond
    the defaults. ``cut_in_use``: the current cluster cut; a new cut differs from it by at least one step. The result
    does not depend on the order or ids of the faces. It stays the same when the chosen cut becomes the one in use.
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
    """Return the points in use: distances set by a user stay; if the cut itself is set, nothing is moved."""
    is_applied = is_wanted and "cluster" not in fixed
    points = shifted(measured.defaults, measured.shift, fixed=fixed) if is_applied else measured.defaults
    return PointsInUse(space, family, points, is_applied, tuple(sorted(fixed)), measured, stated)


def fit_impostors(distances: NDArray[np.float64], weights: NDArray[np.float64]) -> Fit | None:
    """Fit mean and deviation of impostor distances, without pairs too near; None where all are equal."""
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
    """Return the points moved by ``shift`` in the same order, except ``near`` and ``fixed``; none below ``near``."""
    moved = {
        item.name: max(points.near, round(getattr(points, item.name) + shift, 6))
        for item in fields(points)
        if item.name in _MOVED and item.name not in fixed
    }
    return replace(points, **moved) if shift else points


def _choose(
    estimate: float | None, pairs: Pairs, default: float, *, may_loosen: bool, cut_in_use: float | None
) -> tuple[float, str]:
    """Return the shift from the defaults, and the reason for it."""
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
    """Return the share of genuine pairs at or beyond each cut; None without pairs."""
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
