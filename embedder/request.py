"""The question about one picture, read and validated from an untrusted request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from immich_facesets import wire
from immich_facesets.errors import RequestError
from immich_facesets.faces import Box

MOST_BOXES = 1000
LARGEST_CROP = 4096
LARGEST_PAD = 4.0


@dataclass(frozen=True, slots=True)
class CropWish:
    """Which faces are cut and how large: at most ``side`` pixels, from faces of at least ``min_short``."""

    side: int
    min_short: float = 0.0
    pad_ratio: float = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """How and where faces are searched, which are cropped, and which further measures are taken."""

    mode: wire.Mode = wire.Mode.FULL
    boxes: tuple[Box, ...] = ()
    crops: CropWish | None = None
    enrich: frozenset[wire.Enrichment] = frozenset()


def read_question(query: Mapping[str, str], boxes: str | bytes | None) -> Question:
    """Return the question in a request's query and boxes (JSON); an invalid one is a ``RequestError`` of status 400."""
    mode_text = query.get("mode", wire.Mode.FULL)
    if mode_text not in set(wire.Mode):
        raise _bad(f"mode must be one of {', '.join(wire.Mode)}")
    mode = wire.Mode(mode_text)
    found = _boxes(boxes)
    if mode is wire.Mode.GUIDED and not found:
        raise _bad(f"guided needs boxes, in the header {wire.BOXES_HEADER} or the form field boxes")
    return Question(mode, found, _crop_wish(query), _enrichments(query.get("enrich", "")))


def _boxes(text: str | bytes | None) -> tuple[Box, ...]:
    if not text:
        return ()
    try:
        rows = msgspec.json.decode(text, type=list[tuple[float, float, float, float]])
    except msgspec.DecodeError as error:
        raise _bad(f"the boxes are not a JSON list of [x1, y1, x2, y2]: {error}") from error
    if len(rows) > MOST_BOXES:
        raise _bad(f"more than {MOST_BOXES} boxes")
    boxes = tuple(Box(*row) for row in rows)
    if any(not (box.x1 < box.x2 and box.y1 < box.y2) for box in boxes):
        raise _bad("a box has no area: x1 < x2 and y1 < y2 are needed")
    if any(abs(value) > 1e7 for row in rows for value in row):
        raise _bad("a box lies outside every picture")
    return boxes


def _enrichments(text: str) -> frozenset[wire.Enrichment]:
    """Parse a list of measures such as ``landmarks,pose``."""
    words = {word.strip() for word in text.split(",")} if text else set[str]()
    if not words <= set(wire.Enrichment):
        raise _bad(f"enrich must be one or more of {', '.join(wire.Enrichment)}, separated by commas")
    return frozenset(map(wire.Enrichment, words))


def _crop_wish(query: Mapping[str, str]) -> CropWish | None:
    if "crops" not in query:
        return None
    return CropWish(
        side=round(_number(query, "crops", 0.0, 16, LARGEST_CROP)),
        min_short=_number(query, "crop_min_short", 0.0, 0, 1e6),
        pad_ratio=_number(query, "pad_ratio", 0.5, 0, LARGEST_PAD),
    )


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
