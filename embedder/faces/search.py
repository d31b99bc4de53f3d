"""The search for faces in one picture: everywhere, around known boxes, closer, and again where the picture may be turned."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np

from embedder.engine import MARGIN_SCORE, Detection, FaceEngine, Pixels, View
from embedder.faces import looks, regions
from embedder.images.colour import cv2_array
from embedder.images.picture import Picture
from embedder.lanes import Lane, WorkerLane
from immich_facesets import face_requests
from immich_facesets.faces import Box

ResultT = TypeVar("ResultT")

LOOKS_AT_ONCE = 8
"""Closer looks whose views are made together: one view takes 5 megabytes."""


class Finder:
    """Finds the faces for a request. Views are made in the worker lane; the detector has a lane of its own."""

    def __init__(self, engine: FaceEngine, workers: WorkerLane, detect: Lane[View, list[Detection]]) -> None:
        self._engine = engine
        self._workers = workers
        self._detect = detect

    async def find(self, picture: Picture, view: View, request: face_requests.FacesRequest) -> list[Detection]:
        """
        Return the faces in the coordinates of the decoded pixels; ``view`` covers the whole picture.

        In a search of the whole picture the boxes change nothing: the same decoded pixels give the same faces.
        """
        if request.mode is face_requests.Mode.GUIDED:
            found = await self._find_guided(picture.pixels, view, [picture.inside(box) for box in request.boxes])
        else:
            found = await self._find_anywhere(picture.pixels, view, request.face_short / picture.reduction)
        return regions.distinct(found)

    async def suspects(self, view: View, found: Sequence[Detection]) -> list[Detection]:
        """
        Return what may be further faces for another detector: what this one is not sure of, and what others find.

        ``found``: the faces that are known; ``view``: of the whole picture.
        """
        seen = await self._detect.run(dataclasses.replace(view, doubtful=True, further=True))
        return [
            one
            for one in regions.distinct(seen)
            if one.score >= MARGIN_SCORE and all(one.box.iou(other.box) <= regions.DUPLICATE_IOU for other in found)
        ]

    async def _find_anywhere(self, pixels: Pixels, view: View, least_short: float) -> list[Detection]:
        """Return every face of ``least_short`` pixels, also in a picture that is turned though its EXIF does not state it."""
        upright = await self._look(pixels, view, least_short)
        upright = found = upright or await self._look_from_afar(pixels)
        if regions.best_score(upright) >= regions.SURE_SCORE:
            return upright
        for turns in await self._likely_turns(pixels, upright):
            turned = await self._workers.run(functools.partial(_turned, pixels, turns))
            seen = await self._look(turned, await self._whole_view(turned), least_short)
            found = regions.likelier(found, upright, regions.all_turned_back(seen, turns, pixels.shape))
        return found

    async def _look_from_afar(self, pixels: Pixels) -> list[Detection]:
        """Return the faces that fill the picture so much that one look misses them."""
        area = regions.padded_area(pixels.shape[1], pixels.shape[0])
        return await self._detect.run(await self._workers.run(lambda: self._engine.view(pixels, area, closely=True)))

    async def _whole_view(self, pixels: Pixels) -> View:
        return await self._workers.run(lambda: self._engine.view(pixels))

    async def _look(self, pixels: Pixels, view: View, least_short: float) -> list[Detection]:
        """Return the faces of one look together with those of ``least_short`` pixels that it shows too small."""
        facts, (height, width) = self._engine.facts, pixels.shape[:2]
        planned = looks.closer_looks(width, height, least_short, facts)
        if not planned and not looks.has_doubts(width, height, least_short, facts):
            return await self._detect.run(view)
        if planned:
            seen, close = await self._detect.run(view), await self._look_closer(pixels, planned)
        else:
            seen, close = [], await self._detect.run(dataclasses.replace(view, doubtful=True))
        sure = looks.united(seen, [one for one in close if one.score >= facts.least_score])
        return sure + await self._look_at(pixels, looks.doubts(close, sure, least_short, facts.least_score))

    async def _look_closer(self, pixels: Pixels, planned: Sequence[looks.Tile]) -> list[Detection]:
        """Return what closer looks show, doubtful detections included."""
        height, width = pixels.shape[:2]
        seen: list[Detection] = []
        for start in range(0, len(planned), LOOKS_AT_ONCE):
            some = planned[start : start + LOOKS_AT_ONCE]
            views = await self._workers.run(functools.partial(self._closer_views, pixels, some))
            for tile, found in zip(some, _all_good(await self._detect.run_many(views)), strict=True):
                seen += looks.whole_in(tile, found, width, height)
        return regions.distinct(seen)

    async def _look_at(self, pixels: Pixels, boxes: Sequence[Box]) -> list[Detection]:
        """Return the face of each box that a close view shows."""
        closely = await self._workers.run(
            lambda: [self._engine.view(pixels, regions.search_area(box), closely=True) for box in boxes]
        )
        found = _all_good(await self._detect.run_many(closely))
        return [one for box, some in zip(boxes, found, strict=True) if (one := regions.pick(box, some))]

    def _closer_views(self, pixels: Pixels, planned: Sequence[looks.Tile]) -> list[View]:
        views = (self._engine.closer_view(pixels, tile.area, tile.factor) for tile in planned)
        return [dataclasses.replace(view, doubtful=True) for view in views]

    async def _find_guided(self, pixels: Pixels, view: View, boxes: Sequence[Box]) -> list[Detection]:
        """Return the faces of the boxes, upright or turned."""
        upright = found = await self._find_around(pixels, view, boxes)
        if regions.best_score(upright) >= regions.SURE_SCORE:
            return upright
        for turns in await self._likely_turns(pixels, upright) if upright else regions.QUARTER_TURNS:
            turned = await self._workers.run(functools.partial(_turned, pixels, turns))
            seen = await self._detect.run(await self._whole_view(turned))
            back = regions.all_turned_back(seen, turns, pixels.shape)
            picked = [one for box in boxes if (one := regions.pick(box, back))]
            found = regions.likelier(found, upright, picked)
        return found

    async def _find_around(self, pixels: Pixels, view: View, boxes: Sequence[Box]) -> list[Detection]:
        """Search the view's parts around the boxes; for missing faces the whole view, then a close view."""
        parts = await self._workers.run(lambda: [self._engine.part(view, box) for box in boxes])
        shown = [part for part in parts if part is not None]
        picks: list[Detection | None] = []
        if len(shown) == len(boxes) and regions.saves(shown, view):
            found_in_parts = _all_good(await self._detect.run_many(shown))
            picks = [regions.pick(box, found) for box, found in zip(boxes, found_in_parts, strict=True)]
        missing = [box for box, one in itertools.zip_longest(boxes, picks) if one is None]
        if missing:
            everywhere = await self._detect.run(view) or await self._look_from_afar(pixels)
            again = [regions.pick(box, everywhere) for box in missing]
            picks += again
            unseen = [box for box, one in zip(missing, again, strict=True) if one is None]
            picks += await self._look_at(pixels, unseen)
        return [one for one in picks if one is not None]

    async def _likely_turns(self, pixels: Pixels, upright: Sequence[Detection]) -> Sequence[int]:
        """
        Return the quarter turn worth a full search, if any, by coarse views of a small copy.

        Where the upright picture shows a face, a turn must show it better. Where it shows none, views of half the
        detector's input follow the coarse ones: on turned photos they find all but 3 % of what three full searches find.
        """
        side = self._engine.facts.look_side // 2
        if not side and not upright:
            return regions.QUARTER_TURNS  # a view has all pixels: nothing is saved by a smaller one
        small = await self._workers.run(functools.partial(_shrunk, pixels, side))
        ways = (0, *regions.QUARTER_TURNS) if upright else regions.QUARTER_TURNS
        scores = await self._scores_at(small, ways, closely=True)
        if not upright and not max(scores):
            scores = await self._scores_at(small, ways, closely=False)
        best = int(np.argmax(scores))
        is_better = scores[best] > (scores[0] + regions.TURNED_LEAD if upright else 0.0)
        return (ways[best],) if is_better else ()

    async def _scores_at(self, small: Pixels, ways: Sequence[int], *, closely: bool) -> list[float]:
        """Return the best score of a face after each of the quarter turns."""
        views = await self._workers.run(lambda: [self._turned_view(small, turns, closely=closely) for turns in ways])
        return [regions.best_score(found) for found in _all_good(await self._detect.run_many(views))]

    def _turned_view(self, small: Pixels, turns: int, *, closely: bool) -> View:
        turned = _turned(small, turns)
        if closely:
            return self._engine.view(turned, closely=True)
        return self._engine.closer_view(turned, Box(0, 0, turned.shape[1], turned.shape[0]), 1.0)


def _turned(pixels: Pixels, turns: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _shrunk(pixels: Pixels, side: int) -> Pixels:
    """A copy whose longer side has ``side`` pixels; smaller pictures stay as they are, and all do with 0."""
    height, width = pixels.shape[:2]
    if not side or side >= max(height, width):
        return pixels
    step = max(1, max(height, width) // (4 * side))  # averaging every pixel of a large picture takes 50 ms
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2_array(cv2.resize(np.ascontiguousarray(pixels[::step, ::step]), size, interpolation=cv2.INTER_AREA))


def _all_good(outcomes: Sequence[ResultT | Exception]) -> list[ResultT]:
    """The results; the first error among them is raised."""
    results: list[ResultT] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results
