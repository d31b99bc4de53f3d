"""Picture of a probe: distances between the faces, and the years of the groups that look alike."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from immich_facesets.eras import Part, Probe
from immich_facesets.eras.probing import BIN_WIDTH, BINS
from service.reports.evaluation.histogram import HEIGHT, WIDTH, Plot, plot

_MARGIN, _TOP, _LINE, _BAR = 70, 78, 20, 26
_INK, _FAINT, _SAME, _OTHER = "#22272b", "#8a9299", "#2f7d6d", "#c98a3a"
_UNDATED, _BACK = "#c9ced3", "#ffffff"
_LEAST_WORDS = 34  # width in pixels of a bar that a number fits in
_FIRST_COLOUR, _LAST_COLOUR = np.array([64, 105, 176]), np.array([216, 122, 62])


def era_picture(found: Probe, title: str) -> bytes:
    """Return the probe as a PNG."""
    height = _TOP + HEIGHT + 60 + len(found.parts) * (_BAR + 12) + 70
    image = Image.new("RGB", (WIDTH + 2 * _MARGIN, height), _BACK)
    canvas = _Canvas(ImageDraw.Draw(image))
    canvas.text(_MARGIN, 14, title, size=20)
    canvas.text(_MARGIN, 44, found.reason, colour=_FAINT)
    canvas.histogram(_plot_of(found), _TOP)
    canvas.groups(found, _TOP + HEIGHT + 60)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _plot_of(found: Probe) -> Plot:
    edges = [round(BIN_WIDTH * place, 2) for place in range(BINS + 1)]
    between = [every - same for every, same in zip(found.histogram, found.within, strict=True)]
    return plot(edges, found.within, between, {"cut of eras": found.parts[1][0]})


class _Canvas:
    """Drawing surface with pixel coordinates from the top left."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(self, x: float, y: float, words: str, *, size: float = 14, colour: str = _INK) -> None:
        self._draw.text((x, y), words, fill=colour, font=ImageFont.load_default(size))

    def histogram(self, drawn: Plot, top: int) -> None:
        """Draw both kinds of pairs over the distance, each as shares of its own total."""
        for outline, colour in ((drawn.different, _OTHER), (drawn.same, _SAME)):
            points = [(x + _MARGIN, y + top) for x, y in _points(outline)]
            self._draw.line(points, fill=colour, width=2)
        self._draw.line([(_MARGIN, top + HEIGHT), (_MARGIN + WIDTH, top + HEIGHT)], fill=_INK)
        for tick in drawn.ticks:
            self.text(_MARGIN + tick.x - 8, top + HEIGHT + 4, tick.words, size=12)
        for mark in drawn.marks:
            x = _MARGIN + mark.x
            self._draw.line([(x, top), (x, top + HEIGHT)], fill=_FAINT)
            self.text(x + 4, top, mark.words, size=12, colour=_FAINT)
        left = _MARGIN + WIDTH - 240
        self.text(left, top + _LINE, f"{drawn.same_pairs:,} pairs of one group", colour=_SAME)
        self.text(left, top + 2 * _LINE, f"{drawn.different_pairs:,} pairs of two groups", colour=_OTHER)

    def groups(self, found: Probe, top: int) -> None:
        """Draw a bar for each cut: its groups by size, coloured by the most frequent year of their faces."""
        years = [part.dominant_year for _, parts in found.parts for part in parts if part.dominant_year is not None]
        span = (min(years), max(years)) if years else (0, 0)
        for row, (cut, parts) in enumerate(found.parts):
            y = top + row * (_BAR + 12)
            self.text(14, y + 4, f"{cut:.3f}", size=13)
            self._bar(parts, found.faces, span, y)
        y = top + len(found.parts) * (_BAR + 12)
        self.text(_MARGIN, y, "Groups that look alike, at each cut; the colour is the year most faces are of", size=12)
        if years:
            self._legend(span, y + 22)

    def _bar(self, parts: Sequence[Part], faces: int, span: tuple[int, int], y: int) -> None:
        x = float(_MARGIN)
        for part in parts:
            wide = WIDTH * part.size / max(faces, 1)
            box = (x, y, x + max(wide - 1, 0.5), y + _BAR)
            self._draw.rectangle(box, fill=_colour(part.dominant_year, span))
            if wide >= _LEAST_WORDS and part.dominant_year is not None:
                self.text(x + 4, y + 6, str(part.dominant_year), size=12, colour=_BACK)
            x += wide

    def _legend(self, span: tuple[int, int], y: int) -> None:
        self.text(_MARGIN, y, str(span[0]), size=12)
        for step in range(100):
            left = _MARGIN + 40 + step
            year = span[0] + (span[1] - span[0]) * step / 99
            self._draw.line([(left, y), (left, y + 14)], fill=_colour(year, span))
        self.text(_MARGIN + 146, y, str(span[1]), size=12)
        self._draw.rectangle((_MARGIN + 210, y, _MARGIN + 224, y + 14), fill=_UNDATED)
        self.text(_MARGIN + 230, y, "undated", size=12)


def _colour(year: float | None, span: tuple[int, int]) -> str:
    if year is None:
        return _UNDATED
    share = (year - span[0]) / max(span[1] - span[0], 1)
    red, green, blue = (_FIRST_COLOUR + share * (_LAST_COLOUR - _FIRST_COLOUR)).round().astype(int).tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def _points(outline: str) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in outline.split())
    return [(float(x), float(y)) for x, y in pairs]
