"""
Requests for faces, as the service sends them to the embedder.

The picture is the body or a form; all options are in the query and in one header.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box

BOXES_HEADER = "X-Boxes"
"""JSON list of [x1, y1, x2, y2] in upright original pixels: the areas of ``guided`` detection."""

FACE_SHORT = 90.0
"""The short edge, in pixels, from which on every face is searched for, unless a request names another."""

MOST_BOXES = 1000
LEAST_FACE_SHORT = 1.0
LARGEST_CROP = 4096
LARGEST_PAD = 4.0
LARGEST_COORDINATE = 1e7
"""Limits of requests and answers; the embedder rejects a request beyond them, and the service an answer."""


class Mode(StrEnum):
    """The search area for faces: the whole picture, or only around boxes that are already known."""

    FULL = "full"
    GUIDED = "guided"


class Enrichment(StrEnum):
    """Measurements on faces that are made only on request."""

    LANDMARKS = "landmarks"
    POSE = "pose"


@dataclass(frozen=True, slots=True)
class CropRequest:
    """The crops to return: squares of at most ``side`` pixels, of faces whose short edge has ``min_short`` or more."""

    side: int
    min_short: float = 0.0
    pad_ratio: float = 0.5
    """The margin on each side of the box, in sides of the box."""

    def to_query(self) -> dict[str, str]:
        return {"crops": str(self.side), "crop_min_short": f"{self.min_short:g}", "pad_ratio": f"{self.pad_ratio:g}"}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self | None:
        """Return the requested crops, None without any."""
        if "crops" not in query:
            return None
        return cls(
            side=round(_number(query, "crops", 0.0, 16, LARGEST_CROP)),
            min_short=_number(query, "crop_min_short", 0.0, 0, 1e6),
            pad_ratio=_number(query, "pad_ratio", 0.5, 0, LARGEST_PAD),
        )


@dataclass(frozen=True, slots=True)
class CutRequest:
    """A part of the picture to return: ``area`` in upright original pixels, of at most so many ``pixels`` in all."""

    area: Box
    pixels: int

    def to_query(self) -> dict[str, str]:
        corners = (self.area.x1, self.area.y1, self.area.x2, self.area.y2)
        return {"cut": ",".join(str(round(side, 1)) for side in corners), "cut_pixels": str(self.pixels)}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self | None:
        """Return the part that is wanted, None without any."""
        if "cut" not in query:
            return None
        (area, *others) = _boxes(f"[[{query['cut']}]]") or (None,)
        if area is None or others:
            raise _bad("cut must be x1,y1,x2,y2")
        return cls(area, round(_number(query, "cut_pixels", LARGEST_CROP**2, 256, LARGEST_CROP**2)))


@dataclass(frozen=True, slots=True)
class FacesRequest:
    """
    The options of ``POST /v1/faces``, beside the picture.

    ``boxes`` are areas known to show a face, in upright original pixels. ``guided`` searches only there. ``full``
    searches the whole picture, whatever the boxes, so closely that faces of ``face_short`` pixels (short edge) are found.
    """

    mode: Mode = Mode.FULL
    boxes: tuple[Box, ...] = ()
    crop: CropRequest | None = None
    enrich: frozenset[Enrichment] = frozenset()
    face_short: float = FACE_SHORT
    suspects: bool = False
    """Whether to return what other detectors may take for a face, too."""
    cut: CutRequest | None = None

    def to_http(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the query and the headers; boxes are rounded to a tenth of a pixel."""
        query = {"mode": self.mode.value}
        headers: dict[str, str] = {}
        if self.boxes:
            rows = [[round(side, 1) for side in (box.x1, box.y1, box.x2, box.y2)] for box in self.boxes]
            headers[BOXES_HEADER] = msgspec.json.encode(rows).decode()
        if self.crop is not None:
            query |= self.crop.to_query()
        if self.enrich:
            query["enrich"] = ",".join(sorted(self.enrich))
        if self.face_short != FACE_SHORT:
            query["face_short"] = f"{self.face_short:g}"
        if self.suspects:
            query["suspects"] = "1"
        if self.cut is not None:
            query |= self.cut.to_query()
        return query, headers

    @classmethod
    def from_http(cls, query: Mapping[str, str], headers: Mapping[str, str], form_boxes: bytes | None = None) -> Self:
        """
        Return the options of an untrusted request; an invalid one is a ``RequestError`` of status 400.

        ``form_boxes`` is the form field ``boxes``; it replaces the header.
        """
        mode = query.get("mode", Mode.FULL)
        if mode not in set(Mode):
            raise _bad(f"mode must be one of {', '.join(Mode)}")
        boxes = _boxes(form_boxes or headers.get(BOXES_HEADER))
        if mode == Mode.GUIDED and not boxes:
            raise _bad(f"guided needs boxes, in the header {BOXES_HEADER} or the form field boxes")
        crop, enrich = CropRequest.from_query(query), _enrichments(query.get("enrich", ""))
        if query.get("suspects", "0") not in {"0", "1"}:
            raise _bad("suspects must be 0 or 1")
        face_short = _number(query, "face_short", FACE_SHORT, LEAST_FACE_SHORT, 1e6)
        cut = CutRequest.from_query(query)
        return cls(Mode(mode), boxes, crop, enrich, face_short, query.get("suspects") == "1", cut)


def _boxes(text: str | bytes | None) -> tuple[Box, ...]:
    if not text:
        return ()
    try:
        rows = msgspec.json.decode(text, type=list[tuple[float, float, float, float]])
    except (msgspec.DecodeError, UnicodeError) as error:  # a header may hold bytes that are no text
        raise _bad(f"the boxes are not a JSON list of [x1, y1, x2, y2]: {error}") from error
    if len(rows) > MOST_BOXES:
        raise _bad(f"more than {MOST_BOXES} boxes")
    boxes = tuple(Box(*row) for row in rows)
    if any(not (box.x1 < box.x2 and box.y1 < box.y2) for box in boxes):
        raise _bad("a box has no area: x1 < x2 and y1 < y2 are needed")
    if any(abs(value) > LARGEST_COORDINATE for row in rows for value in row):
        raise _bad("a box lies outside every picture")
    return boxes


def _enrichments(text: str) -> frozenset[Enrichment]:
    """Parse a list of measurements such as ``landmarks,pose``."""
    words = {word.strip() for word in text.split(",")} if text else set[str]()
    if not words <= set(Enrichment):
        raise _bad(f"enrich must be one or more of {', '.join(Enrichment)}, separated by commas")
    return frozenset(map(Enrichment, words))


def _number(query: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise _bad(f"{name} is not a number") from None
    if not math.isfinite(value) or not low <= value <= high:
        raise _bad(f"{name} must lie between {low:g} and {high:g}")
    return value


def _bad(message: str) -> RequestError:
    return RequestError(message, status=400)
