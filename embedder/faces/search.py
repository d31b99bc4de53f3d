"""The search for faces in one picture: everywhere, around known boxes, and again where nothing was found."""

import functools
import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from embedder.engine import Detection, FaceEngine, Pixels, View
from embedder.faces import regions
from embedder.images.picture import Picture
from embedder.lanes import Lane, WorkerLane
from immich_facesets import wire
from immich_facesets.faces import Box

ResultT = TypeVar("ResultT")


class Finder:
    """Finds the faces for a request. Views are made in the worker lane; the detector has a lane of its own."""

    def __init__(self, engine: FaceEngine, workers: WorkerLane, detect: Lane[View, list[Detection]]) -> None:
        self._engine = engine
        self._workers = workers
        self._detect = detect

    async def find(self, picture: Picture, view: View, request: wire.FacesRequest) -> list[Detection]:
        """Return the faces in the coordinates of the decoded pixels; ``view`` covers the whole picture."""
        boxes = [picture.inside(box) for box in request.boxes]
        if request.mode is wire.Mode.GUIDED:
            found = await self._find_around(picture, view, boxes)
        else:
            found = await self._find_anywhere(picture, view)
        if boxes and regions.best_score(found) < regions.SURE_SCORE:
            only_there = boxes if request.mode is wire.Mode.GUIDED else None
            found = await self._find_turned(picture, only_there, regions.best_score(found)) or found
        return regions.distinct(found)

    async def _find_anywhere(self, picture: Picture, view: View) -> list[Detection]:
        found = await self._detect.run(view)
        if found:
            return found
        height, width = picture.pixels.shape[:2]
        area = regions.padded_area(width, height)
        return await self._detect.run(
            await self._workers.run(lambda: self._engine.view(picture.pixels, area, closely=True))
        )

    async def _find_around(self, picture: Picture, view: View, boxes: Sequence[Box]) -> list[Detection]:
        """Search the view's parts around the boxes; for missing faces the whole view, then a close view."""
        parts = await self._workers.run(lambda: [self._engine.part(view, box) for box in boxes])
        shown = [part for part in parts if part is not None]
        picks: list[Detection | None] = []
        if len(shown) == len(boxes) and regions.saves(shown, view):
            found_in_parts = _all_good(await self._detect.run_many(shown))
            picks = [regions.pick(box, found) for box, found in zip(boxes, found_in_parts, strict=True)]
        missing = [box for box, one in itertools.zip_longest(boxes, picks) if one is None]
        if missing:
            everywhere = await self._find_anywhere(picture, view)
            again = [regions.pick(box, everywhere) for box in missing]
            picks += again
            unseen = [box for box, one in zip(missing, again, strict=True) if one is None]
            closely = await self._workers.run(
                lambda: [self._engine.view(picture.pixels, regions.search_area(box), closely=True) for box in unseen]
            )
            found_in_parts = _all_good(await self._detect.run_many(closely))
            picks += [regions.pick(box, found) for box, found in zip(unseen, found_in_parts, strict=True)]
        return [one for one in picks if one is not None]

    async def _find_turned(
        self, picture: Picture, only_there: Sequence[Box] | None, upright_score: float
    ) -> list[Detection]:
        """
        Return the faces in a picture that is turned though its EXIF does not state it; none when it is upright already.

        The detector also finds upside-down faces, with unusable points but a lower score. So the turn with the best
        score is the right one.
        """
        height, width = picture.pixels.shape[:2]
        best: list[Detection] = []
        score = upright_score + regions.TURNED_LEAD
        for turns in await self._likely_turns(picture, upright_score):
            view = await self._workers.run(functools.partial(self._turned_view, picture.pixels, turns))
            found = [regions.turned_back(one, turns, width, height) for one in await self._detect.run(view)]
            if only_there is not None:
                found = [one for box in only_there if (one := regions.pick(box, found))]
            if regions.best_score(found) > score:
                score, best = regions.best_score(found), found
        return best

    async def _likely_turns(self, picture: Picture, upright_score: float) -> Sequence[int]:
        """Return the turns worth a full search: all if no face was found, else those favoured by four coarse views."""
        if not upright_score:
            return regions.QUARTER_TURNS
        ways = (0, *regions.QUARTER_TURNS)
        views = await self._workers.run(
            lambda: [self._turned_view(picture.pixels, turns, closely=True) for turns in ways]
        )
        scores = [regions.best_score(found) for found in _all_good(await self._detect.run_many(views))]
        best = int(np.argmax(scores))
        return (ways[best],) if scores[best] > scores[0] + regions.TURNED_LEAD else ()

    def _turned_view(self, pixels: Pixels, turns: int, *, closely: bool = False) -> View:
        return self._engine.view(np.ascontiguousarray(np.rot90(pixels, turns)), closely=closely)


def _all_good(outcomes: Sequence[ResultT | Exception]) -> list[ResultT]:
    """The results; the first error among them is raised."""
    results: list[ResultT] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results
