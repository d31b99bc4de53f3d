"""
The contact sheet of a face set: the chosen crops by rank, and small crops of the faces left out, with the reason.

It is a JPEG for users; readers of face sets use ``faces/`` and the bundles. Its text is plain ASCII without names of
people.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from immich_facesets.checkpoints import checkpoint
from immich_facesets.exports.crops import Picture
from immich_facesets.exports.origin_marks import marked_jpeg
from immich_facesets.facesets.faceset import Candidate, Faceset
from immich_facesets.facesets.preflight import Preflight

SHEET = "contact_sheet.jpg"

Thumbnail = Callable[[Candidate, int], Picture]
"""Returns a face's crop with sides of so many pixels."""

MOST_CHOSEN, MOST_LEFT_OUT = 96, 60
_WIDTH = 1056
_CHOSEN, _LEFT_OUT = 132, 88
"""Pixels of a cell: eight and twelve of them fill a row."""

_LINE = 18
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_QUALITY = 85


def draw_sheet(faceset: Faceset, top: frozenset[int], report: Preflight, thumbnail: Thumbnail) -> bytes:
    """
    Return the sheet as a JPEG; the same faces give the same bytes.

    ``top``: the ids of the faces in the small bundle, which are starred.
    """
    chosen = [
        (face.candidate, f"{rank}{'*' if face.candidate.face.face_id in top else ''}  {face.quality.score:.2f}")
        for rank, face in enumerate(faceset.faces, start=1)
    ]
    left_out = [
        (omission.candidate, str(omission.reason).replace("_", " "))
        for omission in sorted(faceset.omitted, key=lambda item: (item.reason, item.candidate.place_in_order))
        if omission.candidate.crop_sha256 is not None
    ]
    without_crop = len(faceset.omitted) - len(left_out)
    parts = [
        _text([f"{faceset.name}: {len(chosen)} faces, {len(top)} of them (*) in the small bundle"], _INK),
        _text([f"- {finding.message}" for finding in report.findings], _FAINT),
        *_rows(chosen[:MOST_CHOSEN], _CHOSEN, thumbnail),
        _text(_more(chosen, MOST_CHOSEN), _FAINT),
    ]
    if faceset.omitted:
        unseen = f", {without_crop} of them without a crop" if without_crop else ""
        parts.append(_text([f"Left out: {len(faceset.omitted)}{unseen}"], _INK))
        parts += _rows(left_out[:MOST_LEFT_OUT], _LEFT_OUT, thumbnail)
        parts.append(_text(_more(left_out, MOST_LEFT_OUT), _FAINT))
    sheet = np.vstack([part for part in parts if len(part)])
    is_encoded, body = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not is_encoded:
        raise ValueError("OpenCV could not encode a contact sheet")
    return marked_jpeg(body.tobytes())


def _rows(cells: Sequence[tuple[Candidate, str]], side: int, thumbnail: Thumbnail) -> Iterator[Picture]:
    """Yield rows of pictures, each with its text below it, in as many lines as the longest text needs."""
    rest = iter(cells)
    while row := list(islice(rest, _WIDTH // side)):
        checkpoint()
        words = [_wrapped(text, side) for _, text in row]
        height = side + _LINE * max(map(len, words))
        band = _paper(height)
        for place, ((candidate, _), lines) in enumerate(zip(row, words, strict=True)):
            left = place * side
            band[2 : side - 2, left + 2 : left + side - 2] = thumbnail(candidate, side - 4)
            for number, line in enumerate(lines):
                _write(band, line, left + 4, side + _LINE * number, _INK)
        yield band


def _wrapped(text: str, side: int) -> list[str]:
    """Return the text wrapped to lines of a cell's width."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= side // 7:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _more(cells: Sequence[object], most: int) -> list[str]:
    return [f"and {len(cells) - most} more"] if len(cells) > most else []


def _text(lines: Sequence[str], colour: tuple[int, int, int]) -> Picture:
    band = _paper((_LINE + 4) * len(lines))
    for number, line in enumerate(lines):
        _write(band, line, 6, (_LINE + 4) * number + 2, colour)
    return band


def _write(band: Picture, text: str, left: int, top: int, colour: tuple[int, int, int]) -> None:
    plain = text.encode("ascii", errors="replace").decode()
    cv2.putText(band, plain, (left, top + 13), _FONT, 0.42, colour, 1, cv2.LINE_AA)


def _paper(height: int) -> Picture:
    return np.full((height, _WIDTH, 3), _PAPER, dtype=np.uint8)
