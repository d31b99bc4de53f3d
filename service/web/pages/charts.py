"""The years of a life and the distances of its faces as bars, in the units of an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.web.library.identities import Era, FiguresAnswer

HEIGHT = 100.0
BAR_WIDTH = 10.0
_LEAST_HEIGHT = 3.0
"""Of a bar with a face, so that it is seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it stands, how high it is, how many faces it has, and the limits that select these."""

    x: float
    height: float
    faces: int
    since: float
    before: float

    @property
    def y(self) -> float:
        return HEIGHT - self.height


@dataclass(frozen=True, slots=True)
class Band:
    """An era below the bars: from where to where, which, and its place among the eras with faces, from 1 on."""

    x: float
    width: float
    era: Era
    place: int


@dataclass(frozen=True, slots=True)
class YearChart:
    """The faces of each year, years without any too, with the eras below."""

    bars: tuple[Bar, ...]
    bands: tuple[Band, ...]
    undated: int

    @property
    def width(self) -> float:
        return BAR_WIDTH * len(self.bars)


@dataclass(frozen=True, slots=True)
class DistanceChart:
    """The faces of each range of distances. ``cut_x``: where the distance stands up to which faces are matched."""

    bars: tuple[Bar, ...]
    cut: float
    cut_x: float

    @property
    def width(self) -> float:
        return BAR_WIDTH * len(self.bars)


def year_chart(figures: FiguresAnswer, eras: Sequence[Era]) -> YearChart:
    """Return the chart of a person's years; without bars where no picture has a date."""
    counts = {one.year: one.faces for one in figures.years}
    if not counts:
        return YearChart((), (), figures.undated)
    first, last, most = min(counts), max(counts), max(counts.values())
    bars = tuple(
        Bar(BAR_WIDTH * (year - first), _height(counts.get(year, 0), most), counts.get(year, 0), year, year + 1)
        for year in range(first, last + 1)
    )
    bands = []
    for place, era in enumerate((one for one in eras if one.faces), start=1):
        begin, end = max(era.from_year or first, first), min(era.to_year or last, last)
        if era.from_year is not None and begin <= end:
            bands.append(Band(BAR_WIDTH * (begin - first), BAR_WIDTH * (end - begin + 1), era, place))
    return YearChart(bars, tuple(bands), figures.undated)


def distance_chart(figures: FiguresAnswer) -> DistanceChart:
    """Return the chart of a person's distances, up to the last face or the cut."""
    width, counts = figures.bin_width, figures.distances
    filled = [place for place, count in enumerate(counts) if count]
    shown = max(filled[-1] + 1 if filled else 0, min(len(counts), round(figures.cut / width) + 2))
    most = max(counts, default=0) or 1
    bars = tuple(
        Bar(BAR_WIDTH * place, _height(count, most), count, round(place * width, 4), round((place + 1) * width, 4))
        for place, count in enumerate(counts[:shown])
    )
    return DistanceChart(bars, figures.cut, BAR_WIDTH * figures.cut / width)


def _height(count: int, most: int) -> float:
    return 0.0 if count == 0 else round(max(_LEAST_HEIGHT, HEIGHT * count / most), 2)
