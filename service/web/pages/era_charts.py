"""The distances between faces of one person, and the groups that look alike, as shapes in the units of an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.web.library.eras import EraGroup, EraProbe

BAR_WIDTH, HEIGHT = 10.0, 100.0
WHOLE = 100.0
"""The width of a bar of groups."""

_LEAST = 2.0
"""The least height of a bar with a pair in it."""

_FIRST, _LAST, _UNDATED = (64, 105, 176), (216, 122, 62), "#98a1a8"
"""The colours of the first and the last year, and of groups without a date."""


@dataclass(frozen=True, slots=True)
class PairBar:
    """Pairs of faces at a distance: of one group and of two, each as a share of the highest bar of its kind."""

    x: float
    since: float
    before: float
    within: int
    between: int
    within_height: float
    between_height: float


@dataclass(frozen=True, slots=True)
class PairChart:
    """The distances of all pairs. ``cut_x``: where the groups were cut."""

    bars: tuple[PairBar, ...]
    cut: float
    cut_x: float

    @property
    def width(self) -> float:
        return BAR_WIDTH * len(self.bars)


@dataclass(frozen=True, slots=True)
class GroupBar:
    """One group in the bar of a distance. ``colour``: of its most frequent year."""

    x: float
    width: float
    colour: str
    group: EraGroup


@dataclass(frozen=True, slots=True)
class GroupsChart:
    """The groups at one distance, the largest left."""

    distance: float
    bars: tuple[GroupBar, ...]


def pair_chart(probe: EraProbe) -> PairChart:
    """Return the distances of all pairs, up to the last one that there is."""
    pairs = list(zip(probe.within, probe.between, strict=True))
    filled = [place for place, pair in enumerate(pairs) if any(pair)]
    shown = max(filled[-1] + 1 if filled else 0, min(len(pairs), round(probe.cut / probe.bin_width) + 2))
    most = [max(1, *kind) if kind else 1 for kind in (probe.within, probe.between)]
    bars = tuple(
        PairBar(
            BAR_WIDTH * place,
            round(place * probe.bin_width, 2),
            round((place + 1) * probe.bin_width, 2),
            within,
            between,
            _height(within, most[0]),
            _height(between, most[1]),
        )
        for place, (within, between) in enumerate(pairs[:shown])
    )
    return PairChart(bars, probe.cut, BAR_WIDTH * probe.cut / probe.bin_width)


def group_charts(probe: EraProbe) -> tuple[GroupsChart, ...]:
    """Return a bar for each distance, with the groups by size and in the colours of their years."""
    years = [group.main_year for cut in probe.cuts for group in cut.groups if group.main_year is not None]
    span = (min(years), max(years)) if years else (0, 0)
    return tuple(GroupsChart(cut.distance, _bars(cut.groups, probe.faces, span)) for cut in probe.cuts)


def year_colours(probe: EraProbe) -> tuple[tuple[int, str], ...]:
    """Return the years that groups have, with their colours."""
    years = sorted({group.main_year for cut in probe.cuts for group in cut.groups if group.main_year is not None})
    span = (years[0], years[-1]) if years else (0, 0)
    return tuple((year, _colour(year, span)) for year in years)


def _bars(groups: Sequence[EraGroup], faces: int, span: tuple[int, int]) -> tuple[GroupBar, ...]:
    x, found = 0.0, []
    for group in groups:
        width = WHOLE * group.faces / max(faces, 1)
        found.append(GroupBar(round(x, 3), round(width, 3), _colour(group.main_year, span), group))
        x += width
    return tuple(found)


def _colour(year: int | None, span: tuple[int, int]) -> str:
    if year is None:
        return _UNDATED
    share = (year - span[0]) / max(span[1] - span[0], 1)
    mixed = [round(first + share * (last - first)) for first, last in zip(_FIRST, _LAST, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _height(count: int, most: int) -> float:
    return 0.0 if count == 0 else round(max(_LEAST, HEIGHT * count / most), 2)
