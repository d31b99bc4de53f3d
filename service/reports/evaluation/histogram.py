"""Histogram of two kinds of pairs as the points of an SVG drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 220
"""Size of the field inside the axes, in the drawing's own units."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on the axis and its label."""

    x: float
    words: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn histogram: ``same`` and ``different`` are the ``points`` of polygons that stand on the axis."""

    same: str
    different: str
    same_pairs: int
    different_pairs: int
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT


def plot(edges: Sequence[float], same: Sequence[int], different: Sequence[int], marks: Mapping[str, float]) -> Plot:
    """
    Return both kinds as shares of their own pairs, so that the few of one person are visible beside the many of two.

    The higher of the two peaks fills the field. ``edges``: ascending; one more than there are classes. ``marks``:
    distances by label.
    """
    low, high = edges[0], edges[-1]

    def x_of(value: float) -> float:
        return round(WIDTH * (value - low) / (high - low), 1)

    shares = [[count / max(1, sum(kind)) for count in kind] for kind in (same, different)]
    peak = max((share for kind in shares for share in kind), default=0) or 1
    outlines = []
    for kind in shares:
        points = [(x_of(low), float(HEIGHT))]
        for left, right, share in zip(edges[:-1], edges[1:], kind, strict=True):
            y = round(HEIGHT * (1 - share / peak), 1)
            points += [(x_of(left), y), (x_of(right), y)]
        points.append((x_of(high), float(HEIGHT)))
        outlines.append(" ".join(f"{x},{y}" for x, y in points))
    steps = round((high - low) / 0.2)
    return Plot(
        same=outlines[0],
        different=outlines[1],
        same_pairs=sum(same),
        different_pairs=sum(different),
        ticks=tuple(Tick(x_of(low + 0.2 * step), f"{low + 0.2 * step:.1f}") for step in range(steps + 1)),
        marks=tuple(
            Tick(x_of(value), f"{words} {value:.2f}")
            for words, value in sorted(marks.items(), key=lambda mark: mark[1])
        ),
    )
