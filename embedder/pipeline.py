"""
One picture's way: permit, decode, detect, align, recognise, answer. Each step runs in a lane of its own.

Whoever gets no permit is refused at once (back-pressure instead of a queue); whoever leaves frees the place, and what of
it was not begun is withdrawn.
"""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import structlog
from numpy.typing import NDArray

from embedder import guidance
from embedder.batching import Lane, LaneSize
from embedder.crops import cut_crop
from embedder.decode import Decoder, Picture
from embedder.engine import Aligned, Detection, FaceEngine, View
from embedder.measures import measure
from embedder.metrics import EmbedderMetrics
from embedder.question import Question
from immich_facesets import wire
from immich_facesets.errors import FacesetsError, ItemError, TransientError
from immich_facesets.faces import Measures

log = structlog.get_logger(__name__)
ResultT = TypeVar("ResultT")

PROBE_SECONDS = 30.0
"""How long a self-check may wait behind pictures that were accepted before it."""


class BusyError(TransientError):
    """Every permit is taken."""


@dataclass(frozen=True, slots=True)
class PipelineSize:
    """How many requests are accepted, and how wide the lanes are; ``hands`` threads decode, align and encode."""

    max_in_flight: int = 16
    hands: int = 0
    detectors: int = 1
    batch: int = 16
    linger_seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Sitter:
    """A face that is ready to be recognised, and what was taken from the picture meanwhile."""

    aligned: Aligned
    measures: Measures
    crop: wire.CropAnswer | None


class Pipeline:
    """Answers questions about pictures. Make it, use it and close it on one event loop."""

    def __init__(
        self,
        engine: FaceEngine,
        decoder: Decoder,
        size: PipelineSize,
        metrics: EmbedderMetrics,
        *,
        on_death: Callable[[str, BaseException], None],
    ) -> None:
        self.engine = engine
        self.size = size
        self.space = engine.facts.space.name
        self._decoder = decoder
        self._metrics = metrics
        self._taken = 0
        hands = size.hands or min(4, os.cpu_count() or 1)
        room = max(size.max_in_flight, 4) * 2
        self._hands: Lane[Callable[[], object], object] = Lane(
            "hands",
            lambda calls: [call() for call in calls],
            LaneSize(workers=hands, room=room),
            on_death=on_death,
            on_batch=metrics.count_batch,
        )
        self._detect: Lane[View, list[Detection]] = Lane(
            "detect",
            engine.detect,
            LaneSize(workers=size.detectors, room=room),
            on_death=on_death,
            on_batch=metrics.count_batch,
        )
        self._recognise: Lane[Aligned, NDArray[np.float32]] = Lane(
            "recognise",
            lambda faces: list(engine.recognise(faces)),
            LaneSize(batch=size.batch, linger_seconds=size.linger_seconds, room=max(64, 4 * size.batch)),
            on_death=on_death,
            on_batch=metrics.count_batch,
        )
        metrics.describe(space=self.space, family=engine.facts.family, provider=engine.facts.provider)
        for name, waiting in self._queues():
            metrics.watch_queue(name, waiting)

    @contextlib.contextmanager
    def permit(self) -> Iterator[None]:
        """A place among the accepted, or ``BusyError``."""
        if self._taken >= self.size.max_in_flight:
            self._metrics.pictures.labels("busy").inc()
            raise BusyError(f"all {self.size.max_in_flight} places are taken", retry_after=1.0)
        self._taken += 1
        self._metrics.in_flight.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self._metrics.in_flight.set(self._taken)

    async def answer(self, data: bytes, question: Question) -> wire.FacesAnswer:
        """The faces in a picture; ``ItemError`` when this picture is at fault, ``TransientError`` when we are."""
        begun = time.perf_counter()
        outcome = "failed"
        try:
            answer = await self._answer(data, question)
            outcome = "answered"
        except ItemError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            outcome = "left"
            raise
        finally:
            self._metrics.pictures.labels(outcome).inc()
            self._metrics.seconds.observe(time.perf_counter() - begun)
        self._metrics.faces.inc(len(answer.faces))
        self._metrics.lost_faces.inc(answer.lost_faces)
        return answer

    async def self_check(self) -> None:
        """Send a made-up picture through every lane; ``TransientError`` when something sensible does not come back."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                pixels = _test_picture()
                await self._detect.run(await self._by_hand(functools.partial(self.engine.view, pixels)))
                aligned = await self._by_hand(functools.partial(self.engine.align, pixels, self.engine.probe()))
                vector = await self._recognise.run(aligned)
        except TimeoutError:
            raise TransientError(f"a test picture took more than {PROBE_SECONDS:g} seconds", retry_after=10) from None
        except FacesetsError:
            raise
        except Exception as error:
            log.exception("self_check_failed")
            raise TransientError(f"the models fail: {type(error).__name__}", retry_after=10) from error
        if not abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3:
            raise TransientError("the models give vectors without a direction", retry_after=10)

    def close(self, *, wait_seconds: float = 0.0) -> None:
        for lane in (self._hands, self._detect, self._recognise):
            lane.close(wait_seconds=wait_seconds)

    async def _answer(self, data: bytes, question: Question) -> wire.FacesAnswer:
        picture = await self._by_hand(functools.partial(self._decoder.decode, data))
        try:
            detections = await self._find(picture, question)
        except FacesetsError:
            raise
        except Exception as error:  # a model's errors have no common class; who is to blame is found out
            raise await self._blame(error) from error
        sitters = await self._by_hand(functools.partial(self._sit, picture, detections, question))
        outcomes = await self._recognise.run_many([sitter.aligned for sitter in sitters])
        faces = [
            _face_answer(sitter, outcome)
            for sitter, outcome in zip(sitters, outcomes, strict=True)
            if not isinstance(outcome, Exception) and np.isfinite(outcome).all()
        ]
        if detections and not faces:
            errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            raise await self._blame(errors[0] if errors else None)
        return wire.FacesAnswer(
            space=self.space,
            width=picture.width,
            height=picture.height,
            faces=tuple(faces),
            lost_faces=len(detections) - len(faces),
        )

    async def _find(self, picture: Picture, question: Question) -> list[Detection]:
        if question.mode is wire.Mode.FULL or len(question.boxes) > guidance.MOST_LOOKS:
            found = await self._find_anywhere(picture)
            if question.mode is wire.Mode.FULL:
                return found
            return guidance.distinct([one for box in question.boxes if (one := guidance.pick(box, found))])
        return await self._find_around(picture, question)

    async def _find_anywhere(self, picture: Picture) -> list[Detection]:
        view = await self._by_hand(functools.partial(self.engine.view, picture.pixels))
        found = await self._detect.run(view)
        if found:
            return found
        area = guidance.padded_area(picture.width, picture.height)
        view = await self._by_hand(functools.partial(self.engine.view, picture.pixels, area, closely=True))
        return await self._detect.run(view)

    async def _find_around(self, picture: Picture, question: Question) -> list[Detection]:
        views = await self._by_hand(
            lambda: [self.engine.view(picture.pixels, guidance.look_area(box), closely=True) for box in question.boxes]
        )
        looks = _all_good(await self._detect.run_many(views))
        picks = [guidance.pick(box, found) for box, found in zip(question.boxes, looks, strict=True)]
        missing = [box for box, one in zip(question.boxes, picks, strict=True) if one is None]
        if missing:
            everywhere = await self._find_anywhere(picture)
            picks += [guidance.pick(box, everywhere) for box in missing]
        return guidance.distinct([one for one in picks if one is not None])

    def _sit(self, picture: Picture, detections: Sequence[Detection], question: Question) -> list[_Sitter]:
        """Align and measure every face; one whose points make no sense is left out."""
        sitters: list[_Sitter] = []
        wish = question.crops
        for detection in detections:
            try:
                aligned = self.engine.align(picture.pixels, detection)
            except ItemError:
                continue
            wanted = wish is not None and detection.box.face_short >= wish.min_short
            crop = cut_crop(picture.pixels, detection.box, wish) if wish is not None and wanted else None
            sitters.append(_Sitter(aligned, measure(aligned), crop))
        return sitters

    async def _blame(self, error: Exception | None) -> FacesetsError:
        """Whose fault a failed inference is: the picture's if a made-up one passes, ours otherwise."""
        try:
            await self.self_check()
        except TransientError as trouble:
            return trouble
        log.warning("inference_failed", error=type(error).__name__ if error else "no_direction", exc_info=error)
        return ItemError("the models fail on this picture, though they work", reason="inference_failed")

    async def _by_hand(self, call: Callable[[], ResultT]) -> ResultT:
        """What ``call`` returns, from a worker thread."""
        return cast("ResultT", await self._hands.run(call))  # the lane carries any call, each with its own result

    def _queues(self) -> Iterator[tuple[str, Callable[[], int]]]:
        yield "hands", lambda: self._hands.waiting
        yield "detect", lambda: self._detect.waiting
        yield "recognise", lambda: self._recognise.waiting


def _all_good(outcomes: Sequence[ResultT | Exception]) -> list[ResultT]:
    """The results; the first error among them is raised."""
    results: list[ResultT] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results


def _face_answer(sitter: _Sitter, vector: NDArray[np.float32]) -> wire.FaceAnswer:
    detection = sitter.aligned.detection
    box = detection.box
    return wire.FaceAnswer(
        box=(box.x1, box.y1, box.x2, box.y2),
        landmarks=detection.landmarks,
        det_score=detection.score,
        embedding=np.asarray(vector, dtype="<f4").tobytes(),
        quality=sitter.measures,
        crop=sitter.crop,
    )


@functools.cache
def _test_picture() -> NDArray[np.uint8]:
    """Soft colours and a disc: something to look at, that is nobody."""
    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    disc = 120.0 * ((rows - 110) ** 2 / 2 + (columns - 160) ** 2 < 4000)
    picture = np.stack([rows / 2 + disc, columns / 3 + disc, (rows + columns) / 5], axis=-1)
    return picture.clip(0, 255).astype(np.uint8)
