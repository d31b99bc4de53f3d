"""The chart of measured distances: two histograms as SVG paths, and a description in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from immich_facesets.calibration.thresholds import BIN_WIDTH, BINS, Evidence, PointsInUse

WIDTH, HEIGHT = 700, 120
TICKS = ("0", "0.2", "0.4", "0.6", "0.8", "1.0", "1.2", "1.4")


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A chart of ``WIDTH`` by ``HEIGHT``: the outlines of both histograms as SVG paths, and the x positions of two cuts.

    A path is empty where there are no pairs. ``words`` is the text alternative.
    """

    impostor: str
    genuine: str
    cut: float
    default: float
    words: str


def chart_of(used: PointsInUse) -> Chart | None:
    """Return the chart, or None when nothing was measured."""
    measured = used.measured
    highest = max(*measured.impostor.shares, *measured.genuine.shares)
    if not highest:
        return None
    return Chart(
        impostor=_outline(measured.impostor.shares, highest),
        genuine=_outline(measured.genuine.shares, highest),
        cut=_place(used.points.cluster),
        default=_place(measured.defaults.cluster),
        words=f"{spread('Faces of two people', measured.impostor)} {spread('Faces of one person', measured.genuine)} "
        f"The cut in use is {used.points.cluster:.3f}.",
    )


def spread(who: str, evidence: Evidence) -> str:
    """Return a sentence with the range of the middle nine tenths of the pairs."""
    total = np.cumsum(evidence.shares)
    if not total[-1]:
        return f"{who}: no pairs."
    low, high = (int(np.searchsorted(total, share * total[-1])) for share in (0.05, 0.95))
    return f"{who}: nine of ten pairs are {low * BIN_WIDTH:.2f} to {(high + 1) * BIN_WIDTH:.2f} apart."


def rate(share: float | None) -> str:
    """Return a rare share as ``1 in 45,000``."""
    if share is None:
        return "not known"
    if share >= 0.1:
        return "1 in 10 or more"
    if share <= 1e-7:
        return "1 in 10,000,000 or fewer"
    digits = 10 ** max(0, len(str(round(1 / share))) - 2)
    return f"1 in {round(1 / share / digits) * digits:,}"


def percent(share: float | None) -> str:
    """Return a share as ``1.2 %``."""
    return "not known" if share is None else f"{100 * share:.1f} %"


def _outline(shares: Sequence[float], highest: float) -> str:
    """Return a stepped SVG path from the first filled bin to the last, closed along the baseline."""
    filled = [place for place, share in enumerate(shares) if share]
    if not filled:
        return ""
    step, first, end = WIDTH / BINS, filled[0], filled[-1] + 1
    tops = (
        f"V{HEIGHT * (1 - share / highest):.1f}H{place * step:.0f}"
        for place, share in enumerate(shares[first:end], start=first + 1)
    )
    return f"M{first * step:.0f} {HEIGHT}{''.join(tops)}V{HEIGHT}Z"


def _place(distance: float) -> float:
    return round(WIDTH * min(distance / (BINS * BIN_WIDTH), 1.0), 1)
